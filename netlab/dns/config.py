"""dnsmasq's command lines and the pods' resolv.conf, as pure text.

The cluster's dnsmasq holds A, AAAA and PTR itself (hostsdir, followed by inotify), answers
NXDOMAIN and NODATA below the cluster domain itself, and passes on to the responder only the
names a hosts file cannot hold. So whatever it holds goes on resolving when the controller,
in which the responder lives, is dead: a lookup through the search domains meets no silence.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RESPONDER_PORT = 10053
# CoreDNS's own default. dnsmasq gives negative answers without a SOA, so nobody caches those.
LOCAL_TTL = 5

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

# What the internet's DNS knows nothing of: names without a dot (so a mistyped Service is not
# found in the end), top-level domains set aside (RFC 6761, 6762; ICANN), ours, and reverse zones.
_NOBODYS = ("", "invalid", "local", "internal", "svc", "in-addr.arpa", "ip6.arpa")


@dataclass(frozen=True)
class ClusterDns:
    """What the cluster's dnsmasq must know: its zone, its files, whom it asks."""

    domain: str
    hosts_dir: Path
    servers_file: Path
    upstreams: tuple[str, ...] = ()
    local_cidrs: tuple[str, ...] = ()
    responder_port: int = RESPONDER_PORT

    def arguments(self) -> list[str]:
        """The dnsmasq command line for the pod of the cluster's DNS."""
        local = [self.domain, *(zone for cidr in self.local_cidrs for zone in reverse_zones(cidr))]
        return [
            "dnsmasq",
            *_ALONE,
            f"--hostsdir={self.hosts_dir}",
            f"--servers-file={self.servers_file}",
            f"--local-ttl={LOCAL_TTL}",
            # A name that did not exist a moment ago may be a Service now.
            "--no-negcache",
            # The size also sets the hash table that the hostsdir's names share.
            "--cache-size=10000",
            "--dns-forward-max=2000",
            "--edns-packet-max=1232",
            f"--txt-record=dns-version.{self.domain},1.1.0",
            *(f"--local=/{zone}/" for zone in local),
            f"--server=/pod.{self.domain}/{self._responder}",
            *(f"--server={upstream}" for upstream in self.upstreams),
        ]

    def servers_text(self, names: Iterable[str]) -> str:
        """The servers file: which names below the domain are the responder's to answer."""
        return "".join(f"server=/{name}/{self._responder}\n" for name in sorted(names))

    @property
    def _responder(self) -> str:
        return f"127.0.0.1#{self.responder_port}"


def internet_arguments(
    addresses: Sequence[str], names: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """The dnsmasq command line that stands for the internet's DNS.

    Every name has the internet's own `addresses`, save the ones given with theirs; names that
    nobody can own do not exist, nor does what is looked up in reverse.
    """
    fixed = [
        f"--host-record={name},{address}"
        for name, its_addresses in (names or {}).items()
        for address in its_addresses
    ]
    nowhere = [f"--local=/{zone}/" for zone in _NOBODYS]
    # A name with a host-record lacks only the other family: no default address for that.
    nowhere += [f"--local=/{name}/" for name in names or {}]
    return [
        "dnsmasq",
        *_ALONE,
        "--local-ttl=60",
        *nowhere,
        *fixed,
        *(f"--address=/#/{address}" for address in addresses),
        # What an `--address` leaves open, say AAAA of an IPv4 internet, is NODATA, not REFUSED.
        "--local=/#/",
    ]


def resolv_conf(namespace: str, dns_ip: str, domain: str) -> str:
    """A pod's /etc/resolv.conf under dnsPolicy ClusterFirst, line by line as kubelet writes it."""
    search = f"{namespace}.svc.{domain} svc.{domain} {domain}"
    return f"search {search}\nnameserver {dns_ip}\noptions ndots:5\n"


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
