"""Attempts by paths: links in volumes, names that are paths, what changes while it is looked at."""

from __future__ import annotations

from e2e.escapes.attempt import Attempt, Json, claim, config, pod, shell

_READ = shell("cat /sub/srv/marker /sub/marker /part-of-a-volume; sleep 1")
_EMPTY = {"volumes": [{"name": "v", "emptyDir": {}}]}


def _mounted(path: str = "/data", **more: str) -> Json:
    return {"name": "v", "mountPath": path, **more}


def _before(text: str) -> list[Json]:
    """An init container that prepares the volume."""
    return [{"name": "before", "image": "busybox", "command": ["sh", "-c", text],
             "volumeMounts": [_mounted()]}]  # fmt: skip


def _link(name: str, prepare: str, part: str = "x", path: str = "/sub") -> Attempt:
    """A part of a volume, which an earlier container has made a link."""
    return Attempt(
        f"subpath-{name}", "", {"command": _READ, "volumeMounts": [_mounted(path, subPath=part)]},
        {**_EMPTY, "initContainers": _before(prepare)}, refusable=True,
    )  # fmt: skip


# Renames a directory and a link to / onto the same name, thousands of times a second.
SWAP = """
import ctypes, os
os.chdir("/data")
os.makedirs("x", exist_ok=True)
if not os.path.islink("l"):
    os.symlink(@TARGET@, "l")
libc = ctypes.CDLL(None)
import time
guarded = "Seccomp:\t2" in open("/proc/self/status").read()
until = time.time() + (9 if guarded else 60)
while time.time() < until:
    for _ in range(1000):
        libc.syscall(316, -100, b"x", -100, b"l", 2)
"""
LOOK = """
test -e /sub/srv/marker && cat /sub/srv/marker && exit 0
test -e /sub/marker && cat /sub/marker && exit 0
sleep 0.05
exit 1
"""


def _swapper(target: str = "/") -> Json:
    return {"name": "swapper", "image": "busybox", "volumeMounts": [_mounted()],
            "command": ["python3", "-c", SWAP.replace("@TARGET@", repr(target))]}  # fmt: skip


def _victims(number: int, part: str = "x") -> list[Json]:
    return [
        {"name": f"victim{index}", "image": "busybox", "command": ["sh", "-c", LOOK],
         "volumeMounts": [_mounted("/sub", subPath=part)]}
        for index in range(number)
    ]  # fmt: skip


def _race_between_pods(name: str, volume: Json) -> Attempt:
    """The volume is shared: one pod swaps, another mounts."""
    swapping = {key: value for key, value in _swapper().items() if key not in ("name", "image")}
    return Attempt(
        name, "", {"command": ["sh", "-c", LOOK], "volumeMounts": [_mounted("/sub", subPath="x")]},
        {"volumes": [{"name": "v", **volume}], "containers": _victims(9), "restartPolicy": "Always",
         "nodeName": "worker001"},
        [*([claim(name)] if "persistentVolumeClaim" in volume else []),
         pod(f"{name}-swapper", swapping, volumes=[{"name": "v", **volume}],
             nodeName="worker001")],
        races=True, refusable=True,
    )  # fmt: skip


def _named(name: str, volume: str, source: Json, path: str = "/sub/marker") -> Attempt:
    """A volume whose name, or its claim's, is a path."""
    mount = {"name": volume, "mountPath": "/sub"}
    return Attempt(
        name, "", {"command": shell(f"cat {path}; echo x >/sub/written-by-{name}"),
                   "volumeMounts": [mount]},
        {"volumes": [{"name": volume, **source}]},
        look=f"test -n \"$(find /srv -maxdepth 3 -name 'written-by-{name}' "
             "-not -path '/srv/disks/*')\"",
        refusable=True,
    )  # fmt: skip


UP = "../" * 12

