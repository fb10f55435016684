"""Classes of packets, and what becomes of them, in words."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping

from netlab.prove.classes import Endpoint, arrives, told_ways
from netlab.prove.diagram import TOO_DEEP, TOO_MUCH, Leaf, Place, Way
from netlab.prove.space import (
    CT,
    DADDR,
    DPORT,
    ICMP,
    IIF,
    OIF,
    OTHER_NAME,
    PROTO,
    PROTOCOLS,
    SADDR,
    SPORT,
    STATES,
    Region,
    Space,
    Values,
    has,
    meet,
    size,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NUMBERS = {number: name for name, number in PROTOCOLS.items() if name != "icmpv6"}
_FEW = 4
_SENDERS = ("198.51.100.7", "203.0.113.7", "10.244.1.2", "2001:db8:ffff::7", "2001:db8::7")
_SOURCE_PORT = 40000
_ECHO = {PROTOCOLS["icmp"]: (8,), PROTOCOLS["icmpv6"]: (128,)}
_LAST_TYPE = 255


def protocol(number: int) -> str:
    """`tcp`."""
    return _NUMBERS.get(number, f"protocol {number}")


def protocols(values: Values, whole: Values) -> str:
    """`tcp`, `tcp or udp`, `everything but tcp`."""
    if values == whole:
        return "any protocol"
    if size(values) <= _FEW:
        return " or ".join(protocol(one) for low, high in values for one in range(low, high + 1))
    left = [one for one in range(256) if not has(values, one)]
    if len(left) <= _FEW:
        return "any protocol but " + ", ".join(map(protocol, left))
    return "other protocols"


def networks(values: Values, space: Space, whole: Values) -> str:
    """Addresses as prefixes, or as all but some; else some of them, and how many there are."""
    parts = _written_out(values, space)
    rest = _written_out(meet(space.but(DADDR, values), whole), space)
    if len(rest) < len(parts) and len(rest) <= _FEW:
        return f"anywhere but {', '.join(rest)}"
    if len(parts) <= _FEW:
        return ", ".join(parts)
    return f"{', '.join(parts[:2])}, … ({size(values):,} addresses)"


def _written_out(values: Values, space: Space) -> list[str]:
    return [text for interval in values for text in _prefixes(interval, space)]


def _prefixes(interval: tuple[int, int], space: Space) -> Iterable[str]:
    low, high = interval
    own = high == space.own
    high -= own
    if low <= high:
        kind = ipaddress.IPv4Address if space.family == "ipv4" else ipaddress.IPv6Address
        found: list[Network] = list(ipaddress.summarize_address_range(kind(low), kind(high)))
        if len(found) > _FEW:
            yield f"{kind(low)}-{kind(high)}"
        else:
            for one in found:
                full = one.prefixlen == one.max_prefixlen
                yield str(one.network_address) if full else str(one)
    if own:
        yield "the node's own"


def ports(values: Values) -> str:
    """`80`, `80, 443`, `1-79`."""
    parts = [str(low) if low == high else f"{low}-{high}" for low, high in values]
    if len(parts) <= _FEW:
        return ", ".join(parts)
    return f"{', '.join(parts[:2])}, … ({size(values):,} ports)"


def region(one: Region, space: Space, whole: Region, sender: str = "from anywhere") -> str:
    """`tcp from 10.244.0.0/16 to 10.96.0.10 port 80`; what is as in the `whole` is not said."""
    words = [protocols(one[PROTO], whole[PROTO])]
    came = f"from {networks(one[SADDR], space, whole[SADDR])}"
    words.append(sender if one[SADDR] == whole[SADDR] else came)
    of_icmp = meet(one[PROTO], ICMP) == one[PROTO]
    if one[SPORT] != whole[SPORT] and not of_icmp:
        words.append(f"port {ports(one[SPORT])}")
    everywhere = one[DADDR] == whole[DADDR]
    words.append(f"to {'anywhere' if everywhere else networks(one[DADDR], space, whole[DADDR])}")
    if one[DPORT] != whole[DPORT]:
        words.append(f"{'type' if of_icmp else 'port'} {ports(_clipped(one[DPORT], of_icmp))}")
    if one[SPORT] != whole[SPORT] and of_icmp:
        words.append(f"code {ports(_clipped(one[SPORT], of_icmp))}")
    for field, text in ((IIF, "in by"), (OIF, "out by")):
        if one[field] != whole[field]:
            words.append(f"{text} {links(one[field], space)}")
    if one[CT] != whole[CT]:
        states = [STATES[at] for low, high in one[CT] for at in range(low, high + 1)]
        words.append(f"({' or '.join(states)})")
    return " ".join(words)


def _clipped(values: Values, of_icmp: bool) -> Values:
    """Without those that ICMP has not."""
    return meet(values, ((0, _LAST_TYPE),)) or values if of_icmp else values


def links(values: Values, space: Space) -> str:
    """The names of links."""
    names = [space.links[at] for low, high in values for at in range(low, high + 1)]
    said = [f"{name[:-1]}…" if name.endswith(OTHER_NAME) else name or "no link" for name in names]
    return ", ".join("any other link" if one == "…" else one for one in said)


# -- one packet ----------------------------------------------------------------------------


def example(one: Region, space: Space) -> dict[str, object]:
    """A packet of a region: the values that look most like somebody's."""
    number = _picked(one[PROTO], (6, 17, 132, 1, 58))
    sender = _picked(one[SADDR], _numbers(space))
    link = _picked(one[IIF], range(2, len(space.links)))
    return {
        "protocol": protocol(number),
        "source": _written(sender, space),
        "sport": _picked(one[SPORT], (0,) if number in _ECHO else (_SOURCE_PORT,)),
        "destination": _written(_picked(one[DADDR], ()), space),
        "dport": _picked(one[DPORT], _ECHO.get(number, (80,))),
        "interface": space.links[link].replace(OTHER_NAME, "…"),
        "state": STATES[one[CT][0][0]],
    }


