"""nftables mode on the real kernel: what was compiled is what nft lists, whatever came before."""

import copy
import os
import select
import socket
from pathlib import Path

import pytest
import yaml

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.objects import meta
from netlab.proxy.appliers import RestoreFailed
from netlab.proxy.config import from_mapping
from netlab.proxy.nftables import apply
from netlab.proxy.nftables.apply import NftApplier
from netlab.proxy.nftables.compile import compile
from netlab.proxy.nftables.model import NftChain, NftTable
from netlab.proxy.node_view import node_view
from netlab.proxy.syncer import Proxier

pytestmark = pytest.mark.root

GOLDEN = Path(__file__).parents[1] / "golden" / "proxy"
CASES = sorted(case.name for case in GOLDEN.iterdir())


@pytest.fixture
def namespace(tmp_path):
    descriptor = netns.create(tmp_path / "node")
    yield descriptor
    os.close(descriptor)
    netns.remove(tmp_path / "node")


@pytest.fixture
def applier(namespace):
    return NftApplier("ipv4", namespace)


def read(name):
    case = GOLDEN / name
    objects = [obj for obj in yaml.safe_load_all((case / "objects.yaml").read_text()) if obj]
    settings = yaml.safe_load((case / "proxy.yaml").read_text())
    config = from_mapping({**settings, "mode": "nftables", "serviceCIDRs": "10.96.0.0/12"})
    return objects, config


def compiled(name, family="ipv4"):
    objects, config = read(name)
    node = next((obj for obj in objects if obj["kind"] == "Node"), None)
    services = [obj for obj in objects if obj["kind"] == "Service"]
    slices = [obj for obj in objects if obj["kind"] == "EndpointSlice"]
    return compile(services, slices, node_view(node, config, family))


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_lists_what_was_compiled(case, family, namespace):
    applier = NftApplier(family, namespace)
    assert applier.replace(compiled(case, family))
    assert applier.read() == compiled(case, family)
    before = applier.fingerprint()
    assert not applier.replace(compiled(case, family))
    assert applier.fingerprint() == before


def test_from_any_state_to_any_other_by_changes(applier):
    applier.replace(compiled("cluster-ip"))
    for case in ("node-port", "load-balancer", "affinity-dual-stack", "cluster-ip"):
        assert applier.replace(compiled(case))
        assert applier.read() == compiled(case)


def test_what_is_written_anew_stays_behind_what_came_later(applier, namespace, monkeypatch):
    """Of hooks with one priority the kernel asks first what was made last."""
    monkeypatch.setattr(apply, "_FEW", 0)
    listening = []
    with netns.entered(namespace):
        run(["ip", "link", "set", "lo", "up"])
        for port in (1001, 1002, 1003):
            server = socket.create_server(("127.0.0.1", port))
            listening.append(server)

    def table(name, port, **more):
        header = "type nat hook output priority -100; policy accept;"
        rules = (f"ip daddr 127.0.0.1 tcp dport 99 dnat to 127.0.0.1:{port}",)
        return NftTable("ipv4", {"nat-output": NftChain(rules, header), **more}, name=name)

    def leads():
        with netns.entered(namespace):
            client = socket.create_connection(("127.0.0.1", 99), timeout=5)
        with client:
            found = select.select(listening, [], [], 5)[0][0]
            found.accept()[0].close()
            return found.getsockname()[1]

    own, other = table("kube-proxy", 1001), table("cni_hostport", 1002)
    assert applier.replace(own)
    NftApplier("ipv4", namespace, "cni_hostport").replace(other)
    assert leads() == 1002
    changed = table("kube-proxy", 1003, more=NftChain(("return",)))
    assert applier.replace(changed)
    assert applier.read() == changed
    assert leads() == 1002
    assert applier.replace(own) and applier.read() == own
    NftApplier("ipv4", namespace, "cni_hostport").clear()
    assert leads() == 1001
    for each in listening:
        each.close()


@pytest.mark.parametrize("case", CASES)
def test_a_whole_table_is_written_over_another(case, applier, monkeypatch):
    monkeypatch.setattr(apply, "_FEW", 0)
    for name in (CASES[0], case, CASES[-1]):
        applier.replace(compiled(name))
        assert applier.read() == compiled(name)


def test_other_tables_stay(applier):
    run(["nft", "add", "table", "ip", "theirs"], netns=applier.netns)
    applier.replace(compiled("cluster-ip"))
    assert "table ip theirs" in run(["nft", "list", "tables"], netns=applier.netns).stdout


