"""What changes when something changes: single Services, foreign rules, conntrack, comparisons."""

import copy

import pytest

from netlab.errors import NetlabError
from netlab.proxy.config import ProxyConfig
from netlab.proxy.conntrack import stale_entries
from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.diff import diff
from netlab.proxy.iptables.foreign_rules import difference, with_foreign_rules
from netlab.proxy.iptables.model import Chain, Ruleset, RulesetChange, Table
from netlab.proxy.iptables.parse import parse
from netlab.proxy.iptables.render import edits, render, render_change
from netlab.proxy.iptables.service_rules import compile_service
from netlab.proxy.node_view import node_view
from netlab.proxy.syncer import HealthCheck, Proxier

CONFIG = ProxyConfig(node_name="alpha", node_ips=("10.10.11.20",), cluster_cidr=("10.244.0.0/16",))
NODE = node_view(None, CONFIG, "ipv4")


def service(name, number, **spec):
    protocol = spec.pop("protocol", "TCP")
    ports = [{"name": "p", "port": 80, "protocol": protocol, **spec.pop("port", {})}]
    spec = {"clusterIP": f"10.96.0.{number}", "ports": ports, **spec}
    return {"metadata": {"name": name, "namespace": "town"}, "spec": spec}


def endpoint_slice(name, *ips, protocol="TCP"):
    labels = {"kubernetes.io/service-name": name}
    return {
        "metadata": {"name": f"{name}-a", "namespace": "town", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "p", "port": 8080, "protocol": protocol}],
        "endpoints": [{"addresses": [ip], "nodeName": "alpha"} for ip in ips],
    }


class RememberingApplier:
    """An applier whose kernel is a variable; refuses the next writes when told to."""

    family = "ipv4"

    def __init__(self):
        self.ruleset = Ruleset()
        self.changes = []
        self.refuse = 0
        self.generation = 0

    def read(self):
        return self.ruleset

    def replace(self, desired):
        self._write()
        wanted = with_foreign_rules(desired, self.ruleset)
        changed = wanted != self.ruleset
        self.ruleset = wanted
        return changed

    def change(self, change):
        self._write()
        self.changes.append(change)
        for (table, chain), rules in change.after.items():
            if rules is None:
                del self.ruleset.tables[table].chains[chain]
            else:
                self.ruleset.tables[table].chains[chain] = Chain(chain, rules)

    def _write(self):
        if self.refuse:
            self.refuse -= 1
            raise NetlabError("refused")
        self.generation += 1

    def fingerprint(self):
        return self.generation


@pytest.fixture
def applier():
    return RememberingApplier()


@pytest.fixture
def proxier(applier):
    proxier = Proxier(CONFIG, [applier])
    for number, name in enumerate(("one", "three", "two"), 1):
        proxier.set_service(f"town/{name}", service(name, number))
        proxier.set_slice(f"town/{name}-a", endpoint_slice(name, "10.244.0.1", "10.244.0.2"))
    proxier.sync()
    return proxier


def test_one_endpoint_less_touches_one_service_only(proxier, applier):
    proxier.set_slice("town/two-a", endpoint_slice("two", "10.244.0.1"))
    report = proxier.sync()
    (change,) = applier.changes
    assert (report.full, report.changed) == (False, ("town/two",))
    assert sorted(name[:9] for _, name in change.after) == ["KUBE-SEP-", "KUBE-SVC-"]
    assert render(proxier.rulesets()["ipv4"]) == render(applier.ruleset)


def test_several_changes_are_one(proxier, applier):
    for name in ("one", "two"):
        proxier.set_slice(f"town/{name}-a", endpoint_slice(name))
    proxier.set_service("town/three", None)
    proxier.set_service("town/zero", service("zero", 9))
    proxier.sync()
    assert len(applier.changes) == 1
    assert render(proxier.rulesets()["ipv4"]) == render(applier.ruleset)


def test_the_order_of_services_does_not_depend_on_when_they_came(proxier, applier):
    proxier.set_service("town/one", None)
    proxier.sync()
    proxier.set_service("town/one", service("one", 1))
    proxier.sync()
    rules = applier.ruleset.chain("nat", "KUBE-SERVICES").rules
    names = [rule.split('"')[1].split()[0] for rule in rules]
    assert names == ["town/one:p", "town/three:p", "town/two:p", "kubernetes"]


def test_a_slice_that_moves_to_another_service_changes_both(proxier):
    moved = endpoint_slice("two", "10.244.0.1")
    moved["metadata"]["name"] = "one-a"
    proxier.set_slice("town/one-a", moved)
    assert proxier.sync().changed == ("town/one", "town/two")


def test_a_refused_change_becomes_a_full_sync(proxier, applier):
    proxier.set_slice("town/two-a", None)
    applier.refuse = 1
    assert proxier.sync().full
    assert render(proxier.rulesets()["ipv4"]) == render(applier.ruleset)


def test_a_refused_full_sync_is_tried_again(proxier, applier):
    proxier.set_slice("town/two-a", None)
    applier.refuse = 2
    with pytest.raises(NetlabError):
        proxier.sync()
    assert not proxier.repair()
    assert proxier.sync().full
    assert not proxier.sync().full


