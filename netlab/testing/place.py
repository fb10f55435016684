"""Who sends: a pod, a node, a client; what becomes of what it sends; and what a test says of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from netlab.cli.packets import reasons
from netlab.errors import NetlabError
from netlab.kernel import netns
from netlab.objects.pathcheck import NOWHERE, Expectation, PathCheck, Protocol, Spread
from netlab.pathcheck.calls import Caller, PlainText, Question, http_request
from netlab.pathcheck.check import run_checks
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.packets import ProbeNumbers
from netlab.pathcheck.result import CheckResult
from netlab.pathcheck.send import source_address
from netlab.pathcheck.trial import Trial, plan
from netlab.pathcheck.world import World
from netlab.testing import wanted
from netlab.testing.failure import failure
from netlab.testing.trace import Trace
from netlab.testing.wanted import Endpoints
from netlab.trace.resolving import resolved
from netlab.trace.session import Wish, traced

if TYPE_CHECKING:
    from netlab.testing.lab import Lab

_PAUSE = 0.05
_RUN_SECONDS = 30.0

Also = Callable[[CheckResult, World], str]
"""What else is wrong; "" for nothing."""


class Connection(Struct, frozen=True):
    """A real connection to `address`: what was `said` first, with the status `code` of HTTP (else
    0); `error` is why there was no answer, "" if there was one."""

    address: str
    code: int = 0
    said: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it was answered, and by HTTP without an error."""
        return not self.error and self.code < 400


class Place:
    """`word` is how `netlab trace` calls it: `pod/web-0`, `worker001`."""

    def __init__(self, lab: Lab, word: str, namespace: str = "default") -> None:
        self.lab = lab
        self.word = word
        self.namespace = namespace

    def __repr__(self) -> str:
        return self.word

    # -- what it does ---------------------------------------------------------------------

    def connect(self, target: str, *, http: str | None = "/", say: str | None = None) -> Connection:
        """Connect by TCP, from within, and ask for that path; or say something else."""
        question = http_request(http or "/") if say is None else PlainText(say)
        world = self.lab.world()
        trial, _ = resolved(plan(self._check(target, world), world), world)
        return _connection(trial, question)

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program of this machine in its network namespace."""
        world = self.lab.world()
        trial = plan(self._check("127.0.0.1:1", world), world)
        with netns.entered(_namespace(trial)):
            return subprocess.run(
                argv,
                check=check,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_RUN_SECONDS,
            )

    def trace(self, target: str, *, protocol: Protocol = "TCP") -> Trace:
        """Send one packet, and tell which rules sent it where, and why not elsewhere."""
        world = self.lab.world()
        return self._trace(self._check(target, world, protocol), world)

    # -- what a test says -----------------------------------------------------------------

    def assert_reaches(
        self,
        target: str,
        *,
        endpoints: Endpoints = None,
        protocol: Protocol = "TCP",
        within: float = 0.0,
    ) -> CheckResult:
        """It is answered: by those endpoints, if some are named. Each assertion has `within`: the
        seconds it may take until it holds."""
        __tracebackhide__ = True
        expect = Expectation(endpoints=wanted.endpoints(endpoints))
        return self._assert(f"{self} reaches {target}", target, expect, protocol, within)

    def assert_refused(
        self, target: str, *, protocol: Protocol = "TCP", within: float = 0.0
    ) -> CheckResult:
        """It is turned away, by a RST or an ICMP error."""
        __tracebackhide__ = True
        expect = Expectation("refused")
        return self._assert(f"{self} is refused by {target}", target, expect, protocol, within)

    def assert_unanswered(
        self, target: str, *, protocol: Protocol = "TCP", within: float = 0.0
    ) -> CheckResult:
        """Nothing comes back."""
        __tracebackhide__ = True
        expect = Expectation("timeout")
        sentence = f"{self} hears nothing from {target}"
        return self._assert(sentence, target, expect, protocol, within)

    def assert_spread(
        self,
        target: str,
        *,
        over: Endpoints = "all",
        tries: int = 60,
        at_least: int = 1,
        protocol: Protocol = "TCP",
        within: float = 0.0,
    ) -> CheckResult:
        """So many connections are shared out fairly, each endpoint has so many of them."""
        __tracebackhide__ = True
        expect = Expectation(endpoints=wanted.endpoints(over), spread=Spread(tries, at_least))
        sentence = f"what {self} sends to {target} is spread over {_listed(over)}"
        return self._assert(sentence, target, expect, protocol, within)

    def assert_source_preserved(
        self, target: str, *, protocol: Protocol = "TCP", within: float = 0.0
    ) -> CheckResult:
        """Whoever answers sees the sender's own address."""
        __tracebackhide__ = True
        expect = Expectation(source_seen="sender")
        sentence = f"{target} sees {self} by its own address"
        return self._assert(sentence, target, expect, protocol, within)

    def assert_path(
        self,
        target: str,
        *,
        through: Sequence[str] | None = None,
        dnat: str | None = None,
        masquerade: str | None = None,
        source: str | None = None,
        endpoints: Endpoints = None,
        protocol: Protocol = "TCP",
        within: float = 0.0,
    ) -> CheckResult:
        """It is answered and passes these nodes, in turn, and no others; NAT happens where it is
        said (a node, `"sender"`, `"announcer"`, `"none"`), and `source` is seen (`"sender"`,
        `"node:NAME"`, an address). What is not said does not matter."""
        __tracebackhide__ = True
        expect = Expectation(
            endpoints=wanted.endpoints(endpoints),
            dnat_at=dnat,
            masquerade_at=masquerade,
            source_seen=source,
        )
        also = None if through is None else partial(_elsewhere, tuple(through))
        way = " ".join(through or ()) or NOWHERE
        sentence = f"{self} reaches {target}" + (f" through {way}" if through is not None else "")
        return self._assert(sentence, target, expect, protocol, within, also)

    # -- how ------------------------------------------------------------------------------

    def _assert(
        self,
        sentence: str,
        target: str,
        expect: Expectation,
        protocol: Protocol,
        within: float,
        also: Also | None = None,
    ) -> CheckResult:
        __tracebackhide__ = True
        deadline = time.monotonic() + within
        while True:
            late = time.monotonic() >= deadline
            try:
                world = self.lab.world()
                check = self._check(target, world, protocol, expect)
                result, wrong = _tried(check, world, also)
            except NetlabError as error:  # what is named may be there later
                if late:
                    raise error.with_traceback(None) from None
            else:
                if not wrong:
                    return result
                if late:
                    break
            time.sleep(_PAUSE)
        if within:
            wrong = (*wrong, f"that has not come within {within:g} s")
        raise failure(sentence, wrong, self._traced(check, world), self.lab.kept())

    def _check(
        self,
        target: str,
        world: World,
        protocol: Protocol = "TCP",
        expect: Expectation | None = None,
    ) -> PathCheck:
        return wanted.check(
            self.word,
            target,
            world,
            namespace=self.namespace,
            protocol=protocol,
            expect=expect or Expectation(),
        )

    def _traced(self, check: PathCheck, world: World) -> Trace | NetlabError:
        try:
            return self._trace(check, world)
        except NetlabError as error:
            return error

    def _trace(self, check: PathCheck, world: World) -> Trace:
        lab = self.lab
        wish = Wish(files=tuple(str(path) for path in lab.files))
        story = traced(check, world, lab.spec, wish)
        if story.journey.outcome != "reachable":
            story = reasons.explained(story, world, lab.facts(), lab.spec, lab.directory)
        return Trace(story)


