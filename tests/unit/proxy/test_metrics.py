"""What kube-proxy measures, as Prometheus reads it."""

import re

import pytest
from clock import Clock

from netlab.proxy.metrics import FamilySync, Inventory, ProxyMetrics

LINE = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+]+(Inf)?')


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def metrics(clock):
    return ProxyMetrics("iptables", ["ipv4", "ipv6"], clock)


def values(metrics, there=None):
    lines = metrics.text(there or Inventory()).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_every_line_is_prometheus_s(metrics):
    metrics.changed("Service")
    metrics.synced([FamilySync("ipv4", True, 0.01, written={"nat": 3})])
    text = metrics.text(Inventory({("ipv4", "nat"): 7}, {("ipv4", "external"): 1}))
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    for line in text.splitlines():
        assert line.startswith("# ") or LINE.fullmatch(line), line
        bare = re.sub(r"_(bucket|sum|count)$", "", re.split(r"[{ ]", line)[0])
        assert line.startswith("#") or bare in names
    assert len(names) == len(re.findall("^# TYPE", text, re.MULTILINE))


def test_what_is_to_be_written_is_pending_until_it_is_taken_up(metrics, clock):
    for kind in ("Service", "EndpointSlice", "EndpointSlice", "Node"):
        metrics.changed(kind)
    found = values(metrics)
    v4 = '{ip_family="IPv4"}'
    assert found[f"kubeproxy_sync_proxy_rules_endpoint_changes_pending{v4}"] == "2"
    assert found[f"kubeproxy_sync_proxy_rules_service_changes_pending{v4}"] == "1"
    assert found[f"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{v4}"] == "1000"
    metrics.begun()
    clock.now = 1002.5
    metrics.synced([FamilySync("ipv4", False, 0.003)], triggered=[1000.0, 1002.0])
    found = values(metrics)
    assert found[f"kubeproxy_sync_proxy_rules_endpoint_changes_pending{v4}"] == "0"
    assert found[f"kubeproxy_sync_proxy_rules_endpoint_changes_total{v4}"] == "2"
    assert found[f"kubeproxy_sync_proxy_rules_last_timestamp_seconds{v4}"] == "1002.5"
    assert found['kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"}'] == "0"
    programming = "kubeproxy_network_programming_duration_seconds"
    assert found[f'{programming}_bucket{{ip_family="IPv4",le="0.5"}}'] == "1"
    assert found[f'{programming}_bucket{{ip_family="IPv4",le="3"}}'] == "2"
    assert found[f'{programming}_bucket{{ip_family="IPv4",le="300"}}'] == "2"
    assert found[f"{programming}_sum{v4}"] == "3"


def test_syncs_are_timed_whole_ones_and_parts(metrics):
    metrics.synced([FamilySync("ipv4", True, 0.5), FamilySync("ipv6", True, 0.001)])
    metrics.synced([FamilySync("ipv4", False, 0.0011)])
    found = values(metrics)
    name = "kubeproxy_sync{}_proxy_rules_duration_seconds_{}"
    for kind, v4, v6 in (("", 2, 1), ("_full", 1, 1), ("_partial", 1, 0)):
        for family, count in (("IPv4", v4), ("IPv6", v6)):
            labels = f'{{ip_family="{family}"}}'
            assert found[name.format(kind, "count") + labels] == str(count)
    assert found[name.format("", "bucket") + '{ip_family="IPv6",le="0.001"}'] == "1"
    assert found[name.format("", "bucket") + '{ip_family="IPv4",le="0.002"}'] == "1"
    assert found[name.format("", "bucket") + '{ip_family="IPv4",le="+Inf"}'] == "2"


def test_rules_are_counted_those_there_are_and_those_written_last(metrics):
    there = Inventory({("ipv4", "nat"): 70, ("ipv4", "filter"): 20})
    metrics.synced([FamilySync("ipv4", True, 0.1)])
    nat = '{ip_family="IPv4",table="nat"}'
    found = values(metrics, there)
    assert found[f"kubeproxy_sync_proxy_rules_iptables_last{nat}"] == "70"
    metrics.synced([FamilySync("ipv4", False, 0.1, written={"nat": 5})])
    found = values(metrics, there)
    assert found[f"kubeproxy_sync_proxy_rules_iptables_last{nat}"] == "5"
    assert found[f"kubeproxy_sync_proxy_rules_iptables_total{nat}"] == "70"


def test_refusals_are_counted_and_are_no_success(metrics):
    metrics.synced([FamilySync("ipv4", True, 0.1, refused=True, partly_refused=True)])
    metrics.synced([FamilySync("ipv4", True, 0.1, partly_refused=True)])
    found, v4 = values(metrics), '{ip_family="IPv4"}'
    name = "kubeproxy_sync_proxy_rules_iptables"
    assert found[f"{name}_restore_failures_total{v4}"] == "1"
    assert found[f"{name}_partial_restore_failures_total{v4}"] == "2"


def test_nftables_mode_has_failures_of_its_own(clock):
    metrics = ProxyMetrics("nftables", ["ipv4"], clock)
    metrics.synced([FamilySync("ipv4", True, 0.1, refused=True)])
    found = values(metrics)
    assert found['kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"}'] == "1"
    assert not any("iptables" in name for name in found)


def test_answers_about_health_are_counted(metrics):
    for code in (200, 503, 200):
        metrics.asked("healthz", code)
    assert values(metrics)['kubeproxy_proxy_healthz_total{code="200"}'] == "2"
