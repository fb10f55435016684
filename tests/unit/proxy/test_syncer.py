"""What is written when something changes: single Services, the node, after a refusal."""

import copy

import pytest
from msgspec.structs import replace
from unit.proxy.objects import CONFIG, endpoint_slice, service

from netlab.errors import NetlabError
from netlab.proxy.iptables.foreign_rules import with_foreign_rules
from netlab.proxy.iptables.model import Chain, Ruleset
from netlab.proxy.iptables.render import render
from netlab.proxy.nftables.render import render as nftables_render
from netlab.proxy.syncer import HealthCheck, Proxier


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
        wanted = with_foreign_rules(desired, self.ruleset)
        changed = wanted != self.ruleset
        if changed or self.refuse:
            self._write()
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


class Written:
    """An applier in nftables mode that takes all and keeps the last."""

    family = "ipv4"

    def __init__(self):
        self.table = None

    def replace(self, desired):
        changed, self.table = desired != self.table, desired
        return changed

    def fingerprint(self):
        return 0


def unserved(applier):
    """The rule about addresses of no Service."""
    return [line for line in nftables_render(applier.table).splitlines() if "unallocated" in line]


def test_addresses_of_every_range_are_dropped_that_are_nobodys_in_nftables_mode():
    applier = Written()
    config = replace(CONFIG, mode="nftables", service_cidrs=("10.96.0.0/12",))
    proxier = Proxier(config, [applier])
    proxier.sync()
    (line,) = unserved(applier)
    assert "ip daddr 10.96.0.0/12 drop" in line
    for name, *cidrs in (("kubernetes", "10.96.0.0/12"), ("more", "203.0.113.0/24", "fd00::/112")):
        proxier.set_range(name, {"spec": {"cidrs": cidrs}})
    proxier.sync()
    (line,) = unserved(applier)
    assert "ip daddr { 10.96.0.0/12, 203.0.113.0/24 } drop" in line
    proxier.set_range("more", None)
    proxier.sync()
    (line,) = unserved(applier)
    assert "ip daddr 10.96.0.0/12 drop" in line


def test_ranges_of_addresses_are_nothing_to_iptables(proxier):
    proxier.set_range("more", {"spec": {"cidrs": ["203.0.113.0/24"]}})
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


def test_what_somebody_does_during_a_look_is_seen_by_the_next_one(proxier, applier, monkeypatch):
    def looked(desired):
        changed = look(desired)
        applier.generation += 1  # just after it was read
        return changed

    look = applier.replace
    applier.generation += 1
    with monkeypatch.context() as patch:
        patch.setattr(applier, "replace", looked)
        assert not proxier.repair()
    looks = []
    monkeypatch.setattr(applier, "replace", lambda desired: looks.append(1) or look(desired))
    proxier.repair()
    proxier.repair()
    assert looks == [1]


def measured(proxier):
    lines = proxier.metrics.text(proxier.inventory()).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_what_it_does_is_measured(proxier, applier):
    found, v4 = measured(proxier), '{ip_family="IPv4"}'
    name = "kubeproxy_sync_{}proxy_rules_{}"
    rules = sum(len(chain.rules) for chain in applier.ruleset.tables["nat"].own())
    nat = '{ip_family="IPv4",table="nat"}'
    assert found[name.format("", "iptables_total") + nat] == str(rules)
    assert found[name.format("", "iptables_last") + nat] == str(rules)
    assert found[name.format("full_", "duration_seconds_count") + v4] == "1"
    proxier.set_slice("town/two-a", endpoint_slice("two", "10.244.0.1"))
    proxier.sync()
    found = measured(proxier)
    assert found[name.format("partial_", "duration_seconds_count") + v4] == "1"
    assert found[name.format("", "iptables_last") + nat] == "2"
    assert found[name.format("", "iptables_total") + nat] == str(rules - 3)


def test_refusals_are_measured(proxier, applier):
    proxier.set_slice("town/two-a", None)
    applier.refuse = 2
    with pytest.raises(NetlabError):
        proxier.sync()
    found, v4 = measured(proxier), '{ip_family="IPv4"}'
    name = "kubeproxy_sync_proxy_rules_iptables_{}restore_failures_total"
    assert found[name.format("") + v4] == found[name.format("partial_") + v4] == "1"


def test_services_without_an_endpoint_here_are_counted(proxier):
    local = service("one", 1)
    local["spec"]["internalTrafficPolicy"] = "Local"
    proxier.set_service("town/one", local)
    elsewhere = endpoint_slice("one", "10.244.0.1")
    elsewhere["endpoints"][0]["nodeName"] = "beta"
    proxier.set_slice("town/one-a", elsewhere)
    proxier.sync()
    name = "kubeproxy_sync_proxy_rules_no_local_endpoints_total"
    found = {key: value for key, value in measured(proxier).items() if name in key}
    assert found == {f'{name}{{ip_family="IPv4",traffic_policy="internal"}}': "1"}


def test_the_time_from_a_change_to_its_rules_is_measured(proxier):
    changed = endpoint_slice("two", "10.244.0.1")
    trigger = "endpoints.kubernetes.io/last-change-trigger-time"
    changed["metadata"]["annotations"] = {trigger: "2040-01-01T00:00:00Z"}
    proxier.set_slice("town/two-a", changed)
    old = endpoint_slice("one", "10.244.0.1")
    old["metadata"]["annotations"] = {trigger: "2020-01-01T00:00:00Z"}
    proxier.set_slice("town/one-a", old)
    proxier.sync()
    name = 'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"}'
    assert measured(proxier)[name] == "1"
