"""Does a packet match a phrase of an nftables rule? What do a table's sets and maps know of it?"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from netlab.proxy.addresses import Family
from netlab.proxy.nftables.model import NftTable
from netlab.simulation import icmp
from netlab.simulation.hooks import DanglingJump
from netlab.simulation.knowledge import UNTOLD, Unsure
from netlab.simulation.match import PROTOCOL_NUMBERS, network
from netlab.simulation.nft_phrases import (
    Chance,
    Elements,
    Match,
    Phrase,
    Selector,
    Unknown,
    VerdictMap,
)
from netlab.simulation.packet import Packet

_WITH_PORTS = ("tcp", "udp", "sctp", "dccp", "udplite")


class Sets:
    """The sets and maps of one table."""

    def __init__(self, table: NftTable) -> None:
        self._table = table
        self._elements: dict[str, dict[str, str]] = defaultdict(dict)
        for (name, key), value in table.elements.items():
            self._elements[name][key] = value.rpartition(": ")[2]

    def of(self, elements: Elements) -> Mapping[str, str]:
        """What a rule refers to. Raises `DanglingJump` for a set that is not there."""
        if not elements.name:
            return elements.own
        if elements.name not in self._table.sets:
            raise DanglingJump(
                f"table {self._table.name}: there is no set or map {elements.name}",
            )
        return self._elements[elements.name]

    def is_dynamic(self, name: str) -> bool:
        """Whether packets fill that set."""
        return name in self._table.sets and self._table.sets[name].dynamic

    def has_ranges(self, elements: Elements) -> bool:
        """Whether an element may be more than one value."""
        if not elements.name:
            return True
        header = self._table.sets[elements.name].header
        return any(line.startswith("flags") and "interval" in line for line in header)


class Unclear(Exception):
    """Words that no nft would have printed, or that nobody here understands."""


def chance(match: Match, packet: Packet, sets: Sets) -> float | None:
    """How likely a packet matches; None for what nobody understands. Raises `Unsure`."""
    if match.selector.draw:
        odds = drawn(match.selector, match.elements, sets)
        known = sum(each for each, _ in odds) if odds is not None else None
        return 1.0 - known if known is not None and match.negated else known
    try:
        values = selected(match.selector, packet)
        if values is None:
            return 0.0
        met = _found(match.selector, values, match.elements, packet, sets) is not None
    except (Unclear, ValueError):
        return None
    return float(met != match.negated)


def looked_up(
    selector: Selector, elements: Elements, packet: Packet, sets: Sets
) -> list[tuple[float, str]]:
    """What a map may have for a packet, and how likely: nothing, one value, or one of each draw.

    Raises `Unclear`, `Unsure`.
    """
    if selector.draw:
        odds = drawn(selector, elements, sets)
        if odds is None:
            raise Unclear
        return odds
    values = selected(selector, packet)
    if values is None:
        return []
    try:
        found = _found(selector, values, elements, packet, sets)
    except ValueError as error:
        raise Unclear from error
    return [(1.0, found)] if found is not None else []


def drawn(selector: Selector, elements: Elements, sets: Sets) -> list[tuple[float, str]] | None:
    """Each value that chance may choose; None if there is a key that nobody draws."""
    known = sets.of(elements)
    if not all(key.isdigit() and int(key) < selector.draw for key in known):
        return None
    return [(1 / selector.draw, value) for value in known.values()]


class Unmet(NamedTuple):
    """The first phrase that a packet does not meet, and how many it had met before."""

    phrase: Phrase
    met: int


def unmet(phrases: Sequence[Phrase], packet: Packet, sets: Sets) -> Unmet | None:
    """Why a rule does not match; None where it must. A draw is told after what is certain."""
    draw = None
    asked = [each for each in phrases if isinstance(each, Match | Chance | VerdictMap | Unknown)]
    for met, phrase in enumerate(asked):
        likely = _likely(phrase, packet, sets)
        if likely in (0.0, None):
            return Unmet(phrase, met)
        if likely < 1.0 and draw is None:
            draw = phrase
    return Unmet(draw, len(asked) - 1) if draw is not None else None


def _likely(
    phrase: Match | Chance | VerdictMap | Unknown, packet: Packet, sets: Sets
) -> float | None:
    if isinstance(phrase, Chance):
        return phrase.likely
    if isinstance(phrase, Unknown):
        return 0.0 if is_of_another(phrase.text, packet) else None
    try:
        if isinstance(phrase, Match):
            return chance(phrase, packet, sets)
        odds = looked_up(phrase.selector, phrase.elements, packet, sets)
    except (Unclear, Unsure):
        return None
    return sum(each for each, _ in odds)


def holds(text: str, packet: Packet) -> str:
    """The fact that a phrase which nobody understands is so, of a packet with such an end."""
    who = packet.known.who if packet.known is not None else "it"
    of = "what is" if who == "it" else f"{who},"
    return f"'{text}' holds of {of} for {packet.destination}:{packet.dport}"


def is_of_another(text: str, packet: Packet) -> bool:
    """Whether words that nobody understands begin with a protocol that a packet is not of."""
    word = text.partition(" ")[0]
    six = ":" in packet.source
    asked = {"icmp": not six, "icmpv6": six, "ip": not six, "ip6": six, "arp": False, "ether": True}
    if word in ("icmp", "icmpv6"):
        return not (asked[word] and packet.protocol in ("icmp", "ipv6-icmp"))
    if word in asked:
        return not asked[word]
    return word in _WITH_PORTS and word != packet.protocol


def nearest_key(phrase: VerdictMap | Match, packet: Packet, sets: Sets) -> str:
    """The element that differs in the least from what a packet has; "" if all differ in all."""
    selector = phrase.selector
    if selector.draw or len(selector.fields) == 1:
        return ""
    try:
        values = selected(selector, packet)
    except Unclear:
        return ""
    if values is None:
        return ""

    def alike(key: str) -> int:
        parts = key.split(" . ")
        return sum(one == other for one, other in zip(parts, values, strict=False))

    best = max(sets.of(phrase.elements), key=alike, default="")
    return best if best and alike(best) == len(values) - 1 else ""


# What is selected


def selected(selector: Selector, packet: Packet) -> tuple[str, ...] | None:
    """The packet's values, as elements spell them; None if it has not all of these fields. Raises
    `Unclear` where nobody knows one."""
    values = [_FIELDS[field](packet) for field in selector.fields]
    if any(value is None for value in values):
        return None
    found = tuple(value for value in values if value is not None)
    if selector.mask is not None:
        return tuple(f"{int(value, 0) & selector.mask:#010x}" for value in found)
    return found


def _address(text: str, version: int) -> str | None:
    found = ipaddress.ip_address(text)
    return str(found) if found.version == version else None


def _port(protocol: str, side: str) -> Callable[[Packet], str | None]:
    def port(packet: Packet) -> str | None:
        fits = packet.protocol == protocol or (protocol == "th" and packet.protocol in _WITH_PORTS)
        return str(packet.dport if side == "dport" else packet.sport) if fits else None

    return port


def _status(packet: Packet) -> str:
    names = {"dnat": packet.dnat, "snat": packet.snat}
    return ",".join(name for name, holds in names.items() if holds)


def _connmark(packet: Packet) -> str | None:
    """The mark of its connection, known of a first packet alone."""
    if packet.ctstate == "UNTRACKED":
        return None
    if packet.ctstate != "NEW":
        raise Unclear
    return f"{packet.connmark:#010x}"


def _tcp_flags(packet: Packet) -> str | None:
    """A new connection begins with SYN, and a later packet of it carries ACK."""
    if packet.protocol != "tcp":
        return None
    return "syn" if packet.ctstate == "NEW" else "ack"


def _kind(packet: Packet, address: str) -> str:
    """An address's type, as `fib` tells it. Raises `Unsure`."""
    if ipaddress.ip_address(address).is_multicast:
        return "multicast"
    if address == "255.255.255.255":
        return "broadcast"
    return "local" if packet.is_local(address) else "unicast"


