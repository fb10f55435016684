"""One node's proxy over time: changes, deletions by hand, refusals, forgotten UDP clients."""

import copy
import os
import socket
import time
from pathlib import Path

import pytest
import yaml

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.objects import meta
from netlab.proxy.config import from_mapping
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.iptables.diff import diff
from netlab.proxy.iptables.libiptc import LibiptcApplier
from netlab.proxy.syncer import Proxier

pytestmark = pytest.mark.root

GOLDEN = Path(__file__).parents[1] / "golden" / "proxy"


@pytest.fixture
def namespace(tmp_path):
    descriptor = netns.create(tmp_path / "node")
    yield descriptor
    os.close(descriptor)
    netns.remove(tmp_path / "node")


@pytest.fixture
def objects():
    found = yaml.safe_load_all((GOLDEN / "cluster-ip" / "objects.yaml").read_text())
    return [obj for obj in found if obj]


@pytest.fixture(params=["nft", "legacy", "libiptc"])
def proxier(request, namespace, objects):
    if request.param == "libiptc":
        applier = LibiptcApplier("ipv4", namespace)
    else:
        applier = RestoreApplier(request.param, "ipv4", namespace)
    config = from_mapping(yaml.safe_load((GOLDEN / "cluster-ip" / "proxy.yaml").read_text()))
    proxier = Proxier(config, [applier], netns=namespace)
    feed(proxier, objects)
    assert proxier.sync().full
    return proxier


def feed(proxier, objects):
    for obj in objects:
        if obj["kind"] == "Service":
            proxier.set_service(meta.key(obj), obj)
        elif obj["kind"] == "EndpointSlice":
            proxier.set_slice(meta.key(obj), obj)


def differences(proxier):
    applier = proxier._families[0].applier
    return diff(proxier.rulesets()["ipv4"], applier.read())


def command(proxier, *args):
    applier = proxier._families[0].applier
    variant = getattr(applier, "variant", "legacy")
    run([f"iptables-{variant}", *args], netns=applier.netns)


def shortened(objects, endpoints):
    changed = copy.deepcopy(next(obj for obj in objects if obj["kind"] == "EndpointSlice"))
    changed["endpoints"] = changed["endpoints"][:endpoints]
    return changed


def test_partial_syncs_come_to_the_same_as_a_full_one(proxier, objects):
    for endpoints in (2, 0, 3, 1):
        feed(proxier, [shortened(objects, endpoints)])
        report = proxier.sync()
        assert (report.full, report.changed) == (False, ("town/pages",))
        assert differences(proxier) == []
    proxier.set_service("town/pages", None)
    assert not proxier.sync().full and differences(proxier) == []
    feed(proxier, objects)
    assert not proxier.sync().full and differences(proxier) == []
    assert not proxier.repair(thorough=True)


def test_services_that_come_and_go_leave_the_shared_chains_in_order(proxier, objects):
    """With many Services the shared chains are edited, not written anew."""
    many = [obj for number in range(250) for obj in service(objects, number)]
    feed(proxier, many[: 2 * 200])
    proxier.sync()
    for change in (many[2 * 200 : 2 * 210], many[2 * 240 :]):
        feed(proxier, change)
        assert not proxier.sync().full and differences(proxier) == []
    for number in (0, 11, 249):
        proxier.set_service(f"town/many{number:03}", None)
    proxier.set_slice("town/many100-a", None)  # from the one shared chain into the other
    assert not proxier.sync().full and differences(proxier) == []
    found, wanted = proxier._families[0].applier.read(), proxier.rulesets()["ipv4"]
    for table in ("nat", "filter"):
        chain = wanted.chain(table, "KUBE-SERVICES")
        assert found.chain(table, "KUBE-SERVICES").rules == chain.rules
        assert len(chain.rules) > 100


def service(objects, number):
    """A Service and its slice; every second one has no endpoint."""
    made = copy.deepcopy(next(obj for obj in objects if obj["kind"] == "Service"))
    made["metadata"]["name"] = f"many{number:03}"
    made["spec"]["clusterIP"] = f"10.97.0.{number}"
    slice_ = shortened(objects, 1 - number % 2)
    slice_["metadata"]["name"] = f"many{number:03}-a"
    slice_["metadata"]["labels"]["kubernetes.io/service-name"] = f"many{number:03}"
    return made, slice_


def test_an_edit_of_a_chain_changed_by_hand_ends_well(proxier, objects):
    feed(proxier, [obj for number in range(150) for obj in service(objects, number)])
    proxier.sync()
    command(proxier, "-t", "filter", "-F", "KUBE-SERVICES")
    proxier.set_service("town/many003", None)
    proxier.sync()
    proxier.repair()
    assert differences(proxier) == []


