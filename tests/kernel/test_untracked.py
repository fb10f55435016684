"""The link and the rules of a node's DNS cache, on the real kernel: written once, put back when
somebody takes them away, and gone without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.network import cachelink
from netlab.proxy.untracked import RULES, Untracked, untracked

pytestmark = pytest.mark.root

ADDRESSES = ("169.254.25.10", "fd00:90::10")
FOREIGN = "-A INPUT -p tcp -m tcp --dport 7 -j DROP"
MODES = ["nft", "legacy", "libiptc", "nftables"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A namespace with a name."""
    path = tmp_path / "node"
    with netns.created(path):
        yield path
    netns.remove(path)


def rules_of(place: Path, mode: str) -> Untracked:
    if mode == "nftables":
        return untracked(mode, "auto", place, ADDRESSES)
    return untracked("iptables", mode, place, ADDRESSES)  # type: ignore[arg-type]


def saved(place: Path, mode: str) -> list[str]:
    """The rules there are, without counters."""
    if mode == "nftables":
        text = run(["nft", "-s", "list", "ruleset"], netns=place).stdout
        return [line for line in text.splitlines() if "comment" in line]
    variant = "nft" if mode == "nft" else "legacy"
    programs = [f"{program}-{variant}-save" for program in ("iptables", "ip6tables")]
    texts = [run([program], netns=place).stdout for program in programs]
    return [line for text in texts for line in text.splitlines() if line.startswith("-A ")]


@pytest.mark.parametrize("mode", MODES)
def test_rules_are_written_once_and_put_back(place: Path, mode: str) -> None:
    rules = rules_of(place, mode)
    assert rules.ensure()
    written = saved(place, mode)
    assert len(written) == 2 * len(RULES)
    assert not rules.ensure()
    flush = {
        "nftables": ["nft", "flush", "ruleset"],
        "nft": ["iptables-nft", "-t", "raw", "-F", "OUTPUT"],
    }.get(mode, ["iptables-legacy", "-t", "raw", "-F", "OUTPUT"])
    run(flush, netns=place)
    assert saved(place, mode) != written
    assert rules.ensure()
    assert sorted(saved(place, mode)) == sorted(written)
    assert not rules.ensure()


@pytest.mark.parametrize("mode", MODES)
def test_what_somebody_writes_at_the_same_time_is_seen(
    place: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kube-proxy does when a node begins: it has read before we wrote, and writes after."""
    rules = rules_of(place, mode)
    flush = ["nft", "flush", "ruleset"]
    if mode != "nftables":
        flush = [f"iptables-{'nft' if mode == 'nft' else 'legacy'}", "-t", "filter", "-F"]

    def and_another(argv: list[str], **more: Any) -> Any:
        done = run(argv, **more)
        if "input" in more:
            run(flush, netns=place)
        return done

    with monkeypatch.context() as patch:
        patch.setattr("netlab.proxy.untracked.run", and_another)
        assert rules.ensure()
    assert len(saved(place, mode)) < 2 * len(RULES)
    assert rules.ensure()
    assert len(saved(place, mode)) == 2 * len(RULES)


@pytest.mark.parametrize("mode", MODES[:3])
def test_another_controller_finds_them_and_others_rules_stay(place: Path, mode: str) -> None:
    variant = "nft" if mode == "nft" else "legacy"
    run([f"iptables-{variant}", *FOREIGN.split()], netns=place)
    assert rules_of(place, mode).ensure()
    later = rules_of(place, mode)
    assert not later.ensure()
    later.remove()
    assert saved(place, mode) == [FOREIGN]
    later.remove()


def test_with_the_table_all_of_nftables_mode_goes(place: Path) -> None:
    rules = rules_of(place, "nftables")
    rules.ensure()
    for _ in range(2):
        rules.remove()
        assert run(["nft", "list", "ruleset"], netns=place).stdout == ""


def test_the_link_has_its_addresses_or_is_not_there(place: Path) -> None:
    def shown() -> str:
        return run(["ip", "-br", "addr", "show"], netns=place).stdout

    assert cachelink.ensure(place, ADDRESSES)
    assert not cachelink.ensure(place, ADDRESSES)
    assert "169.254.25.10/32 fd00:90::10/128" in shown()
    run(["ip", "addr", "del", "169.254.25.10/32", "dev", "nodelocaldns"], netns=place)
    assert cachelink.ensure(place, ADDRESSES)
    assert "169.254.25.10/32" in shown()
    run(["ip", "link", "set", "nodelocaldns", "down"], netns=place)
    cachelink.ensure(place, ADDRESSES)
    up = run(["ip", "-o", "link", "show", "up"], netns=place).stdout
    assert "nodelocaldns" in up
    for _ in range(2):
        cachelink.remove(place)
        assert "nodelocaldns" not in shown()
