from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.objects.capabilities import DEFAULT_CAPABILITIES
from netlab.workload import crilog, etc_files, sandbox
from netlab.workload.crilog import MAX_PART, LogFollower, LogWriter
from netlab.workload.sandbox import (
    Privileges,
    base_environment,
    missing_hint,
    privileges,
)
from netlab.workload.volume import Mount, Part


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


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_long_line_is_parted_where_it_must_be(tmp_path: Path, extra: int) -> None:
    path = tmp_path / "0.log"
    line = b"x" * (2 * MAX_PART + extra)
    log = LogWriter(path)
    log.write("stdout", b"\n" + line + b"\n\nlast\n")
    log.close()
    ends = [line] if extra <= 0 else [line[: 2 * MAX_PART], line[2 * MAX_PART :]]
    parts = [part for end in ends for part in (end[:MAX_PART], end[MAX_PART:]) if part]
    lines = [data.removesuffix(b"\n") for _, data in said(path)]
    assert lines == [b"", *parts, b"", b"last"]


def test_empty_lines_cost_no_more_than_others(tmp_path: Path) -> None:
    """By the calls, as time is no measure: one for each line would be tens of thousands."""
    log = LogWriter(tmp_path / "0.log")
    counted: list[str] = []
    sys.setprofile(lambda _frame, event, _arg: counted.append(event))
    try:
        log.write("stdout", b"\n" * 65536)
    finally:
        sys.setprofile(None)
    log.close()
    assert len(counted) < 200
    assert said(tmp_path / "0.log") == [("stdout", b"\n")] * 65536


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


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a full disk, the last write is a short one, and those after it fail."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("room", range(0, 90, 7))
def test_a_log_without_room_loses_lines_and_nothing_else(tmp_path: Path, room: int) -> None:
    path = tmp_path / "0.log"
    log, follower = LogWriter(path), LogFollower(path)
    log.write("stdout", b"before\n")
    heard = follower.new()
    with no_file_larger_than(path.stat().st_size + room):
        log.write("stdout", b"lost lost lost lost\n")
        log.write("stdout", b"lost too\nand")
        heard += follower.new()
    log.write("stdout", b" after\n")
    with no_file_larger_than(path.stat().st_size):
        log.write("stderr", b"unfinished")
        log.close()
    heard += follower.new()
    follower.close()
    assert heard == list(crilog.read(path))
    texts = [entry.data.decode() for entry in heard]
    assert (texts[0], texts[-1]) == ("before\n", "and after\n")
    assert all("lost lost lost lost\n".startswith(text.strip()) for text in texts[1:-1])


def test_a_log_whose_next_file_cannot_be_made_goes_on_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crilog, "MAX_FILE", 100)
    path = tmp_path / "pod" / "0.log"
    path.parent.mkdir()
    log = LogWriter(path)
    log.write("stdout", b"a" * 60 + b"\n")
    path.parent.rename(tmp_path / "gone")
    log.write("stdout", b"b" * 60 + b"\n")
    (tmp_path / "gone").rename(path.parent)
    log.write("stdout", b"c" * 60 + b"\n")
    log.close()
    assert [data[:1] for _, data in said(path)] == [b"a", b"c"]


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

    def identity(pod: dict[str, object], own: dict[str, object]) -> tuple[int, int]:
        granted = asked(pod, own)
        return granted.user, granted.group

    assert privileges({}, {}) == Privileges(0, 0, (), DEFAULT_CAPABILITIES)
    assert identity({"runAsUser": 5}, {}) == (5, 0)
    assert identity({"runAsUser": 5, "runAsGroup": 6}, {"runAsUser": 7}) == (7, 6)
    assert identity({"runAsUser": 5}, {"runAsUser": 0}) == (0, 0)
    assert identity({"runAsGroup": 6}, {"runAsUser": 0}) == (0, 6)
    assert asked({"supplementalGroups": [3, 4], "fsGroup": 7}, {}).groups == (3, 4, 7)
    assert asked({"fsGroup": 0}, {}).groups == (0,)
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


# -- what containers see and are told --------------------------------------------------------------


def test_a_pods_files_are_for_everybody_to_read(tmp_path: Path) -> None:
    etc_files.write_pod_files(tmp_path / "a pod", hostname="w", hosts="h\n", resolv_conf="r\n")
    etc_files.write_pod_files(tmp_path / "a pod", hostname="web-0", hosts="h\n", resolv_conf="r\n")
    made = {path.name: path.read_text() for path in (tmp_path / "a pod").iterdir()}
    assert set(made) == set(etc_files.POD_FILES)
    assert (made["hostname"], made["hosts"], made["resolv.conf"]) == ("web-0\n", "h\n", "r\n")
    assert "hosts: files dns\n" in made["nsswitch.conf"]
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "a pod").iterdir()}
    assert modes == {0o644}


def test_what_containers_have_mounted_is_written_into_in_place(tmp_path: Path) -> None:
    etc_files.write_pod_files(tmp_path, hostname="w", hosts="old", resolv_conf="")
    before = (tmp_path / "hosts").stat().st_ino
    etc_files.write_pod_files(tmp_path, hostname="w", hosts="new", resolv_conf="")
    assert (tmp_path / "hosts").stat().st_ino == before


def test_hosts_names_the_pod() -> None:
    lines = etc_files.hosts_file("web-0", ("10.244.1.7", "fd00::7")).splitlines()
    assert lines[-2:] == ["10.244.1.7\tweb-0", "fd00::7\tweb-0"]


def test_a_mount_crosses_the_wire_whole() -> None:
    parts = (Part("x"), Part("a/b", "file"))
    mount = Mount("pods/u/volumes/v", "/data", read_only=True, parts=parts, scratch="size=1m")
    told = json.loads(json.dumps(mount.to_json()))
    assert Mount(**{**told, "parts": tuple(Part(**part) for part in told["parts"])}) == mount


def test_logs_of_the_last_two_attempts_are_kept(tmp_path: Path) -> None:
    for name in ("0.log", "0.log.1", "3.log", "4.log", "10.log", "other.log"):
        (tmp_path / name).touch()
    sandbox._forget_logs(tmp_path, before=4)
    assert {path.name for path in tmp_path.iterdir()} == {"4.log", "10.log", "other.log"}
