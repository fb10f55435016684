"""The annotations of an Ingress: which there are, what they may say, what they say here.

Source: ingress-nginx' docs/user-guide/nginx-configuration/annotations.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from netlab.ingress import values
from netlab.ingress.values import Parse

PREFIX = "nginx.ingress.kubernetes.io"


class Annotations(Struct, frozen=True):
    """What the annotations of one Ingress ask for; a field each, `-` as `_`. None: as settings say.

    Numbers of time are seconds.
    """

    affinity: str = ""
    affinity_mode: str = "balanced"
    affinity_canary_behavior: str = "sticky"
    allowlist_source_range: tuple[str, ...] = ()
    app_root: str = ""
    auth_realm: str = ""
    auth_secret: str = ""
    auth_secret_type: str = "auth-file"
    auth_type: str = ""
    backend_protocol: str = "HTTP"
    canary: bool = False
    canary_by_cookie: str = ""
    canary_by_header: str = ""
    canary_by_header_pattern: str = ""
    canary_by_header_value: str = ""
    canary_weight: int = 0
    canary_weight_total: int = 100
    client_body_buffer_size: str = ""
    connection_proxy_header: str = ""
    cors_allow_credentials: bool = True
    cors_allow_headers: str = (
        "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,"
        "Range,Authorization"
    )
    cors_allow_methods: str = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
    cors_allow_origin: str = "*"
    cors_expose_headers: str = ""
    cors_max_age: int = 1728000
    denylist_source_range: tuple[str, ...] = ()
    enable_access_log: bool = True
    enable_cors: bool = False
    enable_rewrite_log: bool = False
    force_ssl_redirect: bool | None = None
    from_to_www_redirect: bool = False
    limit_burst_multiplier: int = 5
    limit_connections: int = 0
    limit_rate: int | None = None
    limit_rate_after: int | None = None
    limit_rpm: int = 0
    limit_rps: int = 0
    load_balance: str = ""
    permanent_redirect: str = ""
    permanent_redirect_code: int = 301
    preserve_trailing_slash: bool = False
    proxy_body_size: str | None = None
    proxy_buffer_size: str | None = None
    proxy_buffering: str | None = None
    proxy_buffers_number: int | None = None
    proxy_busy_buffers_size: str | None = None
    proxy_connect_timeout: int | None = None
    proxy_cookie_domain: str | None = None
    proxy_cookie_path: str | None = None
    proxy_http_version: str | None = None
    proxy_max_temp_file_size: str | None = None
    proxy_next_upstream: str | None = None
    proxy_next_upstream_timeout: int | None = None
    proxy_next_upstream_tries: int | None = None
    proxy_read_timeout: int | None = None
    proxy_redirect_from: str | None = None
    proxy_redirect_to: str = ""
    proxy_request_buffering: str | None = None
    proxy_send_timeout: int | None = None
    relative_redirects: bool = False
    rewrite_target: str = ""
    satisfy: str = ""
    server_alias: tuple[str, ...] = ()
    service_upstream: bool | None = None
    session_cookie_change_on_failure: bool = False
    session_cookie_domain: str = ""
    session_cookie_expires: int | None = None
    session_cookie_max_age: int | None = None
    session_cookie_name: str = "INGRESSCOOKIE"
    session_cookie_path: str = ""
    session_cookie_samesite: str = ""
    session_cookie_secure: bool | None = None
    ssl_ciphers: str = ""
    ssl_redirect: bool | None = None
    temporal_redirect: str = ""
    temporal_redirect_code: int = 302
    upstream_hash_by: str = ""
    upstream_vhost: str = ""
    use_port_in_redirects: bool = False
    use_regex: bool = False
    x_forwarded_prefix: str = ""


NONE = Annotations()


KNOWN: Mapping[str, Parse] = {
    **values.OF_BOTH,
    "affinity": values.one_of("cookie"),
    "affinity-mode": values.one_of("balanced", "persistent"),
    "affinity-canary-behavior": values.one_of("sticky", "legacy"),
    "allowlist-source-range": values.cidrs,
    "app-root": values.path,
    "auth-realm": values.words,
    "auth-secret": values.matching(r"[a-z0-9\-./]{1,320}", "Secret's name"),
    "auth-secret-type": values.one_of("auth-file", "auth-map"),
    "auth-type": values.one_of("basic"),
    "backend-protocol": values.one_of("HTTP", "HTTPS", "GRPC", "GRPCS", "AUTO_HTTP", upper=True),
    "canary": values.flag,
    "canary-by-cookie": values.token,
    "canary-by-header": values.header,
    "canary-by-header-pattern": values.matching(
        r"[A-Za-z0-9\-._~/:^$\[\](){}*+?|&=\\ ]{1,200}", "regular expression"
    ),
    "canary-by-header-value": values.words,
    "canary-weight": values.whole,
    "canary-weight-total": values.between(1, 1000000),
    "connection-proxy-header": values.one_of("close", "keep-alive"),
    "cors-allow-credentials": values.flag,
    "cors-allow-headers": values.headers,
    "cors-allow-methods": values.methods,
    "cors-allow-origin": values.origins,
    "cors-expose-headers": values.headers,
    "cors-max-age": values.whole,
    "enable-access-log": values.flag,
    "enable-cors": values.flag,
    "enable-rewrite-log": values.flag,
    "from-to-www-redirect": values.flag,
    "limit-burst-multiplier": values.between(1, 1000),
    "limit-connections": values.whole,
    "limit-rate": values.whole,
    "limit-rate-after": values.whole,
    "limit-rpm": values.whole,
    "limit-rps": values.whole,
    "load-balance": values.one_of("round_robin", "ewma"),
    "permanent-redirect": values.url_with_variables,
    "permanent-redirect-code": values.between(300, 399),
    "preserve-trailing-slash": values.flag,
    "proxy-busy-buffers-size": values.size,
    "proxy-redirect-to": values.url,
    "rewrite-target": values.rewrite_target,
    "satisfy": values.one_of("any", "all"),
    "server-alias": values.hosts,
    "session-cookie-change-on-failure": values.flag,
    "session-cookie-domain": values.host,
    "session-cookie-expires": values.whole,
    "session-cookie-max-age": values.whole,
    "session-cookie-name": values.token,
    "session-cookie-path": values.path,
    "session-cookie-samesite": values.same_site,
    "session-cookie-secure": values.flag,
    "temporal-redirect": values.url_with_variables,
    "temporal-redirect-code": values.between(300, 399),
    "upstream-hash-by": values.variable,
    "upstream-vhost": values.host,
    "use-port-in-redirects": values.flag,
    "use-regex": values.flag,
    "x-forwarded-prefix": values.path,
}
"""What each may be; `Annotations` has what it is when nobody says."""

_OTHER_NAMES = {
    "whitelist-source-range": "allowlist-source-range",
    "session-cookie-hash": "",
    "secure-backends": "",
}

RISKY = frozenset(
    ("auth-snippet", "configuration-snippet", "modsecurity-snippet", "server-snippet",
     "stream-snippet")
)  # fmt: skip
"""What would put a stranger's text into the configuration as it stands."""


