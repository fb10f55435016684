"""Attempts to be run by whoever enters the pod: as its programs, its libraries, its settings.

Each pod has the payload (payload.c) in a ConfigMap and mounts it where it may be found; another of
its containers, which mounts nothing there, tells what the payload has written.
"""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from e2e.escapes.attempt import Attempt, Json, config, shell

PROGRAMS = (
    "chroot", "crun", "env", "id", "ip", "mount", "newgidmap", "newuidmap", "nsenter", "pivot_root",
    "python3", "setpriv", "setsid", "sh", "umount", "unshare",
)  # fmt: skip
LOADER = "/lib64/ld-linux-x86-64.so.2"
PRELOAD = "/evil/payload.so"
_LIBRARIES = "/usr/lib/x86_64-linux-gnu"


@cache
def compiled(source: str, *flags: str) -> str:
    """A program or library of ours that needs no other, in base64."""
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory, "made")
        argv = ["gcc", "-O1", "-nostdlib", "-fno-stack-protector", *flags, "-o", str(made)]
        subprocess.run([*argv, str(Path(__file__).with_name(source))], check=True)
        return base64.b64encode(made.read_bytes()).decode()


def _python() -> str:
    """The directory of the modules of the machine's own Python."""
    argv = ["/usr/bin/python3", "-Sc", "import os; print(os.path.dirname(os.__file__))"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def _content() -> Json:
    program = compiled("payload.c", "-static")
    library = compiled("payload.c", "-shared", "-fPIC", "-DLIBRARY")
    start = "import os\nif os.path.exists('/evil/umount'): os.system('/evil/umount')\n"
    return {
        "data": {
            "ld.so.preload": f"{PRELOAD}\n",
            "nsswitch.conf": "passwd: evil files\ngroup: evil files\nhosts: files evil\n",
            "sitecustomize.py": start,
            "usercustomize.py": start,
        },
        "binaryData": {"payload.so": library, **dict.fromkeys(PROGRAMS, program)},
    }


def _attempt(
    name: str, *targets: tuple[str, str], env: Json | None = None, unguarded: tuple[str, ...] = ()
) -> Attempt:
    """The payload at /evil and at `targets`: paths, and which part of it (empty: all)."""
    mounts = [("/evil", ""), *targets]
    volume_mounts: list[Json] = [{"name": "out", "mountPath": "/out"}]
    for path, part in mounts:
        volume_mounts.append(
            {"name": "v", "mountPath": path, **({"subPath": part} if part else {})}
        )
    reader = {
        "name": "reader", "image": "busybox", "command": shell("sleep 3; cat /out/proof"),
        "volumeMounts": [{"name": "out", "mountPath": "/out"}],
    }  # fmt: skip
    volumes: list[Json] = [
        {"name": "v", "configMap": {"name": name, "defaultMode": 0o755}},
        {"name": "out", "emptyDir": {}},
    ]
    container: Json = {"command": ["/bin/sleep", "3"], "volumeMounts": volume_mounts}
    if env:
        container["env"] = [{"name": key, "value": value} for key, value in env.items()]
    return Attempt(
        name, "", container, {"volumes": volumes, "containers": [reader]},
        [config(name, **_content())], entered=True, unguarded=unguarded,
    )  # fmt: skip


def attempts() -> list[Attempt]:
    """All of them; they need a compiler."""
    start = os.path.realpath(f"{_python()}/sitecustomize.py")
    return [
        _attempt("shadow-local-bin", ("/usr/local/bin", "")),
        _attempt("shadow-local-sbin", ("/usr/local/sbin", "")),
        _attempt("shadow-sbin", ("/usr/sbin", "")),
        _attempt("shadow-opt", ("/opt/tools", ""), env={"PATH": "/opt/tools:/usr/bin:/bin"}),
        _attempt("shadow-programs", *((f"/usr/bin/{each}", each) for each in
                 ("env", "id", "mount", "nsenter", "setpriv", "setsid", "umount", "unshare"))),
        _attempt("shadow-shell", (os.path.realpath("/bin/sh"), "sh")),
        _attempt("shadow-loader", (os.path.realpath(LOADER), "sh")),
        _attempt("shadow-preload", ("/etc/ld.so.preload", "ld.so.preload")),
        _attempt("shadow-name-service", ("/etc/nsswitch.conf", "nsswitch.conf"),
                 (f"{_LIBRARIES}/libnss_evil.so.2", "payload.so")),
        _attempt("shadow-python", (start, "sitecustomize.py"),
                 unguarded=("python",)),
        _attempt("environment-path", env={"PATH": "/evil:/usr/bin:/bin"}),
        _attempt("environment-preload", env={"LD_PRELOAD": PRELOAD}),
        _attempt("environment-audit", env={"LD_AUDIT": PRELOAD}),
        _attempt("environment-python", env={"PYTHONPATH": "/evil"}, unguarded=("python",)),
    ]  # fmt: skip
