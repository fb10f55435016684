"""Does a packet match a condition? With what probability? Knows the usual matches of iptables."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from netlab.proxy.addresses import Family
from netlab.proxy.iptables.rule import Condition
from netlab.simulation import icmp
from netlab.simulation.knowledge import Known, Unsure
from netlab.simulation.packet import Packet

PROTOCOL_NUMBERS = {"icmp": "1", "tcp": "6", "udp": "17", "ipv6-icmp": "58", "sctp": "132"}


class Match(NamedTuple):
    """The probability that a rule matches, and the conditions nobody here understands."""

    probability: float
    unknown: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


def matches(conditions: tuple[Condition, ...], packet: Packet) -> Match:
    """All conditions together. One that is not known, or about a fact that nobody told, counts as
    not met, and is reported unless the rule would not match anyway."""
    known = 1.0
    unknown: list[str] = []
    unsure: list[str] = []
    for condition in conditions:
        if condition.option in _NO_QUESTION:
            continue
        try:
            chance = _chance(condition, conditions, packet)
        except Unsure as untold:
            unsure.append(untold.fact)
            continue
        if chance is None:
            unknown.append(str(condition))
            continue
        known *= 1.0 - chance if condition.negated else chance
        if not known:
            return Match(0.0)
    return Match(0.0, tuple(unknown), tuple(unsure)) if unknown or unsure else Match(known)


_FOR_ONE = re.compile(r"-d (?:([0-9.]+)/32|([0-9a-f:]+)/128) ")


@lru_cache(maxsize=1024)
def for_one(rules: tuple[str, ...]) -> tuple[bytes, ...]:
    """The one address that each of a chain's rules is for, as most of a node's many are, if its
    text alone shows it; empty where it is to be taken apart."""
    found = map(_FOR_ONE.match, rules)
    return tuple(_packed(each[1] or each[2]) if each else b"" for each in found)


def is_for_another(one: bytes, packet: Packet) -> bool:
    """Whether the one address that a rule is for, if it is, is not the packet's."""
    return bool(one) and _packed(packet.destination) not in (one, b"")


