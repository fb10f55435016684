"""What older programs print of rules that are right: found, and put right where it can be known.

An iptables that does not know the newest revision of the target DNAT prints `:0`, `0.0.0.0:0`
(kubernetes issue 114537) or `[unsupported revision]`; where the endpoint is, kube-proxy's comments
and the chain's name still say. iptables-nft before 1.8.8 also leaves out what newer programs ask of
the mark (kubernetes issue 112477).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from netlab.objects.addresses import join_host_port
from netlab.proxy.iptables.model import Chain, Ruleset, Table
from netlab.proxy.iptables.owners import service_port
from netlab.proxy.iptables.parse import Lines
from netlab.proxy.names import hashed
from netlab.saves.save import Remark

_DNAT = re.compile(
    r"-j DNAT (?:\[unsupported revision\]"
    r"|--to-destination (?::0|0\.0\.0\.0:0|\[?::\]?:0)(?= |$)).*$"
)
_JUMP = re.compile(r'--comment "[^"]* -> ([^" ]+)".* -j (KUBE-SEP-\S+)$')
_HAIRPIN = re.compile(r"-s (\S+?)/(?:32|128) .*-j KUBE-MARK-MASQ$")
_PROTOCOL = re.compile(r"-p (\S+)")
_MARKED = 'comment "kubernetes firewall for dropping marked packets" -j DROP'
_MARK = "-m mark --mark 0x8000/0x8000 "
_PORTS = range(1, 65536)

_Right = Callable[[Chain, str], tuple[str, str] | None]
"""What a misprinted rule of a chain should read, and what to say of it; None for others."""


def mend(ruleset: Ruleset, lines: Lines, file: str) -> Iterator[Remark]:
    """Put what they stand for in their place, as far as that is known, and tell of each."""
    yield from _mended(ruleset, "nat", lines, file, _Destinations(ruleset))
    yield from _mended(ruleset, "filter", lines, file, _marks)


def _mended(
    ruleset: Ruleset, table: str, lines: Lines, file: str, right: _Right
) -> Iterator[Remark]:
    found = ruleset.tables.get(table)
    for chain in list(found.chains.values()) if found is not None else ():
        for at, text in enumerate(chain.rules):
            said = right(chain, text)
            if found is None or said is None:
                continue  # nearly all
            instead, words = said
            _replace(found, chain.name, at, instead)
            yield Remark(file, lines[table, chain.name][at + 1], words)


def _replace(table: Table, name: str, at: int, text: str) -> None:
    chain = table.chains[name]
    rules = (*chain.rules[:at], text, *chain.rules[at + 1 :])
    table.chains[name] = chain._replace(rules=rules)


def _marks(chain: Chain, text: str) -> tuple[str, str] | None:
    if not text.endswith(_MARKED):
        return None
    words = (
        f"{chain.name} drops all, as it is printed: an older iptables leaves the mark out"
        " (kubernetes issue 112477), so it is taken to be kubelet's, 0x8000"
    )
    return text.replace(" -j DROP", f" {_MARK}-j DROP"), words


class _Destinations:
    def __init__(self, ruleset: Ruleset) -> None:
        self._table = ruleset.tables.get("nat")
        self._said: dict[str, str] | None = None
        self._ports: dict[int, None] = {}

    def __call__(self, chain: Chain, text: str) -> tuple[str, str] | None:
        if "-j DNAT" not in text or not _DNAT.search(text):
            return None
        to = self._comments().get(chain.name) or self._by_name(chain, text)
        old = "an older iptables prints it so (kubernetes issue 114537)"
        if not to:
            words = f"{chain.name} sends to nowhere known: {old}, and nothing here says where to"
            return text, words
        words = f"{chain.name} sends to {to}, whatever is printed: {old}"
        return _DNAT.sub(f"-j DNAT --to-destination {to}", text), words

    def _comments(self) -> dict[str, str]:
        """Endpoints by chain, as the comments of those that jump there say."""
        if self._said is None:
            chains = self._table.chains.values() if self._table is not None else ()
            jumps = (_JUMP.search(text) for chain in chains for text in chain.rules)
            self._said = {jump[2]: jump[1] for jump in jumps if jump}
        return self._said

    def _by_name(self, chain: Chain, text: str) -> str:
        """The chain is named after service port, protocol and endpoint: of all ports one fits."""
        service = service_port(text)
        hairpin = next(filter(None, map(_HAIRPIN.search, chain.rules)), None)
        protocol = _PROTOCOL.search(text)
        wanted = chain.name.removeprefix("KUBE-SEP-")
        if service is None or hairpin is None or protocol is None or wanted == chain.name:
            return ""
        for port in (*self._ports, *_PORTS):
            end = join_host_port(hairpin[1], port)
            if hashed(service + protocol[1] + end) == wanted:
                self._ports[port] = None
                return end
        return ""
