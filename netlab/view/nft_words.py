"""A rule of nftables as one would say it, whoever wrote it. Pure."""

from __future__ import annotations

from netlab.objects.addresses import join_host_port
from netlab.simulation.nft_phrases import (
    EFFECTS,
    Chance,
    Elements,
    Idle,
    Match,
    Nat,
    NoTrack,
    Phrase,
    Remember,
    Selector,
    SetMark,
    Unknown,
    Verdict,
    VerdictMap,
)
from netlab.simulation.nft_rule import parse_rule
from netlab.view.rules import share_words


def words(text: str, to: str = "", verdict: str = "") -> str:
    """The rule; of one with a map, `to` is the chain, or `verdict` what it said."""
    conditions, actions = list[str](), list[str]()
    phrases = parse_rule(text)
    for at, phrase in enumerate(phrases, 1):
        if isinstance(phrase, Match):
            conditions.append(_condition(phrase))
        elif isinstance(phrase, Chance):
            conditions.append(f"in {share_words(phrase.likely)} of cases")
        elif isinstance(phrase, Unknown) and any(isinstance(one, EFFECTS) for one in phrases[at:]):
            conditions.append(phrase.text)
        elif isinstance(phrase, VerdictMap):
            conditions.append(_looked_up(phrase))
            actions.append(f"→ {to}" if to else verdict)
        elif not isinstance(phrase, Idle):
            actions.append(_action(phrase))
    said, done = " ".join(conditions), " and ".join(filter(None, actions))
    if not said or not done:
        return said or done or "count"
    return f"{said} {done}" if done.startswith("→") else f"{said}: {done}"


_FIELDS = {
    "saddr": "from", "daddr": "to", "l4proto": "", "protocol": "", "nexthdr": "",
    "iifname": "in by", "oifname": "out by", "iif": "in by", "oif": "out by", "nfproto": "",
    "state": "of a connection", "status": "of a connection with",
}  # fmt: skip
_TYPES = {
    "fib saddr type": "from an address of type", "fib daddr type": "to an address of type"
}  # fmt: skip
_WHOLE = {
    "ct state new": "new",
    "fib saddr type local": "from an address of this node",
    "fib daddr type local": "to an address of this node",
    "ct status dnat": "translated",
}


def _condition(phrase: Match) -> str:
    if phrase.selector.fields == ("tcp flags",):
        return phrase.text
    if phrase.text in _WHOLE:
        return _WHOLE[phrase.text]
    if phrase.elements.name.startswith("affinity-"):
        return "if this client was here before"
    if len(phrase.selector.fields) > 1:
        return f"{'not ' * phrase.negated}in {_elements(phrase.elements)}"
    field = phrase.selector.fields[0]
    name = _TYPES.get(field) or _FIELDS.get(field.split()[-1])
    if name is None:
        protocol = field.partition(" ")[0] if " " in field else ""
        kind = {"dport": "port", "sport": "source port"}.get(field.split()[-1])
        name = f"{protocol.replace('th', '')} {kind}" if kind else str(phrase.selector)
    parts = ("not" if phrase.negated else "", name.strip(), _elements(phrase.elements))
    return " ".join(filter(None, parts))


def _elements(elements: Elements) -> str:
    return elements.name or ", ".join(elements.own).replace('"', "")


def _looked_up(phrase: VerdictMap) -> str:
    if phrase.selector.draw:
        return f"one of {phrase.selector.draw} at random"
    return f"{_asked(phrase.selector)} in {phrase.elements.name or 'its map'}"


_PARTS = {"saddr": "source", "daddr": "address", "l4proto": "protocol", "dport": "port"}


def _asked(selector: Selector) -> str:
    """`address, protocol and port`."""
    names = [_PARTS.get(field.split()[-1], field) for field in selector.fields]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _action(phrase: Phrase) -> str:
    match phrase:
        case SetMark(operations=((("|" | "="), _),)):
            return "mark for masquerade"
        case SetMark(operations=(("^", _),)):
            return "take the mark off"
        case Nat():
            return _translation(phrase)
        case Remember():
            return "remember the client" if phrase.name.startswith("affinity-") else phrase.text
        case NoTrack():
            return "do not track"
        case Verdict():
            known = {"reject": "refuse", "return": "go back"}
            return f"→ {phrase.to}" if phrase.to else known.get(phrase.verdict, phrase.verdict)
        case Unknown():
            return phrase.text
    return phrase.text


def _translation(phrase: Nat) -> str:
    if phrase.kind == "masquerade":
        return "masquerade"
    to = _end(phrase.to)
    if phrase.selector is not None:
        ends = list(phrase.elements.own.values())
        draw = phrase.selector.draw
        to = _end(ends[0]) if len(ends) == 1 else f"one of {draw or len(ends)}"
        to += " at random" * (bool(draw) and len(ends) != 1)
    return f"send to {to} ({phrase.kind.upper()})" if phrase.kind == "dnat" else phrase.text


def _end(text: str) -> str:
    """`10.244.1.2 . 80` as `10.244.1.2:80`."""
    ip, dot, port = text.partition(" . ")
    return join_host_port(ip, int(port)) if dot else text
