"""Addresses of a node that are reached past connection tracking: the rules of NodeLocal DNSCache.

As its node-cache writes them (kubernetes/dns, cmd/node-cache/app/cache_app.go), for each address:

    raw     PREROUTING  to it, ports of names                NOTRACK
            OUTPUT      to it and from it, names and health  NOTRACK
    filter  INPUT       to it, ports of names                ACCEPT
            OUTPUT      from it, ports of names              ACCEPT

What is not tracked, nat does not see either: kube-proxy's rules do not apply to it. It is written
the way the node's proxy writes its own, which carries these along. In nftables mode they are a
table by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from netlab.kernel.generation import rules_generation
from netlab.kernel.run import run
from netlab.proxy.addresses import Family
from netlab.proxy.appliers import Backend

NFT_TABLE = "netlab-node-local-dns"
DNS_PORT, HEALTH_PORT = 53, 8080
SKIPPED = "NodeLocal DNS Cache: skip conntrack"
ALLOWED = "NodeLocal DNS Cache: allow DNS traffic"

Verdict = Literal["notrack", "accept"]

_FILTER, _RAW = "filter", "raw"
_TARGETS = {"notrack": "CT --notrack", "accept": "ACCEPT"}


class UntrackedRule(Struct, frozen=True):
    """One rule: packets to (or `from_it`) a port of the address, in a chain of a table."""

    table: str
    chain: str
    protocol: str
    port: int
    verdict: Verdict
    from_it: bool = False

    @property
    def comment(self) -> str:
        """What it is for."""
        return SKIPPED if self.verdict == "notrack" else ALLOWED

    def iptables(self, address: str) -> str:
        """As iptables-save spells it, without `-A CHAIN`."""
        length = 128 if ":" in address else 32
        side, port = ("-s", "--sport") if self.from_it else ("-d", "--dport")
        return (
            f"{side} {address}/{length} -p {self.protocol} -m {self.protocol} {port} {self.port}"
            f' -m comment --comment "{self.comment}" -j {_TARGETS[self.verdict]}'
        )

    def nft(self, address: str) -> str:
        """As nft takes it."""
        family = "ip6" if ":" in address else "ip"
        side, port = ("saddr", "sport") if self.from_it else ("daddr", "dport")
        return (
            f"{family} {side} {address} {self.protocol} {port} {self.port} counter"
            f' {self.verdict} comment "{self.comment}"'
        )


def rules_of(health_port: int) -> tuple[UntrackedRule, ...]:
    """All of an address, of a cache that says at this port that it is well."""
    return tuple(_rules(health_port))


def _rules(health_port: int) -> Iterator[UntrackedRule]:
    for protocol in ("udp", "tcp"):
        yield UntrackedRule(_RAW, "PREROUTING", protocol, DNS_PORT, "notrack")
        yield UntrackedRule(_RAW, "OUTPUT", protocol, DNS_PORT, "notrack")
        yield UntrackedRule(_RAW, "OUTPUT", protocol, DNS_PORT, "notrack", from_it=True)
        yield UntrackedRule(_FILTER, "INPUT", protocol, DNS_PORT, "accept")
        yield UntrackedRule(_FILTER, "OUTPUT", protocol, DNS_PORT, "accept", from_it=True)
    yield UntrackedRule(_RAW, "OUTPUT", "tcp", health_port, "notrack")
    yield UntrackedRule(_RAW, "OUTPUT", "tcp", health_port, "notrack", from_it=True)


RULES = rules_of(HEALTH_PORT)


class Untracked(Protocol):
    """The rules of one namespace. Blocking; for one thread at a time."""

    def ensure(self) -> bool:
        """Write what is missing; True if something was. Costs little while nobody writes rules."""

    def remove(self) -> None:
        """Take them away. Idempotent."""


def untracked(
    mode: str,
    backend: Backend,
    netns: Path,
    addresses: Sequence[str],
    rules: Sequence[UntrackedRule] = RULES,
) -> Untracked:
    """The rules for these addresses, in the proxy's mode and its variant of iptables."""
    if mode == "nftables":
        return NftUntracked(netns, addresses, rules)
    return IptablesUntracked(backend, netns, addresses, rules)


