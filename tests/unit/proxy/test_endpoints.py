"""The endpoints of a Service, of all its slices."""

from unit.proxy.objects import host, web_slice

from netlab.proxy.endpoints import endpoints


def test_slices_are_merged_and_ordered_as_text():
    one = web_slice(host("10.0.0.9"), host("10.0.0.10"))
    two = web_slice(host("10.0.0.9", nodeName="alpha"), host("10.0.0.100"))
    (merged,) = endpoints([one, two], "ipv4", "alpha", []).values()
    assert [(ep.text, ep.local) for ep in merged] == [
        ("10.0.0.100:8080", False),
        ("10.0.0.10:8080", False),
        ("10.0.0.9:8080", True),
    ]


def test_of_two_with_one_address_the_one_that_stays_is_meant():
    going = {"conditions": {"ready": False, "serving": True, "terminating": True}}
    ends = web_slice(host("10.0.0.9", nodeName="alpha", **going))
    begins = web_slice(host("10.0.0.9", nodeName="beta", conditions={"ready": False}))
    for both in ([ends, begins], [begins, ends]):
        (merged,) = endpoints(both, "ipv4", "alpha", []).values()
        assert [(ep.ready, ep.terminating, ep.local) for ep in merged] == [(False, False, False)]
    (merged,) = endpoints([ends, ends], "ipv4", "alpha", []).values()
    assert [(ep.terminating, ep.local) for ep in merged] == [(True, True)]


def test_endpoints_that_cannot_be_used():
    complaints = []
    mixed = web_slice(
        host("fd00::1"), {"addresses": []}, ports=[{"name": "", "port": 8080}, {"port": 0}]
    )
    assert endpoints([mixed], "ipv4", "alpha", complaints) == {("", "tcp"): []}
    assert [c.field for c in complaints] == [
        "ports[1].port",
        "endpoints[0].addresses",
        "endpoints[1].addresses",
    ]
    assert endpoints([web_slice(host("10.0.0.1"))], "ipv6", "alpha", []) == {}
