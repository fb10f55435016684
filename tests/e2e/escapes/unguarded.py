"""A sandbox as one would write it who trusts its pods: what an attempt must succeed in.

    unguarded.py POD [SECONDS]
        the pod of a JSON file runs, with the objects it needs; all that it says is told

Runs on a disposable machine. The container's root is the machine's `/` without what is mounted
below, read-only, with private places on top, as netlab's. But programs are found by PATH in the
pod's root by somebody who still has all rights, paths in volumes are followed wherever they lead,
the root is changed by chroot alone, nothing is dropped, filtered or masked, and of the namespaces
only those are its own that `unguarded` names. There may also stand: `pivot`, then the root is
changed for good; `writable`, then it is not read-only; `python`, then whoever enters uses that.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

Json = dict
CLONE = {"mount": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "net": 0x40000000, "pid": 0x20000000}
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PRIVATE = ("srv", "tmp", "run", "home", "root", "var/lib", "var/log", "var/tmp")
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 6.0
STARTED_BY = os.getppid()  # a neighbour ends with the pod that it was for
DISKS = Path("/srv/disks")
# Whoever enters finds its tools by PATH, in the pod, and has not dropped anything yet.
INIT = """\
umount --lazy /nothing 2>/dev/null
mount --version >/dev/null
id root >/dev/null
test -z "$PYTHON" || python3 -c pass
"""
PLAIN = 'exec env "$@"'
DROPPING = 'exec setpriv --reuid={0} --regid={1} --clear-groups -- env "$@"'
libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int = 0) -> None:
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, None):
        raise OSError(ctypes.get_errno(), f"mount {target}: {os.strerror(ctypes.get_errno())}")


class Kubelet:
    """Runs one pod."""

    def __init__(self, pod: Json, objects: list[Json]) -> None:
        self.spec, self.objects = pod["spec"], objects
        self.how = pod.get("unguarded", ())
        self.own = sum(CLONE[name] for name in self.how if name in CLONE)
        self.base = Path(tempfile.mkdtemp(dir="/srv"))
        self.nsenter = f"{self.base}/nsenter"
        shutil.copy("/usr/bin/nsenter", self.nsenter)
        self.volumes = {v["name"]: self.volume(v) for v in self.spec.get("volumes", ())}
        self.until = time.monotonic() + SECONDS
        self.outside = os.dup2(os.open("/", os.O_RDONLY), 7)  # forgotten, and inherited

    # -- volumes ---------------------------------------------------------------------------

    def volume(self, volume: Json) -> Path:
        if "hostPath" in volume:
            path = DISKS / "node" / volume["hostPath"]["path"].lstrip("/")
        elif "persistentVolumeClaim" in volume:
            path = DISKS / "claims" / volume["persistentVolumeClaim"]["claimName"]
        else:
            path = DISKS / self.base.name / volume["name"]
        Path(path).mkdir(parents=True, exist_ok=True)
        wanted = volume.get("configMap") or volume.get("secret") or {}
        content = self.content(wanted.get("name") or wanted.get("secretName"))
        items = {item["key"]: item["path"] for item in wanted.get("items", ())}
        for key, data in content.items():
            file = path / items.get(key, key)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(wanted.get("defaultMode", 0o644))
        return path

    def content(self, name: str | None) -> dict[str, bytes]:
        for each in self.objects:
            if each["kind"] in ("ConfigMap", "Secret") and each["metadata"]["name"] == name:
                texts = {k: str(v).encode() for k, v in each.get("data", {}).items()}
                binary = {k: base64.b64decode(v) for k, v in each.get("binaryData", {}).items()}
                return texts | binary
        return {}

    # -- a container's root ----------------------------------------------------------------

    def make_root(self, container: Json) -> str:
        root = f"{self.base}/{container['name']}"
        Path(root).mkdir(parents=True, exist_ok=True)
        mount("none", "/", "none", MS_REC | MS_PRIVATE)
        mounts = sorted(container.get("volumeMounts", ()), key=lambda each: len(each["mountPath"]))
        for each in mounts:  # the root will be read-only: its mount points are made on the machine
            self.make_point(each)
        mount("/", root, "none", MS_BIND)
        if "writable" not in self.how:
            mount("none", root, "none", MS_BIND | MS_REMOUNT | MS_RDONLY)
        for name in PRIVATE:
            mount("tmpfs", f"{root}/{name}", "tmpfs")
        mount("proc", f"{root}/proc", "proc")
        for name in ("dev", "sys"):
            mount(f"/{name}", f"{root}/{name}", "none", MS_BIND | MS_REC)
        for each in mounts:
            target = root + each["mountPath"]
            if each["mountPath"].startswith(tuple(f"/{name}/" for name in PRIVATE)):
                Path(target).mkdir(parents=True, exist_ok=True)
            mount(str(self.source(each)), target, "none", MS_BIND)
        return root

    def change_root(self, root: str) -> None:
        if "pivot" in self.how:
            os.chdir(root)
            libc.syscall(155, b".", b".")
            libc.umount2(b".", 2)
            os.chdir("/")
        else:
            os.chroot(root)

    def source(self, wanted: Json) -> Path:
        path = self.volumes[wanted["name"]] / wanted.get("subPath", "")
        if not path.exists():
            path.mkdir(parents=True)
        return Path(os.path.realpath(path))

    def make_point(self, wanted: Json) -> None:
        target = Path(wanted["mountPath"])
        for each in self.volumes_below(target):
            Path(each).mkdir(parents=True, exist_ok=True)
        if target.exists():
            return
        if self.source(wanted).is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()

    def volumes_below(self, target: Path) -> list[Path]:
        """Where a mount point is to be made in another volume."""
        found = []
        for container in self.spec["containers"]:
            for outer in container.get("volumeMounts", ()):
                if Path(outer["mountPath"]) in target.parents:
                    inside = target.relative_to(outer["mountPath"])
                    found.append(self.volumes[outer["name"]] / inside)
        return found

    # -- processes -------------------------------------------------------------------------

    def begin(self, container: Json) -> int:
        """Fork the container's first process; returns its id."""
        if (child := os.fork()) == 0:
            try:
                libc.unshare(CLONE["mount"] | self.own)
                if self.own & CLONE["pid"] and (inner := os.fork()):
                    Path(f"{self.base}/{container['name']}.pid").write_text(str(inner))
                    os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) & 255)
                root = self.make_root(container)
                self.change_root(root)
                os.chdir(container.get("workingDir", "/"))
                self.execute(container, container["command"])
            except OSError as error:
                print("could not begin:", error, flush=True)
            finally:
                os._exit(128)
        return child

    def execute(self, container: Json, argv: list[str], *before: str) -> None:
        wanted = {**self.spec.get("securityContext", {}), **container.get("securityContext", {})}
        user, group = wanted.get("runAsUser", 0), wanted.get("runAsGroup", 0)
        text = INIT + (DROPPING.format(user, group) if user else PLAIN)
        python = "yes" if "python" in self.how else ""
        env = {"PATH": os.environ["PATH"], "NETLAB_OWNER": "somebody", "PYTHON": python}
        env |= {each["name"]: each["value"] for each in container.get("env", ())}
        os.set_inheritable(self.outside, True)
        words = [*before, "sh", "-c", text, "sh", *argv]
        os.execvpe(words[0], words, env)

    def enter(self, container: Json, pid: int, argv: list[str]) -> int:
        """Run another program beside a container's process, coming from outside."""
        if (child := os.fork()) == 0:
            try:
                if self.own & CLONE["pid"]:
                    pid = self.inner(container)
                    libc.setns(os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY), 0)
                    if inner := os.fork():
                        os.waitpid(inner, 0)
                        os._exit(0)
                time.sleep(0.02)  # on the way, with all rights and the machine's root
                place = f"/proc/{pid}"
                into = [f"--mount={place}/ns/mnt", f"--root={place}/root", f"--wd={place}/root"]
                self.execute(container, argv, self.nsenter, *into)
            except OSError as error:
                print("could not begin:", error, flush=True)
            finally:
                os._exit(128)
        return child

    def inner(self, container: Json) -> int:
        """The first process of the container's own PID namespace."""
        return int(Path(f"{self.base}/{container['name']}.pid").read_text())

    def run(self) -> None:
        for container in self.spec.get("initContainers", ()):
            os.waitpid(self.begin(container), 0)
        containers = {self.begin(each): each for each in self.spec["containers"]}
        time.sleep(0.5)  # until they have their roots
        for pid, container in containers.items():
            after = container.get("lifecycle", {}).get("postStart", {}).get("exec")
            if after:
                os.waitpid(self.enter(container, pid, after["command"]), 0)
        while containers and time.monotonic() < self.until and os.getppid() == STARTED_BY:
            self.look_after(containers)
            time.sleep(0.1)
        for pid, container in containers.items():
            before = container.get("lifecycle", {}).get("preStop", {}).get("exec")
            if before:
                os.waitpid(self.enter(container, pid, before["command"]), 0)
            os.kill(self.inner(container) if self.own & CLONE["pid"] else pid, signal.SIGKILL)
        for container in self.spec["containers"]:
            self.tell_message(container)

    def look_after(self, containers: dict[int, Json]) -> None:
        for pid, container in list(containers.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del containers[pid]
                if not status and "victim" in container["name"]:
                    self.until = 0  # it has seen what it was to see
                if status and self.spec.get("restartPolicy") == "Always":
                    containers[self.begin(container)] = container
            elif probe := container.get("readinessProbe", {}).get("exec"):
                os.waitpid(self.enter(container, pid, probe["command"]), 0)

    def tell_message(self, container: Json) -> None:
        path = container.get("terminationMessagePath")
        if path:
            for each in self.volumes.values():  # it is in a volume, if it is to outlive the root
                file = each / Path(path).name
                if file.exists():
                    print(file.read_text(errors="replace"), flush=True)


def log_in() -> None:
    """Have root's keyring in that of the session, as whoever logs in and no container's process."""
    libc.syscall(250, 1, None)  # KEYCTL_JOIN_SESSION_KEYRING
    libc.syscall(250, 8, -4, -3)  # KEYCTL_LINK: the user's to the session's


def main() -> None:
    log_in()
    wanted = json.loads(Path(sys.argv[1]).read_text())
    for each in wanted["objects"]:
        if each["kind"] == "Pod":  # a neighbour
            argv = [sys.executable, __file__, _file({"pod": each, "objects": []}), *sys.argv[2:]]
            neighbour, shared = subprocess.Popen(argv), Kubelet(each, []).volumes.values()
            deadline = time.monotonic() + 20
            while not any(any(path.iterdir()) for path in shared) and time.monotonic() < deadline:
                if neighbour.poll() is not None:
                    break
                time.sleep(0.02)
    Kubelet(wanted["pod"], wanted["objects"]).run()


def _file(content: Json) -> str:
    descriptor, name = tempfile.mkstemp(dir="/srv")
    os.write(descriptor, json.dumps(content).encode())
    return name


if __name__ == "__main__":
    main()