def _numbers(space: Space) -> Iterable[int]:
    version = 4 if space.family == "ipv4" else 6
    found = (ipaddress.ip_address(text) for text in _SENDERS)
    return [int(one) for one in found if one.version == version]


def _written(value: int, space: Space) -> str:
    return "NODE" if value == space.own else space.address(value)


def _picked(values: Values, liked: Iterable[int]) -> int:
    """One of these values, none that means nothing if there is another."""
    low, high = values[0]
    return next((one for one in liked if has(values, one)), low or min(high, 1))


def packet(example_: Mapping[str, object]) -> str:
    """`tcp 198.51.100.7:40000 > 10.96.0.10:80`."""
    source, destination = (_bracketed(str(example_[side])) for side in ("source", "destination"))
    ends = f"{source}:{example_['sport']} > {destination}:{example_['dport']}"
    if example_["protocol"] not in ("tcp", "udp", "sctp", "dccp", "udplite"):
        ends = f"{source} > {destination}"
    if example_["protocol"] in ("icmp", "ipv6-icmp"):
        ends += f" type {example_['dport']} code {example_['sport']}"
    return f"{example_['protocol']} {ends}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


# -- what becomes of it --------------------------------------------------------------------

Told = Callable[[Place], str]
"""Where a rule stands, in words."""


def ends(leaf: Leaf, space: Space, told: Told) -> str:
    """`delivered to 10.244.1.2:8080 (1/2), 10.244.2.2:8080 (1/2), masqueraded`; behind that what
    becomes of clients that rules remember, where there may be some."""
    ways = told_ways(leaf)
    known = [one for one in ways if one[0].state.remembered]
    if not known:
        return _ends(ways, space, told)
    new = _ends([one for one in ways if not one[0].state.remembered], space, told)
    each = list(dict.fromkeys(_ends([(way, 1.0)], space, told) for way, _ in known))
    some = f"{len(each)} such ends" if len(each) > _FEW else " or ".join(each)
    return f"{new}; of a remembered client: {some}"


def _ends(ways: Iterable[tuple[Way, float]], space: Space, told: Told) -> str:
    said: dict[str, float] = {}
    to: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for way, share in ways:
        if arrives(way) and way.state.to is not None:
            key = (_verb(way), _disguise(way))
            to.setdefault(key, []).append((endpoint(way.state.to, space), share))
        else:
            text = _end(way, told)
            said[text] = said.get(text, 0.0) + share
    parts = [_delivered(verb, how, found) for (verb, how), found in to.items()]
    parts += [
        text if share > 1 - 1e-6 else f"{text} ({part(share)})" for text, share in said.items()
    ]
    return "; ".join(parts)


def outcomes(leaf: Leaf, space: Space, told: Told) -> list[dict[str, object]]:
    """The ends as plain data."""
    return [
        {
            "end": str(way.at),
            "to": endpoint(way.state.to, space) if way.state.to is not None else None,
            "share": share,
            "remembered": way.state.remembered,
            "source": way.state.source or "kept",
            "with": way.how or None,
            "rule": told(way.place) if way.place is not None else None,
        }
        for way, share in told_ways(leaf)
    ]


def _delivered(verb: str, how: str, found: list[tuple[str, float]]) -> str:
    shares = {round(share, 6) for _, share in found}
    names = sorted(name for name, _ in found)
    if len(shares) == 1 and len(names) > _FEW:
        text = f"{len(names)} endpoints ({part(found[0][1])} each)"
    else:
        listed = [
            name if share > 1 - 1e-6 else f"{name} ({part(share)})" for name, share in sorted(found)
        ]
        text = ", ".join(listed)
    return f"{verb} {text}{how}"


def part(share: float) -> str:
    """`1/3`, or per cent."""
    if share > 0:
        inverse = 1 / share
        if abs(inverse - round(inverse)) < 1e-4:
            return f"1/{round(inverse)}"
    return f"{share * 100:.4g} %"


def endpoint(to: Endpoint, space: Space) -> str:
    """`10.244.1.2:8080`."""
    address = "the same address" if to[0] is None else _bracketed(space.address(to[0]))
    return address if to[1] is None else f"{address}:{to[1]}"


def _verb(way: Way) -> str:
    return "delivered to" if way.at == "sent" or way.how else "delivered on the node to"


def _disguise(way: Way) -> str:
    source = way.state.source
    if not source:
        return ""
    return ", masqueraded" if source == "masquerade" else f", with source {source}"


_SAID_OPEN = (TOO_MUCH, TOO_DEEP)


def _end(way: Way, told: Told) -> str:
    where = f" ({told(way.place)})" if way.place is not None else ""
    match way.at:
        case "delivered" if way.how:
            return f"delivered to {way.how}{_disguise(way)}"
        case "lost":
            return f"lost: {way.how}"
        case "delivered":
            return f"let in to the node itself{_disguise(way)}"
        case "sent":
            return f"passed on as it is{_disguise(way)}"
        case "rejected":
            return f"rejected{f' with {way.how}' if way.how else ''}{where}"
        case "open" if way.how in _SAID_OPEN:
            return f"open: {way.how}{where}"
        case "open":
            return f"open{where}"
    return f"{way.at}{where}"