@lru_cache(maxsize=100_000)
def _packed(address: str) -> bytes:
    """Empty for what is none."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        return b""


class Unmet(NamedTuple):
    """The first condition that a packet does not meet, and how many it had met before."""

    condition: Condition
    met: int


def unmet(conditions: tuple[Condition, ...], packet: Packet) -> Unmet | None:
    """Why a rule does not match; None where it must. One that fails for certain is told before one
    that nobody understands here, and that before a draw."""
    asked = [each for each in conditions if each.option not in _NO_QUESTION]
    unknown, draws = [], []
    for met, condition in enumerate(asked):
        try:
            chance = _chance(condition, conditions, packet)
        except Unsure:
            chance = None
        if chance == float(condition.negated):
            return Unmet(condition, met)
        if chance is None:
            unknown.append(condition)
        elif 0.0 < chance < 1.0:
            draws.append(condition)
    return next((Unmet(each, len(asked) - 1) for each in (*unknown, *draws)), None)


def _chance(
    condition: Condition, conditions: tuple[Condition, ...], packet: Packet
) -> float | None:
    """How likely one is met, before negation; None for what nobody understands, `Unsure` where
    that may be tried."""
    test = _TESTS.get(condition.option) if is_understood(condition) else None
    try:
        if condition.option in _ASKS_RECENT:
            return float(_list_name(conditions) in packet.recent)
        if _is_saved_set(condition, conditions, packet.known):
            assert packet.known is not None
            assert packet.known.ipsets is not None
            return float(packet.known.ipsets.has(condition.values, packet))
        chance = float(test(packet, condition)) if test else -1.0
    except (ValueError, IndexError, ZeroDivisionError):  # words that no iptables would have taken
        chance = -1.0
    if 0.0 <= chance <= 1.0:
        return chance
    if packet.known is None:
        return None
    together = not_understood(condition, conditions)
    met = packet.known.told(holds(together, packet))
    # Of several together it is known whether all are met, whichever of them are negated.
    return float(met if len(together) == 1 else met != condition.negated)


def _is_saved_set(
    condition: Condition, conditions: Sequence[Condition], known: Known | None
) -> bool:
    """Whether it asks for nothing but whether a set has the packet, whose members are at hand."""
    return (
        condition.option == "--match-set"
        and known is not None
        and known.ipsets is not None
        and len(not_understood(condition, conditions)) == 1
        and known.ipsets.knows(condition.values)
    )


def not_understood(condition: Condition, conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """Those of the same match that nobody understands: they are one question."""
    return tuple(
        each for each in conditions if each.module == condition.module and not is_understood(each)
    ) or (condition,)


def holds(together: Sequence[Condition], packet: Packet) -> str:
    """The fact that conditions which nobody understands are met, a single one before negation: it
    may be of one packet and not of the same with another end."""
    of = f"what is for {packet.destination}:{packet.dport}"
    if together[0].module == "owner":
        of = "its sender"
    elif together[0].option == "--match-set" and "dst" not in " ".join(together[0].values[1:]):
        of = f"what is from {packet.source}:{packet.sport}"
    elif packet.known is not None and packet.known.who != "it":
        of = f"{packet.known.who}, for {packet.destination}:{packet.dport}"
    return f"'{said(together)}' holds of {of}"


def said(together: Sequence[Condition]) -> str:
    """`-m set --match-set clients src`."""
    first = together[0]
    words = [" ".join([first.option, *first.values])] if len(together) == 1 else map(str, together)
    return " ".join([f"-m {first.module}"] * bool(first.module) + [*words])


def is_understood(condition: Condition) -> bool:
    """Whether it is known what a condition asks; an option's name may be several matches'."""
    wanted = _MODULES.get(condition.option)
    known = condition.option in _TESTS or condition.option in _NO_QUESTION | _ASKS_RECENT
    return known and (wanted is None or condition.module in wanted)


def _list_name(conditions: tuple[Condition, ...]) -> str:
    return next((c.values[0] for c in conditions if c.option == "--name"), "DEFAULT")


@lru_cache(maxsize=100_000)
def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """`10.0.0.0/8`, or of one address."""
    return ipaddress.ip_network(text, strict=False)


@lru_cache(maxsize=10_000)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text)


def _within(address: str, networks: str) -> bool:
    return any(_address(address) in network(one) for one in networks.split(","))


def _protocol(packet: Packet, condition: Condition) -> bool:
    wanted = condition.values[0].lower()
    number = PROTOCOL_NUMBERS.get(packet.protocol, packet.protocol)
    return wanted in (packet.protocol, number, "all")


def _in_range(port: int, text: str) -> bool:
    low, _, high = text.partition(":")
    return int(low or 0) <= port <= int(high or (low if ":" not in text else 65535))


def _any_range(port: int, texts: str) -> bool:
    return any(_in_range(port, text) for text in texts.split(","))


def _mark(packet: Packet, condition: Condition) -> bool:
    """The packet's, or with `-m connmark` that of its connection, known of a first packet alone."""
    value, _, mask = condition.values[0].partition("/")
    of_connection = condition.module == "connmark"
    if of_connection and packet.ctstate != "NEW":
        raise ValueError("not the first packet")
    mark = packet.connmark if of_connection else packet.mark
    return mark & int(mask or "0xffffffff", 0) == int(value, 0)


def _state(packet: Packet, condition: Condition) -> bool:
    states = condition.values[0].split(",")
    return (
        packet.ctstate in states
        or (packet.dnat and "DNAT" in states)
        or (packet.snat and "SNAT" in states)
    )


def _address_type(packet: Packet, address: str, wanted: str) -> bool:
    """LOCAL, MULTICAST, BROADCAST (the limited one) and otherwise UNICAST."""
    if packet.is_local(address):
        kind = "LOCAL"
    elif _address(address).is_multicast:
        kind = "MULTICAST"
    else:
        kind = "BROADCAST" if address == "255.255.255.255" else "UNICAST"
    return kind in wanted.split(",")


def _statistic(_: Packet, condition: Condition) -> float:
    return float(condition.values[0])


def _every(_: Packet, condition: Condition) -> float:
    return 1.0 / int(condition.values[0])


