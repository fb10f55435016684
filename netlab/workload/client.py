"""The controller's side of the responder: start it, tell it what to serve, read its logs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from netlab.kernel import process
from netlab.workload import launch
from netlab.workload.behaviour import sites_of
from netlab.workload.calls import Calls
from netlab.workload.served import HealthAnswer, ServedPod

LogLine = tuple[float, str]
Problems = list[str]


async def ensure_responder(
    socket_path: Path, *, owner: str, log: Path, started: process.Process | None = None
) -> ResponderClient:
    """A client of the lab's responder, which is started unless it runs or was just `started`."""
    client = ResponderClient(socket_path)

    def start() -> process.Process:
        return started or launch.start(socket_path, owner=owner, log=log)

    await client.ensure(start, log)
    return client


class ResponderClient(Calls):
    """One connection to the responder."""

    def __init__(self, socket_path: Path) -> None:
        super().__init__(socket_path, "responder")

    async def serve(self, pods: Sequence[ServedPod]) -> dict[str, Problems]:
        """Serve pods, replacing what was served under the same uid; one message for all.

        Returns the problems by uid (a port in use …); a pod without an entry serves everything.
        """
        message = {"sites": sites_of(pods), "pods": [pod.to_json() for pod in pods]}
        problems: dict[str, Problems] = (await self.call("serve", **message))["problems"]
        return problems

    async def stop(self, uids: Sequence[str]) -> None:
        """Close the ports and connections of pods, by uid; unknown ones are no error."""
        await self.call("stop", uids=list(uids))

    async def list(self) -> dict[str, ServedPod]:
        """What is served now, by uid: what a controller that restarted adopts."""
        return {data["uid"]: ServedPod.from_json(data) for data in await self.call("list")}

    async def health(
        self, uid: str, netns: str, ips: Sequence[str], ports: Mapping[int, HealthAnswer]
    ) -> Problems:
        """Answer these healthCheckNodePorts in a node's namespace, and no longer any others.

        `uid` names the set, for changing it and for `stop`. Returns problems.
        """
        answers = {str(port): answer.to_json() for port, answer in ports.items()}
        result = await self.call("health", uid=uid, netns=netns, ips=list(ips), ports=answers)
        problems: Problems = result["problems"]
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
