"""The appliers on the real kernel: what was compiled is what iptables-save shows, to the letter."""

import os
import socket
from pathlib import Path

import pytest
import yaml

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.proxy.appliers import RestoreFailed
from netlab.proxy.config import from_mapping
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.diff import diff
from netlab.proxy.iptables.libiptc import LibiptcApplier
from netlab.proxy.iptables.model import Chain, Ruleset, RulesetChange, Table
from netlab.proxy.names import service_of
from netlab.proxy.node_view import node_view

pytestmark = pytest.mark.root

GOLDEN = Path(__file__).parents[1] / "golden" / "proxy"
CASES = sorted(case.name for case in GOLDEN.iterdir())
KINDS = ("nft", "legacy", "libiptc")


@pytest.fixture
def namespace(tmp_path):
    descriptor = netns.create(tmp_path / "node")
    yield descriptor
    os.close(descriptor)
    netns.remove(tmp_path / "node")


def make(kind, family, namespace):
    if kind == "libiptc":
        return LibiptcApplier(family, namespace)
    return RestoreApplier(kind, family, namespace)


def compiled(name, family):
    case = GOLDEN / name
    objects = [obj for obj in yaml.safe_load_all((case / "objects.yaml").read_text()) if obj]
    config = from_mapping(yaml.safe_load((case / "proxy.yaml").read_text()))
    node = next((obj for obj in objects if obj["kind"] == "Node"), None)
    services = [obj for obj in objects if obj["kind"] == "Service"]
    slices = [obj for obj in objects if obj["kind"] == "EndpointSlice"]
    return compile(services, slices, node_view(node, config, family))


def rules_of(ruleset, *tables):
    return {
        (table.name, chain.name): chain.rules
        for table in ruleset.tables.values()
        for chain in table.chains.values()
        if not tables or table.name in tables
    }


@pytest.fixture(params=KINDS)
def applier(request, namespace):
    return make(request.param, "ipv4", namespace)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_reads_back_what_was_compiled(case, kind, family, namespace):
    desired = compiled(case, family)
    applier = make(kind, family, namespace)
    assert applier.replace(desired)
    assert rules_of(applier.read()) == rules_of(desired)
    assert diff(desired, applier.read()) == []


def test_a_second_time_changes_nothing(applier):
    desired = compiled("node-port", "ipv4")
    applier.replace(desired)
    before = applier.fingerprint()
    assert not applier.replace(desired)
    assert applier.fingerprint() == before


def variant_of(applier):
    return getattr(applier, "variant", "legacy")


def iptables(applier, *args):
    return run([f"iptables-{variant_of(applier)}", *args], netns=applier.netns).stdout


def test_what_others_put_there_stays(applier):
    masquerade = ["-s", "10.244.0.0/16", "-o", "eth1", "-j", "MASQUERADE"]
    iptables(applier, "-t", "nat", "-A", "POSTROUTING", *masquerade)
    iptables(applier, "-t", "nat", "-N", "THEIRS")
    iptables(applier, "-t", "nat", "-A", "THEIRS", "-p", "tcp", "--dport", "1", "-j", "RETURN")
    iptables(applier, "-P", "FORWARD", "DROP")
    iptables(applier, "-t", "raw", "-A", "PREROUTING", "-i", "x0", "-j", "ACCEPT")
    applier.replace(compiled("node-port", "ipv4"))
    applier.replace(compiled("cluster-ip", "ipv4"))
    found = applier.read()
    assert found.chain("nat", "POSTROUTING").rules[-1] == " ".join(masquerade)
    assert found.chain("nat", "THEIRS").rules == ("-p tcp -m tcp --dport 1 -j RETURN",)
    assert found.chain("filter", "FORWARD").policy == "DROP"
    assert found.chain("raw", "PREROUTING").rules == ("-i x0 -j ACCEPT",)
    assert diff(compiled("cluster-ip", "ipv4"), found) == []


def test_their_rule_above_the_jumps_stays_above(applier):
    applier.replace(compiled("cluster-ip", "ipv4"))
    iptables(applier, "-I", "FORWARD", "-i", "x0", "-j", "ACCEPT")
    iptables(applier, "-D", "FORWARD", "3")
    applier.replace(compiled("cluster-ip", "ipv4"))
    rules = applier.read().chain("filter", "FORWARD").rules
    assert rules[0] == "-i x0 -j ACCEPT"
    assert rules[1:] == compiled("cluster-ip", "ipv4").chain("filter", "FORWARD").rules


