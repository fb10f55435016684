"""`netlab proxy sync` on the real kernel: from whatever state, once or twice."""

import os
from pathlib import Path

import pytest

from netlab.cli import main as entry
from netlab.kernel import netns, paths
from netlab.kernel.generation import rules_generation
from netlab.kernel.run import run
from netlab.proxy.iptables.parse import parse
from netlab.proxy.iptables.read import read

pytestmark = pytest.mark.root

GOLDEN = Path(__file__).parents[1] / "golden" / "proxy"
STALE = "KUBE-SVC-AAAAAAAAAAAAAAAA"


@pytest.fixture
def node():
    """A namespace with a name that `--netns` takes."""
    link = paths.netns_link("a-node")
    link.parent.mkdir(parents=True, exist_ok=True)
    descriptor = netns.create(link)
    yield descriptor
    os.close(descriptor)
    netns.remove(link)
    link.parent.rmdir()


def sync(case, *more):
    case = GOLDEN / case
    files = ["-f", str(case / "objects.yaml"), "--config", str(case / "proxy.yaml")]
    return entry.main(["proxy", "sync", *files, "--netns", "a-node", *more])


@pytest.mark.parametrize("backend", ["nft", "legacy", "libiptc"])
def test_stale_chains_go_and_foreign_rules_stay(node, backend, capsys):
    program = f"iptables-{'nft' if backend == 'nft' else 'legacy'}"
    for words in (
        f"-t nat -N {STALE}",
        f"-t nat -A {STALE} -j ACCEPT",
        "-t nat -N KUBE-SERVICES",
        f"-t nat -A KUBE-SERVICES -d 10.96.0.99/32 -j {STALE}",
        "-t nat -A PREROUTING -j KUBE-SERVICES",
        "-t nat -A POSTROUTING -o eth1 -j MASQUERADE",
        "-P FORWARD DROP",
    ):
        run([program, *words.split()], netns=node)
    assert sync("node-port", "--backend", backend) == 0
    assert "a-node: 4 services in " in capsys.readouterr().out
    found = read(node, "nft" if backend == "nft" else "legacy", "ipv4")
    expected = parse((GOLDEN / "node-port" / "expected.v4").read_text())
    assert found.chain("nat", STALE) is None
    for table in expected.tables.values():
        for chain in table.own():
            assert found.chain(table.name, chain.name).rules == chain.rules
    assert "-o eth1 -j MASQUERADE" in found.chain("nat", "POSTROUTING").rules
    assert found.chain("filter", "FORWARD").policy == "DROP"


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_twice_changes_nothing(node, mode):
    words = ("cluster-ip", "--mode", mode, "--backend", "nft")
    assert sync(*words) == 0
    before = rules_generation(node)
    assert sync(*words) == 0
    assert rules_generation(node) == before
    assert sync("load-balancer", *words[1:]) == 0
    assert rules_generation(node) != before


def test_bad_objects_are_named_and_never_half_programmed(node, tmp_path, capsys):
    text = (GOLDEN / "cluster-ip" / "objects.yaml").read_text()
    (tmp_path / "objects.yaml").write_text(text.replace("10.96.7.1", "banana"))
    assert entry.main(["proxy", "sync", "-f", str(tmp_path), "--netns", "a-node"]) == 0
    assert "'banana' is no ipv4 address: left out" in capsys.readouterr().err
    rules = "\n".join(rule for _, _, rule in read(node, "nft", "ipv4").rules())
    assert "town/pages" not in rules and "town/empty" in rules


def test_unreadable_objects_change_nothing(node, tmp_path):
    assert sync("cluster-ip") == 0
    before = rules_generation(node)
    (tmp_path / "objects.yaml").write_text("")
    assert entry.main(["proxy", "sync", "-f", str(tmp_path), "--netns", "a-node"]) == 2
    assert rules_generation(node) == before
