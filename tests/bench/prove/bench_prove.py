"""How long does it take to prove all packets to many Services, and to compare two such rulesets?

Each question in a process of its own, from a text in a file to the answer: seconds of the clock and
of the CPU, and the most memory. Three endpoints a Service.

    python tests/bench/prove/bench_prove.py [--services 1000 10000]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "proxy"))
from bench_sync import NODE, world

from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.render import render
from netlab.proxy.nftables import mode as nftables
from netlab.proxy.nftables.compile import compile as nft_compile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 10000])
    for count in parser.parse_args().services:
        with tempfile.TemporaryDirectory() as directory:
            write(Path(directory), count)
            for title, words in questions(Path(directory)):
                seconds, cpu, memory = asked(words)
                figures = f"{seconds:6.1f} s {cpu:6.1f} s of CPU {memory:6.0f} MB"
                print(f"{count:6} Services  {title:36}{figures}", flush=True)


def write(directory: Path, count: int) -> None:
    """The rules of both modes, and each with one endpoint and one address changed."""
    services, slices = world(count)
    texts = {
        "iptables": render(compile(services, slices, NODE)),
        "nftables": nftables.render(nft_compile(services, slices, NODE)),
    }
    for mode, text in texts.items():
        (directory / mode).write_text(text)
        changed = text.replace("10.201.1.4", "10.201.1.5").replace("10.96.2.7", "10.97.2.7")
        (directory / f"{mode}-changed").write_text(changed)


def questions(directory: Path) -> Iterator[tuple[str, Sequence[str]]]:
    """What is asked, and how it is typed."""
    all_of = ["--from", "any", "--to", "10.96.0.0/12", "--expect", "none"]
    one_of = ["-n", "bench", "--to", "svc/s00500", "--expect", "spread-equal"]
    for mode in ("iptables", "nftables"):
        save = str(directory / mode)
        yield f"{mode}: every packet", ["--save", save, *all_of]
        yield f"{mode}: one Service", ["--save", save, *one_of]
        both = ["--before", save, "--after", f"{save}-changed"]
        yield f"{mode}: diff, two changes", ["diff", *both]
    modes = ["--before", str(directory / "iptables"), "--after", str(directory / "nftables")]
    yield "diff, one mode against the other", ["diff", *modes]


def asked(words: Sequence[str]) -> tuple[float, float, float]:
    """Seconds, seconds of CPU, megabytes."""
    began = time.monotonic()
    argv = [sys.executable, "-m", "netlab", "prove", *words]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1), argv
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
