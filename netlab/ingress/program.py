"""nginx, as a program that runs in an Ingress controller's pod."""

from __future__ import annotations

import signal

from netlab.ingress.render import STATUS_PORT
from netlab.kernel import userns
from netlab.workload.pod_program import PodProgram, ProgramContext


def _words(place: ProgramContext) -> tuple[str, ...]:
    # -e: until it has read its configuration, it would write to the machine's log.
    return (
        *("nginx", "-e", "stderr"),
        *("-p", str(place.state), "-c", f"{place.config}/nginx.conf"),
    )


NGINX = PodProgram(
    "nginx",
    port=STATUS_PORT,
    user=userns.INGRESS,
    arguments=_words,
    check=lambda place: (*_words(place), "-q", "-t"),
    opens_log=True,
    finish=signal.SIGQUIT,
    scratch=True,  # bodies of requests, which anybody may send
    retiring="is shutting down",
)
