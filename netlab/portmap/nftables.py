"""Host ports in nftables mode, as containernetworking/plugins has them (portmap_nftables.go).

table ip cni_hostport
  nat prerouting, output   -> hostip_hostports: ports of one of the node's addresses
                           -> hostports: of any, if the packet is for the node
  nat postrouting          -> masquerading: pods that reach themselves, and the node by its
                              loopback

A host port wins over a node port of the same number: both tables have the same priority, where the
kernel asks the chain first that was made last, and kube-proxy has made its own before any pod came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.objects.addresses import join_host_port
from netlab.portmap.mappings import MappedPod, owner
from netlab.proxy.addresses import Family
from netlab.proxy.nftables.model import NFT_FAMILY, NftChain, NftTable

_ONE_ADDRESS, _ANY = "hostip_hostports", "hostports"
_JUMPS = (f"jump {_ONE_ADDRESS}", f"fib daddr type local jump {_ANY}")


def table(pods: Sequence[MappedPod], family: Family) -> NftTable:
    """The table of these pods, in the order given."""
    chains = {
        _ANY: NftChain(tuple(rule for pod in pods for rule in _ports(pod, family, one_ip=False))),
        _ONE_ADDRESS: NftChain(
            tuple(rule for pod in pods for rule in _ports(pod, family, one_ip=True))
        ),
        "prerouting": _hooked("prerouting", "dstnat", _JUMPS),
        "output": _hooked("output", "-100", _JUMPS),
        "masquerading": _hooked(
            "postrouting",
            "srcnat",
            tuple(rule for pod in pods for rule in _masquerades(pod, family)),
        ),
    }
    return NftTable(family, chains, name=owner("nftables"))


def _hooked(hook: str, priority: str, rules: tuple[str, ...]) -> NftChain:
    return NftChain(rules, f"type nat hook {hook} priority {priority}; policy accept;")


def _ports(pod: MappedPod, family: Family, *, one_ip: bool) -> Iterator[str]:
    for one in pod.mappings:
        destination = one.destination(family)
        if one.concerns(family) and bool(destination) == one_ip:
            to = f"{NFT_FAMILY[family]} daddr {destination} " if one_ip else ""
            end = join_host_port(pod.ip(family), one.container_port)
            match = f"{to}{one.protocol} dport {one.host_port}"
            yield f'{match} dnat to {end} comment "{pod.sandbox}"'


def _masquerades(pod: MappedPod, family: Family) -> Iterator[str]:
    ip, own = NFT_FAMILY[family], pod.ip(family)
    for source in (own, "127.0.0.1") if family == "ipv4" else (own,):
        yield f'{ip} saddr {source} {ip} daddr {own} masquerade comment "{pod.sandbox}"'
