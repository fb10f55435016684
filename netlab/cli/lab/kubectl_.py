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
    from netlab import inventory
    from netlab.cli.lab.kubeconfig_ import find

    program = shutil.which("kubectl")
    if program is None:
        raise EnvironmentLacks(
            "kubectl is not installed",
            hint="apt install kubernetes-client, or a newer one from "
            "https://kubernetes.io/docs/tasks/tools/; netlab itself has get, describe, apply, "
            "exec, logs … as well",
        )
    config = find(lab)
    with inventory.client_of(config.parent.name) as client:
        client.raw("GET", "/readyz")  # else it would say that it cannot reach 127.0.0.1
    environment = {**os.environ, "KUBECONFIG": str(config)}
    os.execve(program, ["kubectl", *words], environment)
