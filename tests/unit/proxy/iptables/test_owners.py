"""Whose a rule is."""

import pytest

from netlab.proxy.iptables import owners


@pytest.mark.parametrize(
    "comment, port",
    [
        ("town/web:http cluster IP", "town/web:http"),
        ("town/web -> 10.0.0.1:80", "town/web"),
        ("masquerade LOCAL traffic for town/web:http external destinations", "town/web:http"),
        ("other traffic to town/web will be dropped by KUBE-PROXY-FIREWALL", "town/web"),
        ("kubernetes service portals", None),
    ],
)
def test_whose_a_rule_is(comment, port):
    assert owners.service_port(f'-m comment --comment "{comment}" -j X') == port
