"""Classic BPF, written with names and labels: its jumps are relative and easily wrong. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Line = tuple[str, str, int | str, str, str]
"""(label, operation, operand, where to when true, where to when false).

"" is the next line; an operand that is a word is a value given by `filled`.
"""

Instruction = tuple[int, int, int, int]
"""`struct sock_filter`: the code, how far to jump when true, and when false, the operand."""

Template = tuple[tuple[int, int, int, int | str], ...]
"""Instructions whose operands are yet to be given."""

FORMAT = "HBBI"
"""An instruction as `struct` packs it."""

_CODES = {
    "load-word": 0x20,
    "load-half": 0x28,
    "load-byte": 0x30,
    "load-byte-after-header": 0x50,
    "load-half-after-header": 0x48,
    "load-header-length": 0xB1,
    "load-length": 0x80,
    "load-word-at-index": 0x40,
    "set": 0x00,
    "set-index": 0x01,
    "to-index": 0x07,
    "equal": 0x15,
    "at-least": 0x35,
    "any-bit": 0x45,
    "return": 0x06,
}

# What the kernel knows of a packet beside its bytes (SKF_AD_OFF + SKF_AD_…), as load-half takes it.
ETHERTYPE = 0xFFFFF000
VLAN_TAGGED = 0xFFFFF030
PACKET_KIND = 0xFFFFF004
"""As load-byte takes it: 0 for a packet to this machine."""
ATTRIBUTE = 0xFFFFF00C
"""Of a netlink message, as load-word takes it: where the attribute is whose kind is in the index,
sought from the place on that was set; 0 for none."""


def assembled(program: Sequence[Line]) -> Template:
    """The program with its labels resolved; `KeyError` for one that there is not."""
    labels = {label: place for place, (label, *_) in enumerate(program) if label}

    def distance(place: int, label: str) -> int:
        return labels[label] - place - 1 if label else 0

    return tuple(
        (_CODES[name], distance(place, yes), distance(place, no), operand)
        for place, (_, name, operand, yes, no) in enumerate(program)
    )


def filled(template: Template, values: Mapping[str, int]) -> tuple[Instruction, ...]:
    """The program with its values; `KeyError` for one that is not given."""
    return tuple(
        (code, yes, no, values[operand] if isinstance(operand, str) else operand)
        for code, yes, no, operand in template
    )
