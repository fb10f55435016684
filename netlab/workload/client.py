"""The controller's side of the responder: tell it what to serve, read its logs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from netlab.workload.behaviour import sites_of
from netlab.workload.calls import Calls
from netlab.workload.ports import ListeningPlace, Port, Ports
from netlab.workload.served import HealthAnswer, Json, Listener, ServedPod

NO_CERTIFICATES: Mapping[str, str] = {}

LogLine = tuple[float, str]
Problems = list[str]


class ResponderClient(Calls):
    """One connection to the responder."""

    def __init__(self, socket_path: Path) -> None:
        super().__init__(socket_path, "responder")
        self._ports = Ports()
        self._turn = asyncio.Lock()  # what is asked first happens first
        self._ending: list[str] = []
        self._stopping: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Disconnect; what is served goes on being served."""
        await super().close()
        self._ports.close_all()

    async def serve(
        self, pods: Sequence[ServedPod], certificates: Mapping[str, str] = NO_CERTIFICATES
    ) -> dict[str, Problems]:
        """Serve pods, replacing what was served under the same uid; one message for all.

        `certificates`, with their keys, are by uid; those that speak TLS need one.

        Returns the problems by uid (a port in use …); a pod without an entry serves everything.
        """
        await self.stop([pod.uid for pod in pods if self._ports.has_others(pod.uid, pod.ports)])
        async with self._turn:
            sockets, entries, problems = await asyncio.to_thread(self._open_ports, pods)
            for entry in entries:
                entry["certificate"] = certificates.get(entry["pod"]["uid"])
            sites = sites_of(pods)
            found = await self.hand_over("serve", sockets, sites=sites, pods=entries)
        for uid, texts in found.items():
            problems.setdefault(uid, []).extend(texts)
        return problems

    def _open_ports(
        self, pods: Sequence[ServedPod]
    ) -> tuple[list[socket.socket], list[Json], dict[str, Problems]]:
        """All the pods' sockets, the pods with the places of theirs among them, and problems."""
        sockets: list[socket.socket] = []
        entries: list[Json] = []
        problems: dict[str, Problems] = {}
        for pod in pods:
            opened, found = self._ports.open(
                pod.uid, ListeningPlace(pod.netns, pod.ips, pod.host), pod.ports
            )
            if found:
                problems[pod.uid] = found
            places = dict(zip(opened, itertools.count(len(sockets)), strict=False))
            sockets += opened.values()
            entries.append(
                {"pod": pod.to_json(), "sockets": [places.get(port) for port in pod.ports]}
            )
        return sockets, entries, problems

    async def ensure_served(self, pod: ServedPod) -> None:
        """Serve a pod, unless it is served just so, as by a controller before us."""
        known = (await self.list()).get(pod.uid)
        if known == pod:
            return
        if known is not None:
            await self.stop([pod.uid])
        await self.serve([pod])

    async def certify(self, certificates: Mapping[str, str]) -> None:
        """Have pods, by uid, show these from now on; unknown ones are no error."""
        await self.call("certify", certificates=dict(certificates))

    async def stop(self, uids: Sequence[str]) -> None:
        """Close the ports and connections of pods, by uid; unknown ones are no error. One message
        for all that end while another is on its way."""
        if not uids:
            return
        self._ending += uids
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(), name="stop built-in servers")
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        async with self._turn:
            uids, self._ending, self._stopping = self._ending, [], None
            self._ports.close(uids)
            await self.call("stop", uids=uids)

    async def leave(self, uid: str) -> None:
        """Close the ports of a pod, on which somebody else answers; who asks yet is answered."""
        async with self._turn:
            self._ports.close([uid])
            await self.call("leave", uids=[uid])

    async def share(self, uid: str, owner: int) -> None:
        """Let a user of the machine listen beside the responder on a pod's ports, as far as we have
        opened them; else he has to wait until they are free."""
        async with self._turn:
            self._ports.share(uid, owner)

    async def list(self) -> dict[str, ServedPod]:
        """What is served now, by uid: what a controller that restarted adopts."""
        return {data["uid"]: ServedPod.from_json(data) for data in await self.call("list")}

    async def health(
        self, uid: str, netns: str, ips: Sequence[str], ports: Mapping[int, HealthAnswer]
    ) -> Problems:
        """Answer these healthCheckNodePorts in a node's namespace, and no longer any others.

        `uid` names the set, for changing it and for `stop`. Returns problems.
        """
        answers = {port: answer.to_json() for port, answer in ports.items()}
        async with self._turn:
            self._ports.close_others(uid, [_health_port(port) for port in answers])
            lacking = await self.call("health", uid=uid, answers=answers)
            opened, problems = self._ports.open(
                uid, ListeningPlace(netns, tuple(ips)), [_health_port(port) for port in lacking]
            )
            if opened:
                new = {listener.port: answers[listener.port] for _, listener in opened}
                await self.hand_over("open health", [*opened.values()], uid=uid, answers=new)
        return problems

    async def logs(
        self, uid: str, container: str, *, follow: bool = False, tail: int | None = None
    ) -> AsyncGenerator[LogLine, None]:
        """(Unix time, line) of a served container's log; with `follow` also those to come."""
        if not follow:
            for timestamp, line in await self.call("logs", uid=uid, container=container, tail=tail):
                yield timestamp, line
            return
        arguments = {"uid": uid, "container": container, "tail": tail}
        async with contextlib.aclosing(self.stream("follow", **arguments)) as messages:
            async for message in messages:
                yield message["line"][0], message["line"][1]


def _health_port(port: int) -> Port:
    return "", Listener(port, "http", "health")
