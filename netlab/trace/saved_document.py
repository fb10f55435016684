"""What `document` writes of a trace, as records by which it is read again. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from netlab.diagnosis.facts import Cause
from netlab.pathcheck.path import Hop, Outcome, Rewrite
from netlab.pathcheck.protocols import ProtocolName
from netlab.proxy.config import ModeName
from netlab.trace.agreement import Step
from netlab.trace.doors import Door
from netlab.trace.mattered import Mattered
from netlab.trace.origins import Origin
from netlab.trace.predicted import Verdict, Which
from netlab.trace.saved_way import AtRule, Marking, Tracking
from netlab.trace.story import Untold
from netlab.trace.way import Decision, WayBack
from netlab.trace.whynot import Turn

_Time = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class SavedHead(Struct):
    """What is looked at first."""

    version: int
    outcome: str = ""


class SavedEnds(Struct):
    """The packet as it was sent."""

    protocol: ProtocolName
    source: str
    destination: str


class SavedRule(Struct):
    """A rule that it met."""

    number: int
    rule: str
    verdict: str
    to: str
    handle: int = 0
    origin: Origin | None = None
    line: str = ""


class SavedDraw(Struct, rename="camel"):
    """Where chance had a part."""

    among: int
    fell_on: int
    odds: str


class SavedMissed(Struct):
    """A rule that it did not match."""

    number: int
    rule: str
    condition: str
    reason: str
    words: str
    held: int = 0
    line: str = ""


class SavedChain(Struct):
    """A chain that it came through."""

    place: str
    table: str
    chain: str
    size: int
    matters: bool
    met: list[SavedRule]
    missed: list[SavedMissed]
    draw: SavedDraw | None = None


class SavedEnd(Struct):
    """One that its rules leave open."""

    verdict: Verdict
    share: float
    at: str
    source: str
    destination: str
    unknown: tuple[str, ...]


class SavedParting(Struct, frozen=True):
    """The rules that each met from where they part."""

    kernel: tuple[Step, ...] = ()
    simulator: tuple[Step, ...] = ()


class SavedPacket(Struct):
    """A captured copy."""

    place: str
    ifname: str
    outgoing: bool
    time: _Time
    data: str


class SavedAsked(Struct):
    """A question to DNS."""

    name: str
    type: Literal["A", "AAAA"]
    server: str
    service: str
    answer: str
    addresses: tuple[str, ...]
    aliases: tuple[str, ...]
    servers: tuple[str, ...]
    milliseconds: float


class SavedLookUp(Struct):
    """What was asked for a name."""

    name: str
    searches: tuple[str, ...]
    questions: list[SavedAsked]
    addresses: tuple[str, ...]
    owner: str
    error: str
    hint: str


class SavedCount(Struct):
    """Where some of many packets went."""

    verdict: Verdict
    at: str
    destination: str
    packets: int
    foreseen: float | None
    far: bool


class SavedCall(Struct, rename="camel"):
    """A real connection."""

    status: str
    code: int
    said: str
    bytes: int
    location: str
    connect_milliseconds: float
    milliseconds: float
    error: str
    http: str | None = None
    host: str = ""
    payload: str = ""


class SavedBehind(Struct, rename="camel"):
    """What is behind an Ingress's controller."""

    controller: str
    rule: Door | None
    passed: list[SavedPassed]
    served_by: str
    problem: str
    trace: SavedTrace | None


class SavedPassed(Struct):
    """A connection that the controller made."""

    source: str
    destination: str


class SavedTrace(Struct, rename="camel"):
    """The document, of which `netlab help tracing` tells the fields."""

    outcome: Outcome
    note: str
    sender: str = field(name="from")
    name: str
    packet: SavedEnds
    delivered_to: str | None
    delivered_as: str | None
    source_seen: str | None
    hops: tuple[Hop, ...]
    chains: list[SavedChain]
    dnat: tuple[Rewrite, ...]
    masquerade: tuple[Rewrite, ...]
    ends: list[SavedEnd]
    mode: ModeName
    told_by: Literal["kernel", "simulator"]
    difference: str
    causes: tuple[Cause, ...]
    steps: int = 0
    open: tuple[str, ...] = ()
    parted: SavedParting = SavedParting()
    ct: Which = "new"
    routes: list[Decision] = []
    conntrack: list[Tracking] = []
    drop_reason: str = ""
    reply: WayBack | None = None
    marks: list[Marking] = []
    masqueraded_for: list[AtRule] = []
    mattered: Mattered | None = None
    why_not: tuple[Turn, ...] | None = None
    packets: list[SavedPacket] = []
    dry: bool = False
    files: tuple[str, ...] = ()
    untold: tuple[Untold, ...] = ()
    unsaved: tuple[str, ...] = ()
    lookup: SavedLookUp | None = None
    counts: list[SavedCount] | None = None
    entered: str = ""
    call: SavedCall | None = None
    ingress: SavedBehind | None = None
