"""A configuration → nginx.conf, without a line of Lua.

What ingress-nginx works out with each request in Lua stands in maps here, and endpoints are in
`upstream` blocks: when they change, nginx is reloaded, which loses no request.

Source: rootfs/etc/nginx/template/nginx.tmpl in ingress-nginx says what requests and answers are to
look like.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from netlab.ingress import render_location, render_shared, render_streams, render_upstreams
from netlab.ingress.model import CATCH_ALL, Configuration, Server
from netlab.ingress.options import Options
from netlab.ingress.page import Page
from netlab.ingress.place import Place
from netlab.ingress.quoting import LITERAL_DOLLAR, quoted
from netlab.ingress.secrets import DEFAULT
from netlab.ingress.settings import Settings

_LOG_FORMAT = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] '
    "[$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length "
    "$upstream_response_time $upstream_status $req_id"
)


STATUS_PORT = 10246
"""Where nginx answers on its loopback, whatever a controller's flags say."""


def render(configuration: Configuration, options: Options, place: Place) -> Page:
    """The whole of nginx.conf. Files that it names are relative to its own."""
    page, settings = Page(), configuration.settings
    if configuration.streams and configuration.stream_module:
        page.say("load_module", configuration.stream_module)
    if settings.disable_ipv6:
        place = replace(place, ipv6=False)
    _main(page, settings)
    if configuration.streams:
        render_streams.streams(page, configuration.streams, settings, place)
    with page.block("http"):
        _general(page, settings, place)
        _clients(page, settings)
        _requests(page, settings)
        _answers(page, settings)
        _tls(page, settings)
        render_location.proxying(page, settings)
        _health(page, options)
        page.comment("what Ingresses ask for")
        render_shared.shared(page, configuration)
        choices = render_upstreams.upstreams(page, configuration)
        for server in configuration.servers:
            _server(page, server, configuration, options, place, choices)
    return page


def unserved(options: Options) -> Page:
    """Of a controller that has not seen yet what it is to serve: it says that it is not well."""
    page, settings = Page(), Settings()
    _main(page, settings)
    with page.block("http"):
        _temporary(page)
        page.say("access_log", "off")
        _health(page, options, 500)
    return page


def _main(page: Page, settings: Settings) -> None:
    page.say("daemon", "off")
    page.say("pid", "nginx.pid")
    # One worker hands out endpoints in turn to all clients; a lab has no need of more.
    page.say("worker_processes", settings.worker_processes.replace("auto", "1"))
    page.say("worker_shutdown_timeout", settings.worker_shutdown_timeout)
    page.say("error_log", "stderr", settings.error_log_level)
    with page.block("events"):
        page.say("worker_connections", settings.max_worker_connections)


def _temporary(page: Page) -> None:
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        page.say(f"{kind}_temp_path", kind)


def _general(page: Page, settings: Settings, place: Place) -> None:
    _temporary(page)
    page.say("log_format", "upstreaminfo", f"'{_LOG_FORMAT}'")
    is_quiet = settings.disable_access_log or settings.disable_http_access_log
    log = ("off",) if is_quiet else (quoted(place.access_log), "upstreaminfo")
    page.say("access_log", *log)
    page.say("default_type", "text/html")
    page.say("server_tokens", _switch(settings.server_tokens))
    page.say("server_names_hash_bucket_size", 512)
    page.say("server_names_hash_max_size", 4096)
    page.say("map_hash_bucket_size", 512)
    page.say("variables_hash_max_size", 4096)
    page.say("proxy_headers_hash_bucket_size", 128)
    page.say("tcp_nopush", "on")
    page.say("reset_timedout_connection", "on")
    if place.has_http2_directive:
        page.say("http2", _switch(settings.use_http2))
    page.say("server_name_in_redirect", "off")
    page.say("port_in_redirect", "off")
    if settings.relative_redirects:
        page.say("absolute_redirect", "off")
    render_streams.resolver(page, settings, place)
    # The only way to have one in a text: it is not looked at again.
    with page.block("geo", f"${LITERAL_DOLLAR}"):
        page.say("default", '"$"')


