"""The controller's side of the responder: start it, tell it what to serve, read its logs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netlab.errors import NetlabError
from netlab.kernel import process
from netlab.workload import launch
from netlab.workload.behaviour import sites_of
from netlab.workload.served import HealthAnswer, ServedPod

_LINE_LIMIT = 64 * 1024 * 1024
_START_SECONDS = 10.0

LogLine = tuple[float, str]
Problems = list[str]


class ResponderGone(NetlabError):
    """Nobody answers on the responder's socket."""


async def ensure_responder(
    socket_path: Path, *, owner: str, log: Path, started: process.Process | None = None
) -> ResponderClient:
    """A client of the lab's responder, which is started unless it runs or was just `started`."""
    client = ResponderClient(socket_path)
    try:
        await client.connect()
    except ResponderGone:
        started = started or launch.start(socket_path, owner=owner, log=log)
        await _connected(client, started, log)
    return client


async def _connected(client: ResponderClient, started: process.Process, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while True:
        try:
            return await client.connect()
        except ResponderGone:
            late = asyncio.get_running_loop().time() > deadline
            if late or started.poll() is not None:
                raise ResponderGone("the responder does not start", hint=f"see {log}") from None
            await asyncio.sleep(0.002)


class ResponderClient:
    """One connection to the responder; calls may overlap.

    After the connection is lost every call raises `ResponderGone`; `connect` again then.
    """

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def connect(self) -> None:
        """Connect, unless connected; `ResponderGone` when nobody listens."""
        async with self._connecting:  # of two connections, the end of one would be taken for both
            if self._writer is not None:
                return
            reader, self._writer = await self._open()
            self._reading = asyncio.create_task(self._read(reader))

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_unix_connection(str(self._path), limit=_LINE_LIMIT)
        except OSError as error:
            raise ResponderGone(
                f"the responder does not answer on {self._path}: {error.strerror}"
            ) from error

    async def close(self) -> None:
        """Disconnect; the responder goes on serving."""
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        self._lost()

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

    async def stream(self, op: str, **arguments: Any) -> AsyncGenerator[dict[str, Any], None]:
        """A request whose answers go on until we stop; over a connection of its own."""
        reader, writer = await self.open({"op": op, **arguments})
        try:
            while text := await reader.readline():
                yield _checked(json.loads(text))
        finally:
            writer.close()

    async def open(
        self, request: Mapping[str, Any]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection on which `request` was made; the caller closes it."""
        reader, writer = await self._open()
        writer.write(json.dumps(request).encode() + b"\n")
        return reader, writer

    async def call(self, op: str, **arguments: Any) -> Any:
        """One request of the control protocol, and its result."""
        await self.connect()
        assert self._writer is not None
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"id": number, "op": op, **arguments}).encode() + b"\n")
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while text := await reader.readline():
                self._answered(json.loads(text))
        except (ConnectionError, ValueError):
            pass
        finally:
            self._lost()

    def _answered(self, message: dict[str, Any]) -> None:
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return
        try:
            answer.set_result(_checked(message)["result"])
        except NetlabError as error:
            answer.set_exception(error)

    def _lost(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ResponderGone("the responder went away"))


def _checked(message: dict[str, Any]) -> dict[str, Any]:
    if "error" in message:
        raise NetlabError(message["error"])
    return message
