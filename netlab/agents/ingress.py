"""Ingress controllers: nginx in their pods, kept told of Ingresses and what these lead to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from netlab.agents.account_api import ROLES, AccountApi
from netlab.agents.draining import Draining
from netlab.agents.environment import container_variables
from netlab.agents.ingress_controller import IngressController
from netlab.agents.ingress_events import IngressEvents, may_tell
from netlab.agents.ingress_rights import TOKEN_PLACE, ControllerLog, Rights
from netlab.agents.ingress_secrets import Certificates
from netlab.agents.ingress_status import IngressStatus
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
from netlab.kernel import tools
from netlab.objects import meta
from netlab.objects.endpointslices import service_keys
from netlab.objects.types import AnyKind, ConfigMap, Ingress, Secret, Service
from netlab.workload.behaviour import expand
from netlab.workload.catalogue import catalogue

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
        self._controllers: dict[tuple[str, str], IngressController] = {}
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
        controller = IngressController(
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