def _tcp_flags(packet: Packet, condition: Condition) -> bool:
    """A new connection begins with SYN, and a later packet of it carries ACK."""
    mask, wanted = (set(value.split(",")) for value in condition.values)
    flags = {"SYN"} if packet.ctstate == "NEW" else {"ACK"}
    return (flags if "ALL" in mask else flags & mask) == wanted - {"NONE"}


def _icmp(packet: Packet, condition: Condition, family: Family) -> bool:
    wanted = icmp.type_and_code(condition.values[0], family)
    kind, code = packet.type_and_code
    return wanted is None or (kind == wanted[0] and wanted[1] in (None, code))


def _no_such_header(_: Packet, condition: Condition) -> float:
    """Whether it asks for it or for its absence: without the header a match never holds."""
    return float(condition.negated)


def hop_limit(kind: int) -> int:
    """That of a message of ICMPv6, without which nobody takes it: neighbour discovery's, multicast
    listeners' and routers'. 0 for others, which come with any."""
    if kind in (133, 134, 135, 136, 137, 141, 142, 148, 149):
        return 255
    return int(kind in (130, 131, 132, 143, 151, 152, 153))


def hops_match(option: str, value: str, hops: int) -> bool:
    """`--hl-eq 255` of so many."""
    return {"eq": hops == int(value), "lt": hops < int(value), "gt": hops > int(value)}[option[-2:]]


def _hops(packet: Packet, condition: Condition) -> bool:
    known = packet.protocol == "ipv6-icmp" and hop_limit(packet.type_and_code[0])
    if not known:
        raise ValueError("any")
    return hops_match(condition.option, condition.values[0], known)


HOPS = frozenset({"--hl-eq", "--hl-lt", "--hl-gt"})
ROUTING_HEADER = frozenset(
    {"--rt-type", "--rt-segsleft", "--rt-len", "--rt-0-res", "--rt-0-addrs", "--rt-0-not-strict"}
)
"""What `-m rt` asks of a header that no packet here has."""

# Options that say how a match works, or that always let the packet pass: `-m recent --set` and
# `-m nfacct` count it, `-m limit` lets a single packet through.
_NO_QUESTION = frozenset(
    {
        "--comment", "--mode", "--packet", "--seconds", "--hitcount", "--reap", "--rttl", "--mask",
        "--rsource", "--name", "--set", "--nfacct-name", "--limit", "--limit-burst",
    }
)  # fmt: skip

_ASKS_RECENT = frozenset({"--rcheck", "--update", "--remove"})

# Of options that several matches have: those of which it is known what they mean.
_MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType({"--mark": ("mark", "connmark", "")})

_Test = Callable[[Packet, Condition], float]

_TESTS: Mapping[str, _Test] = MappingProxyType(
    {
        "-s": lambda p, c: _within(p.source, c.values[0]),
        "-d": lambda p, c: _within(p.destination, c.values[0]),
        "-i": lambda p, c: p.passes("comes in by", c.values[0]),
        "-o": lambda p, c: p.passes("leaves by", c.values[0]),
        "-p": _protocol,
        "--dport": lambda p, c: _in_range(p.dport, c.values[0]),
        "--sport": lambda p, c: _in_range(p.sport, c.values[0]),
        "--dports": lambda p, c: _any_range(p.dport, c.values[0]),
        "--sports": lambda p, c: _any_range(p.sport, c.values[0]),
        "--ports": lambda p, c: _any_range(p.dport, c.values[0])
        or _any_range(p.sport, c.values[0]),
        "--mark": _mark,
        "--ctstate": _state,
        "--state": _state,
        "--src-type": lambda p, c: _address_type(p, p.source, c.values[0]),
        "--dst-type": lambda p, c: _address_type(p, p.destination, c.values[0]),
        "--probability": _statistic,
        "--every": _every,
        "--tcp-flags": _tcp_flags,
        "--icmp-type": lambda p, c: _icmp(p, c, "ipv4"),
        "--icmpv6-type": lambda p, c: _icmp(p, c, "ipv6"),
        "-f": lambda _p, _c: False,  # a fragment, which connection tracking puts together before
        **dict.fromkeys(HOPS, _hops),
        **dict.fromkeys(ROUTING_HEADER, _no_such_header),
        "--syn": lambda p, _: p.protocol == "tcp" and p.ctstate == "NEW",
    }
)  # fmt: skip