def _icmp(packet: Packet, family: Family, part: int) -> str | None:
    """The type, or (1) the code, of a packet of ICMP."""
    fits = packet.protocol in ("icmp", "ipv6-icmp") and packet.family == family
    return str(packet.type_and_code[part]) if fits else None


_Value = Callable[[Packet], str | None]

_FIELDS: Mapping[str, _Value] = MappingProxyType(
    {
        "ip saddr": lambda p: _address(p.source, 4),
        "ip daddr": lambda p: _address(p.destination, 4),
        "ip6 saddr": lambda p: _address(p.source, 6),
        "ip6 daddr": lambda p: _address(p.destination, 6),
        "ip protocol": lambda p: p.protocol if ":" not in p.source else None,
        "ip6 nexthdr": lambda p: p.protocol if ":" in p.source else None,
        "l4proto": lambda p: p.protocol,
        "nfproto": lambda p: "ipv6" if ":" in p.source else "ipv4",
        "mark": lambda p: f"{p.mark:#010x}",
        "iifname": lambda p: p.in_interface,
        "oifname": lambda p: p.out_interface,
        "iif": lambda p: p.in_interface,
        "oif": lambda p: p.out_interface,
        "ct state": lambda p: p.ctstate.lower(),
        "ct status": _status,
        "ct mark": _connmark,
        "tcp flags": _tcp_flags,
        "icmp type": lambda p: _icmp(p, "ipv4", 0),
        "icmp code": lambda p: _icmp(p, "ipv4", 1),
        "icmpv6 type": lambda p: _icmp(p, "ipv6", 0),
        "icmpv6 code": lambda p: _icmp(p, "ipv6", 1),
        "fib saddr type": lambda p: _kind(p, p.source),
        "fib daddr type": lambda p: _kind(p, p.destination),
        **{
            f"{protocol} {side}": _port(protocol, side)
            for protocol in ("th", *_WITH_PORTS)
            for side in ("sport", "dport")
        },
    }
)


