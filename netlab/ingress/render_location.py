"""What stands in a `location`: redirects, who is let in, what is said to the backend and of it."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.ingress.annotations import Annotations
from netlab.ingress.model import Backend, Location
from netlab.ingress.page import Page
from netlab.ingress.quoting import literal, quoted
from netlab.ingress.render_shared import cors_headers, preflight, zone
from netlab.ingress.render_upstreams import Choice
from netlab.ingress.settings import Settings


def headers(settings: Settings, said: Annotations) -> Iterator[tuple[str, str]]:
    """The headers that every backend gets, as ingress-nginx sets them: name and value."""
    full = settings.use_forwarded_headers and settings.compute_full_forwarded_for
    yield "Host", literal(said.upstream_vhost) if said.upstream_vhost else "$best_http_host"
    yield "Upgrade", "$http_upgrade"
    yield "Connection", said.connection_proxy_header or "$connection_upgrade"
    yield "X-Request-ID", "$req_id"
    yield "X-Real-IP", "$remote_addr"
    yield "X-Forwarded-For", "$full_x_forwarded_for" if full else "$remote_addr"
    yield "X-Forwarded-Host", "$best_http_host"
    yield "X-Forwarded-Port", "$pass_port"
    yield "X-Forwarded-Proto", "$pass_access_scheme"
    yield "X-Forwarded-Scheme", "$pass_access_scheme"
    if settings.proxy_add_original_uri_header:
        yield "X-Original-URI", "$request_uri"
    yield "X-Scheme", "$pass_access_scheme"
    forwarded = settings.forwarded_for_header.lower().replace("-", "_")
    yield "X-Original-Forwarded-For", f"$http_{forwarded}"
    yield "X-Original-Forwarded-Host", "$http_x_forwarded_host"
    yield "Proxy", '""'  # else a CGI would take it for its own (httpoxy.org)
    if said.x_forwarded_prefix and said.rewrite_target:
        yield "X-Forwarded-Prefix", literal(said.x_forwarded_prefix)


def proxying(page: Page, settings: Settings) -> None:
    """What is the same in all locations, unless their Ingress says otherwise."""
    for name, value in headers(settings, Annotations()):
        page.say("proxy_set_header", name, value)
    for name, value in _proxy(settings, Annotations()):
        page.say(name, value)
    page.say("proxy_next_upstream", _next_upstream(settings.proxy_next_upstream, settings))
    page.say("proxy_redirect", settings.proxy_redirect_from)
    page.say("proxy_max_temp_file_size", settings.proxy_max_temp_file_size)
    page.say("proxy_ssl_server_name", "on")
    page.say("client_max_body_size", settings.proxy_body_size)
    page.say("add_header", "Strict-Transport-Security", "$hsts", "always")


def _proxy(settings: Settings, said: Annotations) -> Iterator[tuple[str, str]]:
    """Directives that an Ingress may set for itself, as they are with what it says."""
    time = {
        "proxy_connect_timeout": (said.proxy_connect_timeout, settings.proxy_connect_timeout),
        "proxy_send_timeout": (said.proxy_send_timeout, settings.proxy_send_timeout),
        "proxy_read_timeout": (said.proxy_read_timeout, settings.proxy_read_timeout),
        "proxy_next_upstream_timeout": (
            said.proxy_next_upstream_timeout,
            settings.proxy_next_upstream_timeout,
        ),
    }
    for name, (own, general) in time.items():
        yield name, f"{general if own is None else own}s"
    size = said.proxy_buffer_size or settings.proxy_buffer_size
    yield "proxy_buffering", said.proxy_buffering or settings.proxy_buffering
    yield "proxy_buffer_size", size
    yield "proxy_buffers", f"{said.proxy_buffers_number or settings.proxy_buffers_number} {size}"
    yield (
        "proxy_request_buffering",
        (said.proxy_request_buffering or settings.proxy_request_buffering),
    )
    yield "proxy_http_version", said.proxy_http_version or settings.proxy_http_version
    yield "proxy_cookie_domain", said.proxy_cookie_domain or settings.proxy_cookie_domain
    yield "proxy_cookie_path", said.proxy_cookie_path or settings.proxy_cookie_path
    tries = said.proxy_next_upstream_tries
    yield (
        "proxy_next_upstream_tries",
        str(settings.proxy_next_upstream_tries if tries is None else tries),
    )


def _next_upstream(words: str, settings: Settings) -> str:
    idempotent = not settings.retry_non_idempotent or "non_idempotent" in words
    return words if idempotent else f"{words} non_idempotent"


# -- one location --------------------------------------------------------------------------


def location(page: Page, one: Location, settings: Settings, choice: Choice | None) -> None:
    """One location, which names its upstream as `choice` says, if it has one."""
    with page.block("location", *_condition(one)):
        _names(page, one)
        _logs(page, one.annotations)
        if one.redirects_to_https:
            _to_https(page, one.annotations, settings)
        _access(page, one, settings)
        _limits(page, one)
        _added_headers(page, one, choice)
        if target := one.annotations.permanent_redirect:
            page.say("return", one.annotations.permanent_redirect_code, quoted(target))
        elif target := one.annotations.temporal_redirect:
            page.say("return", one.annotations.temporal_redirect_code, quoted(target))
        elif one.backend is None or choice is None:
            page.say("return", one.status)
        else:
            _pass(page, one, one.backend, settings, choice)


def _condition(one: Location) -> tuple[str, ...]:
    if one.match == "regex":
        return "~*", quoted(f"^{one.path}")
    return ("=", quoted(one.path)) if one.match == "exact" else (quoted(one.path),)


def _names(page: Page, one: Location) -> None:
    """What the log says of it."""
    backend = one.backend
    shown = backend.shown if backend else "upstream-default-backend" if one.status == 404 else "-"
    page.say("set", "$proxy_upstream_name", quoted(shown))


def _logs(page: Page, said: Annotations) -> None:
    if not said.enable_access_log:
        page.say("access_log", "off")
    if said.enable_rewrite_log:
        page.say("rewrite_log", "on")


def _to_https(page: Page, said: Annotations, settings: Settings) -> None:
    uri = "$request_uri" if said.preserve_trailing_slash else "$unslashed_uri"
    port = ":443" if said.use_port_in_redirects else ""
    with page.block("if", "($pass_access_scheme = http)"):
        target = f'"https://$redirect_host{port}{uri}"'
        page.say("return", settings.http_redirect_code, target)


def _access(page: Page, one: Location, settings: Settings) -> None:
    said = one.annotations
    for network in said.denylist_source_range or settings.denylist_source_range:
        page.say("deny", network)
    allowed = said.allowlist_source_range or settings.whitelist_source_range
    for network in allowed:
        page.say("allow", network)
    if allowed:
        page.say("deny", "all")
    if one.password_file:
        page.say("auth_basic", literal(said.auth_realm or "Authentication Required"))
        page.say("auth_basic_user_file", quoted(one.password_file))
    if said.satisfy:
        page.say("satisfy", said.satisfy)


def _limits(page: Page, one: Location) -> None:
    said = one.annotations
    for kind, rate in (("rps", said.limit_rps), ("rpm", said.limit_rpm)):
        if rate:
            burst = rate * said.limit_burst_multiplier
            page.say("limit_req", f"zone={zone(one, kind)}", f"burst={burst}", "nodelay")
    if said.limit_connections:
        page.say("limit_conn", zone(one, "conn"), said.limit_connections)
    if said.limit_rate:
        page.say("limit_rate", f"{said.limit_rate}k")
    if said.limit_rate_after:
        page.say("limit_rate_after", f"{said.limit_rate_after}k")


def _added_headers(page: Page, one: Location, choice: Choice | None) -> None:
    """One here, and those that all have are not inherited: so they are said again."""
    cookie = choice.cookie if choice else ""
    cors = one.annotations.enable_cors
    if cookie or cors:
        page.say("add_header", "Strict-Transport-Security", "$hsts", "always")
    if cookie:
        page.say("add_header", "Set-Cookie", cookie, "always")
    if cors:
        _cors(page, one.annotations)


def _cors(page: Page, said: Annotations) -> None:
    """What a browser wants to hear before it lets a page of another origin read the answer; and
    nothing that the backend says of that."""
    for name, variable in cors_headers(said):
        page.say("proxy_hide_header", name)
        page.say("add_header", name, variable, "always")
    with page.block("if", f"({preflight(said)})"):
        page.say("return", 204)


# -- to the backend ------------------------------------------------------------------------


def _pass(page: Page, one: Location, backend: Backend, settings: Settings, choice: Choice) -> None:
    said = one.annotations
    general = Annotations()
    grpc = said.backend_protocol.startswith("GRPC")
    if grpc or list(headers(settings, said)) != list(headers(settings, general)):
        for name, value in headers(settings, said):
            page.say("grpc_set_header" if grpc else "proxy_set_header", name, value)
    for own, other in zip(_proxy(settings, said), _proxy(settings, general), strict=True):
        if own != other:
            page.say(*own)
    _own(page, said, settings)
    if backend.external:
        page.say("set", "$external", quoted(backend.external.rpartition(":")[0]))
    if said.rewrite_target and said.rewrite_target != one.path:
        page.say("rewrite", quoted(f"(?i){one.path}"), quoted(said.rewrite_target), "break")
    scheme = {"HTTP": "http", "HTTPS": "https", "GRPC": "grpc", "GRPCS": "grpcs"}.get(
        said.backend_protocol, "$scheme"
    )
    page.say("grpc_pass" if grpc else "proxy_pass", f'"{scheme}://{choice.upstream}"')


def _own(page: Page, said: Annotations, settings: Settings) -> None:
    """What is said only where an Ingress does."""
    if said.proxy_body_size:
        page.say("client_max_body_size", said.proxy_body_size)
    if said.client_body_buffer_size:
        page.say("client_body_buffer_size", said.client_body_buffer_size)
    if said.proxy_busy_buffers_size:
        page.say("proxy_busy_buffers_size", said.proxy_busy_buffers_size)
    if said.proxy_max_temp_file_size:
        page.say("proxy_max_temp_file_size", said.proxy_max_temp_file_size)
    if said.proxy_next_upstream:
        page.say("proxy_next_upstream", _next_upstream(said.proxy_next_upstream, settings))
    if said.proxy_redirect_from in ("off", "default"):
        page.say("proxy_redirect", said.proxy_redirect_from)
    elif said.proxy_redirect_from and said.proxy_redirect_to:
        target = literal(said.proxy_redirect_to)
        page.say("proxy_redirect", literal(said.proxy_redirect_from), target)
    if said.relative_redirects:
        page.say("absolute_redirect", "off")
