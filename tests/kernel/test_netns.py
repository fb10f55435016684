"""Namespaces, their names, and the mount that holds a lab."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netlab.errors import EnvironmentLacks, KernelRefused
from netlab.kernel import messages, netns, paths, sysctl
from netlab.kernel.netlink import NetlinkSocket
from netlab.kernel.run import run

pytestmark = pytest.mark.root


def here() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


@pytest.fixture
def namespace(lab_dir):
    path = paths.namespace(lab_dir, "t.one")
    descriptor = netns.create(path)
    yield descriptor
    os.close(descriptor)


def test_made_namespace_is_another_and_we_stay_home(lab_dir, namespace):
    home = here()
    assert netns.exists(paths.namespace(lab_dir, "t.one"))
    with netns.entered(namespace):
        assert here() == os.fstat(namespace).st_ino != home
    assert here() == home


def test_entering_nests_and_comes_home_after_an_exception(lab_dir, namespace):
    home = here()
    other = netns.create(paths.namespace(lab_dir, "t.two"))
    with contextlib.suppress(RuntimeError), netns.entered(namespace):
        with netns.entered(other):
            assert here() == os.fstat(other).st_ino
        assert here() == os.fstat(namespace).st_ino
        raise RuntimeError
    assert here() == home
    os.close(other)


def test_other_threads_stay_where_they_are(namespace):
    home, seen = here(), []
    worker = ThreadPoolExecutor(1)
    worker.submit(lambda: None).result()  # born at home
    with netns.entered(namespace):
        seen.append(worker.submit(here).result())
    worker.shutdown()
    assert seen == [home]


def test_failure_inside_leaves_neither_mount_nor_file(lab_dir):
    home, path = here(), paths.namespace(lab_dir, "t.bad")
    with pytest.raises(ZeroDivisionError), netns.created(path):
        _ = 1 / 0
    assert here() == home
    assert not path.exists()
    assert netns.mounts_beneath(path) == []


def test_failure_to_mount_leaves_no_file(lab_dir):
    path = paths.namespace(lab_dir, "t.dir")
    path.mkdir()  # a namespace is a file: it cannot be mounted on a directory
    home = here()
    with pytest.raises(OSError):
        netns.create(path)
    assert here() == home
    path.rmdir()


def test_half_made_namespace_does_not_exist_and_can_be_made(lab_dir):
    path = paths.namespace(lab_dir, "t.half")
    path.touch()
    assert not netns.exists(path)
    os.close(netns.create(path))
    assert netns.exists(path)
    netns.remove(path)
    netns.remove(path)
    assert not path.exists()


def test_opening_what_is_not_there(lab_dir):
    with pytest.raises(KernelRefused, match=r"no network namespace at .*nowhere"):
        netns.open_(paths.namespace(lab_dir, "nowhere"))


def test_ip_netns_finds_a_namespace_by_its_link(lab_dir, namespace):
    """`ip` looks in /run/netns alone: shown to it in a mount namespace of its own."""
    path = paths.namespace(lab_dir, "t.one")
    netns.link_name("t.one", path)
    script = f"""mount -t tmpfs none /run; mkdir /run/netns; cp -P {paths.netns_dir()}/* /run/netns
    ip netns list; ip netns exec t.one ip -brief link; ip -n t.one link set lo up"""
    output = run(["unshare", "-m", "--propagation", "private", "sh", "-ec", script]).stdout
    assert output.splitlines()[0] == "t.one"
    assert "lo" in output.splitlines()[1]
    netns.unlink_name("t.one", path)
    assert not paths.netns_link("t.one").is_symlink()


def test_links_of_others_are_neither_replaced_nor_removed(lab_dir, tmp_path):
    other, mine = tmp_path / "other", paths.namespace(lab_dir, "t.one")
    other.touch()
    paths.netns_link("t.one").symlink_to(other)
    with pytest.raises(KernelRefused, match="somebody else's"):
        netns.link_name("t.one", mine)
    netns.unlink_name("t.one", mine)
    assert netns.links_into(lab_dir) == []
    assert paths.netns_link("t.one").readlink() == other
    paths.netns_link("t.one").unlink()


def test_dangling_link_is_replaced(lab_dir, tmp_path):
    paths.netns_link("t.one").symlink_to(tmp_path / "gone")
    netns.link_name("t.one", paths.namespace(lab_dir, "t.one"))
    assert netns.links_into(lab_dir) == [paths.netns_link("t.one")]


def test_lab_mount_is_adopted_with_what_is_in_it(tmp_path):
    mount = netns.LabMount(paths.lab_dir("t"))
    owner = mount.ensure()
    paths.lab_file(mount.directory).write_text("{}")
    assert mount.ensure() == owner == netns.owner(mount.directory)
    assert paths.lab_file(mount.directory).read_text() == "{}"
    parts = [paths.disks(mount.directory), paths.pods(mount.directory), mount.directory]
    assert netns.mounts_beneath(mount.directory) == parts
    mount.teardown()
    mount.teardown()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == []


def test_last_lab_removes_the_base_directories_it_made(tmp_path):
    first, second = (netns.LabMount(paths.lab_dir(name)) for name in "ab")
    first.ensure()
    second.ensure()
    first.teardown()
    assert paths.netns_dir().is_dir()
    second.teardown()
    assert list(tmp_path.iterdir()) == []


def test_base_directories_that_were_there_stay(tmp_path):
    paths.run_dir().mkdir()
    paths.netns_dir().mkdir()
    mount = netns.LabMount(paths.lab_dir("t"))
    mount.ensure()
    mount.teardown()
    assert paths.run_dir().is_dir()
    assert paths.netns_dir().is_dir()
    assert list(paths.run_dir().iterdir()) == []
    for directory in (paths.run_dir(), paths.netns_dir()):
        directory.rmdir()


def test_netns_directory_with_somebody_elses_name_stays(tmp_path):
    mount = netns.LabMount(paths.lab_dir("t"))
    mount.ensure()
    (paths.netns_dir() / "theirs").touch()
    mount.teardown()
    assert (paths.netns_dir() / "theirs").exists()
    assert not paths.run_dir().exists()
    (paths.netns_dir() / "theirs").unlink()
    paths.netns_dir().rmdir()


def test_labs_coming_and_going_at_the_same_time(tmp_path):
    failures = []

    def live(name: str) -> None:
        mount = netns.LabMount(paths.lab_dir(name))
        try:
            for _ in range(20):
                mount.ensure()
                mount.teardown()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=live, args=(f"lab{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(tmp_path.iterdir()) == []


def test_sysctls_are_the_namespaces_own(namespace):
    name = "net.ipv4.ip_default_ttl"
    before = sysctl.get(None, name)
    sysctl.set(namespace, {name: "33"})
    assert sysctl.get(namespace, name) == "33"
    assert sysctl.get(None, name) == before


def test_one_tree_of_sysctls_shows_each_thread_its_own_namespace(namespace):
    name = "net.ipv4.ip_default_ttl"
    with sysctl.tree() as tree:
        before = tree.read(name)
        with netns.entered(namespace):
            tree.write(name, "34")
            assert tree.read(name) == "34"
            with os.fdopen(tree.open(name)) as file:
                assert os.fstat(file.fileno()).st_dev != sysctl.file_of(name).stat().st_dev
        assert tree.read(name) == before
    assert sysctl.get(namespace, name) == "34"


def test_kept_sysctls_outlive_the_tree_they_were_found_in(namespace):
    names = ("net.ipv4.ip_default_ttl", "net.nothing.here")
    with sysctl.tree() as tree:
        kept = sysctl.Kept(namespace, names, tree)
    sysctl.set(namespace, {"net.ipv4.ip_default_ttl": "35"})
    assert kept.read() == {"net.ipv4.ip_default_ttl": "35"}
    kept.close()


def test_sysctls_are_read_where_no_procfs_can_be_had():
    code = "from netlab.kernel import sysctl; print(sysctl.get(None, 'net.ipv4.ip_forward'))"
    words = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", code]
    assert run(words).stdout.strip() in ("0", "1")


def test_missing_sysctls(namespace):
    sysctl.set(namespace, {"net.nothing.here": "1"}, missing_ok=True)
    with pytest.raises(EnvironmentLacks, match=r"the kernel has no net\.nothing\.here"):
        sysctl.set(namespace, {"net.nothing.here": "1"})
    with pytest.raises(KernelRefused, match="Invalid argument"):
        sysctl.set(namespace, {"net.ipv4.ip_default_ttl": "no number"})
    assert sysctl.get(namespace, "net.nothing.here") is None


def test_answers_are_the_kernels_whoever_else_sends(namespace):
    """In its own namespace a pod with NET_ADMIN may send to any socket, ours among them."""
    with netns.entered(namespace):
        forger = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    refusal = struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1)
    with forger, NetlinkSocket(namespace) as asking:
        ours = asking._socket.getsockname()[0]
        for forged in (bytes(16), refusal, b"\x05\0\0\0\x11"):
            forger.sendto(forged, (ours, 0))
        asking.request([messages.set_up("bring lo up", 1)])
        assert asking.dump(messages.RTM_GETLINK, bytes(16))


def test_refusals_name_the_message_and_the_rest_is_done(namespace):
    with NetlinkSocket(namespace) as socket:
        bridge = messages.add_bridge("add br0", "br0", 7, "02:00:00:00:00:01")
        again = messages.add_bridge("add br0 again", "br0", 8, "02:00:00:00:00:02")
        up = messages.set_up("bring lo up", 1)
        refusals = socket.attempt([bridge, again, up])
        assert [(position, str(error)) for position, error in refusals] == [
            (1, "cannot add br0 again: File exists")
        ]
        with pytest.raises(KernelRefused, match="add br0: File exists"):
            socket.request([bridge])
        socket.request([messages.delete_link("x", 7), messages.delete_link("x", 7)])
    assert "UP" in run(["ip", "link", "show", "lo"], netns=namespace).stdout


def test_more_messages_than_one_send_holds(namespace):
    with NetlinkSocket(namespace) as socket:
        count = 2500
        addresses = [f"10.{n >> 8}.{n & 255}.1/32" for n in range(count)]
        socket.request([messages.add_address("add", 1, address) for address in addresses])
        listing = run(["ip", "-4", "-oneline", "addr", "show", "lo"], netns=namespace).stdout
        assert len(listing.splitlines()) == count


def test_a_program_is_run_inside_and_we_stay_home(namespace):
    home = here()
    inode = "import os; print(os.stat('/proc/self/ns/net').st_ino)"
    said = run([sys.executable, "-c", inode], netns=namespace).stdout
    assert int(said) == os.fstat(namespace).st_ino != home
    assert here() == home


def test_processes_started_meanwhile_elsewhere_are_not_caught_inside(namespace):
    started = []
    with netns.entered(namespace):
        thread = ThreadPoolExecutor(1)
        inside = thread.submit(here).result()
    thread.shutdown()
    started.append(subprocess.run(["true"], check=False).returncode)
    assert inside == os.fstat(namespace).st_ino  # a thread born inside lives inside: as documented
    assert started == [0]
