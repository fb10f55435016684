"""The process that serves all built-in pods of a lab: `python -m netlab.workload.responder SOCKET`.

It outlives the controller: one that comes back connects, lists, and finds everything still served.
It has no rights on the machine and sees nothing of it (`confined`): the controller makes the
sockets on which it answers.

`control` has the protocol. Streams are `follow`, a served pod's log (`{"line": [unix time,
text]}`), and the requests that come with sockets (`Calls.hand_over`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel import process, userns
from netlab.workload import control
from netlab.workload.access_log import AccessLog
from netlab.workload.confined import give_up_rights
from netlab.workload.control import Calling, Control, ControlSession, Json
from netlab.workload.listening import Pods


class PodServer:
    """What a controller may ask for."""

    def __init__(self) -> None:
        self._pods = Pods()
        self.control = Control(
            {
                "stop": self._stop,
                "leave": self._leave,
                "certify": self._certify,
                "list": self._list,
                "logs": self._logs,
                "health": self._health,
            },
            {
                "serve": self._serve,
                "open health": self._open_health,
                "follow": self._follow,
            },
        )

    async def _serve(self, request: Json, session: ControlSession) -> None:
        sockets = await session.sockets(request["sockets"])
        problems = await self._pods.serve(request["sites"], request["pods"], sockets)
        session.send({"result": problems})

    async def _stop(self, request: Json) -> None:
        self._pods.stop(request["uids"])

    async def _leave(self, request: Json) -> None:
        self._pods.leave(request["uids"])

    async def _certify(self, request: Json) -> None:
        self._pods.certify(request["certificates"])

    async def _list(self, _: Json) -> list[Json]:
        return self._pods.served()

    async def _logs(self, request: Json) -> list[tuple[float, str]]:
        return self._log(request).lines(request.get("tail"))

    def _log(self, request: Json) -> AccessLog:
        log = self._pods.log(request["uid"], request["container"])
        if log is None:
            raise NetlabError(f"container {request['container']} of {request['uid']} is not served")
        return log

    async def _health(self, request: Json) -> list[int]:
        return self._pods.health(request["uid"], request["answers"])

    async def _open_health(self, request: Json, session: ControlSession) -> None:
        sockets = await session.sockets(request["sockets"])
        await self._pods.open_health(request["uid"], request["answers"], sockets)
        session.send({"result": None})

    async def _follow(self, request: Json, session: ControlSession) -> None:
        log = self._log(request)
        for timestamp, line in log.lines(request.get("tail")):
            session.send({"line": [timestamp, line]})
        with contextlib.closing(Calling(log.follow(lambda *line: session.send({"line": line})))):
            await session.until_closed()


def run(path: Path) -> None:
    """Serve until TERM or INT, as the responder of the lab that marks us.

    For a process of one thread. The socket's file stays behind, and is no hindrance.
    """
    listening = control.listen(path)
    user = userns.daemon_id(os.environ[process.OWNER_VARIABLE], userns.RESPONDER)
    give_up_rights(user, scratch=True)  # keys are read from files alone
    asyncio.run(control.serve(PodServer().control, listening))


if __name__ == "__main__":
    control.main("netlab.workload.responder", "SOCKET", run)
