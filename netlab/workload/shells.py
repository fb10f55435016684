"""What `/bin/sh` is in a container: its image's shell, where the machine's is another.

Debian's is dash. Those of many images can more, and their users go by that: busybox's ash and the
bash of Red Hat's have `$RANDOM` and the like. Where that is ash, other programs are busybox's,
too, and the machine's are set to do as these do. Pure, but for `found`, which asks the machine
where it has a program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netlab.kernel.search import which
from netlab.objects.types import Container
from netlab.workload.behaviour import PATH
from netlab.workload.catalogue import catalogue

_PROGRAMS: Mapping[str, tuple[str, ...]] = {"ash": ("busybox", "bash"), "bash": ("bash",)}
"""What can be an image's shell, the best first: bash knows what people use of ash."""

_NAMES: Mapping[str, tuple[str, ...]] = {"ash": ("/bin/sh", "/bin/ash"), "bash": ("/bin/sh",)}

_ONE_TRY = """\
# As busybox's does: GNU's own tries twenty times where nobody answers.
tries = 1
"""

_SETTINGS: Mapping[str, Mapping[str, str]] = {"ash": {"/etc/wgetrc": _ONE_TRY}}
"""By an image's shell, files by which the machine's programs do as the image's."""


def found(program: str) -> str | None:
    """Where pods find a program, for they use this machine's own."""
    return which(program, PATH)


def shell_links(container: Container, where: Callable[[str], str | None] = found) -> dict[str, str]:
    """The links by which a container has its image's shell: what they lead to, by their paths."""
    shell = catalogue().shell(container.get("image") or "")
    paths = (path for program in _PROGRAMS.get(shell or "", ()) if (path := where(program)))
    target = next(paths, None)
    return dict.fromkeys(_NAMES[shell], target) if shell and target else {}


def settings(container: Container) -> Mapping[str, str]:
    """The files by which the machine's programs do as a container's own would, by their paths."""
    return _SETTINGS.get(catalogue().shell(container.get("image") or "") or "", {})
