"""How much more than the bare kernel work does a pod's network cost?

Attaches the same pods twice in one run, alternating: by `attach_pods`, and by netlink messages
that were encoded beforehand, sent the leanest way known. Prints medians and their ratio.

    sudo .venv/bin/python tests/bench/network/bench_pods.py [--pods 100] [--rounds 5]

The ratio is to stay below 3 at 100 pods; `teardown` below 1 s.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netlab.kernel import netns, paths, syscalls, sysctl, teardown
from netlab.kernel.netlink import NetlinkMessage, NetlinkSocket
from netlab.network import apply, plan, pod_diff
from netlab.network.encode import message
from netlab.network.model import PodLink
from netlab.objects.lab import Lab, lab_from_object

LIMIT = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as base:
        os.environ[paths.RUN_VARIABLE] = f"{base}/run"
        os.environ[paths.NETNS_DIR_VARIABLE] = f"{base}/netns"
        report(*measure(options.pods, options.rounds))


def measure(count: int, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds to attach with netlab, with bare messages, and to tear down; one per round."""
    lab = bench_lab()
    ours, bare, down = [], [], []
    for _ in range(rounds):
        with standing(lab, down) as (directory, pods):
            ours.append(timed(lambda: attach(pods[:count], directory)))
        with standing(lab, []) as (directory, pods):
            bare.append(bare_attach(pods[:count], directory))
    return ours, bare, down


def bench_lab() -> Lab:
    """Two nodes with room for 500 pods each."""
    nodes = [{"name": f"worker{n}", "podCIDR": f"10.{n}.0.0/16"} for n in (1, 2)]
    return lab_from_object(
        {"metadata": {"name": "bench"}, "spec": {"nodes": nodes, "podCIDR": "10.0.0.0/8"}}
    )


@contextmanager
def standing(lab: Lab, down: list[float]) -> Iterator[tuple[Path, list[PodLink]]]:
    directory = paths.lab_dir(lab.name)
    netns.LabMount(directory).ensure()
    apply.ensure_cluster(plan.cluster(lab), directory)
    try:
        yield directory, links(lab)
    finally:
        down.append(timed(lambda: teardown.teardown(directory)))
        time.sleep(1.0)  # the kernel takes links apart in the background: not into the next round


def links(lab: Lab) -> list[PodLink]:
    """500 pods for each node, in turn."""
    return [
        plan.pod_link(
            lab,
            node,
            "default",
            f"{node.name}-{number}",
            f"{node.name}-{number}",
            [plan.address_at(node.pod_cidrs[0], number + 2)],
        )
        for number in range(500)
        for node in lab.nodes
    ]


def attach(pods: list[PodLink], directory: Path) -> None:
    failed = apply.attach_pods(pods, directory)
    assert not failed, failed


def bare_attach(pods: list[PodLink], directory: Path) -> float:
    """The same links from messages encoded beforehand; only system calls are timed."""
    nodes = {pod.node: netns.open_(paths.namespace(directory, pod.node)) for pod in pods}
    sockets = {name: NetlinkSocket(descriptor) for name, descriptor in nodes.items()}
    inside = [[message(op, _no_peer) for op in pod_diff.inside(pod)] for pod in pods]
    targets = [paths.namespace(directory, pod.name) for pod in pods]
    home = netns.current()
    started = time.perf_counter()
    made = [bare_namespace(target, home) for target in targets]
    made_seconds = time.perf_counter() - started
    # A descriptor's number is part of the message, so these are encoded now, off the clock.
    ports: dict[str, list[NetlinkMessage]] = {name: [] for name in nodes}
    for pod, (descriptor, _) in zip(pods, made, strict=True):
        ports[pod.node] += [message(op, lambda _, d=descriptor: d) for op in pod_diff.veth(pod)]
    started = time.perf_counter()
    for name, messages in ports.items():
        sockets[name].request(messages)
    for (descriptor, socket), messages in zip(made, inside, strict=True):
        socket.request(messages)
        socket.close()
        os.close(descriptor)
    seconds = made_seconds + time.perf_counter() - started
    for descriptor in (*nodes.values(), home):
        os.close(descriptor)
    for socket in sockets.values():
        socket.close()
    return seconds


def bare_namespace(target: Path, home: int) -> tuple[int, NetlinkSocket]:
    os.close(os.open(target, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o444))
    syscalls.unshare(syscalls.CLONE_NEWNET)
    # The one sysctl without which IPv6 chatter would dominate both.
    sysctl.set(None, {"net.ipv6.conf.all.disable_ipv6": "1"})
    syscalls.mount("/proc/thread-self/ns/net", target, flags=syscalls.MS_BIND)
    made = netns.current(), NetlinkSocket()
    syscalls.setns(home)
    return made


def _no_peer(namespace: str) -> int:
    raise AssertionError(f"nothing inside a pod refers to {namespace}")


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(ours: list[float], bare: list[float], down: list[float]) -> None:
    medians = [statistics.median(values) for values in (ours, bare, down)]
    print(f"netlab    {medians[0] * 1000:8.1f} ms")
    print(f"bare      {medians[1] * 1000:8.1f} ms")
    print(f"ratio     {medians[0] / medians[1]:8.2f}    (limit {LIMIT})")
    print(f"teardown  {medians[2] * 1000:8.1f} ms")


if __name__ == "__main__":
    main()