def test_nothing_changed_costs_nothing(proxier, objects):
    before = proxier._families[0].applier.fingerprint()
    feed(proxier, objects)
    proxier.sync()
    assert proxier._families[0].applier.fingerprint() == before


DAMAGES = [
    ("-t", "nat", "-F"),
    ("-t", "filter", "-F", "KUBE-FORWARD"),
    ("-t", "nat", "-D", "KUBE-SERVICES", "1"),
    ("-t", "nat", "-D", "PREROUTING", "1"),
    ("-t", "mangle", "-X", "KUBE-PROXY-CANARY"),
    ("-t", "nat", "-A", "KUBE-MARK-MASQ", "-j", "RETURN"),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=" ".join)
def test_damage_by_hand_is_noticed_and_repaired(proxier, damage):
    assert not proxier.repair()
    command(proxier, *damage)
    assert proxier.repair()
    assert differences(proxier) == []
    assert not proxier.repair()


def test_damage_is_not_hidden_by_a_sync_that_follows(proxier, objects):
    command(proxier, "-t", "nat", "-D", "KUBE-SERVICES", "1")
    feed(proxier, [shortened(objects, 2)])
    proxier.sync()
    assert proxier.repair() and differences(proxier) == []


def test_somebody_elses_rule_is_no_damage(proxier):
    command(proxier, "-t", "nat", "-A", "POSTROUTING", "-o", "x0", "-j", "MASQUERADE")
    assert not proxier.repair()


def test_a_refused_change_is_followed_by_a_full_sync(proxier, objects):
    """Somebody deleted a chain that the change wants to delete too, and jumps to another."""
    command(proxier, "-t", "nat", "-N", "KUBE-SEP-AAAAAAAAAAAAAAAA")
    chain = next(name for name in proxier.rulesets()["ipv4"].tables["nat"].chains if "SVC" in name)
    command(proxier, "-t", "nat", "-A", "PREROUTING", "-i", "x0", "-j", chain)
    proxier.set_service("town/pages", None)
    assert proxier.sync().full
    assert [str(d) for d in differences(proxier) if d.chain != chain] == []


def test_udp_clients_of_a_vanished_endpoint_are_forgotten(proxier, objects, namespace):
    run(["ip", "link", "set", "lo", "up"], netns=namespace)
    run(["ip", "addr", "add", "10.244.0.9/32", "dev", "lo"], netns=namespace)
    run(["ip", "route", "add", "default", "dev", "lo"], netns=namespace)
    with netns.entered(namespace):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        for _ in range(30):
            client.sendto(b"x", ("10.96.7.1", 443))
    feed(proxier, [shortened(objects, 0)])
    assert entries(namespace)
    proxier.sync()
    deadline = time.monotonic() + 2
    while entries(namespace) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert entries(namespace) == []


def test_clients_of_what_went_while_nobody_looked_are_forgotten(proxier, objects, namespace):
    """A controller that is started again has not seen which endpoints went meanwhile."""
    piece = shortened(objects, 1)
    port = next(port["port"] for port in piece["ports"] if port.get("protocol") == "UDP")
    right = piece["endpoints"][0]["addresses"][0]
    for number, answerer in enumerate(("10.244.0.99", right, "10.96.7.1")):
        client = ("10.244.0.77", 5000 + number)
        remember(namespace, client, ("10.96.7.1", 443), (answerer, port))
    remember(namespace, ("10.244.0.77", 6000), ("10.96.9.9", 443), ("10.244.0.99", port))
    again = Proxier(
        proxier.config, [family.applier for family in proxier._families], netns=namespace
    )
    feed(again, objects)
    again.sync()
    (left,) = entries(namespace)
    assert f" src={right} " in left
    assert len(entries(namespace, "10.96.9.9")) == 1  # no Service's
    remember(namespace, ("10.244.0.77", 7000), ("10.96.7.1", 443), ("10.244.0.99", port))
    again.repair(thorough=True)
    assert len(entries(namespace)) == 2  # all are looked through once


def remember(namespace, client, target, answerer):
    """Have connection tracking know a flow."""
    there = ["-s", client[0], "--sport", str(client[1]), "-d", target[0], "--dport", str(target[1])]
    back = ["-r", answerer[0], "--reply-port-src", str(answerer[1])]
    back += ["-q", client[0], "--reply-port-dst", str(client[1])]
    run(["conntrack", "-I", "-p", "udp", *there, *back, "-t", "60"], netns=namespace)


def entries(namespace, address="10.96.7.1"):
    listed = run(["conntrack", "-L", "-p", "udp", "--orig-dst", address], netns=namespace)
    return [line for line in listed.stdout.splitlines() if line.strip()]
