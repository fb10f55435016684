"""The kernel's own word on a packet: which rules of nf_tables it met, told by a trace.

A table of our own marks the packets that are to be traced, before any other rule sees them. It
belongs to the socket that made it (`NFT_TABLE_F_OWNER`): when that is closed, be it because its
process was killed, the kernel takes the table away. Nobody else's table is touched.

Numbers and layouts: linux/netfilter/nf_tables.h, nfnetlink.h.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import (
    NETLINK_ADD_MEMBERSHIP,
    NETLINK_NETFILTER,
    NLM_F_CREATE,
    SOL_NETLINK,
    NetlinkMessage,
    NetlinkSocket,
    received,
)
from netlab.kernel.nlattr import NESTED, packed, split, text
from netlab.kernel.receiving import make_room

TABLE = "netlab-trace-"
"""How the tables of who traces are called; behind it stands a number that nobody else has."""

_SUBSYSTEM = 10 << 8
_NEWTABLE, _NEWCHAIN, _NEWRULE, _GETRULE, _TRACE = 0, 3, 6, 7, 17
_INET = 1
_OWNER = 0x2
_HANDLE = 3
_GROUP_TRACE = 9
_PREROUTING, _OUTPUT = 0, 3
_FIRST = -2_000_000_000
"""A priority that is before every other's, connection tracking's and defragmentation's too."""

_NETWORK, _TRANSPORT = 1, 2
_REGISTER, _VERDICT_REGISTER = 1, 0
_JUMP = -3
_META_NFTRACE = 12
_BUFFER = 4 << 20

_VERDICTS = {0: "drop", 1: "accept", -1: "continue", -3: "jump", -4: "goto", -5: "return"}
_STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}
_KINDS = {1: "policy", 2: "return", 3: "rule"}


class Pattern(Struct, frozen=True):
    """Bytes that a packet has at an offset of its transport header, or of its network header: by
    these it is known. With a `mask`, those bits of them alone."""

    offset: int
    value: bytes
    in_network_header: bool = False
    mask: bytes = b""


Patterns = Sequence[Pattern | tuple[Pattern, ...]]
"""A packet is one of these; of several together it has all. What tells most packets apart is to
come first: it is asked for first, and once for all that begin with it."""


class TraceEvent(Struct, frozen=True):
    """One rule that a packet met, or a chain's policy, or its end.

    `id` is the packet's, for as long as nobody uses it again. `kind` is rule, return or policy;
    `verdict` accept, drop, continue, jump, goto, return or a number of the kernel's, `to` the chain
    that is jumped to. `header` and `transport` are the packet's bytes from its IP header and from
    the one behind, told once for each hook's chain; interfaces are numbers, 0 for none. `state` is
    its connection's, as `ct state` names it, where the kernel tells it.
    """

    id: int
    family: int
    table: str
    chain: str
    kind: str
    handle: int
    verdict: str
    to: str
    header: bytes
    transport: bytes
    iif: int
    oif: int
    mark: int
    state: str = ""


class Tracing:
    """Traces of the packets that have one of the patterns, in one namespace; a context manager."""

    def __init__(self, netns: Path | int, patterns: Patterns) -> None:
        self._netns = netns
        self._patterns = patterns
        self._stack = contextlib.ExitStack()
        self._events: socket.socket | None = None

    def __enter__(self) -> Tracing:
        with contextlib.ExitStack() as stack:
            self._events = stack.enter_context(_listener(self._netns))
            owner = stack.enter_context(NetlinkSocket(self._netns, protocol=NETLINK_NETFILTER))
            name = f"{TABLE}{secrets.token_hex(6)}"
            owner.transact(_SUBSYSTEM >> 8, list(_messages(name, self._patterns)))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def fileno(self) -> int:
        """To be waited on for events."""
        assert self._events is not None, "use it in a with statement"
        return self._events.fileno()

    def collect(self) -> list[TraceEvent]:
        """What has been told since the last time, in its order. `OSError` (ENOBUFS) if that was
        more than the socket could hold."""
        assert self._events is not None, "use it in a with statement"
        events: list[TraceEvent] = []
        while True:
            try:
                data = received(self._events)
            except BlockingIOError:
                return events
            events += _events(data)


def _listener(netns: Path | int) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with namespaces.entered(netns):
        listener = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
    listener.bind((0, 0))
    make_room(listener, _BUFFER)
    listener.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, _GROUP_TRACE)
    return listener


def _messages(name: str, patterns: Patterns) -> Iterator[NetlinkMessage]:
    table = packed(1, text(name))
    together = [one if isinstance(one, tuple) else (one,) for one in patterns]
    yield _message(_NEWTABLE, table + packed(2, _number(_OWNER)))
    chains, rules = _marks(table, "marks", together)
    yield from chains
    for chain, hook in (("prerouting", _PREROUTING), ("output", _OUTPUT)):
        place = packed(1, _number(hook)) + packed(2, struct.pack(">i", _FIRST))
        hooked = packed(4 | NESTED, place) + packed(7, text("filter"))
        yield _message(_NEWCHAIN, table + packed(3, text(chain)) + hooked)
        yield from (_rule(table, chain, expressions) for expressions in rules)


