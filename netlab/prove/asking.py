"""Words of a question, `--from pods --to svc/web:80`, as regions of the header space."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from netlab.errors import UsageError
from netlab.prove.ground import Door
from netlab.prove.question import Source, Target
from netlab.prove.space import (
    DADDR,
    DPORT,
    IIF,
    LOOPBACK_LINK,
    NO_LINK,
    PROTO,
    PROTOCOLS,
    SADDR,
    Box,
    Space,
    Values,
    meet,
    union,
)

_SOURCES = "any, external, pods, node, or a network such as 10.244.0.0/16"
_TO = re.compile(r"(?:\[([^]]+)\]|([^/:\s]+)):(\d+)(?:/(tcp|udp|sctp))?$")
_SERVICE = re.compile(r"(?:svc|service|services)/([^:\s/]+(?:/[^:\s/]+)?)(?::([^/\s]+))?$")


def arriving(space: Space) -> Box:
    """Packets that come in by a link that is not lo, with a source that is not the node's own."""
    links: Values = ((LOOPBACK_LINK + 1, space.tops[IIF]),)
    return ((SADDR, _others(space.local, space)), (IIF, links))


def own(space: Space) -> Box:
    """Packets that the node sends, which come in by no link."""
    return ((SADDR, meet(space.local, space.all[SADDR])), (IIF, ((NO_LINK, NO_LINK),)))


def _others(values: Values, space: Space) -> Values:
    return meet(space.but(SADDR, values), space.all[SADDR])


def networks(texts: Iterable[str], space: Space) -> Values:
    """Several networks together; those of the other family are none."""
    return union(each for text in texts for each in space.network(text))


def sources(word: str, space: Space, pods: Sequence[str], here: Sequence[str] = ()) -> list[Source]:
    """Who sends, by `--from`; `here` are the networks of the node's own pods, if they are known."""
    came, sent = arriving(space), own(space)
    everyone = [Source("from anywhere", "PREROUTING", came), Source("by the node", "OUTPUT", sent)]
    if word == "any":
        return everyone
    if word == "node":
        return everyone[1:]
    if word in ("pods", "external"):
        mine = networks(pods, space)
        if not pods:
            text = "which addresses are pods'?"
            raise UsageError(text, hint="--pods 10.244.0.0/16: these rules do not say it")
        inside = word == "pods"
        mine = networks(here, space) if inside and here else mine
        values = meet(mine if inside else _others(mine, space), dict(came)[SADDR])
        said = "from pods" if inside else "from outside"
        return [Source(said, "PREROUTING", _with(came, SADDR, values))] if values else []
    return _of_network(word, space, came, sent)


def _of_network(word: str, space: Space, came: Box, sent: Box) -> list[Source]:
    values = _network(word, "--from", _SOURCES, space)
    found = []
    for entry, box in (("PREROUTING", came), ("OUTPUT", sent)):
        left = meet(values, dict(box)[SADDR])
        if left:
            said = f"from {word}" if entry == "PREROUTING" else f"by the node from {word}"
            found.append(Source(said, entry, _with(box, SADDR, left)))  # type: ignore[arg-type]
    return found


def _with(box: Box, field: int, values: Values) -> Box:
    return tuple((at, values if at == field else had) for at, had in box)


def _network(word: str, option: str, known: str, space: Space) -> Values:
    try:
        ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise UsageError(f"{option} {word} names nothing", hint=known) from None
    return space.network(word)


_TARGETS = "svc/NAME:PORT, a network such as 10.96.0.0/12, or IP:PORT[/udp]"


def target(word: str, space: Space, doors: Sequence[Door], namespace: str) -> Target:
    """What is sent to, by `--to`; nothing of a family that it does not have."""
    if match := _SERVICE.match(word):
        return _service(word, match[1], match[2] or "", space, doors, namespace)
    virtual = {door.address for door in doors if door.address}
    if match := _TO.match(word):
        address = match[1] or match[2]
        values = _network(address, "--to", _TARGETS, space)
        asked = _box(values, match[4] or "tcp", int(match[3]))
        translated = any(
            door.address in (address, "") and door.port == int(match[3]) for door in doors
        )
        return Target(word, (asked,) if values else (), is_service=translated)
    if word == "any":
        return Target(word, ((),))
    values = _network(word, "--to", _TARGETS, space)
    inside = (meet(values, space.network(one)) for one in virtual)
    return Target(word, (((DADDR, values),),) if values else (), is_service=any(inside))


def _box(addresses: Values, protocol: str, port: int) -> Box:
    number = PROTOCOLS[protocol]
    return ((DADDR, addresses), (DPORT, ((port, port),)), (PROTO, ((number, number),)))


def _service(
    word: str, name: str, port: str, space: Space, doors: Sequence[Door], namespace: str
) -> Target:
    key = name if "/" in name else f"{namespace}/{name}"
    mine = [door for door in doors if door.owner.partition(":")[0] == key]
    met = [
        door
        for door in mine
        if door.address and (not port or port in (str(door.port), door.owner.partition(":")[2]))
    ]
    boxes = {
        _box(values, door.protocol, door.port)
        for door in met
        if (values := space.network(door.address))
    }
    return Target(word, tuple(sorted(boxes)), is_service=True)


def missing(word: str, doors: Sequence[Door], namespace: str) -> UsageError:
    """That nothing is called so, with what comes near."""
    match = _SERVICE.match(word)
    if match is None:
        return UsageError(f"--to {word} names nothing in these families", hint=_TARGETS)
    key = match[1] if "/" in match[1] else f"{namespace}/{match[1]}"
    mine = {one for one in doors if one.owner.partition(":")[0] == key}
    if mine:
        ports = sorted({(one.port, one.protocol.upper()) for one in mine})
        known = ", ".join(f"{port}/{protocol}" for port, protocol in ports)
        if match[2] is None:
            return UsageError(f"Service {key} has no address here", hint=f"it has ports {known}")
        return UsageError(
            f"Service {key} has no port {match[2]}; it has {known}",
            hint=f"--to svc/{key}:{ports[0][0]}",
        )
    names = sorted({one.owner.partition(":")[0] for one in doors})
    some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    hint = f"these rules know: {some}" if names else "these rules know no Service"
    return UsageError(f"--to {word} names nothing", hint=hint)
