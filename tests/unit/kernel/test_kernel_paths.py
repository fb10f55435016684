"""Paths follow from the lab's directory, and the base directories from the environment."""

from __future__ import annotations

from pathlib import Path

from snapshot import Snapshot

from netlab.kernel import basedir, paths, sysctl
from netlab.kernel.run import install_hint, search_path


def test_defaults(monkeypatch):
    monkeypatch.delenv("NETLAB_RUN", raising=False)
    monkeypatch.delenv("NETLAB_NETNS_DIR", raising=False)
    assert paths.lab_dir("demo") == Path("/run/netlab/demo")
    assert paths.netns_link("demo.web") == Path("/run/netns/demo.web")


def test_environment_moves_both_bases(monkeypatch):
    monkeypatch.setenv("NETLAB_RUN", "/tmp/r")
    monkeypatch.setenv("NETLAB_NETNS_DIR", "/tmp/n")
    assert paths.namespace(paths.lab_dir("demo"), "demo.web") == Path("/tmp/r/demo/netns/demo.web")
    assert paths.netns_link("x") == Path("/tmp/n/x")


def test_links_in_the_way_of_a_base_are_followed(monkeypatch, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    monkeypatch.setenv("NETLAB_RUN", str(tmp_path / "link" / "run"))
    monkeypatch.setenv("NETLAB_NETNS_DIR", str(tmp_path / "link" / "netns"))
    assert paths.run_dir() == tmp_path.resolve() / "disk" / "run", "which is not there yet"
    assert paths.netns_link("x") == tmp_path.resolve() / "disk" / "netns" / "x"


def test_labs_are_the_directories_of_the_base_that_netlab_made(monkeypatch, tmp_path):
    monkeypatch.setenv("NETLAB_RUN", str(tmp_path))
    basedir.make_lab(tmp_path / "b")
    basedir.make_lab(tmp_path / "a")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to("a")
    assert [entry.name for entry in basedir.lab_dirs()] == ["a", "b"]
    monkeypatch.setenv("NETLAB_RUN", str(tmp_path / "none"))
    assert basedir.lab_dirs() == []


def test_sysctl_names_with_a_dot_in_a_link():
    assert sysctl.file_of("net.ipv4.conf.eth0/100.rp_filter") == Path(
        "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"
    )


def test_missing_programs_come_with_their_package():
    assert install_hint("ip6tables-nft-restore") == "apt-get install iptables"
    assert install_hint("/usr/sbin/dnsmasq") == "apt-get install dnsmasq-base"
    assert install_hint("nginx") == "sudo scripts/setup --with nginx"


def test_system_directories_are_searched_even_when_path_lacks_them(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert search_path() == "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


def test_snapshot_difference_reads_well():
    before = Snapshot({"links": {"lo": "up", "eth0": "up"}, "sysctls": {"net.a": "0"}})
    after = Snapshot(
        {
            "links": {"lo": "up", "veth0": "down"},
            "sysctls": {"net.a": "1", "net.netfilter.nf_conntrack_max": "9"},
        }
    )
    assert before.difference(after) == [
        "links: - eth0 up",
        "links: + veth0 down",
        "sysctls: ~ net.a: 0 → 1",
    ]
    assert before.difference(before) == []
