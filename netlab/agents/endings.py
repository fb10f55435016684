"""Pure, but for reading a log: what `state.terminated.message` says of a container's end.

Source: pkg/kubelet/kuberuntime/kuberuntime_container.go (getTerminationMessage),
pkg/kubelet/status/status_manager.go (normalizeStatus).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from netlab.objects.types import Container
from netlab.workload import crilog

_LOG_LINES, _LOG_BYTES = 80, 2048
_OF_A_POD = 12 * 1024
"""Bytes that all containers of a pod share."""


def message(container: Container, code: int, said: str, log: Path, containers: int) -> str:
    """What the container has `said` itself, or why it never ran; else what it asks for instead.

    `containers` is how many the pod has, init containers included.
    """
    policy = container.get("terminationMessagePolicy")
    text = said or (log_end(log) if code and policy == "FallbackToLogsOnError" else "")
    return text.encode()[: _OF_A_POD // containers].decode(errors="ignore")


def log_end(log: Path) -> str:
    """The last lines of a container's log; "" if there is none."""
    with contextlib.suppress(OSError):
        text = b"".join(entry.data for entry in crilog.last(log, _LOG_LINES))
        return text[-_LOG_BYTES:].decode(errors="replace")
    return ""
