"""Built-in servers that have a directory of files: which they are, and what shows those.

Pure. What is built in shows its image's page and has no files. Where a pod brings files along, or
somebody goes into the container, it is a process of the pod's (`inside/web_server.py`), and the
image's own pages lie in the directory, as in the image.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from netlab.objects.types import Container
from netlab.workload.catalogue import ImageProgram, catalogue
from netlab.workload.served import Listener

FILE_SERVER = "web-server"
"""Which of `pod_binaries` shows files."""

SUCCEEDS = "--succeeds"
"""Has it listen beside who still has its ports, or wait until that has let go of them."""

WAITS = "waiting for its ports"
"""What it says then."""


def has_documents(program: ImageProgram) -> bool:
    """Whether a server shows files, if it has some."""
    return bool(program.documents)


def shows_files(program: ImageProgram, container: Container) -> bool:
    """Whether anything is mounted where a server has its documents."""
    return has_documents(program) and bool([*_at_documents(program, container)])


def _at_documents(program: ImageProgram, container: Container) -> Iterator[bool]:
    """For each mount of the documents or in them, whether nothing is left of the image's own."""
    root = PurePosixPath(program.documents)
    for mount in container.get("volumeMounts") or ():
        path = PurePosixPath(posixpath.normpath(mount["mountPath"]))
        if root.is_relative_to(path) or path.is_relative_to(root):
            yield root.is_relative_to(path)


def file_server(
    program: ImageProgram, container: Container, listeners: Sequence[Listener]
) -> tuple[str, ...]:
    """The command that shows them."""
    bare = any(_at_documents(program, container))
    options = ("--bare",) * bare + ("--lists",) * program.lists
    where = (f"--site={listeners[0].site}", f"--root={program.documents}")
    return (f"/{FILE_SERVER}", *where, *options, *(str(each.port) for each in listeners))


def succeeding(argv: Sequence[str]) -> tuple[str, ...]:
    """The command of one that is to have the ports of another."""
    return (argv[0], SUCCEEDS, *argv[1:])


def pages(container: Container) -> dict[str, str]:
    """The image's own files, their texts by their paths: each page that its site has at a path."""
    program = catalogue().lookup(container.get("image") or "")
    if not program.documents or not program.listen:
        return {}
    routes = catalogue().sites[program.listen[0].site]["routes"]
    return {
        posixpath.join(program.documents, _name(route)): str(route.get("body", ""))
        for route in routes
        if not route["path"].endswith("*") and route.get("status", 200) == 200
    }


def _name(route: Mapping[str, str]) -> str:
    return route["path"].strip("/") or "index.html"
