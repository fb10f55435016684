"""What containers are configured with: variables from Services, ConfigMaps and Secrets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from netlab.agents.environment import SourceKind, container_variables, service_variables
from netlab.agents.podrun import PodRun, hostname, with_addresses
from netlab.client.informer import Informers
from netlab.objects import meta
from netlab.objects.types import AnyKind, ConfigMap, Secret, Service
from netlab.workload.sandbox import base_environment

NEW = 1.0
"""Seconds in which pods have certainly looked at a change."""


class Configuration:
    """Reads from the informers; `changed` tells when something a pod waits for may be there."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._of_services: dict[str, Mapping[str, str]] = {}
        self._change = asyncio.Event()
        self._changed_at = float("-inf")
        informers["Service"].add_listener(self._on_service)
        informers["ConfigMap"].add_listener(self._on_source)
        informers["Secret"].add_listener(self._on_source)

    def environment(self, run: PodRun, container: str) -> dict[str, str]:
        """The environment of one container; `NetlabError` for a ConfigMap or Secret it lacks."""
        base = base_environment(hostname(run.pod))
        if meta.spec(run.pod).get("enableServiceLinks", True):
            base |= self._service_variables(meta.namespace(run.pod))
        return container_variables(with_addresses(run), run.spec_of(container), base, self.lookup)

    def lookup(self, kind: SourceKind, namespace: str, name: str) -> ConfigMap | Secret | None:
        """A ConfigMap or Secret, if there is one of that name."""
        return self._informers[kind].get(f"{namespace}/{name}")

    async def changed(self) -> None:
        """Return once any ConfigMap or Secret has come, gone or changed."""
        await self._change.wait()

    def is_new(self) -> bool:
        """Whether any has just changed, so that who waits for one has yet to look."""
        return time.monotonic() - self._changed_at < NEW

    def _service_variables(self, namespace: str) -> Mapping[str, str]:
        """The same for all pods of a namespace, so made once after each change of a Service."""
        if namespace not in self._of_services:
            services = self._informers["Service"].items()
            self._of_services[namespace] = service_variables(services, namespace)
        return self._of_services[namespace]

    def _on_service(self, old: Service | None, new: Service | None) -> None:
        del old, new
        self._of_services.clear()

    def _on_source(self, old: AnyKind | None, new: AnyKind | None) -> None:
        del old, new
        self._changed_at = time.monotonic()
        self._change.set()  # wakes those who wait now; who comes later waits for the next one
        self._change = asyncio.Event()
