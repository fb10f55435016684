"""What containers are configured with: variables from Services, ConfigMaps and Secrets."""

from __future__ import annotations

import time
from collections.abc import Mapping

from netlab.agents.changes import Changes, Touched
from netlab.agents.environment import SourceKind, container_variables, service_variables
from netlab.agents.podrun import PodRun, with_addresses
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.types import AnyKind, ConfigMap, PersistentVolume, Pod, Secret, Service
from netlab.workload.sandbox import base_environment

NEW = 1.0
"""Seconds in which pods have certainly looked at a change."""


class PodConfiguration:
    """Reads from the informers; `changed` and `changes` tell when something a pod waits for may be
    there."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._of_services: dict[tuple[str, bool], Mapping[str, str]] = {}
        self._services_seen = 0
        self._came_as: dict[str, int] = {}
        """The how manieth a Service was that came, by its uid."""
        self.changes = Changes()
        self._sources = Changes()  # without Services: of many that come, files know nothing
        self.touched = Touched()
        """The objects that files of pods are made of, for who keeps these up to date."""
        self._changed_at = float("-inf")
        informers["Service"].add_listener(self._on_service)
        informers["ConfigMap"].add_listener(self._on_source)
        for kind in ("Secret", "PersistentVolumeClaim", "PersistentVolume"):
            informers[kind].add_listener(self._on_source)
        informers["Pod"].add_listener(self._on_pod)

    @property
    def services_seen(self) -> int:
        """How many Services have come so far: what `environment` knows a moment by."""
        return self._services_seen

    def environment(self, run: PodRun, container: str, seen: int | None = None) -> dict[str, str]:
        """The environment of one container; `NetlabError` for a ConfigMap or Secret it lacks.

        Of Services it has those there were when so many had been `seen`, or all there are.
        """
        base = base_environment(run.hostname)
        base |= self._service_variables(run, seen)
        container_spec = run.spec_of(container)
        whole = with_addresses(run)
        return container_variables(whole, container_spec, base, self.lookup, run.allocatable)

    def lookup(self, kind: SourceKind, namespace: str, name: str) -> ConfigMap | Secret | None:
        """A ConfigMap or Secret, if there is one of that name."""
        return self._informers[kind].get(f"{namespace}/{name}")

    def claimed(self, namespace: str, name: str) -> PersistentVolume:
        """The volume that a claim is bound to; `NetlabError` if there is none yet."""
        claim = self._informers["PersistentVolumeClaim"].get(f"{namespace}/{name}")
        if claim is None:
            raise NetlabError(
                f"failed to process volumes: error processing PVC {namespace}/{name}: failed to "
                f'fetch PVC from API server: persistentvolumeclaims "{name}" not found'
            )
        volume = self._informers["PersistentVolume"].get(meta.spec(claim).get("volumeName") or "")
        if meta.status(claim).get("phase") != "Bound" or volume is None:
            raise NetlabError(f"error processing PVC {namespace}/{name}: PVC is not bound")
        return volume

    async def changed(self) -> None:
        """Return once any ConfigMap, Secret, claim or volume has come, gone or changed."""
        await self._sources.next()

    def is_new(self) -> bool:
        """Whether any has just changed, so that who waits for one has yet to look."""
        return time.monotonic() - self._changed_at < NEW

    def _service_variables(self, run: PodRun, seen: int | None) -> Mapping[str, str]:
        """The same for all pods of a namespace, so made once after each change of a Service."""
        namespace = meta.namespace(run.pod)
        links = meta.spec(run.pod).get("enableServiceLinks", True)
        services = self._informers["Service"].items()
        if seen is not None and seen != self._services_seen:
            there = (one for one in services if self._came_as.get(meta.uid(one), 0) <= seen)
            return service_variables(there, namespace, links=links)
        key = namespace, links
        if key not in self._of_services:
            self._of_services[key] = service_variables(services, namespace, links=links)
        return self._of_services[key]

    def _on_service(self, old: Service | None, new: Service | None) -> None:
        self._of_services.clear()
        self._note_service(old, new)
        if old is None and new is not None:
            self._services_seen += 1
            self._came_as[meta.uid(new)] = self._services_seen
        elif new is None and old is not None:
            self._came_as.pop(meta.uid(old), None)

    def _note_service(self, old: Service | None, new: Service | None) -> None:
        """Its address is what a node's cache asks."""
        before, after = (meta.spec(each).get("clusterIP") if each else None for each in (old, new))
        either = new if new is not None else old
        if before != after and either is not None:
            self.changes.note(meta.namespace(either))

    def _on_source(self, old: AnyKind | None, new: AnyKind | None) -> None:
        either = new if new is not None else old
        assert either is not None
        self._changed_at = time.monotonic()
        space = meta.namespace(either)
        name = meta.name(either) if space else ""  # any PersistentVolume
        self.touched.note((str(either["kind"]), space, name))
        for each in (self.changes, self._sources):
            each.note(meta.namespace(either))

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        """What may change of it while it runs, and stand in its own files."""
        if old is None or new is None:
            return
        before, after = old["metadata"], new["metadata"]
        if any(before.get(field) != after.get(field) for field in ("labels", "annotations")):
            self.touched.note(("Pod", meta.namespace(new), meta.name(new)))
