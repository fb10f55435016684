"""A grammar of requests: well-formed HTTP that asks the API for sense and nonsense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fuzz.api_bodies import JSON, PATCHES, PROTOBUF, YAML, written
from fuzz.nonsense import BODIES, DEPLOYMENT, POD, SERVICE
from hypothesis import strategies as st

from netlab.api import reviews
from netlab.objects.kinds import BY_KIND, KINDS

# The other kind prefers zeros: hardly anything would stay sound.
dice = st.randoms(use_true_random=True)


@dataclass(frozen=True)
class Request:
    """What a client sends."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def on_the_wire(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: lab"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {len(self.body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


@st.composite
def _mostly(draw: st.DrawFn, usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> Any:
    """Seven times in eight the usual."""
    return draw(odd if draw(st.sampled_from((False,) * 7 + (True,))) else usual)


# -- paths ---------------------------------------------------------------------------------

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ODD_METHODS = ("HEAD", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "LINK")
methods = st.sampled_from((*_METHODS * 4, *_ODD_METHODS))

_ODD_SEGMENTS = (
    "..", ".", "%2e%2e", "%2F", "%00", "%ff", "%C3%28", "%ED%A0%80", "~", "*", "a%20b", "a" * 300,
    "web;x=y", "%25", "%zz", "status", "watch", "proxy", "namespaces",
)  # fmt: skip
segments = st.one_of(
    st.sampled_from(("web", "default", "kubernetes", "nobody", "kube-system", "worker001")),
    st.sampled_from(_ODD_SEGMENTS),
    st.text(max_size=5).map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")),
)
_POSTED = ("binding", "eviction", "exec", "attach", "portforward")
_EVERY_SUBRESOURCE = sorted({one for kind in KINDS for one in kind.subresources})
_FIXED = (
    "/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/apis/nobody/v1/things",
    "/apis/events.k8s.io/v1/namespaces/default/events/web", "/apis/events.k8s.io/v1/events",
    "/version", "/version/", "/healthz", "/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1",
    "/openapi/v3/apis/apps/v1", "/openapi/v3/%2e%2e", "//api//v1//pods", "/apis/batch/v1/jobs",
    "/api/v2/pods", "/api/v1/namespaces/default", "/api/v1/watch/pods", "/metrics", "/logs/",
    *(kind.path() for kind in reviews.KINDS),
)  # fmt: skip


_FREE_PATHS = st.one_of(
    st.sampled_from(_FIXED),
    st.lists(segments, max_size=6).map(lambda parts: "/" + "/".join(parts)),
    st.tuples(st.sampled_from(_FIXED), segments).map(lambda pair: f"{pair[0]}/{pair[1]}"),
)

# -- queries -------------------------------------------------------------------------------

_FLAG = ("true", "1", "True", "false", "maybe")
_NUMBER = ("0", "1", "7", "-1", "x", "9" * 18, "9" * 400, "1.5", "\u0663")
_TIME = ("2024-01-02T03:04:05Z", "yesterday", "9999-99-99T99:99:99Z", "0001-01-01T00:00:00+23:59")
PARAMETERS: dict[str, tuple[str, ...]] = {
    "watch": _FLAG,
    "allowWatchBookmarks": _FLAG,
    "sendInitialEvents": _FLAG,
    "timeoutSeconds": _NUMBER,
    "resourceVersion": _NUMBER,
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x"),
    "limit": _NUMBER,
    "continue": ("eyJydiI6IjUiLCJhZnRlciI6WyJkZWZhdWx0IiwiYSJdfQ==", "W10=", "MQ==", "bm8=", "="),
    "labelSelector": ("a=b", "a in (b,c)", "!a", "a notin ()", "a=(", ",", "a>1", "=", "a" * 500),
    "fieldSelector": ("metadata.name=web", "metadata.namespace!=x", "spec.x=1", "=", "a=b=c", "\\"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "Sloppy"),
    "dryRun": ("All", "Some", ""),
    "propagationPolicy": ("Foreground", "Orphan", "Background", "Sideways"),
    "gracePeriodSeconds": _NUMBER,
    "orphanDependents": _FLAG,
    "fieldManager": ("kubectl", "x" * 200, "\n"),
    "force": _FLAG,
    "pretty": _FLAG,
    "includeObject": ("None", "Object", "Metadata", "x"),
    "command": ("echo", "fail", "sh", ""),
    "container": ("a", "b", ""),
    "stdin": _FLAG,
    "stdout": _FLAG,
    "stderr": _FLAG,
    "tty": _FLAG,
    "follow": _FLAG,
    "previous": _FLAG,
    "timestamps": _FLAG,
    "tailLines": _NUMBER,
    "limitBytes": _NUMBER,
    "sinceSeconds": _NUMBER,
    "sinceTime": _TIME,
    "ports": _NUMBER,
    "hash": ("x",),
}


@st.composite
def _parameter(draw: st.DrawFn) -> tuple[str, str]:
    name = draw(st.sampled_from(sorted(PARAMETERS)))
    return name, draw(st.one_of(st.sampled_from(PARAMETERS[name]), st.text(max_size=6)))


def _query(pairs: list[tuple[str, str]]) -> str:
    return "?" + urlencode(pairs, errors="surrogatepass") if pairs else ""


_ODD_QUERIES = ("?", "?&&=", "?watch", "?a=%zz", "?limit=1&limit=x", "?%00=%ff", "?dryRun=All&x")
queries = st.sampled_from(("none", "none", "some", "some", "odd")).flatmap(
    lambda which: {
        "none": st.just(""),
        "some": st.lists(_parameter(), min_size=1, max_size=3).map(_query),
        "odd": st.sampled_from(_ODD_QUERIES),
    }[which]
)

# -- headers -------------------------------------------------------------------------------

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
accepts = _mostly(
    st.sampled_from((JSON, JSON, f"{_TABLE},{JSON}", _TABLE, YAML, _METADATA, "*/*")),
    st.sampled_from(
        (
            PROTOBUF, f"{PROTOBUF},*/*", _DISCOVERY, "text/html", "", ",;,=;", "a" * 500, "\u00e9",
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", f"{YAML};as=Table",
            "application/json;as=Nothing",
        )
    ),
)  # fmt: skip
content_types = st.sampled_from(
    (JSON, YAML, PROTOBUF, *PATCHES, "", "text/plain", "application/cbor", "application/json;x",
     f"{JSON}; charset=utf-16", ";", "application/x-www-form-urlencoded", "multipart/form-data")
)  # fmt: skip
_ODD_HEADERS = st.sampled_from(
    (
        ("Content-Encoding", "gzip"), ("Content-Encoding", "deflate"), ("Content-Encoding", "x"),
        ("Expect", "100-continue"), ("Upgrade", "websocket"), ("Upgrade", "SPDY/3.1"),
        ("Cookie", "a=b;;;=\u00e9"), ("If-Match", "x"), ("Range", "bytes=0-"), ("X-Long",
        "x" * 4000),
        ("Authorization", "Bearer x"), ("Impersonate-User", "x"), ("Host", "%%%"),
    )
)  # fmt: skip

# -- requests ------------------------------------------------------------------------------


def _aim(method: str, subresource: str, content_type: str) -> str:
    """What a request does, for `written` to fit its body to."""
    if method == "PATCH":
        return "patch" if content_type == PATCHES[-1] else "partial"
    if subresource:
        return subresource
    return {"DELETE": "options", "POST": "create"}.get(method, "")


@st.composite
def _about_an_object(draw: st.DrawFn) -> Request:
    body = draw(
        st.one_of(st.sampled_from(BODIES), st.sampled_from((POD, POD, SERVICE, DEPLOYMENT)))
    )
    kind = BY_KIND[body["kind"]]
    method = draw(methods)
    posted = [one for one in kind.subresources if one in _POSTED]
    own = st.sampled_from(("", "", *(posted if method == "POST" else kind.subresources)))
    subresource = draw(_mostly(own, st.one_of(st.sampled_from(_EVERY_SUBRESOURCE), segments)))
    name = "" if method == "POST" and not subresource else "web"
    path = kind.path(
        draw(_mostly(st.just("default"), segments)),
        draw(_mostly(st.just(name), st.one_of(st.just(""), segments))),
        subresource,
    )
    usual = st.sampled_from(PATCHES if method == "PATCH" else (JSON, JSON, YAML, PROTOBUF))
    content_type = draw(_mostly(usual, content_types))
    headers = [("Accept", draw(accepts)), ("Content-Type", content_type)]
    headers += draw(_mostly(st.just([]), st.lists(_ODD_HEADERS, max_size=1)))
    aim = _aim(method, subresource, content_type)
    sent = written(body, aim, content_type, draw(dice)) if method not in ("GET", "HEAD") else b""
    return Request(method, path + draw(queries), tuple(headers), sent)


@st.composite
def _anywhere(draw: st.DrawFn) -> Request:
    content_type, body = draw(content_types), draw(st.sampled_from(BODIES))
    sent = written(body, "", content_type, draw(dice)) if draw(st.booleans()) else b""
    headers = (("Accept", draw(accepts)), ("Content-Type", content_type))
    return Request(draw(methods), draw(_FREE_PATHS) + draw(queries), headers, sent)


requests = _mostly(_about_an_object(), _anywhere())
