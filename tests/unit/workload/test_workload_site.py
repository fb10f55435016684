from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.workload.access_log import CAPACITY, AccessLog
from netlab.workload.http1 import Request, RequestParser
from netlab.workload.listening import health_site
from netlab.workload.site import Site
from netlab.workload.template import TemplateError, compile_

SITE = {
    "server": "test/1.0",
    "errors": {"type": "text/html", "body": "<h1>{{status}} {{reason}}</h1>{{server}}\n"},
    "routes": [
        {"path": "/", "methods": ["GET", "HEAD"], "type": "text/html", "body": "{{hostname}}\n"},
        {"path": "/echo/*", "body": "{{query.msg|or:nothing}} from {{client}}"},
        {"path": "/gone", "status": 204},
        {"path": "/made", "status": 201, "headers": {"X-Pod": "{{hostname}}"}},
    ],
}


def request(text: str) -> Request:
    (parsed,) = RequestParser().feed(text.encode() + b"\r\nHost: h\r\n\r\n")
    parsed.client = ("10.0.0.1", 1234)
    return parsed


def answer(text: str, data: dict[str, Any] | None = None) -> tuple[str, dict[str, str], str]:
    """(status line, headers, body)"""
    site = Site(data or SITE, {"hostname": "web-0"})
    asked = request(text)
    sent, _ = site.answer(asked).render(asked, close=False)
    head, _, body = sent.decode().partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


def test_a_route_answers_with_what_every_response_has() -> None:
    status, headers, body = answer("GET / HTTP/1.1")
    assert (status, body) == ("HTTP/1.1 200 OK", "web-0\n")
    assert headers.pop("Date").endswith(" GMT")
    assert headers == {
        "Server": "test/1.0",
        "Content-Type": "text/html",
        "Content-Length": "6",
        "Connection": "keep-alive",
    }


def test_head_has_the_length_and_no_body() -> None:
    _, headers, body = answer("HEAD / HTTP/1.1")
    assert (headers["Content-Length"], body) == ("6", "")


def test_no_content_has_no_length() -> None:
    status, headers, body = answer("GET /gone HTTP/1.1")
    assert (status, body) == ("HTTP/1.1 204 No Content", "")
    assert "Content-Length" not in headers


def test_prefixes_queries_and_headers_of_a_route() -> None:
    assert answer("GET /echo/x?msg=a%26b HTTP/1.1")[2] == "a&b from 10.0.0.1"
    assert answer("GET /echo/ HTTP/1.1")[2] == "nothing from 10.0.0.1"
    assert answer("POST /made HTTP/1.1")[1]["X-Pod"] == "web-0"


def test_unknown_paths_and_methods_get_the_servers_own_page() -> None:
    status, headers, body = answer("GET /other HTTP/1.1")
    assert (status, headers["Content-Type"]) == ("HTTP/1.1 404 Not Found", "text/html")
    assert body == "<h1>404 Not Found</h1>test/1.0\n"
    status, headers, _ = answer("POST / HTTP/1.1")
    assert (status, headers["Allow"]) == ("HTTP/1.1 405 Method Not Allowed", "GET, HEAD")


def test_a_client_cannot_add_headers() -> None:
    site = {"routes": [{"path": "/*", "headers": {"X": "{{path}}"}, "body": "b"}]}
    _, headers, _ = answer("GET /%0d%0aSet-Cookie:%20a HTTP/1.1", site)
    assert "X" not in headers
    assert "Set-Cookie" not in headers


def test_filters_protect_html_and_json() -> None:
    text = (
        "{{query.a|html}} {{query.a|json}} {{query.none|or:-}} {{hostname|upper}} {{query.a|url}}"
    )
    filled = compile_(text, {"hostname": "w"}).fill(request("GET /?a=%3C%22 HTTP/1.1"))
    assert filled == '&lt;&quot; "<\\"" - W %3C%22'


def test_headers_can_be_listed() -> None:
    asked = request("GET / HTTP/1.1\r\nX-A: 1")
    assert compile_("{{headers}}", {}).fill(asked) == "X-A: 1\nHost: h"
    assert compile_("{{headers|each:\\t%l=%v}}", {}).fill(asked) == "\tx-a=1\n\thost=h"
    assert json.loads(compile_("{{headers|json}}", {}).fill(asked)) == {"x-a": "1", "host": "h"}


def test_bytes_that_are_no_text_are_echoed_as_they_came() -> None:
    (asked,) = RequestParser().feed(b"GET / HTTP/1.1\r\nHost: \xff\xc3\xa9\r\n\r\n")
    site = Site({"routes": [{"path": "/*", "body": "{{host}}"}]}, {})
    assert site.answer(asked).render(asked, close=True)[0].endswith(b"\r\n\r\n\xff\xc3\xa9")


@pytest.mark.parametrize("text", ["{{nonsense}}", "{{hostname|shout}}"])
def test_a_text_that_asks_for_nonsense_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        compile_(text, {"hostname": "w"})


def test_static_texts_are_known_at_once_and_missing_flags_are_empty() -> None:
    assert compile_("a {{hostname}} {{flag.text|or:b}}", {"hostname": "w"}).static == "a w b"
    assert compile_("{{client}}", {}).static is None


def test_health_is_json_whatever_it_says() -> None:
    body = {"service": {"namespace": "a", "name": "{{client}}"}, "localEndpoints": 1}
    site = health_site({"status": 503, "body": body, "headers": {"X-Weight": "1"}})
    asked = request("GET /any HTTP/1.1")
    sent, _ = site.answer(asked).render(asked, close=True)
    head, _, text = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nX-Weight: 1\r\n" in head
    assert json.loads(text) == body


def test_the_log_keeps_the_last_lines_and_tells_followers() -> None:
    log, heard = AccessLog(), []
    end = log.follow(lambda _, line: heard.append(line))
    log.refused("10.0.0.9", 400)
    end()
    asked = request('GET /"x HTTP/1.1\r\nUser-Agent: curl\x80\r\nReferer: http://a')
    for _ in range(CAPACITY):
        log.request(asked, 200, 12)
    lines = [line for _, line in log.lines()]
    assert len(heard) == 1
    assert heard[0].endswith('"-" 400 0 "-" "-"'.replace('"-" 400', '"" 400'))
    assert len(lines) == CAPACITY
    assert lines[0].startswith("10.0.0.1 - - [")
    assert lines[0].endswith('"GET /\\x22x HTTP/1.1" 200 12 "http://a" "curl\\xC2\\x80"')
    assert log.lines(tail=2) == log.lines()[-2:]
    assert log.lines(tail=0) == []