def _clients(page: Page, settings: Settings) -> None:
    page.say("keepalive_timeout", f"{settings.keep_alive}s")
    page.say("keepalive_requests", settings.keep_alive_requests)
    page.say("client_header_buffer_size", settings.client_header_buffer_size)
    page.say("client_header_timeout", f"{settings.client_header_timeout}s")
    page.say("large_client_header_buffers", settings.large_client_header_buffers)
    page.say("client_body_buffer_size", settings.client_body_buffer_size)
    page.say("client_body_timeout", f"{settings.client_body_timeout}s")
    page.say("underscores_in_headers", _switch(settings.enable_underscores_in_headers))
    page.say("ignore_invalid_headers", _switch(settings.ignore_invalid_headers))
    page.say("limit_req_status", settings.limit_req_status_code)
    page.say("limit_conn_status", settings.limit_conn_status_code)
    for network in settings.block_cidrs:
        page.say("deny", network)
    if settings.use_forwarded_headers or settings.enable_real_ip:
        page.say("real_ip_header", settings.forwarded_for_header)
        page.say("real_ip_recursive", "on")
        for network in settings.proxy_real_ip_cidr:
            page.say("set_real_ip_from", network)
    if settings.use_gzip:
        page.say("gzip", "on")
        page.say("gzip_comp_level", settings.gzip_level)
        page.say("gzip_min_length", settings.gzip_min_length)
        page.say("gzip_types", settings.gzip_types)
        if settings.gzip_disable:
            page.say("gzip_disable", quoted(settings.gzip_disable))
        page.say("gzip_proxied", "any")
        page.say("gzip_vary", "on")


def _requests(page: Page, settings: Settings) -> None:
    """The variables that say how a request came, believed of whoever was there before, or not."""
    trusted = settings.use_forwarded_headers
    _first_of(page, "$best_http_host", "$http_x_forwarded_host" if trusted else "", "$given_host")
    _first_of(page, "$given_host", "$http_host", "$host")
    _first_of(page, "$pass_access_scheme", "$http_x_forwarded_proto" if trusted else "", "$scheme")
    _first_of(page, "$pass_port", "$http_x_forwarded_port" if trusted else "", "$server_port")
    generated = "$request_id" if settings.generate_request_id else '""'
    _first_of(page, "$req_id", "$http_x_request_id", generated)
    page.table(
        "$http_upgrade",
        "$connection_upgrade",
        iter((("default", "upgrade"), ('""', '""'))),
    )
    page.table(
        "$best_http_host",
        "$redirect_host",
        iter((("default", "$best_http_host"), (r'"~^(?<bare_host>.*):[0-9]+$"', "$bare_host"))),
    )
    page.table(
        "$request_uri",
        "$unslashed_uri",
        iter((("default", "$request_uri"), ('"~^(?<bare_uri>.*)/$"', "$bare_uri"))),
    )
    full = trusted and settings.compute_full_forwarded_for
    if full:
        both = '"$http_x_forwarded_for, $realip_remote_addr"'
        page.table(
            "$http_x_forwarded_for",
            "$full_x_forwarded_for",
            iter((("default", both), ('""', "$realip_remote_addr"))),
        )


def _first_of(page: Page, variable: str, believed: str, otherwise: str) -> None:
    """A variable that is another, or a third if that is empty."""
    entries = (("default", believed or otherwise), ('""', otherwise))
    page.table(believed or otherwise, variable, iter(entries[: 2 if believed else 1]))


def _answers(page: Page, settings: Settings) -> None:
    value = f"max-age={settings.hsts_max_age}"
    value += "; includeSubDomains" if settings.hsts_include_subdomains else ""
    value += "; preload" if settings.hsts_preload else ""
    said = quoted(value) if settings.hsts else '""'
    page.table("$scheme", "$hsts", iter((("default", '""'), ("https", said))))
    page.table("$scheme", "$cookie_secure", iter((("default", '""'), ("https", '"; Secure"'))))
    if settings.allow_backend_server_header:
        page.say("proxy_pass_header", "Server")
    for name in filter(None, re.split(r"[, ]+", settings.hide_headers)):
        page.say("proxy_hide_header", name)


def _tls(page: Page, settings: Settings) -> None:
    page.say("ssl_certificate", DEFAULT)
    page.say("ssl_certificate_key", DEFAULT)
    page.say("ssl_protocols", settings.ssl_protocols)
    page.say("ssl_ciphers", quoted(settings.ssl_ciphers))
    page.say("ssl_prefer_server_ciphers", "on")
    page.say("ssl_session_cache", "shared:SSL:1m")
    page.say("ssl_session_timeout", "10m")
    page.say("ssl_session_tickets", "off")


