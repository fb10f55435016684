"""CoreDNS' `hosts` and `file`: names by files, which are read again as they change.

https://coredns.io/plugins/hosts/, https://coredns.io/plugins/file/
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from netlab.workload.inside import dnswire
from netlab.workload.inside.corefile import Directive, lacking, wrong
from netlab.workload.inside.dnsrewrite import within
from netlab.workload.inside.dnswire import Query, Record
from netlab.workload.inside.dnszonefile import Found, NoZone, ZoneFile
from netlab.workload.inside.dnszonefile import seconds as ttl_seconds

AskOn = Callable[[Query], bytes]
Texts = Callable[[str], str | None]
"""What a file of that path holds; None if there is none."""

_LOOK = 5.0
_RELOAD = 60.0
_TTL = 3600


def on_disk(path: str) -> str | None:
    """The file as it lies there."""
    try:
        return Path(path).read_text()
    except (OSError, ValueError):
        return None


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    return False


def through(directive: Directive) -> tuple[str, ...]:
    """The zones of its `fallthrough`."""
    for option in directive.below:
        if option.name == "fallthrough":
            return option.words[1:] or (".",)
    return ()


class _Looked:
    """When something was looked at, and that one does so at a time."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._at: float | None = None
        self._lock = threading.Lock()

    def is_due(self) -> bool:
        """Whether it is time, for the first who asks."""
        with self._lock:
            now = time.monotonic()
            if self._at is not None and (not self._every or now - self._at < self._every):
                return False
            self._at = now
            return True


# -- hosts -------------------------------------------------------------------------------------


class Hosts:
    """Whose addresses are whose, by lines and by a file; who has none of the names that it knows
    asks on, if it may."""

    def __init__(self, directive: Directive, zones: Sequence[str], texts: Texts = on_disk) -> None:
        words = directive.words[1:]
        self._path = words[0] if words else "/etc/hosts"
        self._zones = tuple(words[1:]) or tuple(zones)
        self._texts = texts
        self._lines = [option.words for option in directive.below]
        self._ttl = _ttl(directive)
        self._through = through(directive)
        self._points = all(option.name != "no_reverse" for option in directive.below)
        self._looked = _Looked(_LOOK)
        self._text: str | None = None
        self._addresses, self._names = self._records()
        self._read_again()

    def __call__(self, query: Query, ask_on: AskOn) -> bytes:
        """As CoreDNS does, which has no name for what has none: that is a failure."""
        self._read_again()
        if query.kind == dnswire.PTR and (found := self._names.get(query.name)):
            return dnswire.answer(query, dnswire.NOERROR, found)
        if query.kind == dnswire.PTR or not _is_in(query.name, self._zones):
            return ask_on(query)
        known = self._addresses.get(query.name)
        if known is None and _is_in(query.name, self._through):
            return ask_on(query)
        if known is None:
            return dnswire.answer(query, dnswire.SERVFAIL)
        found = [record for record in known if record.kind == query.kind]
        return dnswire.answer(query, dnswire.NOERROR, found)

    def _read_again(self) -> None:
        if self._looked.is_due() and (text := self._texts(self._path)) != self._text:
            self._text = text
            self._addresses, self._names = self._records()

    def _records(self) -> tuple[dict[str, list[Record]], dict[str, list[Record]]]:
        addresses, names = dict[str, list[Record]](), dict[str, list[Record]]()
        texts = (line.partition("#")[0] for line in (self._text or "").splitlines())
        lines = [*(tuple(text.split()) for text in texts), *self._lines]
        for ip, *called in (words for words in lines if words and is_address(words[0])):
            for word in called:
                name = f"{word.lower().rstrip('.')}."
                addresses.setdefault(name, []).append(dnswire.address(name, ip, self._ttl))
                if self._points:
                    back = f"{ipaddress.ip_address(ip).reverse_pointer}."
                    pointer = dnswire.pointing(back, dnswire.PTR, name, self._ttl)
                    names.setdefault(back, []).append(pointer)
        return addresses, names


def _ttl(directive: Directive) -> int:
    given = [option.words[1] for option in directive.below if option.words[0] == "ttl"]
    return int(given[0]) if given and given[0].isdigit() else _TTL


def _is_in(name: str, zones: Sequence[str]) -> bool:
    return any(within(name, zone) for zone in zones)


# -- file --------------------------------------------------------------------------------------


class File:
    """Zones by a zone file, as whoever has authority for them. A file that changes is taken once
    its SOA has another serial."""

    def __init__(
        self, directive: Directive, zones: Sequence[str], whole: AskOn, texts: Texts = on_disk
    ) -> None:
        words = directive.words[1:]
        if not words:
            text = "Wrong argument count or unexpected line ending after 'file'"
            raise wrong(directive, text)
        self._path, *given = words
        self._zones = [f"{zone.lower().strip('.')}." for zone in given or zones]
        self._whole, self._texts = whole, texts
        self._through = through(directive)
        self._looked = _Looked(_reload(directive))
        self._files: dict[str, ZoneFile] = {}
        try:
            self._read_again()
        except NoZone as error:
            raise wrong(directive, str(error)) from None

    def __call__(self, query: Query, ask_on: AskOn) -> bytes:
        """What the zone with the longest name says."""
        ours = [zone for zone in self._zones if within(query.name, zone)]
        if not ours:
            return ask_on(query)
        with contextlib.suppress(NoZone):  # it goes on by what it had
            self._read_again()
        if (file := self._files.get(max(ours, key=len))) is None:
            return dnswire.answer(query, dnswire.SERVFAIL)
        found = file.find(query.name, query.kind)
        if found.code == dnswire.NXDOMAIN and _is_in(query.name, self._through):
            return ask_on(query)
        return self._told(query, found)

    def _told(self, query: Query, found: Found) -> bytes:
        answers, code = found.answers, found.code
        if found.outside:
            other = dnswire.asking(query, found.outside, query.kind)
            said = dnswire.unpack(self._whole(other))
            answers, code = (*answers, *said.answers), said.code
        message = dnswire.answer(query, code, answers, found.authority, found.additional)
        refers = not answers and any(each.kind == dnswire.NS for each in found.authority)
        return dnswire.by_hearsay(message) if refers else message

    def _read_again(self) -> None:
        if not self._looked.is_due() or (text := self._texts(self._path)) is None:
            return
        for zone in self._zones:
            new = ZoneFile(text, zone, self._path)
            if zone not in self._files or self._files[zone].serial != new.serial:
                self._files[zone] = new


def _reload(directive: Directive) -> float:
    every = _RELOAD
    for option in directive.below:
        match option.words:
            case ["reload", word]:
                try:
                    every = float(ttl_seconds(word))
                except ValueError:
                    raise wrong(option, f'time: invalid duration "{word}"') from None
            case ["fallthrough" | "upstream", *_]:
                pass
            case _:
                raise lacking(option, f"netlab's stand-in has no '{option.name}' of file")
    return every
