"""Runs the kubectl of this machine against the lab; all arguments are kubectl's own.

netlab kubectl get pods -A -o wide
netlab kubectl --lab other apply -f web.yaml
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from netlab.errors import EnvironmentLacks


def run_words(lab: str | None, words: Sequence[str]) -> int:
    """Become kubectl; returns only by raising."""
    from netlab.cli.kubeconfig_ import find

    program = shutil.which("kubectl")
    if program is None:
        raise EnvironmentLacks(
            "kubectl is not installed",
            hint="apt install kubernetes-client, or a newer one from "
            "https://kubernetes.io/docs/tasks/tools/; netlab itself has get, describe, apply, "
            "exec, logs … as well",
        )
    environment = {**os.environ, "KUBECONFIG": str(find(lab))}
    os.execve(program, ["kubectl", *words], environment)