def test_another_zone_is_another_node(proxier, applier):
    node = {"metadata": {"name": "alpha", "labels": {"topology.kubernetes.io/zone": "a"}}}
    proxier.set_node(node)
    assert proxier.sync().full
    proxier.set_node(copy.deepcopy(node))
    assert not proxier.sync().full


def test_health_checks_count_local_endpoints(proxier):
    balanced = service(
        "lb", 9, type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=32000
    )
    proxier.set_service("town/lb", balanced)
    proxier.set_slice("town/lb-a", endpoint_slice("lb", "10.244.0.1", "10.244.0.2"))
    proxier.sync()
    assert proxier.health_checks() == {32000: HealthCheck("town/lb", 2)}


def test_complaints_come_with_the_report(proxier):
    proxier.set_service("town/bad", service("bad", 9, clusterIP="nonsense"))
    (complaint,) = proxier.sync().complaints
    assert (complaint.kind, complaint.key, complaint.field) == (
        "Service",
        "town/bad",
        "spec.clusterIP",
    )


# Changes as text


def test_a_change_as_text():
    old = compile([service("one", 1)], [endpoint_slice("one", "10.244.0.1")], NODE)
    new = compile([service("one", 1)], [], NODE)
    lines = render_change(difference(old, new)).splitlines()
    assert [line for line in lines if line.startswith("-X")] == sorted(
        line for line in lines if line.startswith("-X")
    )
    assert sum(line.startswith("-X KUBE-SEP") for line in lines) == 1
    assert lines.count("COMMIT") == 2
    assert render_change(difference(new, new)) == ""


CHAIN = tuple(f"-d 10.96.0.{number}/32 -j X" for number in range(200))


def test_a_long_chain_of_which_little_changes_is_edited():
    after = (*CHAIN[:5], "new", *CHAIN[6:], "last")
    assert edits("C", CHAIN, after) == [f"-D C {CHAIN[5]}", "-I C 6 new", "-A C last"]
    change = RulesetChange()
    change.note(("nat", "C"), CHAIN, after)
    lines = render_change(change).splitlines()
    assert lines == ["*nat", f"-D C {CHAIN[5]}", "-I C 6 new", "-A C last", "COMMIT"]


@pytest.mark.parametrize(
    "before, after",
    [
        (CHAIN, CHAIN[:100]),
        (CHAIN, CHAIN[::-1]),
        (CHAIN[:50], CHAIN[:49]),
        ((*CHAIN, CHAIN[0]), CHAIN),
        (CHAIN, None),
        (None, CHAIN),
        (CHAIN, ()),
    ],
    ids=["much", "order", "short", "twice", "gone", "new", "emptied"],
)
def test_other_chains_are_written_anew(before, after):
    assert edits("C", before, after) == []


# Somebody else's rules


def test_jumps_are_put_back_where_the_first_stood():
    desired = compile([], [], NODE)
    jumps = desired.chain("filter", "INPUT").rules
    existing = parse(
        "*filter\n:INPUT DROP [7:9]\n"
        f"[1:1] -A INPUT -i a -j ACCEPT\n[2:2] -A INPUT {jumps[1]}\n[3:3] -A INPUT -i b -j DROP\n"
        "COMMIT\n"
    )
    chain = with_foreign_rules(desired, existing).chain("filter", "INPUT")
    assert chain.rules == ("-i a -j ACCEPT", *jumps, "-i b -j DROP")
    assert chain.counters == ((1, 1), *[(0, 0)] * 4, (3, 3))
    assert (chain.policy, chain.policy_counters) == ("DROP", (7, 9))


# Conntrack


def rules(*ips, **spec):
    udp = service("dns", 10, protocol="UDP", **spec)
    slices = [endpoint_slice("dns", *ips, protocol="UDP")]
    return compile_service(udp, slices, NODE)


def test_entries_of_a_vanished_endpoint_are_stale():
    assert stale_entries(rules("10.244.0.1", "10.244.0.2"), rules("10.244.0.1")) == [
        ("--orig-dst", "10.96.0.10", "--orig-port-dst", "80")
        + ("--reply-src", "10.244.0.2", "--reply-port-src", "8080")
    ]


def test_untranslated_entries_are_stale_once_there_is_an_endpoint():
    assert stale_entries(rules(), rules("10.244.0.1")) == [
        ("--orig-dst", "10.96.0.10", "--orig-port-dst", "80")
        + ("--reply-src", "10.96.0.10", "--reply-port-src", "80")
    ]


def test_a_node_port_that_goes_takes_its_entries_along():
    before = rules("10.244.0.1", type="NodePort", port={"nodePort": 30053})
    assert stale_entries(before, rules("10.244.0.1")) == [
        ("--orig-port-dst", "30053", "--reply-src", "10.244.0.1", "--reply-port-src", "8080")
    ]


def test_nothing_is_stale_when_endpoints_only_come():
    assert stale_entries(rules("10.244.0.1"), rules("10.244.0.1", "10.244.0.2")) == []


# Comparison


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
