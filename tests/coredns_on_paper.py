"""CoreDNS' stand-in without a socket: a Corefile, questions, and what is answered."""

from __future__ import annotations

from netlab.workload.inside import dnswire, dnszones
from netlab.workload.inside.dnsrewrite import within
from netlab.workload.inside.dnswire import KINDS, Message, Query


def query(name: str, kind: str = "A", *, edns: bool = False) -> Query:
    head = b"\1\2\1\0\0\1\0\0\0\0" + (b"\0\1" if edns else b"\0\0")
    question = dnswire.written(name) + KINDS[kind].to_bytes(2, "big") + b"\0\1"
    option = b"\0\0\x29\x10\0\0\0\0\0\0\0" if edns else b""
    return dnswire.read(head + question + option, ("10.244.0.9", 4242))


class Server:
    """Answers by a Corefile, as the program does for one port."""

    def __init__(self, text: str) -> None:
        self.reading = dnszones.read(text, 53, self.whole, lambda: "counted\n")

    def whole(self, asked: Query) -> bytes:
        for zone in self.reading.zones:
            if within(asked.name, zone.name):
                return zone.ask(asked)
        return dnswire.answer(asked, dnswire.REFUSED)

    def ask(self, name: str, kind: str = "A") -> Message:
        return dnswire.unpack(self.whole(query(name, kind)))


def told(message: Message) -> tuple[str, list[str]]:
    """The code, and each answer as `name type data`."""
    return dnswire.RCODES[message.code], [shown(record) for record in message.answers]


def shown(record: dnswire.Record) -> str:
    kind = dnswire.TYPES[record.kind]
    if (target := dnswire.target_of(record)) is not None:
        data = target
        if record.kind == dnswire.SRV:
            data = f"{int.from_bytes(record.data[4:6], 'big')} {target}"
    elif record.kind == dnswire.TXT:
        data = record.data[1:].decode()
    else:
        data = ".".join(map(str, record.data))
    return f"{record.name.lower()} {kind} {data}"
