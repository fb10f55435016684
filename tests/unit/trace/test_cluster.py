"""Objects of a cluster beside a node's rules: names for addresses; others' are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from netlab.errors import InputError
from netlab.objects.dump import Dump, read_dump
from netlab.saves.read import read
from netlab.saves.save import Save
from netlab.trace.cluster import WANTED, check, foreign, world_of_cluster

ORACLE = Path(__file__).parents[2] / "oracle"
POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: shop}
spec: {nodeName: n1, hostNetwork: %s, containers: [{name: a, image: b}]}
status: {phase: %s, podIPs: [{ip: %s}]}
"""


def dump(world: str, more: str = "") -> Dump:
    text = (ORACLE / world / "objects.yaml").read_text()
    return read_dump([("objects.yaml", text + more)], WANTED)


def save(world: str, file: str = "expected.v4") -> Save:
    return read([("node.save", (ORACLE / world / file).read_text())])


WORLDS = [
    *((f"iptables/{path.name}", "expected.v4") for path in (ORACLE / "iptables").iterdir()),
    *((f"nftables/{path.name}", "expected.nft") for path in (ORACLE / "nftables").iterdir()),
    *((f"nftables/{path.name}", "expected.json") for path in (ORACLE / "nftables").iterdir()),
]
WITHOUT_RULES = {
    (f"iptables/{name}", "expected.v4") for name in ("17-ipv6-single-stack", "14-not-proxied")
}


@pytest.mark.parametrize(("world", "file"), sorted({*WORLDS} - WITHOUT_RULES))
def test_a_nodes_own_cluster_is_taken(world: str, file: str) -> None:
    assert check(dump(world), save(world, file)) == []


@pytest.mark.parametrize("file", ["iptables", "nftables"])
def test_no_service_of_theirs_has_a_rule(file: str) -> None:
    name = "expected.v4" if file == "iptables" else "expected.nft"
    with pytest.raises(InputError) as refused:
        check(dump(f"{file}/05-nodeport"), save(f"{file}/01-clusterip-three-endpoints", name))
    (problem,) = refused.value.problems
    assert problem.file == "objects.yaml"
    assert problem.line > 1
    assert "Service shop/storefront has no rule in node.save" in problem.message
    assert "of the same cluster" in str(problem.hint)


def service(space: str, name: str, address: str) -> str:
    return (
        "---\napiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}, namespace: {space}}}\n"
        f"spec: {{clusterIP: {address}, clusterIPs: [{address}], ports: [{{port: 80}}]}}\n"
    )


def of_services(*named: tuple[str, str, str]) -> Save:
    rules = "".join(
        f'-A KUBE-SERVICES -d {address}/32 -p tcp -m comment --comment "{space}/{name} cluster IP"'
        " -m tcp --dport 80 -j ACCEPT\n"
        for space, name, address in named
    )
    text = f"*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n{rules}COMMIT\n"
    return read([("node.save", text)])


API = ("default", "kubernetes", "10.96.0.1")
WEB, SHOP, CART = (("default", f"s{n}", f"10.96.0.1{n}") for n in range(3))


def objects(*services: tuple[str, str, str]) -> Dump:
    return read_dump([("o.yaml", "".join(service(*one) for one in services))], WANTED)


def test_rules_that_name_others_services_are_another_clusters() -> None:
    with pytest.raises(InputError) as refused:
        check(objects(API, WEB), of_services(API, SHOP, CART))
    (problem,) = refused.value.problems
    assert (problem.file, problem.line) == ("node.save", 5)
    assert "names Service default/s1, which the objects have not at all, nor 1 more" in str(problem)


def test_the_same_name_at_another_address_is_another_clusters() -> None:
    elsewhere = ("default", "s0", "10.43.0.10")
    with pytest.raises(InputError, match="have at another address"):
        check(objects(API, WEB), of_services(API, elsewhere))


def test_one_that_has_gone_meanwhile_is_named() -> None:
    (note,) = check(objects(API, WEB, SHOP), of_services(API, WEB, SHOP, CART))
    assert note == "node.save:7: names Service default/s2, which the objects do not have"


def test_objects_without_services() -> None:
    with pytest.raises(InputError, match="the objects have no Service"):
        check(objects(("default", "headless", "None")), of_services(API))


def test_pods_and_nodes_have_names() -> None:
    more = "".join(
        (
            POD % ("web", "false", "Running", "10.244.0.21"),
            POD % ("agent", "true", "Running", "192.168.77.10"),
            POD % ("done", "false", "Succeeded", "10.244.0.99"),
        )
    )
    world = world_of_cluster(dump("iptables/05-nodeport", more))
    assert world.owner("10.244.0.21") == "shop/web"
    assert world.owner("10.244.0.99") is None
    node = world.owner("192.168.77.10")
    assert node is not None
    assert world.places[node].role == "node"
    assert {"10.244.0.21", "10.96.31.10"} <= foreign(world, node)
    assert "192.168.77.10" not in foreign(world, node)
    assert "192.168.77.10" not in foreign(world, "whoever")


def test_lists_of_kubectl_are_taken() -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(yaml.safe_load_all(service(*API)))}
    found = read_dump([("o.yaml", yaml.safe_dump(listed))], WANTED)
    assert check(found, of_services(API)) == []


def test_who_lacks_an_address_is_named_and_the_rest_is_taken():
    node = {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
        "status": {"addresses": [
            {"type": "InternalIP"}, {"type": "InternalIP", "address": "10.0.0.300"},
            {"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.3"},
        ]},
    }  # fmt: skip
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "n"},
        "status": {"podIPs": [{}, {"ip": "10.244.0.7"}]},
    }  # fmt: skip
    text = json.dumps({"kind": "List", "items": [node, pod]})
    dump = read_dump([("objects.json", text)], ("Node", "Pod"))
    world = world_of_cluster(dump)
    assert world.places["n"].addresses == ("10.0.0.3",)
    assert world.places["default/p"].addresses == ("10.244.0.7",)
    assert [(one.field, one.message) for one in dump.left_out] == [
        ("Node n: status.addresses[0].address", "is missing"),
        ("Node n: status.addresses[1].address", "'10.0.0.300' is no address"),
        ("Pod default/p: status.podIPs[0].ip", "is missing"),
    ]
