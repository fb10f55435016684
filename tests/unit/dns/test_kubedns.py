"""What node-cache makes of its template and of kube-dns' ConfigMap."""

from __future__ import annotations

import json

import pytest

from netlab.dns.corefile import CorefileError, settings
from netlab.dns.kubedns import rendered
from netlab.objects.lab import lab_from_object
from netlab.objects.nodelocaldns import node_local_objects

HERE, CLUSTER, OUTSIDE = ("169.254.25.10",), ("10.96.0.10",), ("172.16.110.1",)
UPSTREAMS = {"upstreamNameservers": '["1.1.1.1", "8.8.8.8:5353"]'}


def template() -> str:
    spec = {"nodes": 1, "dns": {"nodeLocal": {"address": HERE[0]}}}
    lab = lab_from_object({"metadata": {"name": "mine"}, "spec": spec})
    own = next(o for o in node_local_objects(lab) if o["kind"] == "ConfigMap")
    return str(own["data"]["Corefile"])


def servers(text: str) -> dict[str, tuple[str, ...]]:
    found = settings(text, CLUSTER, OUTSIDE)
    assert found.notes == ()
    return dict(found.servers)


def test_without_data_the_template_says_all() -> None:
    zones = ("cluster.local", "in-addr.arpa", "ip6.arpa")
    for data in ({}, {"stubDomains": "", "upstreamNameservers": "[]"}):
        found = servers(rendered(template(), data, HERE))
        assert found == {**dict.fromkeys(zones, CLUSTER), ".": OUTSIDE}


def test_stub_domains_are_blocks_of_their_own() -> None:
    stubs = {"acme.test": ["10.0.0.1"], "b.test": ["10.0.0.2:5353", "fd00::1"]}
    text = rendered(template(), {"stubDomains": json.dumps(stubs)}, HERE)
    found = servers(text)
    assert found["acme.test"] == ("10.0.0.1",)
    assert found["b.test"] == ("10.0.0.2#5353", "fd00::1")
    assert found["."] == OUTSIDE
    assert settings(text, CLUSTER, OUTSIDE).listen == HERE


def test_upstreams_stand_in_the_place_of_the_node_s_own() -> None:
    assert servers(rendered(template(), UPSTREAMS, HERE))["."] == ("1.1.1.1", "8.8.8.8#5353")
    fixed = template().replace("__PILLAR__UPSTREAM__SERVERS__", "9.9.9.9")
    assert servers(rendered(fixed, UPSTREAMS, HERE))["."] == ("9.9.9.9",)


@pytest.mark.parametrize("indentation", ["            ", "\t"])
def test_upstreams_of_one_s_own_are_asked_by_udp(indentation: str) -> None:
    servers = "forward . __PILLAR__UPSTREAM__SERVERS__"
    forced = f". {{\n    {servers} {{\n{indentation}force_tcp\n    }}\n}}"
    assert settings(rendered(forced, {}, HERE), CLUSTER, OUTSIDE).forced == (".",)
    assert settings(rendered(forced, UPSTREAMS, HERE), CLUSTER, OUTSIDE).forced == ()


def test_its_own_addresses_stand_in_their_place() -> None:
    text = ". {\n bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__\n forward . 1.1.1.1\n}"
    assert settings(rendered(text, {}, HERE), CLUSTER, OUTSIDE).listen == HERE


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"stubDomains": "acme"}, "stubDomains: no JSON"),
        ({"stubDomains": '["a"]'}, "stubDomains: an object of lists"),
        ({"stubDomains": '{"a.test": "10.0.0.1"}'}, "stubDomains: a.test: a list of addresses"),
        ({"stubDomains": '{"a.test": []}'}, "stubDomains: a.test: a list of addresses"),
        ({"stubDomains": '{"a.test": ["ns.test"]}'}, "stubDomains: a.test: ns.test is no address"),
        ({"stubDomains": "[" * 100_000}, "stubDomains: no JSON"),
        ({"stubDomains": '{"a {\\n}\\nb": ["10.0.0.1"]}'}, "stubDomains: invalid domain name"),
        ({"upstreamNameservers": '{"a": 1}'}, "upstreamNameservers: a list"),
        ({"upstreamNameservers": '["1.2.3"]'}, "upstreamNameservers: 1.2.3 is no address"),
    ],
)
def test_what_is_not_taken(data: dict[str, str], words: str) -> None:
    with pytest.raises(CorefileError) as error:
        rendered(template(), data, HERE)
    assert error.value.message.startswith(words)
