"""How fast rules are compiled and brought into a node, as ratios to the bare restore.

    sudo python tests/bench/proxy/bench_sync.py [--services 10000] [PART...]

Parts: compile, change, nft, legacy, nftables (the mode), libiptc; without any, all but libiptc,
which takes half a millisecond a rule. `change` is a Service more without the restore, on one node
and on 50 that share what is equal.
Three endpoints a Service; each variant in a fresh namespace of its own; one line a figure.
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
from typing import Any, cast

from msgspec.structs import replace

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.proxy.addresses import Family
from netlab.proxy.appliers import AnyApplier
from netlab.proxy.config import ModeName, ProxyConfig
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.libiptc import LibiptcApplier
from netlab.proxy.iptables.read import Variant, program
from netlab.proxy.iptables.render import render_change, render_restore
from netlab.proxy.nftables.apply import NftApplier
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.nftables.render import render_change as nft_render_change
from netlab.proxy.nftables.render import render_replacement
from netlab.proxy.node_view import node_view
from netlab.proxy.sharing import Compiled
from netlab.proxy.syncer import Proxier

CONFIG = ProxyConfig(node_name="alpha", node_ips=("10.10.11.20",), cluster_cidr=("10.244.0.0/16",))
NODE = node_view(None, CONFIG, "ipv4")


def config(variant: str) -> ProxyConfig:
    """The settings for that variant, of which `nftables` is the mode."""
    return replace(CONFIG, mode="nftables") if variant == "nftables" else CONFIG


def world(count: int) -> tuple[list[Object], list[Object]]:
    """That many Services with three endpoints each, and their slices."""
    return [service(i) for i in range(count)], [endpoint_slice(i) for i in range(count)]


def service(i: int) -> Object:
    spec = {
        "clusterIP": f"10.96.{i // 250}.{i % 250 + 1}",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    }
    return {"metadata": {"name": f"s{i:05}", "namespace": "bench"}, "spec": spec}


def endpoint_slice(i: int, endpoints: int = 3) -> Object:
    labels = {"kubernetes.io/service-name": f"s{i:05}"}
    ips = [f"10.{200 + e}.{i // 250}.{i % 250 + 1}" for e in range(endpoints)]
    return {
        "metadata": {"name": f"s{i:05}-a", "namespace": "bench", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [ip], "conditions": {"ready": True}} for ip in ips],
    }


@contextmanager
def namespace() -> Iterator[int]:
    """A fresh network namespace."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "node"
        descriptor = netns.create(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
            netns.remove(path)


def seconds(work: Callable[[], object]) -> float:
    """How long that takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def say(what: str, took: float, bare: float | None = None) -> None:
    """One line of the result."""
    ratio = f"  {took / bare:5.2f}x of bare ({bare:.3f} s)" if bare else ""
    print(f"{what:48} {took:8.3f} s{ratio}", flush=True)


def bench_compile(count: int) -> None:
    """Compile and render, and what it needs in memory."""
    services, slices = world(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    once = seconds(lambda: render_restore(compile(services, slices, NODE)))
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    runs = [seconds(lambda: render_restore(compile(services, slices, NODE))) for _ in range(3)]
    say(f"compile + render {count} services", statistics.median([once, *runs]))
    print(f"{'  memory':48} {more:8.1f} MB")


class Rendering:
    """An applier that writes nothing: the text of a change is all there is of it."""

    family: Family = "ipv4"

    def __init__(self, mode: ModeName) -> None:
        self._render = render_change if mode == "iptables" else nft_render_change

    def replace(self, _: object) -> bool:
        return True

    def change(self, change: Any) -> None:
        self._render(change)

    def fingerprint(self) -> object:
        return None


def bench_change(mode: ModeName, nodes: int, count: int) -> float:
    """Seconds of the CPU for one Service more, on all of so many nodes together."""
    shared, proxiers = Compiled(), []
    services, slices = world(count + 9)
    for number in range(1, nodes + 1):
        at = replace(CONFIG, node_name=f"n{number}", node_ips=(f"10.10.11.{number}",), mode=mode)
        applier = cast(AnyApplier, Rendering(mode))
        proxiers.append(Proxier(at, [applier], compiled=shared))
    taken = []
    for start, end in ((0, count), *((count + n, count + n + 1) for n in range(9))):
        began = time.process_time()
        for proxier in proxiers:
            for obj in services[start:end]:
                proxier.set_service(meta.key(obj), obj)
            for obj in slices[start:end]:
                proxier.set_slice(meta.key(obj), obj)
            proxier.sync()
        taken.append(time.process_time() - began)
    return statistics.median(taken[1:])


def bench_applier(name: str, applier: AnyApplier, count: int, bare: float) -> None:
    """First sync, changes and repair through one applier."""
    services, slices = world(count)
    netns_fd: int = applier.netns  # type: ignore[attr-defined]
    proxier = Proxier(config(name), [applier], netns=netns_fd)
    for obj in services:
        proxier.set_service(meta.key(obj), obj)
    for obj in slices:
        proxier.set_slice(meta.key(obj), obj)

    def change(numbers: range, endpoints: int) -> float:
        for i in numbers:
            obj = endpoint_slice(i, endpoints)
            proxier.set_slice(meta.key(obj), obj)
        return seconds(proxier.sync)

    say(f"{name}: first full sync, {count} services", seconds(proxier.sync), bare)
    one = [change(range(i, i + 1), 2) for i in range(5)]
    say(f"{name}: one endpoint changes", statistics.median(one))
    fifty = [change(range(100 * i, 100 * i + 50), 2) for i in range(1, 4)]
    say(f"{name}: 50 endpoints change", statistics.median(fifty), statistics.median(one))
    say(f"{name}: a Service loses its last endpoint", change(range(7, 8), 0))
    middle = count // 2
    proxier.set_service(meta.key(services[middle]), None)
    say(f"{name}: a Service goes", seconds(proxier.sync))
    proxier.set_service(meta.key(services[middle]), services[middle])
    say(f"{name}: a Service comes", seconds(proxier.sync))
    say(f"{name}: nothing to repair", seconds(proxier.repair))
    run(DAMAGE[name], netns=netns_fd)
    say(f"{name}: a rule deleted by hand is repaired", seconds(proxier.repair))


_DELETE = ["-t", "nat", "-D", "KUBE-SERVICES", "1"]
DAMAGE = {
    "nft": ["iptables-nft", *_DELETE],
    "legacy": ["iptables-legacy", *_DELETE],
    "libiptc": ["iptables-legacy", *_DELETE],
    "nftables": ["nft", "flush chain ip kube-proxy services"],
}


def bare_nft(count: int) -> float:
    """`nft -f` of the same table."""
    text = render_replacement(nft_compile(*world(count), NODE))
    with namespace() as descriptor:
        argv = ["nft", "-f", "-"]
        return seconds(lambda: run(argv, input=text, netns=descriptor, timeout=300))


def bare_restore(variant: Variant, count: int) -> float:
    """The restore of the same text without --noflush, in a namespace of its own."""
    text = render_restore(compile(*world(count), NODE))
    with namespace() as descriptor:
        argv = [program("ipv4", variant, "restore")]
        return seconds(lambda: run(argv, input=text, netns=descriptor, timeout=300))


def main() -> None:
    """Run what the command line names."""
    parts = ("compile", "change", "nft", "legacy", "nftables", "libiptc")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    arguments = parser.parse_args()
    count, arguments.parts = arguments.services, arguments.parts or parts[:5]
    if "compile" in arguments.parts:
        bench_compile(count)
    for mode in MODES if "change" in arguments.parts else ():
        one, fifty = (bench_change(mode, nodes, count) for nodes in (1, 50))
        print(f"{mode}: a Service more, CPU: {one * 1e3:.2f} ms; on 50 nodes {fifty * 1e3:.2f} ms")
    for name in parts[2:]:
        if name not in arguments.parts:
            continue
        bare = bare_nft(count) if name == "nftables" else bare_restore(VARIANTS[name], count)
        with namespace() as descriptor:
            bench_applier(name, APPLIERS[name](descriptor), count, bare)


MODES: tuple[ModeName, ...] = ("iptables", "nftables")
VARIANTS: dict[str, Variant] = {"nft": "nft", "legacy": "legacy", "libiptc": "legacy"}
APPLIERS: dict[str, Callable[[int], AnyApplier]] = {
    "nft": lambda fd: RestoreApplier("nft", "ipv4", fd),
    "legacy": lambda fd: RestoreApplier("legacy", "ipv4", fd),
    "libiptc": lambda fd: LibiptcApplier("ipv4", fd),
    "nftables": lambda fd: NftApplier("ipv4", fd),
}


if __name__ == "__main__":
    main()
