"""The names of the lab's internet: a list, what the Lab says, what Services point to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from netlab.objects.addresses import is_address

_LIST = Path(__file__).with_name("internet.txt")


def well_known() -> list[str]:
    """The list: names that everybody's internet has."""
    text = _LIST.read_text()
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [name for line in lines for name in line]


def is_outside(target: str, domain: str) -> bool:
    """Whether an ExternalName points to a name that somebody on the internet could own."""
    name = target.rstrip(".").lower()
    return "." in name and not f".{name}".endswith((f".{domain}", ".svc")) and not is_address(name)


def internet_names(
    given: Mapping[str, Sequence[str]], targets: Iterable[str] = ()
) -> dict[str, list[str]]:
    """All the names of the internet with their addresses, [] being the internet's own.

    `given` are those of the Lab, `targets` those of ExternalName Services.
    """
    names: dict[str, list[str]] = {name: [] for name in (*well_known(), *targets)}
    names.update((name.rstrip(".").lower(), list(own)) for name, own in given.items())
    return names
