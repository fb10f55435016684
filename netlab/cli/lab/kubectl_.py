"""Runs the kubectl of this machine against the lab; all arguments are kubectl's own. Where it fails
for a reason that can be told in plainer words, these follow its own.

netlab kubectl get pods -A -o wide
netlab kubectl --lab other apply -f web.yaml
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

from netlab.errors import EnvironmentLacks


def run_words(lab: str | None, words: Sequence[str]) -> int:
    """Run kubectl; its exit code. Where there is nothing to add to what it says, become it."""
    from netlab import inventory
    from netlab.cli.lab.kubeconfig_ import find
    from netlab.cli.lab.kubectl_hints import hints

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
        client.raw("GET", "/readyz/ping")  # else it would say that it cannot reach 127.0.0.1
        known = hints(words, client)
    environment = {**os.environ, "KUBECONFIG": str(config)}
    argv = ["kubectl", *words]
    if not known:
        os.execve(program, argv, environment)
    code = _waited_for(program, argv, environment)
    if code != 0:
        sys.stderr.write("".join(f"hint: {hint}\n" for hint in known))
    return code


def _waited_for(program: str, argv: Sequence[str], environment: dict[str, str]) -> int:
    """Its exit code, 128 and more for a signal; what we are sent meanwhile is for it."""
    sys.stdout.flush()
    with subprocess.Popen(argv, executable=program, env=environment) as child:
        for number in (signal.SIGINT, signal.SIGQUIT):  # the terminal tells both of us
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: child.send_signal(number))
        code = child.wait()
    return code if code >= 0 else 128 - code
