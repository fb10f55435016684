"""A text that is longer than the screen, in the reader's own pager."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys


def show(text: str) -> None:
    """Print it: through $PAGER, else `less -R`, where it does not fit the terminal.

    An empty PAGER means none; so does one that is not there.
    """
    if not (sys.stdout.isatty() and _is_long(text) and _paged(text)):
        sys.stdout.write(text)


def _is_long(text: str) -> bool:
    return text.count("\n") >= shutil.get_terminal_size().lines


def _paged(text: str) -> bool:
    """False if there is no pager."""
    environment = {"LESSCHARSET": "utf-8", **os.environ}
    # Ctrl-C is for the pager, which goes on; it would not if we ended and took its text away.
    listens = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        command = shlex.split(os.environ.get("PAGER", "less -R"))
        subprocess.run(command, input=text.encode(), env=environment, check=False)
    except (OSError, ValueError, IndexError):
        return False
    finally:
        signal.signal(signal.SIGINT, listens)
    return True