def parse(written: Mapping[str, str], prefix: str = PREFIX) -> tuple[Annotations, list[str]]:
    """What an Ingress' annotations ask for, and what is wrong with them, a line for each.

    Whatever is wrong counts as not said.
    """
    said: dict[str, object] = {}
    problems: list[str] = []
    for name, text in sorted(_ours(written, prefix)):
        known = _OTHER_NAMES.get(name, name)
        try:
            if known not in KNOWN:
                raise ValueError(_unknown(name))
            said[known.replace("-", "_")] = KNOWN[known](text)
        except ValueError as error:
            problems.append(f"annotation {prefix}/{name} {_words(name, text, error)}")
    return msgspec.convert(said, Annotations), problems


def _ours(written: Mapping[str, str], prefix: str) -> Iterator[tuple[str, str]]:
    for name, text in written.items():
        before, slash, after = name.partition("/")
        if slash and before == prefix and text != "":
            yield after, text


def _unknown(name: str) -> str:
    if name in RISKY:
        return "is refused: a snippet could do anything to the controller (risk level Critical)"
    return "is not known to this controller, and does nothing"


def _words(name: str, text: str, error: ValueError) -> str:
    if name not in _OTHER_NAMES and name not in KNOWN:
        return str(error)
    shown = text if len(text) <= 100 else f"{text[:100]}…"
    return f"has no effect: {shown!r} {error}"
