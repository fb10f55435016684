"""The process that serves all built-in pods of a lab: `python -m netlab.workload.responder SOCKET`.

It outlives the controller: one that comes back connects, lists, and finds everything still served.
`control` has the protocol. One request is a stream: `follow`, a served pod's log
(`{"line": [unix time, text]}`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from netlab.errors import NetlabError
from netlab.workload import control
from netlab.workload.access_log import AccessLog
from netlab.workload.control import Calling, Control, Json, Session
from netlab.workload.serving import Pods


class Responder:
    """What a controller may ask for."""

    def __init__(self) -> None:
        self._pods = Pods()
        self.control = Control(
            {
                "serve": self._serve,
                "stop": self._stop,
                "list": self._list,
                "logs": self._logs,
                "health": self._health,
            },
            {"follow": self._follow},
        )

    async def _serve(self, request: Json) -> Json:
        return {"problems": await self._pods.serve(request["sites"], request["pods"])}

    async def _stop(self, request: Json) -> None:
        self._pods.stop(request["uids"])

    async def _list(self, _: Json) -> list[Json]:
        return self._pods.served()

    async def _logs(self, request: Json) -> list[tuple[float, str]]:
        return self._log(request).lines(request.get("tail"))

    def _log(self, request: Json) -> AccessLog:
        log = self._pods.log(request["uid"], request["container"])
        if log is None:
            raise NetlabError(f"container {request['container']} of {request['uid']} is not served")
        return log

    async def _health(self, request: Json) -> Json:
        problems = await self._pods.health(
            request["uid"], request["netns"], request["ips"], request["ports"]
        )
        return {"problems": problems}

    async def _follow(self, request: Json, session: Session) -> None:
        log = self._log(request)
        for timestamp, line in log.lines(request.get("tail")):
            session.send({"line": [timestamp, line]})
        with contextlib.closing(Calling(log.follow(lambda *line: session.send({"line": line})))):
            await session.until_closed()


async def serve(path: Path) -> None:
    """Serve until TERM or INT."""
    await control.serve(Responder().control, control.listen(path))
    path.unlink(missing_ok=True)


def main(argv: list[str]) -> int:
    """The command line: one argument, the path of the control socket."""
    if len(argv) != 1:
        print("usage: python -m netlab.workload.responder SOCKET", file=sys.stderr)
        return 2
    control.raise_open_file_limit()
    try:
        asyncio.run(serve(Path(argv[0])))
    except NetlabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
