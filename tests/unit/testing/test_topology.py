"""Labs that are written in Python are files like any other."""

from netlab import manifest
from netlab.objects import meta
from netlab.testing import Topology


def test_it_is_a_file_that_can_be_read() -> None:
    topology = (
        Topology(nodes=2, name="shop", spec={"proxyMode": "nftables"})
        .deployment("web", replicas=3, port=8080)
        .service("web", target_port=8080, type="NodePort")
        .pod("box", namespace="tools", nodeName="worker001")
        .with_objects({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tools"}})
    )
    found = manifest.loads(topology.text())
    assert found.lab is not None
    assert (found.lab.name, len(found.lab.nodes), found.lab.proxy_mode) == ("shop", 2, "nftables")
    assert [f"{obj['kind']} {meta.key(obj)}" for obj in found.objects] == [
        "Namespace tools",
        "Deployment web",
        "Service web",
        "Pod tools/box",
    ]
    service = found.objects[2]["spec"]
    assert service["selector"] == {"app": "web"}
    assert service["ports"] == [{"port": 80, "targetPort": 8080}]
    assert service["type"] == "NodePort"
    assert found.objects[3]["spec"]["nodeName"] == "worker001"


def test_each_method_gives_another_one() -> None:
    one = Topology()
    assert one.pod("box") is not one
    assert one.objects == ()


def test_what_occurs_twice_is_written_twice() -> None:
    labels = {"app": "web"}
    text = Topology().pod("a", labels=labels).pod("b", labels=labels).service("web").text()
    assert "&id" not in text
