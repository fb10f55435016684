"""Packets as pcapng, read back by tshark's own code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from netlab.pathcheck import pcapng
from netlab.pathcheck.decode import Observation, decode

IPV4 = bytes.fromhex(
    "4500002c000100004006a5c40af402030a67636972791f90dc9d0001000000006002200000000000"
)
IPV6 = bytes.fromhex(
    "6000000000081140" + "fd" + "00" * 14 + "01" + "fd" + "00" * 14 + "02" + "0035003500080000"
)
FIELDS = ("frame.interface_name", "frame.comment", "ip.src", "ipv6.src", "frame.len")
FIELDS += ("frame.cap_len", "frame.time_epoch", "frame.packet_flags_direction")


def seen(place: str, data: bytes, *, outgoing: bool = False, time: int = 0) -> Observation:
    packet = decode(data)
    assert packet is not None
    return Observation(place, "eth0", outgoing, time, packet, data)


def tshark(path: Path, *words: str) -> str:
    """What it says of a file; it must find nothing wrong with it."""
    done = subprocess.run(["tshark", "-r", path, *words], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert (done.returncode, complaints) == (0, []), done.stderr
    return done.stdout


def rows(path: Path) -> list[list[str]]:
    wanted = [word for field in FIELDS for word in ("-e", field)]
    return [line.split("\t") for line in tshark(path, "-T", "fields", *wanted).splitlines()]


def test_tshark_reads_what_is_written(tmp_path: Path) -> None:
    now = 1_800_000_000_123_456_789
    path = tmp_path / "x.pcapng"
    path.write_bytes(
        pcapng.file(
            [
                (seen("default/web-ü", IPV4, outgoing=True, time=now), "nat X rule 1: → Y\nmore"),
                (seen("n1", IPV6, time=now + 1), ""),
                (seen("default/web-ü", IPV4, time=now + 2), "z" * 3),
            ]
        )
    )
    first, second, third = rows(path)
    assert first[:4] == ["default/web-ü:eth0", "nat X rule 1: → Y,more", "10.244.2.3", ""]
    assert first[4:6] == ["60", "56"]
    assert second[:4] == ["n1:eth0", "", "", "fd00::1"]
    assert third[:2] == ["default/web-ü:eth0", "zzz"]
    times = [row[6] for row in (first, second, third)]
    assert times == [f"1800000000.1234567{end}" for end in ("89", "90", "91")]
    assert [row[7] for row in (first, second)] == ["0x00000002", "0x00000001"]


@pytest.mark.parametrize("length", [0xFFFE, 0xFFFF, 0x10000])
def test_a_comment_is_as_long_as_it_may_be(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(pcapng.file([(seen("n1", IPV4), "ü" * (length // 2) + "x" * (length % 2))]))
    assert tshark(path, "-T", "fields", "-e", "frame.comment").startswith("ü" * 100)


def test_no_packets_are_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(pcapng.file([]))
    assert tshark(path) == ""
