"""Applying a network: once, again, after damage, and with failures on the way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from netlab.errors import KernelRefused
from netlab.kernel import netns, paths, process, teardown
from netlab.kernel.leaving import Leaving
from netlab.kernel.netlink import NetlinkSocket
from netlab.kernel.run import run
from netlab.network import apply, diff, mend, plan, pod_diff, read
from netlab.network.model import Link, Namespace
from netlab.network.operations import AddVeth, CreateNamespace, SetUp
from netlab.network.session import Session

pytestmark = pytest.mark.root


def everything(lab_dir: Path) -> dict[str, Namespace]:
    """All namespaces of a lab as they are."""
    found = paths.namespaces(lab_dir).iterdir()
    return {path.name: read.namespace(path, path.name) for path in sorted(found)}


def port(node: Path, name: str) -> Link:
    """A pod's port on its node, as it is."""
    with NetlinkSocket(node) as socket:
        found = [link for link in read.links(socket) if link.name == name]
        return next(read.guarded(socket, found))


def names(lab_dir: Path) -> list[str]:
    return sorted(path.name for path in paths.namespaces(lab_dir).iterdir())


def eventually(condition, seconds: float = 3.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_network_stands_as_planned_and_again_nothing_is_to_do(running):
    state = read.state(running.network, running.directory)
    assert diff.diff(running.network, state) == ()
    assert apply.ensure_cluster(running.network, running.directory) == ()


@pytest.mark.parametrize(
    "spec",
    [
        {"ipFamilies": ["IPv4", "IPv6"]},
        {"proxyMode": "nftables", "ipFamilies": ["IPv4", "IPv6"]},
        {"iptables": "legacy"},
        {"iptables": "nft"},
    ],
    ids=["dual-stack", "nftables", "legacy", "nft"],
)
def test_other_labs_converge_too(labs, spec):
    with labs.standing(labs.make(nodes=1, **spec)) as lab:
        assert apply.ensure_cluster(lab.network, lab.directory) == ()


def test_legacy_rules_take_no_lock_of_the_machine(labs, tmp_path):
    lock = Path("/run/xtables.lock")
    before = lock.stat().st_mtime_ns if lock.exists() else None
    with labs.standing(labs.make(nodes=1, iptables="legacy")) as lab:
        assert paths.xtables_lock(lab.path("master001")).exists()
        listing = run(["nft", "list", "ruleset"], netns=lab.path("master001")).stdout
        assert listing == "", "never two variants in one namespace"
    assert (lock.stat().st_mtime_ns if lock.exists() else None) == before


def test_a_name_that_leads_to_another_namespace_leads_home_again(running):
    name, path = f"{running.lab.name}.worker001", running.path("worker001")
    before = everything(running.directory)
    with netns.opened(path) as lost:
        assert mend.put_back({name: lost}, running.directory) == []
        netns.remove(path)
        os.close(netns.create(path))
        assert mend.put_back({name: lost}, running.directory) == [name]
        assert netns.is_at(path, lost)
    assert everything(running.directory) == before


DAMAGE = {
    "link down": ("worker001", "ip link set eth1 down"),
    "address gone": ("worker001", "ip addr flush dev eth0"),
    "address changed": ("client", "ip addr add 172.16.110.77/24 dev eth0"),
    "bridge gone": ("worker001", "ip link delete cni0"),
    "fabric bridge gone": ("fabric", "ip link delete nodes"),
    "link gone": ("worker001", "ip link delete eth0"),
    "port gone": ("fabric", "ip link delete worker001-eth1"),
    "routes gone": ("worker001", "ip route flush table main"),
    "sysctl": ("worker001", "sysctl -qw net.ipv4.ip_forward=0"),
    "rules gone": ("worker001", "iptables -t nat -F POSTROUTING"),
    "mac": ("internet", "ip link set eth0 address 02:00:00:00:00:99"),
    "renamed": ("worker001", "ip link set eth1 down && ip link set eth1 name uplink"),
    "bridge renamed": ("worker001", "ip link set cni0 down && ip link set cni0 name br0"),
    "route replaced": ("worker001", "ip route replace 10.244.2.0/24 via 10.10.11.10"),
    "mtu": ("worker001", "ip link set eth0 mtu 576"),
    "neighbour": (
        "worker001",
        "ip neigh replace 10.10.11.12 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
    ),
}


def test_masquerading_alone_can_be_put_back(running):
    before = everything(running.directory)
    for _ in range(2):  # the second time nothing is missing, and nothing is doubled
        apply.ensure_masquerades(
            running.network, f"{running.lab.name}.worker001", running.directory
        )
        assert everything(running.directory) == before
        run(["iptables", "-t", "nat", "-F"], netns=running.path("worker001"))
        apply.ensure_masquerades(
            running.network, f"{running.lab.name}.worker001", running.directory
        )
    assert everything(running.directory) == before


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_mended(running, damage):
    before = everything(running.directory)
    where, command = DAMAGE[damage]
    run(["sh", "-ec", command], netns=running.path(where))
    assert apply.ensure_cluster(running.network, running.directory) != ()
    assert everything(running.directory) == before
    assert apply.ensure_cluster(running.network, running.directory) == ()
    with running.listen("worker002", "10.10.11.12", 1000):
        assert running.connect("worker001", "10.10.11.12", 1000)[0] == "10.10.11.11"
    with running.listen("internet", "198.51.100.1", 80):
        assert running.connect("worker001", "198.51.100.1", 80)[0] == "172.16.110.11"


@pytest.mark.parametrize("lost", ["worker001", "fabric", "internet"])
def test_lost_namespace_is_made_anew(running, lost):
    before = everything(running.directory)
    netns.remove(running.path(lost))
    apply.ensure_cluster(running.network, running.directory)
    assert everything(running.directory) == before
    assert apply.ensure_cluster(running.network, running.directory) == ()
    with running.listen("internet", "198.51.100.1", 80):
        assert running.connect("worker001", "198.51.100.1", 80)[0] == "172.16.110.11"


def test_what_users_try_out_in_a_node_survives_converging(running):
    where = running.path("worker001")
    run(["ip", "route", "add", "192.0.2.0/24", "via", "10.10.11.12"], netns=where)
    run(["ip", "link", "add", "mine", "type", "veth", "peer", "name", "yours"], netns=where)
    assert apply.ensure_cluster(running.network, running.directory) == ()
    assert "192.0.2.0/24" in run(["ip", "route"], netns=where).stdout
    assert "mine" in run(["ip", "link"], netns=where).stdout


def test_dry_run_prints_exactly_what_apply_does(running, tmp_path):
    """The printed commands, run by hand on an empty machine, build the same."""
    pod = running.pod("worker001", "web", 2)
    running.attach(pod)
    commands = apply.describe_cluster(running.network) + apply.describe(pod_diff.attach(pod))
    # Not enforced: under a user namespace the kernel does not have it.
    commands = [f"{line} || true" if "ping_group_range" in line else line for line in commands]
    script = "\n".join(["mount -t tmpfs none /run", *commands, "echo done", "exec sleep 100"])
    by_hand = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-ec", script],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert by_hand.stdout is not None
        assert by_hand.stdout.readline() == "done\n"
        theirs = Path(f"/proc/{by_hand.pid}/root/run/netns")
        ours = everything(running.directory)
        for namespace in (*running.network.namespaces, pod.inside):
            sysctls = [entry.name for entry in namespace.sysctls]
            made = read.namespace(theirs / namespace.name, namespace.name, sysctls)
            planned = read.namespace(
                paths.namespace(running.directory, namespace.name), namespace.name, sysctls
            )
            assert made == planned
        assert port(theirs / pod.node, pod.port.name) == replace(pod.port, peer=None)
        assert sorted(entry.name for entry in theirs.iterdir()) == sorted(ours)
        save = ["iptables-save", "-t", "nat"]
        rules = [
            [line for line in run(save, netns=where).stdout.splitlines() if line.startswith("-A")]
            for where in (theirs / "t.worker001", running.path("worker001"))
        ]
        assert rules[0] == rules[1] != []
    finally:
        by_hand.kill()
        by_hand.communicate()


def test_failure_midway_leaves_nothing(lab_dir, labs, monkeypatch):
    """Whatever operation fails, what was made before it is gone."""
    network = plan.cluster(labs.make(nodes=1))
    total = len(list(diff.diff(network, {})))
    for broken in range(0, total, 7):
        with monkeypatch.context() as patch:
            _fail_at(patch, broken)
            with pytest.raises(KernelRefused, match="on purpose"):
                apply.ensure_cluster(network, lab_dir)
        assert names(lab_dir) == []
        assert netns.links_into(lab_dir) == []
        assert netns.mounts_beneath(paths.namespaces(lab_dir)) == []


def _fail_at(patch, broken: int) -> None:
    """The operation with that number is never carried out, but refused."""
    original, count = Session._run, 0

    def run_or_fail(self, operations, begun):
        nonlocal count
        if count <= broken < count + len(operations):
            count = -(10**9)  # undoing must work
            raise KernelRefused("on purpose", 5)
        count += len(operations)
        return original(self, operations, begun)

    patch.setattr(Session, "_run", run_or_fail)


def test_failure_while_mending_leaves_what_stood(running, monkeypatch):
    run(["ip", "addr", "flush", "dev", "eth0"], netns=running.path("worker001"))
    before = everything(running.directory)
    with monkeypatch.context() as patch:
        _break_sending(patch, "route")
        with pytest.raises(KernelRefused):
            apply.ensure_cluster(running.network, running.directory)
    assert everything(running.directory) == before
    apply.ensure_cluster(running.network, running.directory)
    assert apply.ensure_cluster(running.network, running.directory) == ()


def _break_sending(patch, word: str) -> None:
    """Messages about `word` ask the kernel for what it must refuse."""
    from netlab.network import session

    original = session.message

    def broken(operation, descriptor):
        made = original(operation, descriptor)
        return replace(made, body=made.body[:4]) if word in made.what else made

    patch.setattr(session, "message", broken)


def test_interruption_leaves_nothing(lab_dir, labs, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    network = plan.cluster(labs.make(nodes=1))
    monkeypatch.setattr("netlab.network.masquerade.ensure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apply.ensure_cluster(network, lab_dir)
    assert names(lab_dir) == []


def test_undo_deletes_nobody_elses_link(running):
    """A link that has the wanted index or name was there before, and is there after."""
    where = running.path("worker001")
    run(
        ["ip", "link", "add", "theirs", "index", "500", "type", "veth", "peer", "name", "x"],
        netns=where,
    )
    clash = Link("theirs", 500, "veth", "02:00:00:00:00:05", peer=None)
    with Session(running.directory) as session, pytest.raises(KernelRefused, match=r"exists|busy"):
        peer = running.network.namespace("t.fabric").link("worker001-eth0").peer
        clash = replace(clash, peer=replace(peer, namespace="t.internet", name="y", index=77))
        session.execute([SetUp("t.worker001", "lo", 1), AddVeth("t.worker001", clash, None)])
    assert "theirs" in run(["ip", "link"], netns=where).stdout


def test_pods_are_adopted_and_half_made_ones_made_anew(running):
    pods = [running.pod("worker001", f"p{n}", n + 2) for n in range(4)]
    running.attach(*pods)
    inodes = [paths.namespace(running.directory, pod.name).stat().st_ino for pod in pods]
    run(["ip", "addr", "flush", "dev", "eth0"], netns=running.path("default.p1"))
    run(["ip", "link", "delete", pods[2].port.name], netns=running.path("worker001"))
    paths.netns_link(pods[3].name).unlink()
    running.attach(*pods)
    after = [paths.namespace(running.directory, pod.name).stat().st_ino for pod in pods]
    assert [old == new for old, new in zip(inodes, after, strict=True)] == [
        True,
        False,
        False,
        True,
    ]
    assert paths.netns_link(pods[3].name).is_symlink()
    with running.listen("default.p2", "10.244.1.4", 80):
        assert running.connect("default.p1", "10.244.1.4", 80)[0] == "10.244.1.3"


def test_one_bad_pod_takes_no_other_down(running):
    good, bad = running.pod("worker001", "good", 2), running.pod("worker001", "bad", 3)
    bad = replace(bad, port=replace(bad.port, name="a-name-much-too-long-for-a-link"))
    lost = replace(running.pod("worker002", "lost", 4), master_index=999)
    failed = apply.attach_pods([good, bad, lost], running.directory)
    assert sorted(failed) == ["uid-default-bad", "uid-default-lost"]
    assert all(isinstance(error, KernelRefused) for error in failed.values())
    assert "connect" in str(failed["uid-default-bad"])
    assert "t.default.good" in names(running.directory)
    assert not {"t.default.bad", "t.default.lost"} & set(names(running.directory))
    assert [link.name for link in netns.links_into(running.directory)].count("t.default.bad") == 0


def test_interruption_while_attaching_leaves_no_pod(running, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(apply._Attachment, "_configure", interrupted)
    before = names(running.directory)
    with pytest.raises(KeyboardInterrupt):
        apply.attach_pods([running.pod("worker001", "web", 2)], running.directory)
    assert names(running.directory) == before
    node = read.namespace(running.path("worker001"), "node")
    assert [link.name for link in node.links if link.name.startswith("veth")] == []


def test_pod_comes_back_at_once_after_it_was_detached(running):
    pod = running.pod("worker001", "web", 2)
    for _ in range(3):
        running.attach(pod)
        apply.detach_pods([pod], running.directory)
    running.attach(pod)
    with running.listen("default.web", "10.244.1.2", 80):
        assert running.connect("worker001", "10.244.1.2", 80)[1] == "t.default.web"


def test_pod_comes_back_while_what_was_of_it_is_yet_to_be_let_go_of(running):
    pod, those = running.pod("worker001", "web", 2), Leaving(running.directory)
    for _ in range(3):
        running.attach(pod)
        apply.detach_pods([pod], running.directory, those)
    running.attach(pod)
    those.let_go()
    with running.listen("default.web", "10.244.1.2", 80):
        assert running.connect("worker001", "10.244.1.2", 80)[1] == "t.default.web"


def test_detached_pods_links_go_away(running):
    pods = [running.pod("worker001", f"p{n}", n + 2) for n in range(20)]
    running.attach(*pods)
    apply.detach_pods(pods, running.directory)
    apply.detach_pods(pods, running.directory)

    def ports() -> list[Link]:
        links = read.namespace(running.path("worker001"), "node").links
        return [link for link in links if link.name.startswith("veth")]

    assert eventually(lambda: ports() == []), ports()


def test_pods_port_is_as_planned(running):
    pod = running.pod("worker001", "web", 2)
    running.attach(pod)
    assert port(running.path("worker001"), pod.port.name) == replace(pod.port, peer=None)


PORT_DAMAGE = {
    "hairpin": "bridge link set dev {port} hairpin off",
    "learning": "bridge link set dev {port} learning on",
    "flooding": "bridge link set dev {port} flood on",
    "station gone": "bridge fdb delete {mac} dev {port} master",
    "station stolen": "bridge fdb replace {mac} dev {other} master static",
    "guard gone": "tc qdisc delete dev {port} ingress",
    "filter gone": "tc filter delete dev {port} ingress",
    "another filter": "tc filter delete dev {port} ingress && tc filter add dev {port} ingress"
    " protocol all pref 1 u32 match u32 0 0",
    "another program": "tc filter replace dev {port} ingress protocol all pref 1 handle 1"
    " bpf direct-action bytecode '1,6 0 0 0'",
}


@pytest.mark.parametrize("damage", PORT_DAMAGE)
def test_damage_to_a_pods_port_is_mended_in_place(running, damage):
    where = running.path("worker001")
    pod, other = running.pod("worker001", "web", 2), running.pod("worker001", "other", 3)
    running.attach(pod, other)
    inode = paths.namespace(running.directory, pod.name).stat().st_ino
    before = port(where, pod.port.name)
    words = {"port": pod.port.name, "mac": pod.inside.link("eth0").mac, "other": other.port.name}
    run(["sh", "-ec", PORT_DAMAGE[damage].format(**words)], netns=where)
    assert port(where, pod.port.name) != before
    running.attach(pod, other)
    assert port(where, pod.port.name) == before
    assert paths.namespace(running.directory, pod.name).stat().st_ino == inode


def test_pods_port_keeps_its_station_while_the_pods_link_is_down(running):
    pod = running.pod("worker001", "web", 2)
    running.attach(pod)
    before = port(running.path("worker001"), pod.port.name)
    run(["sh", "-ec", "ip link set eth0 down; sleep 0.1"], netns=running.path("default.web"))
    assert port(running.path("worker001"), pod.port.name) == before


def test_adoption_after_the_builder_was_killed(lab_dir, labs, tmp_path):
    """Killed anywhere on its way, what it left is completed by the next one."""
    network = plan.cluster(labs.make())
    builder = textwrap.dedent(
        f"""
        import pathlib, sys
        from netlab.network import apply, plan
        from netlab.objects.lab import lab_from_object
        lab = lab_from_object({{"metadata": {{"name": "t"}}, "spec": {{"nodes": 3}}}})
        print(flush=True)
        apply.ensure_cluster(plan.cluster(lab), pathlib.Path({str(lab_dir)!r}))
        """
    )
    for delay in (0.002, 0.006, 0.012):
        child = subprocess.Popen([sys.executable, "-c", builder], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        apply.ensure_cluster(network, lab_dir)
        assert apply.ensure_cluster(network, lab_dir) == ()
        for namespace in network.namespaces:
            with contextlib.suppress(FileNotFoundError):
                netns.remove(paths.namespace(lab_dir, namespace.name))


def test_two_labs_side_by_side_with_the_same_addresses(labs):
    with labs.standing(labs.make("one")) as one, labs.standing(labs.make("two")) as two:
        for lab in (one, two):
            lab.attach(lab.pod("worker001", "web", 2), lab.pod("worker002", "far", 2))
        with (
            one.listen("default.web", "10.244.1.2", 80),
            two.listen("default.web", "10.244.1.2", 80),
        ):
            assert one.connect("default.far", "10.244.1.2", 80)[1] == "one.default.web"
            assert two.connect("default.far", "10.244.1.2", 80)[1] == "two.default.web"
            teardown.teardown(one.directory)
            assert two.connect("default.far", "10.244.1.2", 80)[1] == "two.default.web"
            assert [link.name for link in netns.links_into(two.directory)] != []


def test_missing_directory_is_told(labs):
    network = plan.cluster(labs.make())
    with pytest.raises(OSError):
        apply.ensure_cluster(network, paths.lab_dir("t"))
    assert process.owned("nobody") == []
    assert diff.diff(network, {})[0] == CreateNamespace("t.fabric")