def _marks(
    table: bytes, name: str, patterns: Sequence[tuple[Pattern, ...]]
) -> tuple[list[NetlinkMessage], list[list[bytes]]]:
    """The rules that set the trace bit of what has one of these, and the chains that they jump to.
    Those that begin with the same are behind one question: each packet of the machine is asked, so
    one that is none of them is to be asked few."""
    rests: dict[Pattern, list[tuple[Pattern, ...]]] = {}
    for first, *rest in patterns:
        rests.setdefault(first, []).append(tuple(rest))
    chains: list[NetlinkMessage] = []
    rules: list[list[bytes]] = []
    for number, (first, behind) in enumerate(rests.items()):
        if len(behind) == 1 or () in behind:
            alone = behind[0] if len(behind) == 1 else ()
            rules.append([*_matches((first, *alone)), *_marking()])
            continue
        chain = f"{name}-{number}"
        below, inside = _marks(table, chain, behind)
        chains += [*below, _message(_NEWCHAIN, table + packed(3, text(chain)))]
        chains += [_rule(table, chain, expressions) for expressions in inside]
        rules.append([*_matches([first]), *_jump(chain)])
    return chains, rules


def _rule(table: bytes, chain: str, expressions: Iterable[bytes]) -> NetlinkMessage:
    listed = b"".join(packed(1 | NESTED, each) for each in expressions)
    return _message(_NEWRULE, table + packed(2, text(chain)) + packed(4 | NESTED, listed))


def _message(kind: int, attributes: bytes) -> NetlinkMessage:
    head = struct.pack(">BBH", _INET, 0, 0)
    return NetlinkMessage("trace packets", _SUBSYSTEM | kind, NLM_F_CREATE, head + attributes)


def _matches(patterns: Sequence[Pattern]) -> Iterator[bytes]:
    """Load those bytes, compare them."""
    register = _number(_REGISTER)
    for pattern in patterns:
        header = _NETWORK if pattern.in_network_header else _TRANSPORT
        place = packed(2, _number(header)) + packed(3, _number(pattern.offset))
        length = packed(4, _number(len(pattern.value)))
        yield _expression("payload", packed(1, register) + place + length)
        if pattern.mask:
            yield _expression("bitwise", packed(1, register) + packed(2, register) + _bits(pattern))
        equal = packed(1, register) + packed(2, _number(0))
        yield _expression("cmp", equal + packed(3 | NESTED, packed(1, pattern.value)))


def _bits(pattern: Pattern) -> bytes:
    """Those of the mask, none turned over."""
    mask, none = pattern.mask, bytes(len(pattern.mask))
    length = packed(3, _number(len(mask)))
    return length + packed(4 | NESTED, packed(1, mask)) + packed(5 | NESTED, packed(1, none))


def _marking() -> Iterator[bytes]:
    """Set the packet's trace bit."""
    register = _number(_REGISTER)
    yield _expression("immediate", packed(1, register) + packed(2 | NESTED, packed(1, b"\1\0\0\0")))
    yield _expression("meta", packed(2, _number(_META_NFTRACE)) + packed(3, register))


def _jump(chain: str) -> Iterator[bytes]:
    verdict = packed(1, struct.pack(">i", _JUMP)) + packed(2, text(chain))
    data = packed(2 | NESTED, packed(2 | NESTED, verdict))
    yield _expression("immediate", packed(1, _number(_VERDICT_REGISTER)) + data)


def _expression(name: str, data: bytes) -> bytes:
    return packed(1, text(name)) + packed(2 | NESTED, data)


def _number(value: int) -> bytes:
    """nf_tables' numbers are in network order."""
    return struct.pack(">I", value)


def _events(data: bytes) -> Iterator[TraceEvent]:
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if kind == _SUBSYSTEM | _TRACE:
            yield _event(data[offset + 16], dict(split(data[offset + 20 : offset + length])))
        offset += (length + 3) & ~3


def _event(family: int, found: dict[int, bytes]) -> TraceEvent:
    verdict = dict(split(found.get(5) or found.get(16) or b"")) if 5 in found else {}
    code = _read(verdict.get(1), ">i", 1)
    if 16 in found:
        code = _read(found[16], ">i", 1)
    return TraceEvent(
        id=_read(found.get(6), ">I"),
        family=family,
        table=_text(found.get(1)),
        chain=_text(found.get(2)),
        kind=_KINDS.get(_read(found.get(4), ">I"), ""),
        handle=_read(found.get(3), ">Q"),
        verdict=_VERDICTS.get(code, str(code)),
        to=_text(verdict.get(2)),
        header=found.get(8, b""),
        transport=found.get(9, b""),
        iif=_read(found.get(10), ">I"),
        oif=_read(found.get(12), ">I"),
        mark=_read(found.get(14), ">I"),
        state=_STATES.get(_read(found.get(21), ">I"), ""),
    )


def _read(data: bytes | None, how: str, default: int = 0) -> int:
    return int(struct.unpack(how, data)[0]) if data else default


def _text(data: bytes | None) -> str:
    return (data or b"").rstrip(b"\0").decode()


def rule_handles(netns: Path | int, family: int, table: str, chain: str) -> list[int]:
    """The handles of a chain's rules, in their order; none if there is no such chain."""
    with NetlinkSocket(netns, protocol=NETLINK_NETFILTER) as asking:
        body = struct.pack(">BBH", family, 0, 0) + packed(1, text(table)) + packed(2, text(chain))
        try:
            replies = asking.dump(_SUBSYSTEM | _GETRULE, body)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return []
            raise
    return [_handle(reply.data) for reply in replies]


def _handle(message: bytes) -> int:
    """It comes before a rule's expressions, of which there is no need to read any."""
    return next((_read(data, ">Q") for kind, data in split(message[20:]) if kind == _HANDLE), 0)


def interface_names(netns: Path | int) -> dict[int, str]:
    """The namespace's interfaces by number."""
    with namespaces.entered(netns):
        return dict(socket.if_nameindex())
