"""One Ingress controller: an nginx in a pod, and what it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from netlab.agents.ingress_blame import Blame
from netlab.agents.ingress_rights import ControllerLog, Rights
from netlab.agents.ingress_secrets import fake_certificate
from netlab.agents.loop import Loop
from netlab.agents.podrun import PodRun
from netlab.ingress.model import IngressProblem, World
from netlab.ingress.options import Options
from netlab.ingress.place import Place
from netlab.ingress.render import unserved
from netlab.ingress.secrets import DEFAULT
from netlab.objects import meta
from netlab.objects.types import AnyKind, Ingress
from netlab.retry import Retry
from netlab.workload.pod_program import RunningPodProgram

RETRY = Retry(1.0, 30.0)
"""Of a configuration that could not be put into force."""

SETTLE = 0.02
"""Seconds that a change waits for what else belongs to it."""

LOG_INTERVAL = 5.0
LOG_SIZE = 4 << 20
"""Bytes of an access log, after which it begins anew; it is looked at every few seconds. In between
it may grow to `confined_program.LARGEST_FILE`, and lines are lost then."""


class IngressController:
    """Has the nginx of `run` do what `world` says to `options`.

    `revision` tells of which EndpointSlices that knows; `applied` is told which Ingresses are in
    force, and what is wrong with any.
    """

    def __init__(
        self,
        run: PodRun,
        options: Options,
        program: RunningPodProgram,
        place: Place,
        world: Callable[[Options], World],
        revision: Callable[[], int],
        applied: Callable[[Iterable[Ingress], Iterable[IngressProblem]], None],
        rights: Rights,
        said: ControllerLog,
    ) -> None:
        self.key = run.key
        self.options = options
        self.served: dict[str, Ingress] = {}
        self.unseen: list[str] = []
        self.heeded = 0
        self._program = program
        self._netns = run.netns
        self._world, self._revision = world, revision
        self._applied = applied
        self._rights, self._log = rights, said
        self._blame = Blame(options, place, self._configure, self._examine)
        self._own: Mapping[str, str] = {}
        self._configmaps = (options.configmap, options.tcp_services, options.udp_services)
        name = f"ingress controller of {run.key}"
        self._loop = Loop(
            name, self._work, retry=RETRY, every=lambda: LOG_INTERVAL, settle=SETTLE, rounds=5
        )

    @property
    def idle(self) -> bool:
        """True when all that is known is in force."""
        return self._loop.idle

    def refused(self) -> Iterable[tuple[str, str]]:
        """The Ingresses that nginx refuses, with its words."""
        return self._blame.refused.items()

    async def prepare(self) -> None:
        """See to it that nginx begins with all that is known, unless it runs already."""
        known = self._program.files.get(DEFAULT, "")
        self._own = {DEFAULT: known or await asyncio.to_thread(fake_certificate)}
        if not known:
            await self._apply()

    async def start(self) -> None:
        """Put all that is known into force; follow what changes."""
        await self._apply()
        self._loop.start()

    async def stop(self) -> None:
        """Follow nothing more; nginx goes on as it is."""
        await self._loop.stop()

    def hear(self, obj: AnyKind) -> None:
        """Something changed."""
        if obj["kind"] == "Namespace" and self.options.namespace_selector.is_everything:
            return
        if obj["kind"] != "ConfigMap" or meta.key(obj) in self._configmaps:
            self._loop.wake()

    async def _work(self, changed: bool) -> None:
        _bound(self._program.log)
        if changed:
            await self._apply()

    async def _apply(self) -> None:
        revision = self._revision()
        self.unseen = self._rights.unseen()
        self._log.tell("unseen", self.unseen)
        if self.unseen:  # what it has seen already it goes on with
            if not self._program.files:
                await self._configure({"nginx.conf": unserved(self.options).text})
            self.heeded = revision
            self._applied((), ())
            return
        compiled = await self._blame.settle(self._world(self.options))
        self.served.clear()
        self.served |= {meta.key(one): one for one in compiled.served}
        self.heeded = revision
        self._applied(compiled.served, compiled.problems)

    async def _configure(self, files: Mapping[str, str]) -> None:
        """Returns once nobody is answered any more as it was before."""
        program, wanted = self._program, {**self._own, **files}
        if program.files == wanted:
            return
        await program.configure(wanted, self._netns)
        await program.reloaded()

    async def _examine(self, files: Mapping[str, str]) -> None:
        await self._program.examine({**self._own, **files}, self._netns)


def _bound(log: Path) -> None:
    """Begin a log anew that has become too long. nginx appends, so it needs not be told."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_SIZE:
            with log.open("r+b") as file:
                file.truncate(0)
