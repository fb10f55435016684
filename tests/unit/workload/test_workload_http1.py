from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.workload.http1 import MAX_BODY, MAX_HEAD, RequestParser, http_date, log_date

GET = b"GET /a%20b?msg=x&empty= HTTP/1.1\r\nHost: web:8080\r\nX-Two:  spaced \r\n\r\n"


def outcome(*pieces: bytes) -> tuple[list[tuple[str, str, bytes]], int | None]:
    parser = RequestParser()
    requests = [request for piece in pieces for request in parser.feed(piece)]
    return [(entry.method, entry.target, entry.body) for entry in requests], parser.malformed


def status_of(*pieces: bytes) -> int | None:
    requests, malformed = outcome(*pieces)
    assert requests == []
    return malformed


def test_a_request_is_taken_apart() -> None:
    parser = RequestParser()
    (request,) = parser.feed(GET)
    request.client, request.local = ("10.244.1.2", 40312), ("fd00::2", 80)
    assert (request.method, request.version, request.path) == ("GET", "HTTP/1.1", "/a b")
    assert request.headers == [("Host", "web:8080"), ("X-Two", "spaced")]
    wanted = {
        "client": "10.244.1.2",
        "client.port": "40312",
        "client.address": "10.244.1.2:40312",
        "server.address": "[fd00::2]:80",
        "method": "GET",
        "target": "/a%20b?msg=x&empty=",
        "path": "/a b",
        "query": "msg=x&empty=",
        "query.msg": "x",
        "query.empty": "",
        "query.none": "",
        "host": "web:8080",
        "header.x-two": "spaced",
        "header.X-Two": "spaced",
        "header.none": "",
        "body": "",
        "nonsense": None,
    }
    assert {name: request.variable(name) for name in wanted} == wanted
    assert parser.is_idle


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.0\n\n",  # typed into nc
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n",
        b"GET http://web HTTP/1.1\r\nHost: web\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
    ],
)
def test_what_is_unusual_but_right_is_understood(text: bytes) -> None:
    requests, malformed = outcome(text)
    assert ([entry[:2] for entry in requests], malformed) == ([("GET", "/")], None)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS on a plain port
        (b"P / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"P / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
        (b"P / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"P / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999\r\n\r\n", 413),
        (b"P / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (b"P / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (
            b"P / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            400,
        ),
        (b"GET /" + b"a" * MAX_HEAD, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_is_wrong_gets_its_status(text: bytes, status: int) -> None:
    assert status_of(text) == status


def chunked(body: bytes) -> bytes:
    return b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n" + body


def test_bodies_by_length_and_in_chunks() -> None:
    by_length = b"POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
    chunks = chunked(b"3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n")
    expected = [("POST", "/l", b"body"), ("POST", "/c", b"abc0123456789"), ("GET", "/", b"")]
    assert outcome(by_length + chunks + b"GET / HTTP/1.0\r\n\r\n") == (expected, None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x\r\n", 400),
        (b"-1\r\n", 400),
        (b"3\r\nabcd\r\n", 400),
        (b"%x\r\n" % (MAX_BODY + 1), 413),
        (b"0\r\n" + b"A: b\r\n" * 5000, 431),
        (b"1" * (MAX_HEAD + 1), 400),
    ],
)
def test_broken_chunks_are_refused(body: bytes, status: int) -> None:
    assert status_of(chunked(body)) == status


def test_requests_before_a_broken_one_are_still_answered() -> None:
    requests, malformed = outcome(GET + b"nonsense\r\n\r\n")
    assert [entry[0] for entry in requests] == ["GET"]
    assert malformed == 400


def test_a_client_that_waits_for_continue_is_noticed() -> None:
    parser = RequestParser()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert parser.feed(head) == []
    assert parser.expects_continue
    assert [request.body for request in parser.feed(b"ok")] == [b"ok"]
    assert not parser.expects_continue


@pytest.mark.parametrize(
    ("version", "header", "kept"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.1", "Connection: Close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: Keep-Alive\r\n", True),
    ],
)
def test_who_keeps_the_connection(version: str, header: str, kept: bool) -> None:
    text = f"GET / HTTP/{version}\r\nHost: a\r\n{header}\r\n"
    (request,) = RequestParser().feed(text.encode())
    assert request.keeps_alive() is kept


STREAM = GET + chunked(b"3\r\nabc\r\n0\r\n\r\n") + GET


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_how_the_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(places)]
    assert outcome(*pieces) == outcome(STREAM)


@settings(max_examples=300)
@given(
    st.binary(max_size=300) | st.binary(max_size=60).map(lambda data: GET[:20] + data + b"\r\n\r\n")
)
def test_no_bytes_break_the_parser(data: bytes) -> None:
    _, malformed = outcome(data, data)
    assert malformed in (None, 400, 413, 431, 501, 505)


def test_dates_are_those_of_the_protocol() -> None:
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert log_date(784111777) == "06/Nov/1994:08:49:37 +0000"


@pytest.mark.parametrize("first", [b"\x16\x03\x01\x02\x00\x01", b"\x00", b"\x80\x2e", b"{"])
def test_who_speaks_something_else_is_told_at_once(first: bytes) -> None:
    """A TLS client says hello and waits: it is not to wait for the time of a request."""
    assert status_of(first) == 400
    assert status_of(b"\r\n" + first) == 400


@pytest.mark.parametrize("first", [b"G", b"\r\n", b"\n", b""])
def test_the_beginning_of_a_request_is_waited_for(first: bytes) -> None:
    assert status_of(first) is None


@pytest.mark.parametrize(
    "line", [b"hostName\n", b"GET\r\n", b"get x HTTP/1.1\n", b"GET / HTTP/2\n"]
)
def test_a_wrong_request_line_is_refused_before_the_rest_has_come(line: bytes) -> None:
    assert status_of(*(bytes([byte]) for byte in line)) == 400


def test_a_right_request_line_waits_for_the_rest() -> None:
    assert outcome(b"GET / HTTP/1.1\r\n") == ([], None)
    assert outcome(b"GET / HTTP/1.1\r\n", b"Host: a\r\n", b"\r\nnonsense\n")[1] == 400
