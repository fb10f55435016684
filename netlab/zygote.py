"""What a controller forks off before it imports its modules: a process that works meanwhile.

It has the kernel build the network, since a thread of the controller's would take the interpreter
from what imports. Then it becomes those of the lab's own processes that are missing: all import
much the same, which takes longest, so one does that, and becomes several.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel import files, forked, paths, process
from netlab.workload import launch


class Zygote:
    """Waits to be told its lab, for which it does `first`; without one, it ends.

    To be made while there is no other thread.
    """

    def __init__(self, first: Callable[[Path], None]) -> None:
        told, self._tell = os.pipe()
        self._said, saying = os.pipe()
        live = partial(_live, told, saying, first, os.getpid())
        self._process = forked.fork(live, keep=(told, saying))
        os.close(told)
        os.close(saying)

    def take(self, lab: Path) -> process.Process | None:
        """Tell it the lab in that directory; returns its process if that will be one of the lab's
        own, which answer some 100 ms later."""
        missing = launch.missing(lab)
        os.write(self._tell, f"{lab}\n".encode())
        return self._process if missing else None

    def wait(self) -> None:
        """Return when it has done what is first; raises what that failed with, `NetlabError`."""
        with os.fdopen(self._said) as said:
            answer = said.read()
        if not answer:
            raise NetlabError("the process that was to connect the nodes has ended")
        if error := json.loads(answer)["error"]:
            raise NetlabError(error)

    def close(self) -> None:
        """Leave it to its lab. Without one it ends."""
        os.close(self._tell)


def _live(told: int, saying: int, first: Callable[[Path], None], parent: int) -> None:
    forked.call_ourselves("netlab zygote")
    with os.fdopen(told) as line:
        lab = Path(line.readline().rstrip("\n"))
    if not lab.name:
        return
    _say_into(paths.controller_log(lab))
    with _ending_with(parent):
        error = _failure(first, lab)
    os.write(saying, json.dumps({"error": error}).encode())
    os.close(saying)
    _run(lab)


@contextlib.contextmanager
def _ending_with(parent: int) -> Iterator[None]:
    """Be killed if the parent dies meanwhile: the next controller does the same work anew."""
    if not forked.die_with(parent):
        os.kill(os.getpid(), signal.SIGKILL)
    yield
    forked.outlive()


def _failure(first: Callable[[Path], None], lab: Path) -> str | None:
    try:
        first(lab)
    except Exception as error:
        if not isinstance(error, NetlabError):
            traceback.print_exc()
        return str(error) or repr(error)
    return None


def _run(lab: Path) -> None:
    """Be one of those that are missing, and have others be the rest, until TERM or INT."""
    missing = launch.missing(lab)
    if missing:
        _import_all()
    for each in missing[1:]:
        if _is_detached():
            return _become(each, lab)
    return _become(missing[0], lab) if missing else None


def _import_all() -> None:
    """What each of them needs, before there are several. What is there by then is never looked
    through for garbage: memory is shared until somebody writes to it, as that does."""
    from netlab.dns import process as _  # noqa: F401
    from netlab.workload import responder, runtime  # noqa: F401

    gc.freeze()
    gc.enable()


def _become(what: str, lab: Path) -> None:
    from netlab.dns import process as names
    from netlab.workload import responder, runtime

    forked.call_ourselves(f"netlab {'names ' if what in paths.NAMES else ''}{what}")
    match what:
        case "responder":
            _say_into(paths.responder_log(lab))
            responder.run(paths.responder_socket(lab))
        case "runtime":
            _say_into(paths.runtime_log(lab))
            runtime.run(lab)
        case _:
            _say_into(paths.names_log(lab))
            names.run(paths.names_socket(lab, what))


def _is_detached() -> bool:
    """Fork: true in a process of its own session, whose parent has ended, so that nobody has to
    collect it; false in this one."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    return True


def _say_into(log: Path) -> None:
    with files.closing(files.opened(log, os.O_WRONLY | os.O_APPEND)) as descriptor:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
