"""nginx, as a program that runs in an Ingress controller's pod."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.ingress.options import Options
from netlab.ingress.render import STATUS_PORT, first
from netlab.kernel import userns
from netlab.workload.pod_program import PodProgram, ProgramContext


def _words(place: ProgramContext) -> tuple[str, ...]:
    # -e: until it has read its configuration, it would write to the machine's log.
    return (
        *("nginx", "-e", "stderr"),
        *("-p", str(place.state), "-c", f"{place.config}/nginx.conf"),
    )


def _first(_: ProgramContext) -> Mapping[str, str]:
    return {"nginx.conf": first(Options())}


NGINX = PodProgram(
    "nginx",
    port=STATUS_PORT,
    user=userns.INGRESS,
    arguments=_words,
    check=lambda place: (*_words(place), "-q", "-t"),
    files=_first,
    opens_log=True,
)