ATTEMPTS = [
    _link("link", "ln -s / /data/x"),
    _link("link-relative", f"ln -s {UP} /data/x"),
    _link("link-to-file", "ln -s /srv/marker /data/x", path="/part-of-a-volume"),
    _link("link-in-the-middle", "ln -s / /data/x", "x/srv"),
    _link("link-of-links", "ln -s y /data/x; ln -s z /data/y; ln -s /srv /data/z", "x"),
    _link("magic-link", "ln -s /proc/self/root /data/x"),
    _link("magic-link-of-init", "ln -s /proc/1/root/srv /data/x"),
    _link("magic-link-of-descriptor", "ln -s /proc/self/fd/7 /data/x"),
    _link("up", "mkdir /data/x", f"x/{UP}srv"),
    _link("absolute", "mkdir /data/x", "/srv"),
    Attempt(
        "subpath-race", "", {"command": ["sh", "-c", LOOK], "volumeMounts": [
            _mounted("/sub", subPath="x")]},
        {**_EMPTY, "containers": [_swapper(), *_victims(12)], "restartPolicy": "Always",
         "initContainers": _before("mkdir /data/x")},
        races=True, refusable=True,
    ),
    Attempt(
        "subpath-race-deeper", "",
        {"command": ["sh", "-c", LOOK], "volumeMounts": [_mounted("/sub", subPath="x/srv")]},
        {**_EMPTY, "containers": [_swapper(), *_victims(12, "x/srv")], "restartPolicy": "Always",
         "initContainers": _before("mkdir -p /data/x/srv")},
        races=True, refusable=True,
    ),
    _race_between_pods("claim-race", {"persistentVolumeClaim": {"claimName": "claim-race"}}),
    _race_between_pods("host-path-race", {"hostPath": {"path": "/shared"}}),
    Attempt(
        "host-path", "", {"command": shell("cat /sub/srv/marker /sub/marker"),
                          "volumeMounts": [_mounted("/sub")]},
        {"volumes": [{"name": "v", "hostPath": {"path": f"/{UP}"}}]}, refusable=True,
    ),
    Attempt(
        "host-path-up", "", {"command": shell("cat /sub/marker"),
                             "volumeMounts": [_mounted("/sub")]},
        {"volumes": [{"name": "v", "hostPath": {"path": f"/a/{UP}srv"}}]}, refusable=True,
    ),
    Attempt(
        "host-path-of-the-machine", "", {"command": shell("cat /sub/marker"),
                                         "volumeMounts": [_mounted("/sub", subPath="link/srv")]},
        {"volumes": [{"name": "v", "hostPath": {"path": "/linked"}}],
         "initContainers": _before("ln -sfn / /data/link")},
        refusable=True,
    ),
    Attempt(
        "host-path-over-link", "", {"command": shell("cat /sub/marker"),
                                    "volumeMounts": [_mounted("/sub")]},
        {"volumes": [{"name": "v", "hostPath": {"path": "/over/link/srv"}}],
         "nodeName": "worker001"},
        [pod("host-path-before", {"command": ["ln", "-sfn", "/", "/data/link"],
                                  "volumeMounts": [_mounted()]},
             volumes=[{"name": "v", "hostPath": {"path": "/over"}}], nodeName="worker001")],
        refusable=True,
    ),
    Attempt(
        "claim-over-link", "", {"command": shell("cat /sub/marker"),
                                "volumeMounts": [_mounted("/sub", subPath="link/srv")]},
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim-over-link"}}]},
        [claim("claim-over-link"),
         pod("claim-before", {"command": ["ln", "-sfn", "/", "/data/link"],
                              "volumeMounts": [_mounted()]},
             volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "claim-over-link"}}])],
        refusable=True,
    ),
    # Where something is to be mounted is made: through a link, it would be made on the machine.
    Attempt(
        "mount-point-over-link", "",
        {"command": shell("ls /data/link"), "volumeMounts": [
            _mounted(), {"name": "w", "mountPath": "/data/link/made-by-a-pod"}]},
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}],
         "initContainers": _before("ln -s /srv/written /data/link")},
        look="test -e /srv/written/made-by-a-pod", refusable=True,
    ),
    Attempt(
        "projected-over-link", "",
        {"command": shell("ls /data/link"), "volumeMounts": [
            _mounted(), {"name": "w", "mountPath": "/data/link/by-a-config", "subPath": "key"}]},
        {"volumes": [{"name": "v", "emptyDir": {}},
                     {"name": "w", "configMap": {"name": "projected-over-link"}}],
         "initContainers": _before("ln -s /srv/written /data/link")},
        [config("projected-over-link", data={"key": "x"})],
        look="test -e /srv/written/by-a-config", refusable=True,
    ),
    _named("volume-name", f"{UP}srv", {"emptyDir": {}}),
    _named("claim-name", "v", {"persistentVolumeClaim": {"claimName": f"{UP}srv"}}),
    Attempt(
        "config-item-path", "", {"command": shell("ls /sub"), "volumeMounts": [_mounted("/sub")]},
        {"volumes": [{"name": "v", "configMap": {
            "name": "config-item-path", "items": [{"key": "key", "path": f"{UP}srv/written/item"}],
        }}]},
        [config("config-item-path", data={"key": "x"})],
        look="test -e /srv/written/item", refusable=True,
    ),
    Attempt(
        "config-item-path-absolute", "",
        {"command": shell("ls /sub"), "volumeMounts": [_mounted("/sub")]},
        {"volumes": [{"name": "v", "configMap": {
            "name": "config-item-path-absolute",
            "items": [{"key": "key", "path": "/srv/written/absolute"}],
        }}]},
        [config("config-item-path-absolute", data={"key": "x"})],
        look="test -e /srv/written/absolute", refusable=True,
    ),
    Attempt(
        "container-name", "", {"name": f"{UP}srv/written/container", "command": shell("true")},
        look="test -e /srv/written/container", refusable=True,
    ),
]  # fmt: skip
