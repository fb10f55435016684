"""Programs that make something of what they are given, and have nothing else to do: without rights.

What they are given holds others' text. Run by root such a program is nobody, in no network, and
sees of the machine its libraries and what it is to read.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netlab.errors import CommandFailed
from netlab.kernel import process, syscalls, userns
from netlab.kernel.confine import Confinement, view_of
from netlab.kernel.run import find

_CLONE_NEWNET = 0x40000000


def filtered(
    argv: Sequence[str],
    data: bytes,
    *,
    read: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> bytes:
    """What a program makes of `data`. It sees the files of `read`; `env` is its environment.

    Raises `EnvironmentLacks` when it is missing, and `CommandFailed` when it fails, or still runs
    after `timeout` seconds.
    """
    program = find(argv[0])

    def start(**identity: Any) -> subprocess.Popen[bytes]:
        if os.geteuid() == 0:
            syscalls.unshare(_CLONE_NEWNET)
        return subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C.UTF-8", **(env or {})},
            **identity,
        )

    with _started(program, read, start) as child:
        try:
            output, errors = child.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            raise CommandFailed(argv, -9, f"still running after {timeout:g} s, killed") from None
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0:
        raise CommandFailed(argv, child.returncode, errors.decode(errors="replace"))
    return output


def _started(program: str, read: Sequence[Path], start: Any) -> subprocess.Popen[bytes]:
    if os.geteuid() != 0:
        child: subprocess.Popen[bytes] = start()
        return child
    uid = userns.NOBODY if userns.is_known(userns.NOBODY) else os.geteuid()
    return process.confined(Confinement(uid, view_of(program, read)), start)
