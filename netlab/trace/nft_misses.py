"""Why rules of nftables did not match: by which of their phrases. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.simulation.nft_match import Sets, nearest_key, selected, unmet
from netlab.simulation.nft_phrases import Chance, Match, Phrase, VerdictMap
from netlab.simulation.nft_rule import parse_rule
from netlab.simulation.packet import Packet
from netlab.trace.misses import Miss


def misses(rules: Sequence[str], packet: Packet, sets: Sets) -> Iterator[Miss]:
    """Those of a chain's rules, from its first, that this packet does not match."""
    for number, text in enumerate(rules, 1):
        found = unmet(parse_rule(text), packet, sets)
        if found is not None:
            reason, words = _said(found.phrase, packet, sets)
            yield Miss(number, text, found.phrase.text, reason, words, found.met)


def _said(phrase: Phrase, packet: Packet, sets: Sets) -> tuple[str, str]:
    """Its kind, alike for all rules that fail so, and its words for this packet."""
    if isinstance(phrase, Chance):
        return "the draw", f"the draw said no ({phrase.likely:.0%})"
    if not isinstance(phrase, Match | VerdictMap):
        return "nobody understands it", f"not understood: {phrase.text}"
    if phrase.selector.draw:
        return "the draw", "the draw said no"
    values = selected(phrase.selector, packet)
    field = phrase.selector.fields[0].split()[-1]
    concatenated = len(phrase.selector.fields) > 1
    reason, noun = ("no element", "") if concatenated else _NOUNS.get(field, (str(phrase), field))
    if values is None:
        return reason, f"a packet of {packet.protocol} has no {phrase.selector}"
    if phrase.elements.name.startswith("affinity-"):
        return "no affinity yet", "the client has not been sent there before"
    value = f"{noun} {' . '.join(values)}".strip()
    wanted = phrase.elements.name or ", ".join(phrase.elements.own)
    inside = "in " if phrase.elements.name or "/" in wanted or "," in wanted else ""
    negated = isinstance(phrase, Match) and phrase.negated
    words = f"{value} is {'' if negated else 'not '}{inside}{wanted}"
    near = nearest_key(phrase, packet, sets) if not negated else ""
    return reason, f"{words}, which has {near}" if near else words


_NOUNS = {
    "saddr": ("another source", "the source"),
    "daddr": ("another destination", ""),
    "l4proto": ("another protocol", ""),
    "protocol": ("another protocol", ""),
    "dport": ("another port", "port"),
    "sport": ("another source port", "source port"),
    "mark": ("the mark", "mark"),
    "state": ("the connection's state", "the connection"),
    "status": ("the connection's status", "the connection's status"),
    "type": ("the address's type", "the address"),
    "iifname": ("another interface", "the interface it came in by,"),
    "oifname": ("another interface", "the interface it leaves by,"),
}