def _tried(
    check: PathCheck, world: World, also: Also | None
) -> tuple[CheckResult, tuple[str, ...]]:
    """A check's result, and what is wrong with it. `NetlabError` for one that could not run."""
    (result,) = run_checks([check], world)
    if result.status == "error":
        raise NetlabError("; ".join(result.reasons), hint=result.hint or None)
    more = also(result, world) if also is not None and result.passed else ""
    return result, (*result.reasons, *filter(None, [more]))


def _elsewhere(through: tuple[str, ...], result: CheckResult, world: World) -> str:
    assert result.journey is not None
    passed = wanted.nodes(result.journey, world)
    if passed == through:
        return ""
    return f"it passed {', '.join(passed) or 'no node'}: {result.path}"


def _connection(trial: Trial, question: Question) -> Connection:
    netns_, (address, port) = _namespace(trial), trial.targets[0]
    where = endpoint(address, port)
    source = source_address(netns_, address, port)
    if source is None:
        return Connection(where, error=f"{trial.place.name} has no route to {address}")
    with Caller(question) as caller:
        refused = caller.send(netns_, ProbeNumbers().probe("tcp", source, address, port))
        if refused:
            return Connection(where, error=refused.lower())
        got = caller.exchange()
    return Connection(where, got.code, got.said, got.error, got.seconds)


def _namespace(trial: Trial) -> Path | int:
    return trial.place.netns


def _listed(over: Endpoints) -> str:
    if over is None or over == "all":
        return "all endpoints"
    if isinstance(over, int):
        return f"{over} endpoints"
    return over if isinstance(over, str) else ", ".join(over)
