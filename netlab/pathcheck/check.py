"""`netlab check`: all checks together, under one set of captures.

plan → captures open → canaries seen → names looked up → a first probe each → the other tries
and a real connection → verdicts

Captures are open where packets are to pass; a check with one that went elsewhere is run again,
with captures everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct, field

from netlab.errors import NetlabError
from netlab.objects.pathcheck import PathCheck
from netlab.pathcheck.capture import Capture, InstrumentError
from netlab.pathcheck.packets import ProbeNumbers, ProbePacket
from netlab.pathcheck.path import Journey, Sightings, journey
from netlab.pathcheck.resolve import look_up
from netlab.pathcheck.result import CheckResult, Status
from netlab.pathcheck.send import Senders, Talk, source_address, talk
from netlab.pathcheck.trial import NothingToAddress, Trial, plan
from netlab.pathcheck.verdict import counts, judge, shortfall
from netlab.pathcheck.watched import astray, filters, near
from netlab.pathcheck.world import World

_SILENCE_SECONDS = 0.5
_TALK_SECONDS = 1.0
_BATCH = 32


class _Run(Struct):
    """A check on its way to its result."""

    check: PathCheck
    trial: Trial | None = None
    probes: list[ProbePacket] = field(default_factory=list)
    journeys: list[Journey] = field(default_factory=list)
    talk: Future[Talk] | None = None
    name_found: str = ""
    problem: str = ""
    error: NetlabError | None = None
    astray: bool = False
    seconds: float = 0.0
    """From its packets, and its question for a name, to its answers. Checks run side by side, and
    none has the time in which others are waited for."""
    _since: float = 0.0
    _before: float = 0.0

    @property
    def open(self) -> bool:
        """True while it is neither failed for lack of an address nor impossible."""
        return self.trial is not None and not self.problem and self.error is None

    def ask(self) -> None:
        """Something is asked for it from now on."""
        self._since, self._before = time.monotonic(), self.seconds

    def know(self) -> None:
        """Something of what was asked for has come, or did not come in its time."""
        self.seconds = self._before + time.monotonic() - self._since


def run_checks(checks: Sequence[PathCheck], world: World) -> list[CheckResult]:
    """Prove or refute checks, all at once; results in their order.

    Nothing is raised for a check that cannot run or instruments that do not work: its result has
    the status "error" then.
    """
    runs = [_planned(check, world) for check in checks]
    _observe(runs, world, near((run.trial for run in runs if run.trial is not None), world))
    astray = {place: run for place, run in enumerate(runs) if run.astray}
    again = {place: _planned(run.check, world.whole) for place, run in astray.items()}
    if again:
        _observe([*again.values()], world.whole, frozenset(world.whole.places))
    return [_result(again.get(place, run), world) for place, run in enumerate(runs)]


def _observe(runs: Sequence[_Run], world: World, watched: frozenset[str]) -> None:
    """Run what can be, under captures in these places."""
    able = [run for run in runs if run.open]
    if not able:
        return
    places = {name: world.places[name].netns for name in watched}
    try:
        with (
            Capture(places, at=filters(map(_trial, able), watched)) as capture,
            Senders() as senders,
            ThreadPoolExecutor(max_workers=16) as threads,
        ):
            capture.prove()
            _Session(world, capture, senders, threads, watched).run(able)
            capture.require_complete()
    except (NetlabError, OSError) as error:
        _spoil(runs, error)


def _planned(check: PathCheck, world: World) -> _Run:
    try:
        return _Run(check, plan(check, world))
    except NothingToAddress as error:
        return _Run(check, problem=error.message)
    except NetlabError as error:
        return _Run(check, error=error)


def _spoil(runs: Sequence[_Run], error: Exception) -> None:
    """No verdict is to be trusted once the instruments failed."""
    cause = error if isinstance(error, NetlabError) else InstrumentError(str(error))
    for run in runs:
        run.error = run.error or cause


class _Session:
    """One round of checks under open captures."""

    def __init__(
        self,
        world: World,
        capture: Capture,
        senders: Senders,
        threads: ThreadPoolExecutor,
        watched: frozenset[str],
    ) -> None:
        self._world = world
        self._watched = watched
        self._capture = capture
        self._senders = senders
        self._threads = threads
        self._numbers = ProbeNumbers()
        self._sightings = Sightings()
        self._addresses = {name: world.places[name].local for name in watched}
        self._sources: dict[tuple[Path | int, str, int], str | None] = {}

    def run(self, runs: list[_Run]) -> None:
        """Send, watch and look again until nothing more can be learnt."""
        self._look_up(runs)
        # The first probe teaches ARP on the way, and shows whether more would be of use.
        self._try({id(run): 1 for run in runs if run.open}, runs)
        for run in runs:
            self._talk(run)
        self._try({id(run): _more(run, first=True) for run in runs if run.open}, runs)
        self._try({id(run): _more(run, first=False) for run in runs if run.open}, runs)
        for run in runs:
            if run.talk is not None:
                run.talk.result()

    def _look_up(self, runs: list[_Run]) -> None:
        list(self._threads.map(self._look_up_one, [run for run in runs if _trial(run).name]))

    def _look_up_one(self, run: _Run) -> None:
        run.ask()
        self._resolve(run)
        run.know()

    def _resolve(self, run: _Run) -> None:
        trial = _trial(run)
        found = look_up(trial, self._world.domain)
        known = {address for address, _ in trial.targets if address}
        if found.error:
            run.problem = found.error
        elif known and set(found.addresses) != known:
            run.problem = (
                f"{found.name} resolves to {', '.join(sorted(found.addresses))}, "
                f"but the Service has {', '.join(sorted(known))}"
            )
        else:
            run.trial = trial.resolved(found.addresses)
            run.name_found = found.name

    def _talk(self, run: _Run) -> None:
        """Besides the probes, a connection that carries data: does the endpoint answer it?"""
        if not run.open or run.check.expect.outcome != "reachable" or not _all_reachable(run):
            return
        trial = _trial(run)
        if trial.protocol.connects:
            address, port = trial.targets[0]
            run.ask()
            run.talk = self._threads.submit(talk, trial.place.netns, address, port, _TALK_SECONDS)
            run.talk.add_done_callback(lambda _: run.know())

    def _try(self, wanted: dict[int, int], runs: list[_Run]) -> None:
        """Send so many more probes for each run, in turn, and wait for what comes of them."""
        sent: list[tuple[_Run, ProbePacket]] = []
        for round_ in range(max(wanted.values(), default=0)):
            for run in runs:
                if run.open and round_ < wanted.get(id(run), 0):
                    if round_ == 0:
                        run.ask()
                    self._send(run, sent)
                    if len(sent) % _BATCH == 0:
                        self._sightings.add(self._capture.collect(0))
        self._wait(sent)
        for run, probe in sent:
            place = _trial(run).place.name
            found = journey(probe, place, self._sightings, self._addresses)
            run.journeys.append(found)
            run.astray |= astray(found, run.check.expect.outcome, self._watched, self._world)

    def _send(self, run: _Run, sent: list[tuple[_Run, ProbePacket]]) -> None:
        trial = _trial(run)
        address, port = trial.targets[len(run.probes) % len(trial.targets)]
        source = self._source(trial.place.netns, address, port)
        if source is None:
            run.problem = f"{trial.place.name} has no route to {address}"
            return
        probe = self._numbers.probe(trial.protocol.name, source, address, port)
        refusal = self._senders.send(trial.place.netns, probe)
        if refusal:
            run.problem = f"{trial.place.name} cannot send to {address}: {refusal}"
            return
        run.probes.append(probe)
        sent.append((run, probe))

    def _source(self, netns: Path | int, address: str, port: int) -> str | None:
        """The kernel is asked once: a run is over in a moment."""
        key = (netns, address, port)
        if key not in self._sources:
            self._sources[key] = source_address(*key)
        return self._sources[key]

    def _wait(self, sent: list[tuple[_Run, ProbePacket]]) -> None:
        """Collect until every probe is answered or its time is over."""
        start = time.monotonic()
        waiting = [(start + _patience(run), run, probe) for run, probe in sent]
        while waiting:
            now = time.monotonic()
            left = []
            for each in waiting:
                deadline, run, probe = each
                place = _trial(run).place.name
                if deadline <= now or self._sightings.answer(probe, place) is not None:
                    run.know()
                else:
                    left.append(each)
            waiting = left
            if waiting:
                latest = max(deadline for deadline, _, _ in waiting)
                self._sightings.add(self._capture.collect(latest - now))
        self._sightings.add(self._capture.collect(0))


def _trial(run: _Run) -> Trial:
    assert run.trial is not None
    return run.trial


def _patience(run: _Run) -> float:
    if run.check.expect.outcome == "timeout":
        return _SILENCE_SECONDS
    return _trial(run).protocol.seconds


def _all_reachable(run: _Run) -> bool:
    return all(each.outcome == "reachable" for each in run.journeys)


def _more(run: _Run, *, first: bool) -> int:
    """How many more tries: those the check asks for, then those that rule chance out."""
    if not _all_reachable(run):
        return 0
    trial = _trial(run)
    if first:
        return trial.tries() - len(run.journeys)
    return trial.most_tries() - len(run.journeys) if shortfall(trial, run.journeys) else 0


def _result(run: _Run, world: World) -> CheckResult:
    check = run.check
    if run.error is not None:
        reasons, hint = (run.error.message,), run.error.hint or ""
        return CheckResult(check.name, str(check), "error", reasons=reasons, hint=hint)
    if run.problem:
        return CheckResult(
            check.name, str(check), "fail", reasons=(run.problem,), seconds=run.seconds
        )
    trial = _trial(run)
    said = run.talk.result() if run.talk is not None else None
    verdict = judge(trial, run.journeys, world, said)
    status: Status = "pass" if verdict.passed else "fail"
    return CheckResult(
        name=check.name,
        description=str(check),
        status=status,
        outcome=verdict.outcome,
        reasons=verdict.reasons,
        journey=_shown(run, verdict.outcome),
        counts=dict(sorted(counts(run.journeys).items())),
        places={
            each.delivered: each.delivered_at
            for each in run.journeys
            if each.delivered is not None and each.delivered_at is not None
        },
        name_found=run.name_found,
        said=said.said if said is not None else "",
        seconds=run.seconds,
    )


def _shown(run: _Run, outcome: str) -> Journey:
    return next(each for each in run.journeys if each.outcome == outcome)
