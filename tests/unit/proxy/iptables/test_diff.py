"""Two rulesets compared for what they mean."""

import pytest
from unit.proxy.objects import NODE, endpoint_slice, service

from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.diff import diff
from netlab.proxy.iptables.model import Chain, Ruleset, Table


@pytest.fixture
def pair():
    services = [service("one", 1), service("two", 2)]
    slices = [endpoint_slice(name, "10.244.0.1", "10.244.0.2") for name in ("one", "two")]
    return [compile(services, slices, NODE) for _ in range(2)]


def edit(ruleset, table, chain, change):
    chains = ruleset.tables[table].chains
    chains[chain] = Chain(chain, tuple(change(list(chains[chain].rules))))


def kinds(pair):
    return [(d.kind, d.chain.rsplit("-", 1)[0], d.service) for d in diff(*pair)]


def svc(ruleset):
    return next(name for name in ruleset.tables["nat"].chains if name.startswith("KUBE-SVC"))


def test_the_order_of_services_means_nothing(pair):
    edit(pair[1], "nat", "KUBE-SERVICES", lambda rules: [rules[1], rules[0], rules[2]])
    assert diff(*pair) == []


def test_comments_and_accounting_mean_nothing(pair):
    counted = '-p tcp -m comment --comment "x" -m nfacct --nfacct-name  localhost_nps_accepted_pkts'
    edit(pair[1], "nat", "KUBE-NODEPORTS", lambda rules: [f"{counted} -j RETURN", *rules])
    chain = svc(pair[1])
    edit(pair[1], "nat", chain, lambda rules: [rule.replace(" -> ", " to ") for rule in rules])
    assert diff(*pair) == []


def test_the_node_ports_must_come_last(pair):
    edit(pair[1], "nat", "KUBE-SERVICES", lambda rules: [rules[2], *rules[:2]])
    assert kinds(pair) == [("order", "KUBE", None)]


def test_what_both_have_has_its_order_beside_what_is_not_wanted():
    """As one Service's rules, held against those of a node with thousands of others."""
    services = [service("one", 1), service("two", 2)]
    slices = [endpoint_slice(name, "10.244.0.1", "10.244.0.2") for name in ("one", "two")]
    pair = [compile(services[:1], slices, NODE), compile(services, slices, NODE)]
    others = kinds(pair)
    assert {kind for kind, *_ in others} == {"stale"}
    edit(pair[1], "nat", "KUBE-SERVICES", lambda rules: [rules[-1], *rules[:-1]])
    assert [one for one in kinds(pair) if one not in others] == [("order", "KUBE", None)]
    chain = svc(pair[0])
    edit(pair[1], "nat", chain, lambda rules: ["-s 1.1.1.1/32 -j DROP", rules[0], *rules[:0:-1]])
    assert [d.kind for d in diff(*pair) if d.chain == chain] == ["order", "stale"]


def test_the_order_within_a_service_matters(pair):
    edit(pair[1], "nat", svc(pair[1]), lambda rules: [rules[0], rules[2], rules[1]])
    ((kind, _, port),) = kinds(pair)
    assert kind == "order" and port in ("town/one:p", "town/two:p")


def test_missing_stale_and_altered(pair):
    chain = svc(pair[1])
    owner = pair[1].chain("nat", chain).rules[0].split('"')[1].split()[0]
    edit(pair[1], "nat", chain, lambda rules: [*rules[:-1], rules[-1] + "X", "-s 1.1.1.1 -j DROP"])
    edit(pair[1], "filter", "KUBE-FORWARD", lambda rules: rules[1:])
    stale = "KUBE-SVC-AAAAAAAAAAAAAAAA"
    pair[1].tables["nat"].chains[stale] = Chain(stale)
    del pair[1].tables["mangle"]
    found = kinds(pair)
    assert sorted(found, key=str) == sorted(
        [
            ("altered", "KUBE-SVC", owner),
            ("missing", "KUBE", None),
            ("missing", "KUBE-PROXY", None),
            ("stale", "KUBE-SVC", None),
            ("stale", "KUBE-SVC", owner),
        ],
        key=str,
    )
    assert f"Service {owner}: nat {chain}: altered" in "\n".join(map(str, diff(*pair)))


def test_tables_without_anything(pair):
    assert diff(Ruleset({"nat": Table("nat")}), Ruleset()) == []
