"""Host ports in iptables mode, as containernetworking/plugins has them (portmap_iptables.go):

  nat PREROUTING, OUTPUT, after kube-proxy's
    -m addrtype --dst-type LOCAL           -j CNI-HOSTPORT-DNAT
  CNI-HOSTPORT-DNAT
    -p tcp -m multiport --dports 8080,8443 -j CNI-DN-x       (of each pod)
  CNI-DN-x
    -s 10.244.1.0/24 -p tcp --dport 8080   -j CNI-HOSTPORT-SETMARK   neighbours, the pod itself
    -s 127.0.0.1     -p tcp --dport 8080   -j CNI-HOSTPORT-SETMARK   the node, by its loopback
    -p tcp --dport 8080                    -j DNAT --to-destination 10.244.1.7:80
  nat POSTROUTING, before all others
    -j CNI-HOSTPORT-MASQ                   what is marked

A node port wins over a host port of the same number: kube-proxy's jumps come first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from netlab.objects.addresses import join_host_port
from netlab.portmap.mappings import NETWORK, MappedPod, PortMapping
from netlab.proxy.addresses import HOST_BITS, Family
from netlab.proxy.iptables.chains import NAT
from netlab.proxy.iptables.model import Chain, Ruleset, Table

DNAT, SETMARK, MASQ = "CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"
_MARK = "0x2000/0x2000"
_LONGEST_NAME = 28
_MULTIPORT = 15
_PROTOCOLS = ("sctp", "tcp", "udp")


def ruleset(pods: Sequence[MappedPod], family: Family, pod_cidr: str) -> Ruleset:
    """The rules of these pods, in the order given."""
    local = f"-m addrtype --dst-type LOCAL -j {DNAT}"
    masquerade = f'-m comment --comment "CNI portfwd requiring masquerade" -j {MASQ}'
    chains = {
        "PREROUTING": Chain("PREROUTING", (local,), "ACCEPT"),
        "OUTPUT": Chain("OUTPUT", (local,), "ACCEPT"),
        "POSTROUTING": Chain("POSTROUTING", (masquerade,), "ACCEPT"),
        DNAT: Chain(DNAT, tuple(rule for pod in pods for rule in _entries(pod))),
        SETMARK: Chain(
            SETMARK,
            (f'-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark {_MARK}',),
        ),
        MASQ: Chain(MASQ, (f"-m mark --mark {_MARK} -j MASQUERADE",)),
    }
    for pod in pods:
        name = chain_name(pod)
        chains[name] = Chain(name, tuple(_rules(pod, family, pod_cidr)))
    return Ruleset({NAT: Table(NAT, chains)})


def chain_name(pod: MappedPod) -> str:
    """The chain of a pod's own."""
    hashed = hashlib.sha512((NETWORK + pod.sandbox).encode()).hexdigest()
    return f"CNI-DN-{hashed}"[:_LONGEST_NAME]


def _entries(pod: MappedPod) -> Iterator[str]:
    comment = rf'-m comment --comment "dnat name: \"{NETWORK}\" id: \"{pod.sandbox}\""'
    for protocol in _PROTOCOLS:
        ports = [one.host_port for one in pod.mappings if one.protocol == protocol]
        for start in range(0, len(ports), _MULTIPORT):
            listed = ",".join(map(str, ports[start : start + _MULTIPORT]))
            match = f"-p {protocol} {comment} -m multiport --dports {listed}"
            yield f"{match} -j {chain_name(pod)}"


def _rules(pod: MappedPod, family: Family, pod_cidr: str) -> Iterable[str]:
    for one in pod.mappings:
        if one.concerns(family):
            yield from _mapping(one, pod.ip(family), family, pod_cidr)


def _mapping(one: PortMapping, ip: str, family: Family, pod_cidr: str) -> Iterator[str]:
    destination = one.destination(family)
    to = f"-d {destination}/{HOST_BITS[family]} " if destination else ""
    match = f"{to}-p {one.protocol} -m {one.protocol} --dport {one.host_port}"
    yield f"-s {pod_cidr} {match} -j {SETMARK}"
    if family == "ipv4":  # what comes from ::1 never leaves it
        yield f"-s 127.0.0.1/32 {match} -j {SETMARK}"
    end = join_host_port(ip, one.container_port)
    yield f"{match} -j DNAT --to-destination {end}"
