"""`rewrite`, `template`, `hosts` and `file` of the cluster's Corefile, before its dnsmasqs. Pure.

They are CoreDNS' stand-in's own, which ask on and wait. Here nobody may wait: a query goes through
them until it is to be asked on, and with the reply once more, to the end. They do the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from netlab.dns import terms
from netlab.workload.inside import dnsfiles, dnsplugins, dnsrewrite, dnswire
from netlab.workload.inside.corefile import Directive
from netlab.workload.inside.dnsplugins import AskOn, Plugin
from netlab.workload.inside.dnsrewrite import within
from netlab.workload.inside.dnswire import Query

Texts = dnsfiles.Texts


class Asking(Struct, frozen=True):
    """What is to be asked in a query's place, and what is told of the reply. Other `servers` than
    the name's own are to be asked where it was rewritten in another zone's block."""

    packet: bytes
    finish: Callable[[bytes], bytes]
    servers: tuple[tuple[str, int], ...] = ()


class _AskedOn(Exception):
    """What the last of the plugins would have known."""

    def __init__(self, query: Query) -> None:
        super().__init__(query.name)
        self.query = query


class Plugins:
    """Those of all server blocks; `told` is `forwarding.to_json` of them."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._domain = str(told["domain"])
        self._on: AskOn = _raise
        files: Mapping[str, str] = told["files"]
        rows = [
            (zone, _block(block, self._made(block, files.get)))
            for block in told["blocks"]
            for zone in block["zones"]
        ]
        self._zones = sorted(told["zones"], key=lambda zone: -len(zone.strip(".")))
        self._blocks = sorted(rows, key=lambda row: -len(row[0].strip(".")))

    def _made(self, block: Mapping[str, Any], texts: Texts) -> list[Plugin]:
        directives = [terms.directive(*each) for each in block["directives"]]
        made = plugins_of(directives, block["zones"], lambda query: self._on(query), texts)
        return [self._behind_kubernetes(each) for each in made]

    def _behind_kubernetes(self, plugin: Plugin) -> Plugin:
        """`file` is asked for no name of the cluster: kubernetes is before it, and has them all."""
        if not isinstance(plugin, dnsfiles.File):
            return plugin

        def behind(query: Query, ask_on: AskOn) -> bytes:
            return ask_on(query) if within(query.name, self._domain) else plugin(query, ask_on)

        return behind

    def begin(self, packet: bytes, *, stream: bool) -> Asking | bytes | None:
        """What a client is told, or what is to be asked; None for what is none of ours, and is
        asked as it is."""
        try:
            query = dnswire.read(packet, stream=stream)
        except (ValueError, IndexError):
            return None
        block = self._of(query.name)
        if block is None:
            return None
        try:
            return self._through(block, query, _raise)
        except _AskedOn as asked:
            message = asked.query.message
            servers = self._other_servers(block, asked.query.name)
            finish = partial(self._finish, block, query)
            return Asking(message, finish, servers)

    def _of(self, name: str) -> Block | None:
        return next((block for zone, block in self._blocks if within(name, zone)), None)

    def _other_servers(self, block: Block, name: str) -> tuple[tuple[str, int], ...]:
        """Whom the dnsmasqs would not ask for a name, and the block does."""
        zone = next((zone for zone in self._zones if within(name, zone)), "")
        own = zone in block.homes or within(name, self._domain)
        return () if own else block.servers

    def _finish(self, block: Block, query: Query, reply: bytes) -> bytes:
        return self._through(block, query, lambda _: reply)

    def _through(self, block: Block, query: Query, on: AskOn) -> bytes:
        self._on = on

        def last(asked: Query) -> bytes:
            if block.asks or within(asked.name, self._domain):
                return on(asked)
            return dnswire.answer(asked, dnswire.SERVFAIL)

        try:
            said = dnsplugins.chain(block.plugins, last)(query)
        except ValueError:  # a name that is too long, say, after it was rewritten
            said = dnswire.answer(query, dnswire.SERVFAIL)
        return said if query.stream else dnswire.fitting(query, said)


class Block(Struct, frozen=True):
    """The plugins of a server block, whether somebody is asked beyond them, and who, unless that is
    whose one of its `homes` is."""

    homes: tuple[str, ...]
    plugins: Sequence[Plugin]
    asks: bool
    servers: tuple[tuple[str, int], ...]


def _block(told: Mapping[str, Any], plugins: Sequence[Plugin]) -> Block:
    servers = (word.partition("#") for word in told["servers"])
    places = tuple((address, int(port or 53)) for address, _, port in servers)
    return Block(tuple(told["homes"]), plugins, bool(told["asks"]), places)


def _raise(query: Query) -> bytes:
    raise _AskedOn(query)


def plugins_of(
    directives: Sequence[Directive], zones: Sequence[str], whole: AskOn, texts: Texts
) -> list[Plugin]:
    """Those that some directives ask for, in CoreDNS' order; `Malformed`."""
    named = {name: [each for each in directives if each.name == name] for name in NAMES}
    rules = [dnsrewrite.rule(each) for each in named["rewrite"]]
    made: list[Plugin] = [dnsrewrite.Rewrite(rules)] if rules else []
    made += [dnsrewrite.template(each, zones).__call__ for each in named["template"]]
    made += [dnsfiles.Hosts(each, zones, texts) for each in named["hosts"][:1]]
    made += [dnsfiles.File(each, zones, whole, texts) for each in named["file"]]
    return made


NAMES = ("rewrite", "template", "hosts", "file")
"""Which there are."""
