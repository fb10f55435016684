"""What the values of annotations and settings may be: each takes a text, or raises `ValueError`.

They are strangers' texts that become words of a configuration, so each says what is allowed in it,
as ingress-nginx' validators do (internal/ingress/annotations/parser/validators.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network

from netlab.ingress.quoting import is_plain
from netlab.objects import names

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")

Parse = Callable[[str], object]


def flag(text: str) -> bool:
    """What Go takes for a bool."""
    if text not in _TRUE + _FALSE:
        raise ValueError("must be true or false")
    return text in _TRUE


def whole(text: str) -> int:
    """A number, not below zero."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("must be a whole number")
    return int(text)


def between(least: int, most: int) -> Callable[[str], int]:
    """A number within bounds."""

    def parse(text: str) -> int:
        number = whole(text)
        if not least <= number <= most:
            raise ValueError(f"must be between {least} and {most}")
        return number

    return parse


def one_of(*words: str, upper: bool = False) -> Callable[[str], str]:
    """One of these words; `upper` lets it be written in any case."""

    def parse(text: str) -> str:
        word = text.strip().upper() if upper else text.strip()
        if word not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return word

    return parse


def same_site(text: str) -> str:
    """When a cookie goes along with a request from elsewhere; written in any case."""
    return one_of("None", "Lax", "Strict")(text.strip().capitalize())


def matching(pattern: str, what: str) -> Callable[[str], str]:
    """A text in which nothing else is than a pattern allows."""
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text) or not is_plain(text):
            raise ValueError(f"is no {what}")
        return text

    return parse


_CHARACTERS = r"\-._~a-zA-Z0-9/:"

path_with_groups = matching(rf"/?[{_CHARACTERS}$]*", "path, with at most $1 to $9 in it")
path = matching(rf"/[{_CHARACTERS}]*", "path")
url = matching(rf"[{_CHARACTERS},?&=%#+]+", "URL")
_url_with_variables = matching(rf"[{_CHARACTERS},?&=%#+$]+", "URL")
size = matching(r"(?i)[0-9]{1,9}[kmg]?", "size, as 8m")
header = matching(r"[A-Za-z0-9_\-]{1,100}", "header's name")
headers = matching(r"[A-Za-z0-9_\-, ]{1,500}", "list of headers")
token = matching(r"[A-Za-z0-9_\-.]{1,100}", "name")
words = matching(rf"[{_CHARACTERS} ]{{0,200}}", "plain text")
host = matching(r"[A-Za-z0-9\-.:_]{1,253}", "host")
domain = matching(r"[A-Za-z0-9\-._ ]{1,253}", "domain")
ciphers = matching(r"[A-Za-z0-9!:+\-@=_.]{1,500}", "list of ciphers")
origins = matching(rf"[{_CHARACTERS}*, ]{{1,500}}", "list of origins")
plain = matching(r"(?s).*", "text without control characters")


def rewrite_target(text: str) -> str:
    """A path in which only groups of the path's expression stand for anything."""
    path_with_groups(text)
    if re.search(r"\$(?![0-9])", text):
        raise ValueError("may refer to groups only, as $1")
    return text


def cidrs(text: str) -> tuple[str, ...]:
    """Networks and addresses, with commas between."""
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        try:
            found.append(str(ip_network(part, strict=False)))
        except ValueError:
            raise ValueError(f"{part!r} is no CIDR") from None
    return tuple(sorted(found))


def hosts(text: str) -> tuple[str, ...]:
    """Names of hosts, with commas between."""
    found = tuple(filter(None, (each.strip().lower() for each in text.split(","))))
    for each in found:
        if not names.is_dns_subdomain(each.removeprefix("*.")):
            raise ValueError(f"{each!r} is no host's name")
    return found


def variable(text: str) -> str:
    """What nginx may hash requests by: variables, and plain text between."""
    matching(r"(\$[a-z0-9_]+|\$\{[a-z0-9_]+\}|[A-Za-z0-9\-_.:/]){1,200}", "text with variables")(
        text
    )
    named = re.findall(r"\$\{?([a-z0-9_]+)", text)
    if not named:
        raise ValueError("must name a variable, as $request_uri")
    for each in named:
        if each not in _VARIABLES and not re.match(r"(http|cookie|arg)_.", each):
            raise ValueError(f"${each} is no variable to hash by")
    return text


_VARIABLES = frozenset(
    (
        "request_uri", "uri", "host", "http_host", "remote_addr", "binary_remote_addr", "args",
        "request_method", "scheme", "query_string", "ssl_session_id", "request_id", "server_name",
    )
)  # fmt: skip


def url_with_variables(text: str) -> str:
    """A URL; for one variable in it that it does not know nginx refuses all, and says not where."""
    for found in re.finditer(r"\$([A-Za-z0-9_]*)", _url_with_variables(text)):
        name = found[1]
        if name not in _VARIABLES | _MORE and not re.match(r"(http|cookie|arg)_.|[1-9]", name):
            raise ValueError(f"${name} is no variable of nginx")
    return text


_MORE = frozenset(
    (
        "best_http_host", "document_uri", "hostname", "is_args", "pass_access_scheme", "pass_port",
        "redirect_host", "remote_port", "remote_user", "req_id", "server_addr", "server_port",
        "server_protocol",
    )
)  # fmt: skip


def next_upstream(text: str) -> str:
    """When the next endpoint is to be asked."""
    for word in text.split():
        one_of(
            "error", "timeout", "invalid_header", "http_500", "http_502", "http_503", "http_504",
            "http_403", "http_404", "http_429", "non_idempotent", "off",
        )(word)  # fmt: skip
    return " ".join(text.split())


def methods(text: str) -> str:
    """Methods of HTTP, with commas between."""
    return matching(r"[A-Za-z]{1,20}(, ?[A-Za-z]{1,20})*", "list of methods")(text)


SECONDS = between(1, 86400)
ON_OFF = one_of("on", "off")

OF_BOTH: Mapping[str, Parse] = {
    "client-body-buffer-size": size,
    "denylist-source-range": cidrs,
    "force-ssl-redirect": flag,
    "proxy-body-size": size,
    "proxy-buffer-size": size,
    "proxy-buffering": ON_OFF,
    "proxy-buffers-number": between(1, 1024),
    "proxy-connect-timeout": SECONDS,
    "proxy-cookie-domain": domain,
    "proxy-cookie-path": words,
    "proxy-http-version": one_of("1.0", "1.1"),
    "proxy-max-temp-file-size": size,
    "proxy-next-upstream": next_upstream,
    "proxy-next-upstream-timeout": between(0, 86400),
    "proxy-next-upstream-tries": between(0, 1000),
    "proxy-read-timeout": SECONDS,
    "proxy-redirect-from": url,
    "proxy-request-buffering": ON_OFF,
    "proxy-send-timeout": SECONDS,
    "relative-redirects": flag,
    "service-upstream": flag,
    "ssl-ciphers": ciphers,
    "ssl-redirect": flag,
}
"""What an Ingress says for itself by an annotation, and the controller's ConfigMap for all."""
