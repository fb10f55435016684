"""Ingress controllers: nginx in their pods, kept told of Ingresses and what these lead to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from netlab.agents.account_api import ROLES, AccountApi
from netlab.agents.draining import Draining
from netlab.agents.environment import container_variables
from netlab.agents.ingress_blame import Blame
from netlab.agents.ingress_events import IngressEvents, may_tell
from netlab.agents.ingress_rights import TOKEN_PLACE, ControllerLog, Rights
from netlab.agents.ingress_secrets import Certificates, fake_certificate
from netlab.agents.ingress_status import IngressStatus
from netlab.agents.loop import Loop
from netlab.agents.podevents import Recorder
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import Exited, Life, OneInEachPod
from netlab.agents.podrun import PodRun, with_addresses
from netlab.agents.vigil import Vigil
from netlab.client.informer import Informers
from netlab.ingress.flags import Unusable
from netlab.ingress.model import Certificate, IngressProblem, World
from netlab.ingress.options import Options, options
from netlab.ingress.place import Place
from netlab.ingress.program import NGINX
from netlab.ingress.render import unserved
from netlab.ingress.secrets import DEFAULT
from netlab.kernel import process, tools
from netlab.objects import meta
from netlab.objects.endpointslices import service_keys
from netlab.objects.types import (
    AnyKind,
    ConfigMap,
    Ingress,
    Secret,
    Service,
)
from netlab.retry import Retry
from netlab.workload.behaviour import expand
from netlab.workload.catalogue import catalogue
from netlab.workload.pod_program import RunningPodProgram

RETRY = Retry(1.0, 30.0)
"""Of a configuration that could not be put into force."""

SETTLE = 0.02
"""Seconds that a change waits for what else belongs to it."""

TAKEN_OVER = 5.0
"""Seconds that nginx may take to have new workers instead of those that know no better."""

LOG_INTERVAL = 5.0
LOG_SIZE = 4 << 20
"""Bytes of an access log, after which it begins anew; it is looked at every few seconds. In between
it may grow to `confined_program.LARGEST_FILE`, and lines are lost then."""

PATIENCE = 2.0
"""Seconds that a controller waits at its start for what another part of the same manifest is to
bring, where the real one would end and be started again."""

_LOOK = 0.05
_FATAL = 255
_OF_SERVICE = "slices of a service"
_KINDS = (
    *("Ingress", "IngressClass", "Service", "EndpointSlice", "Secret", "ConfigMap", "Namespace"),
    *ROLES,
)


class IngressControllers:
    """All Ingress controllers of the lab. As long as there is none, nothing is watched for one."""

    def __init__(
        self,
        informers: Informers,
        owner: str,
        vigil: Vigil,
        recorder: Recorder,
        resolvers: tuple[str, ...],
        draining: Draining,
        groups: PodGroups,
    ) -> None:
        self._informers = informers
        self._draining = draining
        self._pods = OneInEachPod(NGINX, owner, vigil, groups)
        self._events = IngressEvents(informers, recorder)
        self._status = IngressStatus(informers)
        self._resolvers = resolvers
        self._certificates = Certificates(informers["Secret"])
        self._controllers: dict[tuple[str, str], _IngressController] = {}
        self._listening = False
        draining.consider(self._heeded)

    def at_work(self) -> Iterator[str]:
        """As `Awaited` says."""
        if not all(one.idle for one in self._controllers.values()) or not self._status.idle:
            yield "Ingresses are being put into force"

    def lacking(self) -> Iterator[str]:
        """A line for each Ingress that nginx refuses, and for what a controller may not see, until
        somebody changes it."""
        controllers = self._controllers.values()
        refused = {key: text for one in controllers for key, text in one.refused()}
        for key, text in sorted(refused.items()):
            yield f"ingress {key}: nginx refuses it ({text})"
        for one in controllers:
            yield from (f"ingress controller {one.key}: {text}" for text in one.unseen)

    async def start(self, run: PodRun, container: str, life: Life) -> bool:
        """See `InPods`. It answers once all that is known has been put into force."""
        self._listen()
        program = self._pods.of(run, container)
        said = ControllerLog(program.log)
        options, environment = self._options(run, container, said)
        rights = self._rights(run, options)
        if not program.files:  # else it has begun already
            await self._begun(run, container, rights, environment, said)
        place = Place(
            str(program.log),
            self._resolvers,
            ipv6=any(":" in address for address in run.ips),
            release=tools.nginx_release(),
        )
        controller = _IngressController(
            run,
            options,
            program,
            place,
            partial(self._world, rights, said),
            self._revision,
            partial(self._applied, options, rights, said),
            rights,
            said,
        )
        await controller.prepare()
        adopted = await self._pods.start(run, container, life)
        await controller.start()
        self._controllers[run.uid, container] = controller
        self._status.follow(run.uid, options, run.pod, controller.served, rights, said)
        flags = (IngressProblem(run.key, "FlagIgnored", text, "Pod") for text in options.undone)
        self._events.tell((), flags)
        return adopted

    async def end(self, run: PodRun, container: str, grace: float) -> None:
        """See `InPods`."""
        await self._pods.end(run, container, grace)

    def _options(
        self, run: PodRun, container: str, said: ControllerLog
    ) -> tuple[Options, Mapping[str, str]]:
        """What its flags say, and its environment; `Exited` where a real one would end."""
        spec = run.spec_of(container)
        environment = container_variables(with_addresses(run), spec, {}, self._lookup)
        words = expand([*(spec.get("command") or ()), *(spec.get("args") or ())], environment)
        try:
            found = options(words, catalogue().image(spec.get("image") or "").tag)
        except Unusable as error:
            said.say(str(error), "F")
            raise Exited(str(error), error.code) from None
        return found, environment

    def _rights(self, run: PodRun, options: Options) -> Rights:
        space = meta.namespace(run.pod)
        account = meta.spec(run.pod).get("serviceAccountName") or "default"
        return Rights(
            AccountApi(self._informers, space, account), options, space, meta.name(run.pod)
        )

    async def _begun(
        self,
        run: PodRun,
        container: str,
        rights: Rights,
        environment: Mapping[str, str],
        said: ControllerLog,
    ) -> None:
        """Return when it finds what it looks for at its start; `Exited` when it does not."""
        mounts = run.spec_of(container).get("volumeMounts") or ()
        has_token = any(each["mountPath"] == TOKEN_PLACE for each in mounts)
        refusals = partial(rights.refusals, environment, self._is_there, has_token=has_token)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while text := next(refusals(), None):
            if asyncio.get_running_loop().time() > deadline:
                said.say(text, "F")
                raise Exited(text, _FATAL)
            await asyncio.sleep(_LOOK)

    async def stop(self, run: PodRun, container: str) -> None:
        """See `InPods`."""
        controller = self._controllers.pop((run.uid, container), None)
        if controller is not None:
            await controller.stop()
        await self._status.forget(run.uid)
        await self._pods.stop(run, container)

    async def detach(self) -> None:
        """See `InPods`."""
        await asyncio.gather(*(one.stop() for one in self._controllers.values()))
        await self._status.stop()
        await self._pods.detach()

    # -- what is known ---------------------------------------------------------------------

    def _listen(self) -> None:
        if self._listening:
            return
        self._listening = True
        self._informers["EndpointSlice"].add_index(_OF_SERVICE, service_keys)
        for kind in _KINDS:
            self._informers[kind].add_listener(self._changed)

    def _changed(self, old: AnyKind | None, new: AnyKind | None) -> None:
        either = new if new is not None else old
        assert either is not None
        for controller in self._controllers.values():
            controller.hear(either)

    def _applied(
        self,
        options: Options,
        rights: Rights,
        said: ControllerLog,
        served: Iterable[Ingress],
        problems: Iterable[IngressProblem],
    ) -> None:
        self._events.tell(
            served,
            problems,
            partial(may_tell, rights, said),
            tells_of_syncs=options.tells_of_syncs,
        )
        self._status.look()
        self._draining.progressed()

    def _heeded(self) -> Iterator[int]:
        """Up to which revision of EndpointSlices each controller sends requests."""
        return (controller.heeded for controller in self._controllers.values())

    def _revision(self) -> int:
        return self._informers["EndpointSlice"].revision_of(None)

    def _lookup(self, kind: str, namespace: str, name: str) -> ConfigMap | Secret | None:
        found: ConfigMap | Secret | None = self._informers[kind].get(f"{namespace}/{name}")
        return found

    def _is_there(self, kind: str, key: str) -> bool:
        return self._informers[kind].get(key) is not None

    def _world(self, rights: Rights, said: ControllerLog, options: Options) -> World:
        """All that it may see; `--watch-namespace` is all the world to who has it."""
        classes, settings = rights.without_classes(), rights.without_settings()
        said.tell("classes", [classes], "W")
        said.tell("settings", [settings], "W")
        data = None if settings else self._informers["ConfigMap"].get(options.configmap)

        def watches(key: str) -> bool:
            return not options.namespace or key.startswith(f"{options.namespace}/")

        def service(key: str) -> Service | None:
            return self._informers["Service"].get(key) if watches(key) else None

        def certificate(key: str) -> Certificate | str:
            return self._certificates.certificate(key) if watches(key) else "no such Secret"

        def password_file(key: str) -> Mapping[str, str] | str:
            return self._certificates.data(key) if watches(key) else "no such Secret"

        return World(
            ingresses=tuple(self._informers["Ingress"].items()),
            classes=None if classes else tuple(self._informers["IngressClass"].items()),
            service=service,
            slices=partial(self._informers["EndpointSlice"].by_index, _OF_SERVICE),
            certificate=certificate,
            password_file=password_file,
            data=(data.get("data") or {}) if data else {},
            tcp_services=self._data(options.tcp_services, watches),
            udp_services=self._data(options.udp_services, watches),
            stream_module=tools.stream_module(),
            watches=partial(self._is_selected, options),
        )

    def _is_selected(self, options: Options, space: str) -> bool:
        if options.namespace_selector.is_everything:
            return True
        namespace = self._informers["Namespace"].get(space)
        return namespace is not None and options.namespace_selector.matches(meta.labels(namespace))

    def _data(self, key: str, watches: Callable[[str], bool]) -> Mapping[str, str] | None:
        found = self._informers["ConfigMap"].get(key) if key and watches(key) else None
        return found.get("data") if found else None


class _IngressController:
    """One nginx, and what it is told."""

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
        former = set(process.children(program.pid)) if program.is_up and program.pid else set()
        await program.configure(wanted, self._netns)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKEN_OVER):
                while any(_accepts(title) for title in self._titles(former)):
                    await asyncio.sleep(0.01)

    async def _examine(self, files: Mapping[str, str]) -> None:
        await self._program.examine({**self._own, **files}, self._netns)

    def _titles(self, workers: Container[int]) -> Iterator[str]:
        """What those of its workers call themselves that are still there."""
        found = process.children(self._program.pid or 0)
        return (title for pid, title in found.items() if pid in workers)


def _accepts(title: str) -> bool:
    """Whether a worker takes connections: one that is to end only finishes those that it has."""
    return not title.endswith("is shutting down")


def _bound(log: Path) -> None:
    """Begin a log anew that has become too long. nginx appends, so it needs not be told."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_SIZE:
            with log.open("r+b") as file:
                file.truncate(0)
