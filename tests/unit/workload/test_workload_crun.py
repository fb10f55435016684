"""What crun complains of, in the words that people know from clusters."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from netlab.workload.crun import NOT_EXECUTABLE, NOT_FOUND, NOT_STARTED, Crun, failure
from netlab.workload.reaper import Reaper


@pytest.mark.parametrize(
    ("log", "program", "message", "code"),
    [
        (
            "executable file `no-such` not found in $PATH: No such file or directory\n", "no-such",
            'exec: "no-such": executable file not found in $PATH', NOT_FOUND,
        ),
        (
            "executable file `/no/x` not found in $PATH: No such file or directory\n", "/no/x",
            'exec: "/no/x": stat /no/x: no such file or directory', NOT_FOUND,
        ),
        (
            "executable file `a\nb` not found in $PATH: No such file or directory\n", "a\nb",
            'exec: "a\nb": executable file not found in $PATH', NOT_FOUND,
        ),
        (
            "open executable: Permission denied\n", "/etc/hosts",
            'exec: "/etc/hosts": permission denied', NOT_EXECUTABLE,
        ),
        (
            "open executable: Operation not permitted\n", "/etc",
            'exec: "/etc": is a directory', NOT_EXECUTABLE,
        ),
        (
            "open executable: Not a directory\n", "/bin/sh/",
            'exec: "/bin/sh/": stat /bin/sh/: not a directory', NOT_EXECUTABLE,
        ),
        (
            "open executable: Permission denied\n", "hosts",
            'exec: "hosts": executable file not found in $PATH', NOT_FOUND,
        ),
        (
            "open executable: Operation not permitted\n", "",
            'exec: "": executable file not found in $PATH', NOT_FOUND,
        ),
        (
            "executable file `/no/x` not found: No such file or directory\n", "/no/x",
            'exec: "/no/x": stat /no/x: no such file or directory', NOT_FOUND,
        ),
        (
            "the path `/etc/hosts` exists but it is not executable: Operation not permitted\n",
            "/etc/hosts", 'exec: "/etc/hosts": permission denied', NOT_EXECUTABLE,
        ),
        (
            "the path `hosts` exists but it is not executable: Operation not permitted\n",
            "hosts", 'exec: "hosts": executable file not found in $PATH', NOT_FOUND,
        ),
        (
            "the path `/./etc` is not a regular file: Operation not permitted\n", "./etc",
            'exec: "./etc": is a directory', NOT_EXECUTABLE,
        ),
        (
            "cannot open `/bin/sh/`: Not a directory\n", "/bin/sh/",
            'exec: "/bin/sh/": stat /bin/sh/: not a directory', NOT_EXECUTABLE,
        ),
        (
            "cannot find `` in $PATH: No such file or directory\n", "",
            'exec: "": executable file not found in $PATH', NOT_FOUND,
        ),
        (
            "chdir to `/no/such`: No such file or directory\n", "sh",
            'chdir to cwd ("/no/such") failed: no such file or directory', NOT_STARTED,
        ),
        (
            "chdir `/no/such`: No such file or directory\n", "sh",
            'chdir to cwd ("/no/such") failed: no such file or directory', NOT_STARTED,
        ),
        (
            "2026-11-29T11:00:00.123Z error: mount `proc` to `/proc`: Operation not permitted\n",
            "sh", "mount `proc` to `/proc`: Operation not permitted", NOT_STARTED,
        ),
        ("", "sh", "crun ended with exit code 3", NOT_STARTED),
    ],
)  # fmt: skip
def test_failures(log: str, program: str, message: str, code: int) -> None:
    error = failure(log, 3, program)
    assert (error.message, error.code) == (message, code)


def test_notes_that_cannot_be_cleared_away_do_not_undo_a_start(tmp_path: Path) -> None:
    crun = Crun(tmp_path, cast(Reaper, None), None)
    with crun._scratch() as place:
        place.rmdir()