def test_a_change_makes_what_a_whole_write_would(applier):
    old, new = compiled("node-port", "ipv4"), compiled("load-balancer", "ipv4")
    applier.replace(old)
    was, is_to_be = rules_of(old), rules_of(new)
    change = RulesetChange()
    for place in sorted(was.keys() | is_to_be.keys()):
        change.note(place, was.get(place), is_to_be.get(place))
    applier.change(change)
    assert rules_of(applier.read()) == rules_of(new)


def broken(case):
    """A ruleset with a rule no kernel takes, in the chain of Service town/shop."""
    ruleset = compiled(case, "ipv4")
    nat = ruleset.tables["nat"].chains
    chain = next(name for name in nat if name.startswith("KUBE-EXT") and _of_shop(nat[name]))
    nat[chain] = Chain(chain, (*nat[chain].rules, "-m nosuchmatch -j ACCEPT"))
    return ruleset


def _of_shop(chain):
    return any("town/shop" in rule for rule in chain.rules)


def test_a_refused_ruleset_leaves_the_old_one_and_names_the_service(applier):
    applier.replace(compiled("cluster-ip", "ipv4"))
    before = rules_of(applier.read())
    with pytest.raises(RestoreFailed) as raised:
        applier.replace(broken("node-port"))
    assert rules_of(applier.read()) == before
    assert "nosuchmatch" in raised.value.line
    assert service_of(raised.value.service or "") == "town/shop"


def test_a_refusal_in_a_later_table_takes_the_earlier_ones_back(applier):
    applier.replace(compiled("cluster-ip", "ipv4"))
    before = rules_of(applier.read())
    bad = compiled("node-port", "ipv4")
    bad.tables["filter"].chains["KUBE-SERVICES"] = Chain("KUBE-SERVICES", ("-j NOT-THERE",))
    with pytest.raises(RestoreFailed):
        applier.replace(bad)
    assert rules_of(applier.read()) == before


def test_a_refused_change_leaves_the_old_rules(applier):
    applier.replace(compiled("cluster-ip", "ipv4"))
    before = rules_of(applier.read())
    change = RulesetChange()
    change.note(("nat", "KUBE-MARK-MASQ"), before["nat", "KUBE-MARK-MASQ"], ())
    change.note(("filter", "KUBE-FORWARD"), before["filter", "KUBE-FORWARD"], ("-j NOT-THERE",))
    with pytest.raises(RestoreFailed):
        applier.change(change)
    assert rules_of(applier.read()) == before


def test_a_kernel_refusal_names_its_line(namespace):
    """No accounting object of that name exists, which only the kernel can tell."""
    applier = RestoreApplier("nft", "ipv4", namespace)
    rule = '-m comment --comment "town/shop:http" -m nfacct --nfacct-name none -j ACCEPT'
    chain = Chain("KUBE-NODEPORTS", (rule,))
    with pytest.raises(RestoreFailed, match="town/shop"):
        applier.replace(Ruleset({"nat": Table("nat", {chain.name: chain})}))


def test_a_stale_chain_that_somebody_jumps_to_is_kept_empty(applier):
    applier.replace(compiled("cluster-ip", "ipv4"))
    stale = next(c for c in applier.read().tables["nat"].chains if c.startswith("KUBE-SVC"))
    iptables(applier, "-t", "nat", "-A", "PREROUTING", "-i", "x0", "-j", stale)
    applier.replace(compiled("node-settings", "ipv4"))
    assert applier.read().chain("nat", stale).rules == ()


def test_counters_of_others_survive(namespace):
    applier = RestoreApplier("nft", "ipv4", namespace)
    run(["ip", "link", "set", "lo", "up"], netns=namespace)
    iptables(applier, "-A", "INPUT", "-p", "udp", "-j", "ACCEPT")
    with netns.entered(namespace), socket.socket(type=socket.SOCK_DGRAM) as client:
        client.sendto(b"x", ("127.0.0.1", 9))
    before = applier.read().chain("filter", "INPUT").counters[0]
    applier.replace(compiled("cluster-ip", "ipv4"))
    after = applier.read().chain("filter", "INPUT")
    assert before[0] >= 1 and after.counters[-1] == before
