"""kube-proxy's settings, from the Lab."""

from __future__ import annotations

import pytest

from netlab.agents.node_proxier import proxy_config
from netlab.objects.lab import lab_from_object


def settings(node: str = "worker001", **spec):
    lab = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 2, **spec}})
    found = lab.node(node)
    assert found is not None
    return lab, proxy_config(lab, found)


def test_a_node_s_settings_are_its_own():
    lab, config = settings()
    assert (config.node_name, config.mode) == ("worker001", "iptables")
    assert config.node_ips == lab.node("worker001").internal_ips
    assert config.interface_addresses["lo"] == ("127.0.0.1/8", "::1/128")
    held = [each.split("/")[0] for each in config.interface_addresses["eth0"]]
    assert list(config.node_ips) == held
    assert config.cluster_cidr == lab.pod_cidrs


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_node_ports_answer_where_clients_are(mode):
    """By its own default kube-proxy would, in nftables mode, not answer the external network."""
    lab, config = settings(proxyMode=mode)
    everywhere = (*lab.node_network, *lab.external.cidrs)
    assert config.node_port_addresses == (() if mode == "iptables" else everywhere)


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_what_the_lab_says_of_node_ports_counts(mode):
    given = ["10.10.11.0/24"]
    _, config = settings(proxyMode=mode, proxy={"nodePortAddresses": given})
    assert list(config.node_port_addresses) == given
