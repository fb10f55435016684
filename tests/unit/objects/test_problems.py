"""What a mistyped word is taken for."""

import pytest

from netlab.objects.problems import did_you_mean


@pytest.mark.parametrize(
    ("word", "choices", "meant"),
    [
        ("netadata", ["metadata", "spec"], "metadata"),
        ("wroker002", ["worker001", "worker002"], "worker002"),
        ("worker02", ["worker001", "worker002"], "worker002"),
        ("hostname-svc", ["hostname-svc-clusterip"], "hostname-svc-clusterip"),
        # Others of a series are no mistypings of each other.
        ("worker9", ["worker001", "worker002"], None),
        ("worker003", ["worker001", "worker002"], None),
        ("web-80", ["web-8080"], None),
        ("unreachable", ["reachable"], None),
        ("9" * 5000, ["1"], None),
    ],
)
def test_what_is_meant(word, choices, meant):
    assert did_you_mean(word, choices) == meant
