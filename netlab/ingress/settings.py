"""What the controller's ConfigMap says for all Ingresses.

Source: ingress-nginx' docs/user-guide/nginx-configuration/configmap.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from netlab.ingress import values
from netlab.ingress.values import Parse


class Settings(Struct, frozen=True):
    """A field for each key, `-` as `_`. Numbers of time are seconds."""

    allow_backend_server_header: bool = False
    block_cidrs: tuple[str, ...] = ()
    client_body_buffer_size: str = "8k"
    client_body_timeout: int = 60
    client_header_buffer_size: str = "1k"
    client_header_timeout: int = 60
    compute_full_forwarded_for: bool = False
    denylist_source_range: tuple[str, ...] = ()
    disable_access_log: bool = False
    disable_http_access_log: bool = False
    disable_ipv6: bool = False
    disable_ipv6_dns: bool = False
    disable_stream_access_log: bool = False
    enable_access_log_for_default_backend: bool = False
    enable_real_ip: bool = False
    enable_underscores_in_headers: bool = False
    error_log_level: str = "notice"
    force_ssl_redirect: bool = False
    forwarded_for_header: str = "X-Forwarded-For"
    generate_request_id: bool = True
    gzip_disable: str = ""
    gzip_level: int = 1
    gzip_min_length: int = 256
    gzip_types: str = (
        "application/atom+xml application/javascript application/x-javascript application/json "
        "application/rss+xml application/vnd.ms-fontobject application/x-font-ttf "
        "application/x-web-app-manifest+json application/xhtml+xml application/xml font/opentype "
        "image/svg+xml image/x-icon text/css text/javascript text/plain text/x-component"
    )
    hide_headers: str = ""
    hsts: bool = True
    hsts_include_subdomains: bool = True
    hsts_max_age: int = 31536000
    hsts_preload: bool = False
    http_redirect_code: int = 308
    ignore_invalid_headers: bool = True
    keep_alive: int = 75
    keep_alive_requests: int = 1000
    large_client_header_buffers: str = "4 8k"
    limit_conn_status_code: int = 503
    limit_req_status_code: int = 503
    load_balance: str = "round_robin"
    max_worker_connections: int = 4096
    no_tls_redirect_locations: str = "/.well-known/acme-challenge"
    proxy_add_original_uri_header: bool = False
    proxy_body_size: str = "1m"
    proxy_buffer_size: str = "4k"
    proxy_buffering: str = "off"
    proxy_buffers_number: int = 4
    proxy_connect_timeout: int = 5
    proxy_cookie_domain: str = "off"
    proxy_cookie_path: str = "off"
    proxy_http_version: str = "1.1"
    proxy_max_temp_file_size: str = "1024m"
    proxy_next_upstream: str = "error timeout"
    proxy_next_upstream_timeout: int = 0
    proxy_next_upstream_tries: int = 3
    proxy_read_timeout: int = 60
    proxy_real_ip_cidr: tuple[str, ...] = ("0.0.0.0/0",)
    proxy_redirect_from: str = "off"
    proxy_request_buffering: str = "on"
    proxy_send_timeout: int = 60
    proxy_stream_next_upstream: bool = True
    proxy_stream_next_upstream_timeout: str = "600s"
    proxy_stream_next_upstream_tries: int = 3
    proxy_stream_responses: int = 1
    proxy_stream_timeout: str = "600s"
    relative_redirects: bool = False
    retry_non_idempotent: bool = False
    server_tokens: bool = False
    service_upstream: bool = False
    ssl_ciphers: str = (
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
        "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384"
    )
    ssl_protocols: str = "TLSv1.2 TLSv1.3"
    ssl_redirect: bool = True
    ssl_reject_handshake: bool = False
    strict_validate_path_type: bool | None = None
    upstream_keepalive_connections: int = 320
    upstream_keepalive_requests: int = 10000
    upstream_keepalive_timeout: int = 60
    use_forwarded_headers: bool = False
    use_gzip: bool = False
    use_http2: bool = True
    whitelist_source_range: tuple[str, ...] = ()
    worker_processes: str = "auto"
    worker_shutdown_timeout: str = "240s"


_TIME = values.matching(r"[0-9]{1,9}(ms|[smhd])?", "time")

KNOWN: Mapping[str, Parse] = {
    **values.OF_BOTH,
    "allow-backend-server-header": values.flag,
    "block-cidrs": values.cidrs,
    "client-body-timeout": values.SECONDS,
    "client-header-buffer-size": values.size,
    "client-header-timeout": values.SECONDS,
    "compute-full-forwarded-for": values.flag,
    "disable-access-log": values.flag,
    "disable-http-access-log": values.flag,
    "disable-ipv6": values.flag,
    "disable-ipv6-dns": values.flag,
    "disable-stream-access-log": values.flag,
    "enable-access-log-for-default-backend": values.flag,
    "enable-real-ip": values.flag,
    "enable-underscores-in-headers": values.flag,
    "error-log-level": values.one_of(
        "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"
    ),
    "forwarded-for-header": values.header,
    "generate-request-id": values.flag,
    "gzip-disable": values.plain,
    "gzip-level": values.between(1, 9),
    "gzip-min-length": values.whole,
    "gzip-types": values.matching(r"[A-Za-z0-9+\-./* ]{1,1000}", "list of MIME types"),
    "hide-headers": values.headers,
    "hsts": values.flag,
    "hsts-include-subdomains": values.flag,
    "hsts-max-age": values.whole,
    "hsts-preload": values.flag,
    "http-redirect-code": values.between(300, 399),
    "ignore-invalid-headers": values.flag,
    "keep-alive": values.between(0, 86400),
    "keep-alive-requests": values.between(1, 1000000),
    "large-client-header-buffers": values.matching(r"[0-9]{1,3} [0-9]{1,4}[kK]", "number and size"),
    "limit-conn-status-code": values.between(400, 599),
    "limit-req-status-code": values.between(400, 599),
    "load-balance": values.one_of("round_robin", "ewma"),
    "max-worker-connections": values.between(64, 65536),
    "no-tls-redirect-locations": values.matching(r"[A-Za-z0-9\-._~/,]*", "list of paths"),
    "proxy-add-original-uri-header": values.flag,
    "proxy-real-ip-cidr": values.cidrs,
    "proxy-stream-next-upstream": values.flag,
    "proxy-stream-next-upstream-timeout": _TIME,
    "proxy-stream-next-upstream-tries": values.between(0, 1000),
    "proxy-stream-responses": values.between(0, 1000),
    "proxy-stream-timeout": _TIME,
    "retry-non-idempotent": values.flag,
    "server-tokens": values.flag,
    "ssl-protocols": values.matching(
        r"(SSLv3|TLSv1|TLSv1\.[123])( (TLSv1|TLSv1\.[123]))*", "list of protocols"
    ),
    "ssl-reject-handshake": values.flag,
    "strict-validate-path-type": values.flag,
    "upstream-keepalive-connections": values.between(0, 65536),
    "upstream-keepalive-requests": values.between(1, 1000000),
    "upstream-keepalive-timeout": values.SECONDS,
    "use-forwarded-headers": values.flag,
    "use-gzip": values.flag,
    "use-http2": values.flag,
    "whitelist-source-range": values.cidrs,
    "worker-processes": values.matching(r"auto|[1-8]", "number of processes that a lab allows"),
    "worker-shutdown-timeout": values.matching(r"[0-9]{1,4}s?", "time"),
}

_WITHOUT_EFFECT = frozenset(
    ("reuse-port", "max-worker-open-files", "enable-multi-accept", "map-hash-bucket-size",
     "server-name-hash-bucket-size", "server-name-hash-max-size", "variables-hash-bucket-size",
     "variables-hash-max-size", "proxy-headers-hash-bucket-size", "proxy-headers-hash-max-size",
     "ssl-session-cache", "ssl-session-cache-size", "ssl-session-tickets", "ssl-session-timeout",
     "ssl-buffer-size", "enable-aio-write", "worker-cpu-affinity", "lua-shared-dicts")
)  # fmt: skip
"""Tuning that changes no answer."""


_UNDONE = {
    "allow-snippet-annotations": "snippets are always refused",
    "annotations-risk-level": "snippets are refused, and nothing else",
    "ssl-early-data": "no data is taken before the handshake is over",
}
"""What is done in place of what keys ask for."""


def parse(data: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings, and what is wrong with them, a line for each, which then counts as not said."""
    said: dict[str, object] = {}
    problems: list[str] = []
    for name, text in sorted(data.items()):
        if name in _WITHOUT_EFFECT:
            continue
        try:
            if name in _UNDONE and text != "false":
                raise ValueError(f"does nothing: {_UNDONE[name]}")
            if name in _UNDONE:
                continue
            if name not in KNOWN:
                raise ValueError("is not known to this controller, and does nothing")
            said[name.replace("-", "_")] = KNOWN[name](text)
        except ValueError as error:
            shown = f": {text[:100]!r} {error}" if name in KNOWN else f" {error}"
            problems.append(f"key {name}{shown}")
    return msgspec.convert(said, Settings), problems
