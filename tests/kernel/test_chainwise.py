"""Rules read chain by chain are those that are read in whole, and reading changes none."""

import os

import pytest

from netlab.kernel import netns
from netlab.kernel.generation import rules_generation
from netlab.kernel.run import run
from netlab.proxy.iptables import chainwise
from netlab.proxy.iptables.chainwise import Chainwise
from netlab.proxy.iptables.read import read

pytestmark = pytest.mark.root

ADDRESS = {"ipv4": "10.96.0.{}", "ipv6": "fd00::{}"}
LONG = {"ipv4": 32, "ipv6": 128}


@pytest.fixture
def there(tmp_path):
    """A namespace without rules."""
    descriptor = netns.create(tmp_path / "node")
    yield descriptor
    os.close(descriptor)
    netns.remove(tmp_path / "node")


def restore(family, text, there):
    program = "iptables" if family == "ipv4" else "ip6tables"
    run([f"{program}-nft-restore"], input=text, netns=there)


def services(family, number=20):
    """Rules as kube-proxy's; somebody else's beside them, with whatever is to be quoted."""
    of = [(n, f"{ADDRESS[family].format(n + 1)}/{LONG[family]}") for n in range(number)]
    return "\n".join(
        [
            "*nat",
            ":PREROUTING ACCEPT [0:0]",
            ":INPUT ACCEPT [0:0]",
            ":OUTPUT ACCEPT [0:0]",
            ":POSTROUTING ACCEPT [0:0]",
            ":KUBE-SERVICES - [0:0]",
            ":other - [0:0]",
            *(f":KUBE-SVC-{n} - [0:0]" for n, _ in of),
            '-A PREROUTING -m comment --comment "it\'s -j other \\"-A\\" -d" -j KUBE-SERVICES',
            "-A PREROUTING ! -i lo -g other",
            *(f"-A KUBE-SERVICES -d {ip} -p tcp -m tcp --dport 80 -j KUBE-SVC-{n}" for n, ip in of),
            *(f"-A KUBE-SVC-{n} -j MARK --set-xmark 0x4000/0x4000" for n, _ in of),
            "-A other -p udp -m udp --dport 53 -j RETURN",
            "COMMIT",
            "*filter",
            ":INPUT DROP [0:0]",
            ":FORWARD ACCEPT [0:0]",
            ":OUTPUT ACCEPT [0:0]",
            "-A INPUT -j ACCEPT",
            "COMMIT",
            "",
        ]
    )


def alike(chain):
    """Without counters, which a chain's listing has none of."""
    return chain and (chain.name, chain.rules, chain.policy)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_each_chain_is_as_in_the_whole(family, there):
    restore(family, services(family), there)
    before = rules_generation(there)
    found = Chainwise(there, family, [(ADDRESS[family].format(3), 80)])
    whole = read(there, "nft", family)
    for table in ("raw", "mangle", "nat", "filter", "security"):
        for chain in ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "no-such"):
            assert alike(found.chain(table, chain)) == alike(whole.chain(table, chain))
    for chain in whole.tables["nat"].chains:
        assert alike(found.chain("nat", chain)) == alike(whole.chain("nat", chain))
    assert found.tables == whole.tables
    assert rules_generation(there) == before


def test_chains_of_other_services_are_left_alone_until_they_are_asked_for(there, monkeypatch):
    restore("ipv4", services("ipv4"), there)
    found = Chainwise(there, "ipv4", [("10.96.0.3", 80)])
    listed = []

    def told(argv, *, input="", **more):
        listed.append(input)
        return run(argv, input=input, **more)

    monkeypatch.setattr(chainwise, "run", told)
    for chain in ("PREROUTING", "KUBE-SERVICES", "other", "KUBE-SVC-2"):
        assert found.chain("nat", chain)
    assert listed == []
    assert found.chain("nat", "KUBE-SVC-7").rules == ("-j MARK --set-xmark 0x4000/0x4000",)
    assert listed == ["*nat\n-S KUBE-SVC-7\nCOMMIT\n"]


def test_a_table_that_lacks_a_chain_is_not_given_it(there):
    restore("ipv4", services("ipv4"), there)
    run(["nft", "delete", "chain", "ip", "nat", "INPUT"], netns=there)
    before = rules_generation(there)
    found = Chainwise(there, "ipv4")
    assert found.chain("nat", "INPUT") is None
    assert len(found.chain("nat", "KUBE-SERVICES").rules) == 20
    assert rules_generation(there) == before


def test_where_the_program_lists_no_chains_so_all_is_read(there, monkeypatch):
    restore("ipv4", services("ipv4"), there)
    monkeypatch.setattr(chainwise, "program", lambda *_: "iptables-nft-save")  # says other things
    found = Chainwise(there, "ipv4")
    assert alike(found.chain("nat", "other")) == (
        "other",
        ("-p udp -m udp --dport 53 -j RETURN",),
        "-",
    )


def test_a_namespace_without_rules_has_no_chains(there):
    before = rules_generation(there)
    assert Chainwise(there, "ipv4").chain("filter", "FORWARD") is None
    assert rules_generation(there) == before
    assert "table" not in run(["nft", "list", "ruleset"], netns=there).stdout
