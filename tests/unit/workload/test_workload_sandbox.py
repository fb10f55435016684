from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.errors import EnvironmentLacks
from netlab.objects.capabilities import DEFAULT_CAPABILITIES
from netlab.workload import crilog, rootfs, sandbox
from netlab.workload.crilog import MAX_PART, LogFollower, LogWriter
from netlab.workload.sandbox import (
    Privileges,
    base_environment,
    missing_hint,
    privileges,
)


def said(path: Path) -> list[tuple[str, bytes]]:
    return [(entry.stream, entry.data) for entry in crilog.read(path)]


# -- logs ------------------------------------------------------------------------------------------


def test_a_log_has_the_kubelets_form(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    log = LogWriter(path)
    assert log.write("stdout", b"one\ntw")
    assert not log.write("stdout", b"o")
    assert log.write("stderr", b"err\n\n")
    assert log.write("stdout", b"\nend")
    log.close()
    texts = [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
    assert texts == ["stdout F one", "stderr F err", "stderr F ", "stdout F two", "stdout P end"]
    assert said(path) == [
        ("stdout", b"one\n"), ("stderr", b"err\n"), ("stderr", b"\n"),
        ("stdout", b"two\n"), ("stdout", b"end"),
    ]  # fmt: skip


def test_any_output_comes_out_of_the_log_as_it_went_in(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    output = bytes(range(256)) * 400 + b"\n" + b"x" * (3 * MAX_PART) + b"tail"
    log = LogWriter(path)
    for at in range(0, len(output), 5000):
        log.write("stdout", output[at : at + 5000])
    log.close()
    assert b"".join(data for _, data in said(path)) == output
    assert max(len(line) for line in path.read_bytes().split(b"\n")) < MAX_PART + 100


def test_a_log_is_rotated_and_followed_across_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crilog, "MAX_FILE", 300)
    path = tmp_path / "0.log"
    log, follower = LogWriter(path), LogFollower(path)
    heard = []
    for number in range(40):
        log.write("stdout", b"%d\n" % number)
        heard += [entry.data for entry in follower.new()]
    log.close()
    follower.close()
    assert heard == [b"%d\n" % number for number in range(40)]
    assert path.stat().st_size <= 300
    kept = [data for _, data in said(path)]
    assert kept == heard[-len(kept) :]
    assert 5 < len(kept) < 20


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path / "0.log")
    assert said(tmp_path / "0.log") == []
    assert follower.new() == []
    log = LogWriter(tmp_path / "0.log")
    log.write("stdout", b"now\n")
    log.close()
    assert [entry.data for entry in follower.new()] == [b"now\n"]
    follower.close()


def test_timestamps_have_nanoseconds() -> None:
    assert crilog.timestamp(784111777_000000042) == "1994-11-06T08:49:37.000000042Z"


# -- privileges ------------------------------------------------------------------------------------


def test_privileges_are_asked_for_and_harmless() -> None:
    def asked(pod: dict[str, object], own: dict[str, object]) -> Privileges:
        return privileges({"securityContext": pod}, {"securityContext": own})

    assert privileges({}, {}) == Privileges("", DEFAULT_CAPABILITIES)
    assert asked({"runAsUser": 5}, {}).identity == "5:0"
    assert asked({"runAsUser": 5, "runAsGroup": 6}, {"runAsUser": 7}).identity == "7:6"
    assert asked({"runAsUser": 5}, {"runAsUser": 0}).identity == ""
    assert asked({"runAsGroup": 6}, {"runAsUser": 0}).identity == "0:6"
    added = asked({}, {"capabilities": {"add": ["CAP_NET_ADMIN", "SYS_ADMIN", "SYS_MODULE"]}})
    assert set(added.capabilities) - set(DEFAULT_CAPABILITIES) == {"net_admin"}
    only = asked({}, {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "NET_RAW"]}})
    assert only.capabilities == ("net_bind_service", "net_raw")
    assert "chown" not in asked({}, {"capabilities": {"drop": ["CHOWN"]}}).capabilities
    everything = asked({}, {"privileged": True}).capabilities
    assert "net_admin" in everything
    assert not {"sys_admin", "sys_module", "mknod", "sys_rawio"} & set(everything)


def test_hints_name_the_package_of_what_pods_often_use() -> None:
    assert missing_hint("/usr/bin/dig").endswith("get dig with: apt-get install bind9-dnsutils")
    assert missing_hint("./own") == ""


def test_the_environment_begins_as_in_a_container() -> None:
    assert base_environment("web-0")["HOSTNAME"] == "web-0"
    assert "TERM" not in base_environment("web-0")
    assert base_environment("web-0", tty=True)["TERM"] == "xterm"


# -- the file system -------------------------------------------------------------------------------


def test_the_root_is_written_down_as_an_fstab(tmp_path: Path) -> None:
    pod = tmp_path / "a pod"
    rootfs.write_pod_files(pod, hostname="web-0", hosts="h\n", resolv_conf="r\n")
    root = rootfs.prepare(pod / "containers" / "main", pod)
    assert rootfs.prepare(pod / "containers" / "main", pod) == root
    lines = [line.split(" ") for line in root.fstab.read_text().splitlines()]
    assert {len(line) for line in lines} == {6}
    base = str(root.mount_point).replace(" ", "\\040")
    assert lines[0][:4] == ["/", base, "none", "bind,ro"]
    options = {target.removeprefix(base): kind for _, target, _, kind, *_ in lines}
    assert options["/proc/sys"] == options["/dev"] == "bind,ro"
    assert all(
        "ro" in options[place].split(",") for place in options if place.startswith(("/usr", "/sys"))
    )
    assert (root.dev / "fd").readlink() == Path("/proc/self/fd")
    assert (pod / "hostname").read_text() == "web-0\n"


def test_paths_are_escaped_as_fstab_wants_them() -> None:
    assert rootfs.escaped("/a b\t#\\") == "/a\\040b\\011\\043\\134"


def test_hosts_names_the_pod() -> None:
    lines = rootfs.hosts_file("web-0", ("10.244.1.7", "fd00::7")).splitlines()
    assert lines[-2:] == ["10.244.1.7\tweb-0", "fd00::7\tweb-0"]


def test_a_resolv_conf_that_is_a_link_into_run_is_shown_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = "/run/systemd/resolve/stub-resolv.conf"
    real = os.path.realpath

    def linked(path: Path | str) -> str:
        return stub if Path(path) == Path("/etc/resolv.conf") else real(path)

    monkeypatch.setattr(os.path, "realpath", linked)
    rootfs.write_pod_files(tmp_path, hostname="w", hosts="", resolv_conf="")
    root = rootfs.prepare(tmp_path / "c", tmp_path)
    assert f"{tmp_path}/resolv.conf {root.mount_point}{stub} none bind" in root.fstab.read_text()
    assert (root.run / "systemd/resolve/stub-resolv.conf").is_file()


def test_a_machine_without_resolv_conf_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "realpath", lambda path: f"/nowhere/{Path(path).name}")
    with pytest.raises(EnvironmentLacks, match="no /etc/hosts"):
        rootfs.prepare(tmp_path / "c", tmp_path)


def test_logs_of_the_last_two_attempts_are_kept(tmp_path: Path) -> None:
    for name in ("0.log", "0.log.1", "3.log", "4.log", "10.log", "other.log"):
        (tmp_path / name).touch()
    sandbox._forget_logs(tmp_path, before=4)
    assert {path.name for path in tmp_path.iterdir()} == {"4.log", "10.log", "other.log"}
