"""Which chains are kube-proxy's."""

from netlab.proxy.iptables import chains


def test_which_chains_are_ours():
    assert chains.is_ours("nat", "KUBE-SVC-CYJJNRDIWBDS7HGJ")
    assert chains.is_ours("filter", "KUBE-FORWARD")
    assert not chains.is_ours("filter", "KUBE-SVC-CYJJNRDIWBDS7HGJ")
    assert not chains.is_ours("nat", "KUBE-SVC-SOMETHING")
    assert not chains.is_ours("mangle", "KUBE-KUBELET-CANARY")