class IptablesUntracked:
    """In built-in chains, at their heads: before what others have there."""

    def __init__(
        self,
        backend: Backend,
        netns: Path,
        addresses: Sequence[str],
        rules: Sequence[UntrackedRule] = RULES,
    ) -> None:
        from netlab.proxy.iptables import read

        self._tools = read
        variant = read.host_variant() if backend == "auto" else backend
        self._variant: read.Variant = "legacy" if variant == "libiptc" else variant
        self._netns = netns
        self._rules = rules
        v4 = [address for address in addresses if ":" not in address]
        v6 = [address for address in addresses if ":" in address]
        families: list[tuple[Family, list[str]]] = [("ipv4", v4), ("ipv6", v6)]
        self._families = [(family, chosen) for family, chosen in families if chosen]
        self._seen: dict[Family, object] = {}

    def ensure(self) -> bool:
        """See `Untracked`."""
        wrote = [self._ensure(family, addresses) for family, addresses in self._families]
        return any(wrote)

    def _ensure(self, family: Family, addresses: Sequence[str]) -> bool:
        now = self._fingerprint(family)
        if self._seen.get(family) == now:
            return False
        present = self._present(family)
        missing = [each for each in self._lines(addresses) if each not in present]
        if missing:  # of those that are put at a head one by one, the last is the first there
            self._restore(family, "-I", missing[::-1])
        else:  # noted only of what was read since: others may have written over ours meanwhile
            self._seen[family] = now
        return bool(missing)

    def remove(self) -> None:
        """See `Untracked`."""
        self._seen.clear()
        for family, addresses in self._families:
            present = self._present(family)
            self._restore(
                family, "-D", [each for each in self._lines(addresses) if each in present]
            )

    def _present(self, family: Family) -> set[Line]:
        return {
            line
            for table in (_RAW, _FILTER)
            for line in self._tools.read(self._netns, self._variant, family, table=table).rules()
        }

    def _restore(self, family: Family, verb: str, lines: Sequence[Line]) -> None:
        text = ""
        for table in (_RAW, _FILTER):
            own = [f"{verb} {chain} {rule}\n" for where, chain, rule in lines if where == table]
            text += "".join((f"*{table}\n", *own, "COMMIT\n")) if own else ""
        if text:
            program = self._tools.program(family, self._variant, "restore")
            run([program, "-w", "5", "--noflush"], netns=self._netns, input=text)

    def _fingerprint(self, family: Family) -> object:
        if self._variant == "nft":
            return rules_generation(self._netns)
        return self._tools.legacy_layout(self._netns, family, (_RAW, _FILTER))

    def _lines(self, addresses: Iterable[str]) -> list[Line]:
        rules = self._rules
        return [(rule.table, rule.chain, rule.iptables(ip)) for ip in addresses for rule in rules]


Line = tuple[str, str, str]
"""Table, chain and rule."""


class NftUntracked:
    """In a table of its own, in both families."""

    def __init__(
        self, netns: Path, addresses: Sequence[str], rules: Sequence[UntrackedRule] = RULES
    ) -> None:
        self._netns = netns
        self._rules = rules
        self._addresses = addresses
        self._listing = ""
        self._seen: object = None

    def ensure(self) -> bool:
        """See `Untracked`. What a former controller wrote is written again: nobody notices."""
        now = rules_generation(self._netns)
        if self._seen == now:
            return False
        amiss = not self._listing or self._listed() != self._listing
        if amiss:
            run(["nft", "-f", "-"], netns=self._netns, input=nft_text(self._addresses, self._rules))
            self._listing = self._listed()
        else:
            self._seen = now
        return amiss

    def remove(self) -> None:
        """See `Untracked`."""
        self._listing, self._seen = "", None
        text = f"add table inet {NFT_TABLE}\ndelete table inet {NFT_TABLE}\n"
        run(["nft", "-f", "-"], netns=self._netns, input=text)

    def _listed(self) -> str:
        argv = ["nft", "-s", "list", "table", "inet", NFT_TABLE]
        return run(argv, netns=self._netns, check=False).stdout


def nft_text(addresses: Sequence[str], rules: Sequence[UntrackedRule] = RULES) -> str:
    """The commands that make the table, in the place of one that may be there."""
    lines = [f"add table inet {NFT_TABLE}", f"delete table inet {NFT_TABLE}"]
    lines.append(f"add table inet {NFT_TABLE}")
    for table, chain in dict.fromkeys((rule.table, rule.chain) for rule in rules):
        name, hook = f"{table}-{chain.lower()}", chain.lower()
        definition = f"{{ type filter hook {hook} priority {table} ; }}"
        lines.append(f"add chain inet {NFT_TABLE} {name} {definition}")
        lines += [
            f"add rule inet {NFT_TABLE} {name} {rule.nft(address)}"
            for address in addresses
            for rule in rules
            if (rule.table, rule.chain) == (table, chain)
        ]
    return "".join(f"{line}\n" for line in lines)
