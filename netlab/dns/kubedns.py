"""What node-cache makes of its template and of the ConfigMap `kube-dns`: a Corefile. Pure.

    Corefile.base                 with what `__PILLAR__…` stands for
    stubDomains                   a server block each, behind it
    upstreamNameservers           in the place of `__PILLAR__UPSTREAM__SERVERS__`

https://github.com/kubernetes/dns/blob/master/cmd/node-cache/app/configmap.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from netlab.dns.configmaps import STUBS, UPSTREAMS, json_of, stubs_of
from netlab.dns.corefile import OUTSIDE, CorefileError, server

PATH = "/etc/kube-dns"
"""Where it looks for that ConfigMap unless `-kubednscm` says otherwise."""

_LOCAL, _CLUSTER_SERVICE = "__PILLAR__LOCAL__DNS__", "__PILLAR__DNS__SERVER__"
_OVER_TCP = re.compile(rf"(\n\s*forward \. {OUTSIDE}) \{{\s*force_tcp\s*\}}(?=\s)")
_TTL = 30


def rendered(template: str, data: Mapping[str, str], addresses: Sequence[str]) -> str:
    """The Corefile for a cache at these addresses; `CorefileError` for data that node-cache would
    not take."""
    stubs, upstreams = stubs_of(data), json_of(data, UPSTREAMS, list) or []
    text = template
    if upstreams:
        servers = " ".join(_checked(upstreams, UPSTREAMS))
        text = _OVER_TCP.sub(r"\1", text).replace(OUTSIDE, servers)
    text = text.replace(_LOCAL, " ".join(addresses)).replace(_CLUSTER_SERVICE, "")
    return text + "".join(_blocks(stubs, addresses))


def _blocks(stubs: Mapping[str, object], addresses: Sequence[str]) -> Iterator[str]:
    for domain, servers in stubs.items():
        lines = [
            "errors",
            f"cache {_TTL}",
            f"bind {' '.join(addresses)}",
            f"forward . {' '.join(_checked(servers, f'{STUBS}: {domain}'))}",
        ]
        yield "".join((f"\n{domain}:53 {{\n", *(f"    {line}\n" for line in lines), "}\n"))


def _checked(servers: object, where: str) -> Iterator[str]:
    if not isinstance(servers, list) or not servers:
        raise CorefileError(f"{where}: a list of addresses is needed")
    for word in servers:
        try:
            server(str(word), 0)
        except CorefileError:
            raise CorefileError(f"{where}: {word} is no address") from None
        yield str(word)
