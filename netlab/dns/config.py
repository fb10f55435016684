"""dnsmasq's command lines and the pods' resolv.conf, as pure text.

A dnsmasq of the cluster holds A, AAAA and PTR itself (hostsdir, followed by inotify), answers
NXDOMAIN and NODATA below the cluster domain itself, and passes on to the responder only the
names a hosts file cannot hold. There are two of them, on ports of their pod's loopback.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from netlab.dns.forwarding import NO_FORWARDING, Forwarding

RESPONDER_PORT = 10053
DNSMASQ_PORTS = (10531, 10532)
# The front says how long they last. Negative answers have no SOA, so nobody caches those.
LOCAL_TTL = 0

# Nothing of the machine's own is read or written: no /etc/dnsmasq.conf, resolv.conf, hosts,
# no pid file. `--user= --group=` keeps the identity, which is all a user namespace allows.
_ALONE = (
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--no-resolv",
    "--no-poll",
    "--no-hosts",
    "--pid-file=",
    "--user=",
    "--group=",
    "--log-facility=-",
)


class ClusterDns(Struct, frozen=True):
    """What a dnsmasq of the cluster must know: its zone, its files, whom it asks."""

    domain: str
    hosts_dir: Path
    servers_file: Path
    upstreams: tuple[str, ...] = ()
    local_cidrs: tuple[str, ...] = ()
    responder_port: int = RESPONDER_PORT

    def arguments(self, port: int) -> list[str]:
        """The command line of the dnsmasq that answers on a port of the pod's loopback."""
        local = [self.domain, *self.reverse]
        return [
            "dnsmasq",
            *_ALONE,
            f"--port={port}",
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            f"--hostsdir={self.hosts_dir}",
            f"--servers-file={self.servers_file}",
            f"--local-ttl={LOCAL_TTL}",
            # A name that did not exist a moment ago may be a Service now.
            "--no-negcache",
            # And a CNAME may lead elsewhere.
            "--max-cache-ttl=1",
            # The size also sets the hash table that the hostsdir's names share.
            "--cache-size=10000",
            "--dns-forward-max=2000",
            "--edns-packet-max=1232",
            f"--txt-record=dns-version.{self.domain},1.1.0",
            *(f"--local=/{zone}/" for zone in local),
            f"--server=/pod.{self.domain}/{self._responder}",
        ]

    @property
    def reverse(self) -> list[str]:
        """The zones of its networks' reverse names."""
        return [zone for cidr in self.local_cidrs for zone in reverse_zones(cidr)]

    def servers_text(self, names: Iterable[str], forwarding: Forwarding = NO_FORWARDING) -> str:
        """The servers file: which names below the domain are the responder's to answer, and whom to
        ask for all that is not the cluster's."""
        own = "".join(f"server=/{name}/{self._responder}\n" for name in sorted(names))
        outside = self.upstreams if forwarding.outside is None else forwarding.outside
        return own + cache_servers_text((*forwarding.zones, (".", outside)))

    @property
    def _responder(self) -> str:
        return f"127.0.0.1#{self.responder_port}"


class NodeCacheDns(Struct, frozen=True):
    """What the dnsmasq of a node's cache must know: where it answers, and the file that says whom
    to ask for what; how many answers it keeps, how long (seconds), how long it believes that there
    is none, and whether it tells of each."""

    addresses: tuple[str, ...]
    servers_file: Path
    size: int = 10000
    ttl: int = 3600
    denial: int = 0
    logs: bool = False

    def arguments(self) -> list[str]:
        """Its command line."""
        return [
            "dnsmasq",
            *_ALONE,
            *(f"--listen-address={address}" for address in self.addresses),
            "--bind-interfaces",
            f"--servers-file={self.servers_file}",
            # What there is, is believed for as long as kube-dns says, which is short; of what there
            # is not, it says nothing.
            f"--neg-ttl={self.denial}" if self.denial else "--no-negcache",
            f"--cache-size={self.size}",
            f"--max-cache-ttl={self.ttl}",
            *(["--log-queries"] if self.logs else []),
            "--dns-forward-max=2000",
            "--edns-packet-max=1232",
        ]


def cache_servers_text(servers: Iterable[tuple[str, Iterable[str]]]) -> str:
    """The servers file of a node's cache: whom to ask, by zone, "." for all others. Where nobody is
    to be asked, dnsmasq answers from what it has."""
    lines = []
    for zone, addresses in servers:
        place = "" if zone == "." else f"/{zone}/"
        lines += [f"server={place}{each}\n" for each in addresses]
        lines += [f"server={place}\n"] if place and not addresses else []
    return "".join(lines)


def reverse_zones(cidr: str) -> list[str]:
    """The zones below in-addr.arpa or ip6.arpa that make up a network.

    A prefix between two label boundaries becomes several zones: 10.96.0.0/12 is 16 of them.
    """
    network = ipaddress.ip_network(cidr)
    step = 8 if network.version == 4 else 4
    length = max(step, -(-network.prefixlen // step) * step)
    labels = length // step
    return [
        ".".join(part.network_address.reverse_pointer.split(".")[-(labels + 2) :])
        for part in network.subnets(new_prefix=length)
    ]
