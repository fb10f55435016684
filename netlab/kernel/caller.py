"""Who called sudo to start us: that user may ask things of the lab without a second sudo."""

from __future__ import annotations

import os

from netlab.errors import EnvironmentLacks


def need_root(verb: str) -> None:
    """Namespaces are root's to make, and to look into."""
    if os.geteuid() != 0:
        raise EnvironmentLacks(f"netlab {verb} needs root", hint=f"sudo netlab {verb} …")


def uid() -> int:
    """The id of who ran sudo; our own without sudo."""
    return _id("SUDO_UID", os.getuid())


def gid() -> int:
    """The group of who ran sudo; our own without sudo."""
    return _id("SUDO_GID", os.getgid())


def _id(variable: str, own: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and text.isascii() else own
