"""`stream {}`: ports that lead to Services by TCP or UDP, whatever is spoken there."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.ingress.model import Stream
from netlab.ingress.page import Page
from netlab.ingress.place import Place
from netlab.ingress.quoting import quoted
from netlab.ingress.settings import Settings
from netlab.objects.addresses import bracketed

_LOG_FORMAT = (
    "[$remote_addr] [$time_local] $protocol $status $bytes_sent $bytes_received $session_time"
)


def streams(page: Page, found: Sequence[Stream], settings: Settings, place: Place) -> None:
    """All of them; there is at least one."""
    with page.block("stream"):
        page.say("log_format", "log_stream", f"'{_LOG_FORMAT}'")
        is_quiet = settings.disable_access_log or settings.disable_stream_access_log
        log = ("off",) if is_quiet else (quoted(place.access_log), "log_stream")
        page.say("access_log", *log)
        resolver(page, settings, place)
        page.say("proxy_timeout", settings.proxy_stream_timeout)
        page.say("proxy_next_upstream", "on" if settings.proxy_stream_next_upstream else "off")
        page.say("proxy_next_upstream_timeout", settings.proxy_stream_next_upstream_timeout)
        page.say("proxy_next_upstream_tries", settings.proxy_stream_next_upstream_tries)
        for stream in found:
            _server(page, stream, settings, place)


def resolver(page: Page, settings: Settings, place: Place) -> None:
    """Whom nginx asks for the names of what is outside."""
    if place.resolvers:
        addresses = map(bracketed, place.resolvers)
        has_ipv6 = place.ipv6 and not settings.disable_ipv6_dns
        page.say("resolver", *addresses, "valid=5s", *(() if has_ipv6 else ("ipv6=off",)))


def _server(page: Page, stream: Stream, settings: Settings, place: Place) -> None:
    name = f"{stream.shown}-{stream.port}"
    if not stream.external:
        with page.block("upstream", name):
            for server in stream.servers:
                page.say("server", server, "max_fails=0")
    with page.block("server"):
        for address in ("", "[::]:") if place.ipv6 else ("",):
            how = "udp" if stream.protocol == "UDP" else "proxy_protocol" * stream.takes_proxy
            page.say("listen", f"{address}{stream.port}", *filter(None, (how,)))
        if stream.protocol == "UDP":
            page.say("proxy_responses", settings.proxy_stream_responses)
        if stream.sends_proxy:
            page.say("proxy_protocol", "on")
        if stream.external:  # a name that stands there is asked for once only, at the start
            page.say("set", "$external", quoted(stream.external))
            page.say("proxy_pass", f"$external:{stream.external_port}")
        else:
            page.say("proxy_pass", name)
