"""The chains of one Service."""

import pytest
from unit.proxy.objects import NODE, host, web, web_slice

from netlab.proxy.config import ProxyConfig
from netlab.proxy.iptables.rule import parse_rule
from netlab.proxy.iptables.service_rules import compile_service, probability
from netlab.proxy.node_view import node_view


@pytest.mark.parametrize(
    "n, text", [(2, "0.50000000000"), (3, "0.33333333349"), (5, "0.20000000019")]
)
def test_probabilities_are_what_the_kernel_keeps(n, text):
    assert probability(n) == text


def test_strangers_by_device_stand_where_the_kernel_shows_them():
    config = ProxyConfig(detect_local_mode="BridgeInterface", bridge_interface="cni0")
    rules = compile_service(
        web({}), [web_slice(host("10.244.0.1"))], node_view(None, config, "ipv4")
    )
    svc = next(rules.chains[name] for name in rules.chains if name.startswith("KUBE-SVC"))
    assert svc[0].startswith("-d 10.96.0.5/32 ! -i cni0 -p tcp -m comment")


def test_no_jump_leads_nowhere_and_no_chain_is_unused():
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "internalTrafficPolicy": "Local",
        "sessionAffinity": "ClientIP",
        "loadBalancerSourceRanges": ["10.10.11.0/24"],
        "ports": [{"port": 80, "nodePort": 30080}],
    }
    whole = web(spec, loadBalancer={"ingress": [{"ip": "192.0.2.1"}]})
    for hosts in ([host("10.0.0.1")], [host("10.0.0.1", nodeName="alpha")], []):
        rules = compile_service(whole, [web_slice(*hosts)], NODE)
        texts = [rule for own in rules.chains.values() for rule in own]
        texts += [rule for shared in rules.shared.values() for rule in shared]
        jumped = {parse_rule(text).target for text in texts}
        assert {name for name in jumped if name.startswith("KUBE-S")} <= rules.chains.keys()
        assert rules.chains.keys() <= jumped