# -- servers -------------------------------------------------------------------------------


def _server(
    page: Page,
    server: Server,
    configuration: Configuration,
    options: Options,
    place: Place,
    choices: render_upstreams.Choices,
) -> None:
    settings = configuration.settings
    with page.of(server.ingress), page.block("server"):
        page.say("server_name", *map(_server_name, (server.host, *server.aliases)))
        _listen(page, server, settings, options, place)
        if server.host == CATCH_ALL and settings.ssl_reject_handshake:
            page.say("ssl_reject_handshake", "on")
        if server.certificate:
            page.say("ssl_certificate", quoted(server.certificate))
            page.say("ssl_certificate_key", quoted(server.certificate))
        if server.ciphers:
            page.say("ssl_ciphers", quoted(server.ciphers))
        page.say("set", "$proxy_upstream_name", '"-"')
        page.say("set", "$proxy_alternative_upstream_name", '""')
        for root in server.app_roots:
            with page.block("if", "($uri = /)"):
                page.say("return", 302, quoted(f"$scheme://$http_host{root}"))
        for location in server.locations:
            with page.of(location.ingress):
                choice = choices.get(render_upstreams.place(server, location))
                render_location.location(page, location, settings, choice)
        if server.host == CATCH_ALL:
            _health_outside(page, server, options)
    if server.www:
        _www(page, server, configuration, options, place)


def _health_outside(page: Page, server: Server, options: Options) -> None:
    """Load balancers of clouds ask the port that they balance; unless an Ingress has that path."""
    if not any(one.path == options.health_path for one in server.locations):
        with page.block("location", "=", _word(options.health_path)):
            page.say("access_log", "off")
            page.say("return", 200)


def _www(
    page: Page, server: Server, configuration: Configuration, options: Options, place: Place
) -> None:
    """A server that sends to `server` whoever wrote its name with `www.`, or without."""
    other = server.host.removeprefix("www.")
    other = other if other != server.host else f"www.{server.host}"
    names = {name for one in configuration.servers for name in (one.host, *one.aliases)}
    if other in names or server.host.startswith(("*", CATCH_ALL)):
        return
    settings = configuration.settings
    with page.of(server.ingress), page.block("server"):
        page.say("server_name", _server_name(other))
        _listen(page, Server(other, ()), settings, options, place)
        if server.certificate:
            page.say("ssl_certificate", quoted(server.certificate))
            page.say("ssl_certificate_key", quoted(server.certificate))
        page.say("set", "$proxy_upstream_name", '"-"')
        page.say("set", "$proxy_alternative_upstream_name", '""')
        target = quoted(f"$pass_access_scheme://{server.host}$request_uri")
        page.say("return", settings.http_redirect_code, target)


def _listen(page: Page, server: Server, settings: Settings, options: Options, place: Place) -> None:
    default = ("default_server",) if server.host == CATCH_ALL else ()
    http2 = ("http2",) if settings.use_http2 and not place.has_http2_directive else ()
    for address in ("", "[::]:") if place.ipv6 else ("",):
        page.say("listen", f"{address}{options.http_port}", *default)
        page.say("listen", f"{address}{options.https_port}", *default, "ssl", *http2)


def _server_name(host: str) -> str:
    """`*` stands for one label; nginx' own would for several."""
    if host.startswith("*."):
        return quoted(rf"~^[^.]+{re.escape(host[1:])}$")
    return quoted(host)


def _health(page: Page, options: Options, status: int = 200) -> None:
    """What probes ask: nginx answers itself, so it is well while it can."""
    host = options.health_host
    host = f"[{host}]:" if ":" in host else f"{host}:" if host else ""
    with page.block("server"):
        page.say("listen", f"{host}{options.health_port}", "default_server")
        page.say("listen", f"127.0.0.1:{STATUS_PORT}", "default_server")
        page.say("access_log", "off")
        page.say("keepalive_timeout", 0)
        with page.block("location", _word(options.health_path)):
            page.say("return", status)
        with page.block("location", "/"):
            page.say("return", 404)


def _word(path: str) -> str:
    return path if re.fullmatch(r"[A-Za-z0-9/._\-]+", path) else quoted(path)


def _switch(on: object) -> str:
    return "on" if on else "off"
