"""Services and labs that have no iptables rules to show."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.cli.packets import rules_
from netlab.errors import NetlabError, UsageError
from netlab.objects.lab import Lab, lab_from_object


def lab(mode: str) -> Lab:
    spec = {"nodes": 2, "proxyMode": mode}
    return lab_from_object(
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "l"}, "spec": spec}
    )


def service(**spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "word", "hint"),
    [
        ({"clusterIP": "None"}, "headless", "netlab get endpointslices -n shop -l"),
        ({"type": "ExternalName", "externalName": "x"}, "an ExternalName", "describe svc web -n"),
    ],
)
def test_services_that_dns_alone_makes(spec: dict[str, Any], word: str, hint: str) -> None:
    with pytest.raises(NetlabError, match=word) as error:
        rules_._check_has_rules(service(**spec))
    assert hint in (error.value.hint or "")


def test_other_services_have_rules() -> None:
    rules_._check_has_rules(service(clusterIP="10.96.0.1"))


def test_nodes() -> None:
    spec = lab("iptables")
    names = [node.name for node in spec.nodes]
    assert rules_._nodes(spec, spec, None) == names
    assert rules_._nodes(spec, spec, names[1]) == [names[1]]
    with pytest.raises(UsageError, match="there is no node x"):
        rules_._nodes(spec, spec, "x")