def test_a_refused_table_leaves_the_old_one_and_names_the_service(applier):
    applier.replace(compiled("cluster-ip"))
    bad = compiled("node-port")
    chain = next(name for name in bad.chains if name.startswith("external-") and "shop" in name)
    bad.chains[chain] = NftChain(("ip daddr nonsense.invalid drop",))
    with pytest.raises(RestoreFailed) as raised:
        applier.replace(bad)
    assert applier.read() == compiled("cluster-ip")
    assert (raised.value.service or "").startswith("town/shop")


@pytest.fixture
def proxier(applier):
    objects, config = read("cluster-ip")
    proxier = Proxier(config, [applier], netns=applier.netns)
    feed(proxier, objects)
    assert proxier.sync().full
    return proxier


def feed(proxier, objects):
    for obj in objects:
        if obj["kind"] == "Service":
            proxier.set_service(meta.key(obj), obj)
        elif obj["kind"] == "EndpointSlice":
            proxier.set_slice(meta.key(obj), obj)


def test_partial_syncs_come_to_the_same_as_a_full_one(proxier, applier):
    objects, _ = read("cluster-ip")
    slice_ = next(obj for obj in objects if obj["kind"] == "EndpointSlice")
    for count in (2, 0, 3, 1):
        shorter = copy.deepcopy(slice_)
        shorter["endpoints"] = shorter["endpoints"][:count]
        feed(proxier, [shorter])
        assert not proxier.sync().full
        assert applier.read() == proxier.rulesets()["ipv4"]
    proxier.set_service("town/pages", None)
    assert not proxier.sync().full
    assert applier.read() == proxier.rulesets()["ipv4"]


def test_a_pod_behind_two_services_stays_reachable_when_one_goes(proxier, applier):
    objects, _ = read("cluster-ip")
    twin = copy.deepcopy(next(obj for obj in objects if obj["kind"] == "Service"))
    twin["metadata"]["name"] = "twin"
    twin["spec"]["clusterIP"] = "10.96.7.9"
    slice_ = copy.deepcopy(next(obj for obj in objects if obj["kind"] == "EndpointSlice"))
    slice_["metadata"]["name"] = "twin-a"
    slice_["metadata"]["labels"] = {"kubernetes.io/service-name": "twin"}
    feed(proxier, [twin, slice_])
    proxier.sync()
    proxier.set_service("town/twin", None)
    assert not proxier.sync().full
    assert applier.read() == proxier.rulesets()["ipv4"]
    hairpin = "10.244.0.9 . 10.244.0.9 . tcp . 8080"
    assert ("hairpin-connections", hairpin) in applier.read().elements


@pytest.mark.parametrize(
    "damage",
    [
        "flush chain ip kube-proxy services",
        "flush map ip kube-proxy service-ips",
        "delete table ip kube-proxy",
        "add rule ip kube-proxy masquerading accept",
    ],
)
def test_damage_by_hand_is_repaired(proxier, applier, damage):
    assert not proxier.repair()
    run(["nft", damage], netns=applier.netns)
    assert proxier.repair()
    assert applier.read() == proxier.rulesets()["ipv4"]
    assert not proxier.repair()


def many(count):
    """A table of so many Services, each with a set of its own."""
    services = [
        {
            "metadata": {"namespace": "town", "name": f"web{i}"},
            "spec": {"clusterIP": f"10.96.{i // 250}.{i % 250 + 1}", "ports": [{"port": 80}]},
        }
        for i in range(count)
    ]
    slices = [
        {
            "metadata": {
                "namespace": "town",
                "name": f"web{i}-a",
                "labels": {"kubernetes.io/service-name": f"web{i}"},
            },
            "addressType": "IPv4",
            "ports": [{"port": 8080}],
            "endpoints": [{"addresses": [f"10.244.{i // 250}.{i % 250 + 1}"]}],
        }
        for i in range(count)
    ]
    return compile(services, slices, node_view(None, read(CASES[0])[1], "ipv4"))


def test_a_large_table_made_in_parts_is_the_one_made_at_once(applier):
    table = many(1100)
    assert applier.replace(table)
    assert applier.read() == table
    assert not applier.replace(table)


def test_a_large_table_of_which_the_making_broke_off_is_made_anew(applier):
    table = many(1100)
    broken = copy.deepcopy(table)
    broken.chains["services"] = NftChain(("goto nowhere",), table.chains["services"].header)
    with pytest.raises(RestoreFailed):
        applier.replace(broken)
    assert applier.replace(table)
    assert applier.read() == table
