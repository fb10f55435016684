"""kube-proxy's settings, and every mistake in them."""

import pytest

from netlab.errors import InputError
from netlab.proxy.config import from_mapping


def test_all_mistakes_of_the_settings_at_once():
    mapping = {
        "mode": "ipvs",
        "clusterCIDR": "10.244.0.0",
        "masqueradeBit": 40,
        "masqueradeAll": "yes",
        "nodePortAddresses": ["primary", "eth0"],
        "colour": "red",
    }
    with pytest.raises(InputError) as raised:
        from_mapping(mapping, file="p.yaml")
    assert {problem.field for problem in raised.value.problems} == set(mapping)
    assert all(problem.file == "p.yaml" for problem in raised.value.problems)


def test_settings_that_are_no_mapping():
    with pytest.raises(InputError):
        from_mapping(["mode"])
