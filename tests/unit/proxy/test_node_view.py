"""What the rules need to know of their node."""

import pytest

from netlab.proxy.config import ProxyConfig
from netlab.proxy.node_view import node_view


@pytest.mark.parametrize(
    "wanted, localhost, ips",
    [
        ((), True, None),
        (("0.0.0.0/0",), True, None),
        (("primary",), False, ("10.10.11.20",)),
        (("127.0.0.0/8",), True, ("127.0.0.1",)),
        (("192.0.2.0/24",), False, ()),
        (("fd00::/8",), True, None),
    ],
)
def test_node_port_addresses(wanted, localhost, ips):
    config = ProxyConfig(node_ips=("10.10.11.20", "fd00::20"), node_port_addresses=wanted)
    seen = node_view(None, config, "ipv4")
    assert (seen.localhost_node_ports, seen.node_port_ips) == (localhost, ips)


def test_node_ports_never_answer_on_ipv6_loopback():
    config = ProxyConfig(node_port_addresses=("::1/128",))
    assert not node_view(None, config, "ipv6").localhost_node_ports


@pytest.mark.parametrize(
    "config, source, device",
    [
        (ProxyConfig(cluster_cidr=("fd00::/56", "10.244.0.0/16")), "-s 10.244.0.0/16", ""),
        (ProxyConfig(cluster_cidr=("fd00::/56",)), "", ""),
        (ProxyConfig(detect_local_mode="NodeCIDR"), "-s 10.244.3.0/24", ""),
        (ProxyConfig(detect_local_mode="BridgeInterface", bridge_interface="cni0"), "", "-i cni0"),
        (
            ProxyConfig(detect_local_mode="InterfaceNamePrefix", interface_name_prefix="veth"),
            "",
            "-i veth+",
        ),
    ],
)
def test_how_pods_are_told_from_strangers(config, source, device):
    node = {"metadata": {"name": "alpha"}, "spec": {"podCIDR": "10.244.3.0/24"}}
    seen = node_view(node, config, "ipv4")
    assert (seen.pods_source, seen.pods_device) == (source, device)