# What an element means


def _found(
    selector: Selector, values: tuple[str, ...], elements: Elements, packet: Packet, sets: Sets
) -> str | None:
    """What follows the key that a packet has; "" in a set, None if there is no such key."""
    known = sets.of(elements)
    found = known.get(" . ".join(values))
    if found is not None:
        return found
    if elements.name in packet.recent:
        return ""
    if not sets.has_ranges(elements) and all(_plain(field) for field in selector.fields):
        return None
    return next(_fitting(selector, values, known, packet), None)


def _plain(field: str) -> bool:
    """Whether a value is spelt in one way."""
    return field.endswith(("addr", "port")) or field == "l4proto"


def _fitting(
    selector: Selector, values: tuple[str, ...], known: Mapping[str, str], packet: Packet
) -> Iterator[str]:
    for key, found in known.items():
        parts = key.split(" . ")
        if len(parts) != len(values):
            raise Unclear
        if _all_fit(zip(selector.fields, values, parts, strict=True), packet):
            yield found


def _all_fit(asked: Iterable[tuple[str, str, str]], packet: Packet) -> bool:
    """All are tried, so that what nobody understands is found out; what nobody told is asked for
    only where all else fits."""
    fits, unsure = True, None
    for field, value, part in asked:
        try:
            fits = _fits(field, value, part, packet) and fits
        except Unsure as untold:
            unsure = untold
    if fits and unsure is not None:
        raise unsure
    return fits


def _fits(field: str, value: str, element: str, packet: Packet) -> bool:
    """Whether one value is that of an element: `80`, `80-90`, `10.0.0.0/8`, `"eth*"`."""
    kind = field.split()[-1]
    if field.startswith("icmp"):
        family: Family = "ipv4" if field.startswith("icmp ") else "ipv6"
        low, high = (icmp.types if kind == "type" else icmp.codes)(element, family)
        return low <= int(value) <= high
    if kind in ("saddr", "daddr"):
        return _address_fits(value, element)
    if kind in ("sport", "dport"):
        first, _, last = element.partition("-")
        return int(first) <= int(value) <= int(last or first)
    if kind == "flags":
        mask, _, wanted = element.partition("/")
        return (value if mask == "all" or value in mask.split(",") else "") == wanted
    if kind == "mark":
        return int(value, 0) == int(element, 0)
    if kind in ("l4proto", "protocol", "nexthdr"):
        return _protocol_fits(value, element)
    if kind in ("iifname", "oifname", "iif", "oif"):
        wanted = element.strip('"')
        if value == UNTOLD:
            return _passes(kind, wanted, packet)
        return value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted
    known = _WORDS[kind]
    if element not in known:
        raise Unclear
    return element in value.split(",")


def _passes(kind: str, wanted: str, packet: Packet) -> bool:
    """Whether a packet passes by a link of which nobody told."""
    link = f"{wanted[:-1]}+" if wanted.endswith("*") else wanted
    return packet.passes("comes in by" if kind.startswith("iif") else "leaves by", link)


_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "state": ("new", "established", "related", "untracked", "invalid"),
        "status": ("dnat", "snat"),
        "type": ("local", "unicast", "multicast", "broadcast"),
        "nfproto": ("ipv4", "ipv6"),
    }
)


def _address_fits(value: str, element: str) -> bool:
    low, _, high = element.partition("-")
    if not high:
        return ipaddress.ip_address(value) in network(element)
    address, first, last = (ipaddress.ip_address(text) for text in (value, low, high))
    if first.version != last.version:
        raise Unclear
    return address.version == first.version and int(first) <= int(address) <= int(last)


def _protocol_fits(value: str, element: str) -> bool:
    names = {"ipv6-icmp": "icmpv6"}
    number = PROTOCOL_NUMBERS.get(value, "")
    return element in (value, number, names.get(value, value))
