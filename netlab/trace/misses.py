"""Why the other rules of a chain did not match: by which of their conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from netlab.proxy.iptables.rule import Condition, parse_rule
from netlab.simulation.match import for_one, is_for_another, unmet
from netlab.simulation.packet import Packet


class Miss(Struct, frozen=True):
    """A rule that did not match, the condition that failed, in words too, and how many held;
    `held` says which, of those that tell something: `right address`."""

    number: int
    text: str
    condition: str
    reason: str
    words: str
    met: int
    held: str = ""

    @property
    def said(self) -> str:
        """`right address, port 80 is not 8080`."""
        return f"{self.held}, {self.words}" if self.held else self.words


def misses(rules: Sequence[str], packet: Packet) -> Iterator[Miss]:
    """Those of a chain's rules, from its first, that this packet does not match."""
    for number, (text, one) in enumerate(zip(rules, for_one(tuple(rules)), strict=True), 1):
        if is_for_another(one, packet):  # nearly all, where there are many
            yield _of_another(number, text, packet)
            continue
        found = unmet(parse_rule(text).conditions, packet)
        if found is not None:
            reason, words = _said(found.condition, packet)
            held = _held(parse_rule(text).conditions, found.condition)
            yield Miss(number, text, str(found.condition), reason, words, found.met, held)


def _of_another(number: int, text: str, packet: Packet) -> Miss:
    """As `_said` has it of `-d`."""
    network = text[: text.index(" ", len("-d "))]
    address = network[len("-d ") : network.index("/")]
    said = f"{packet.destination} is not {address}"
    return Miss(number, text, network, "another destination", said, 0)


_TELLING = {"-d": "right address", "-s": "right source", "-i": "right interface"}


def _held(conditions: Sequence[Condition], failed: Condition) -> str:
    """Of the conditions before the one that failed."""
    before = conditions[: list(conditions).index(failed)]
    held = (_TELLING.get(one.option) for one in before if not one.negated)
    return ", ".join(filter(None, held))


def nearest(found: Sequence[Miss]) -> Miss | None:
    """The one that lacked least: of those that had met something, the first with the most."""
    best = max(found, key=lambda miss: (miss.met, -miss.number), default=None)
    return best if best is not None and best.met else None


def _said(condition: Condition, packet: Packet) -> tuple[str, str]:
    """Its kind, alike for all rules that fail so, and its words for this one."""
    value = condition.values[0] if condition.values else ""
    plain = value.removesuffix("/32").removesuffix("/128")
    negated = condition.negated
    match condition.option:
        case "-d":
            said = f"{packet.destination} is not {_inside(value)}{plain}"
            kept = f"the destination {packet.destination} is inside {value}"
            return ("another destination", said) if not negated else ("the destination", kept)
        case "-s":
            said = f"the source {packet.source} is not {_inside(value)}{plain}"
            kept = f"the source {packet.source} is inside {value}"
            return ("another source", said) if not negated else ("the source", kept)
        case "-p":
            return "another protocol", f"{packet.protocol} is not {value}"
        case "--dport" | "--dports":
            return "another port", f"port {packet.dport} is not {value}"
        case "--sport" | "--sports":
            return "another source port", f"source port {packet.sport} is not {value}"
        case "--mark":
            return "the mark", f"mark {packet.mark:#x} is {'' if negated else 'not '}{value}"
        case "--ctstate" | "--state":
            return (
                "the connection's state",
                f"it is {packet.ctstate}",
            )
        case "--probability":
            return "the draw", f"the draw said no ({_odds(value)})"
        case "--dst-type" | "--src-type":
            return "the address's type", f"{packet.destination} is no address of type {value}"
        case "-i" | "-o":
            way, name = "in", packet.in_interface
            if condition.option == "-o":
                way, name = "out", packet.out_interface
            return "another interface", f"it passes {way} by {name or 'none'}, not by {value}"
        case "--rcheck" | "--update":
            return "no affinity yet", "the client has not been sent there before"
    return condition.option, f"not {condition}"


def _odds(value: str) -> str:
    try:
        return f"{float(value):.0%}"
    except ValueError:  # words that no iptables would have taken
        return value


def _inside(network: str) -> str:
    return "inside " if "/" in network and not network.endswith(("/32", "/128")) else ""
