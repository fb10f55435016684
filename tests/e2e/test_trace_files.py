"""What `netlab trace` writes: a trace to be shown again, and its packets for Wireshark."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import Machine, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: filed}
spec:
  nodes: [{name: worker001}, {name: worker002}]
  %s
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: worker002, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
"""


@pytest.fixture(scope="module", params=["iptables: nft", "iptables: legacy", "proxyMode: nftables"])
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("files")) as here:
        here.netlab("up", here.lab_file(LAB % request.param))
        yield here


def tshark(path: Path, *fields: str) -> list[list[str]]:
    """The fields of each packet, as tshark reads them; it must find nothing wrong."""
    wanted = [word for field in fields for word in ("-e", field)]
    argv = ["tshark", "-r", str(path), "-T", "fields", *wanted]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert not [line for line in done.stderr.splitlines() if "Running as user" not in line]
    return [line.split("\t") for line in done.stdout.splitlines()]


TOLD = [
    *(("box svc/web:80", form) for form in ("", "--explain", "--ends", "--minimal", "-o json")),
    ("client node/worker001:30080", ""),
    ("box svc/web:81", ""),
    ("box web:80", "--explain"),
    ("box svc/web:80 --count 9", ""),
    ("box web:80 --http /", ""),
    ("box web:80 --payload hello", "-o json"),
]


@pytest.mark.parametrize(("words", "form"), TOLD)
def test_a_saved_trace_is_shown_as_it_was(
    lab: Machine, tmp_path: Path, words: str, form: str
) -> None:
    """By another user, without the lab's directories; `-o json` is a saved trace as well."""
    saved, elsewhere = tmp_path / "t.json", Machine(tmp_path)
    told = lab.netlab("trace", *words.split(), *form.split(), "--save", saved).stdout
    if "json" in form:
        saved.write_text(told)
    assert elsewhere.netlab("trace", "--show", saved, *form.split()).stdout == told


def test_wireshark_sees_each_hop_and_the_rules(lab: Machine, tmp_path: Path) -> None:
    path = tmp_path / "t.pcapng"
    told = json.loads(lab.netlab("trace", "box", "svc/web:80", "--pcap", path, "-o", "json").stdout)
    rows = tshark(path, "frame.interface_name", "ip.dst", "frame.comment", "tcp.flags.syn")
    there = [row for row in rows if row[2].startswith("on its way there")]
    hops = [f"{hop['place']}:{hop['ifname']}" for hop in told["hops"]]
    assert [row[0] for row in there][: len(hops)] == hops
    comments = "\n".join(row[2] for row in there)
    for chain in (one for one in told["chains"] if one["matters"]):
        for rule in chain["met"]:
            where = f"{chain['place']} {chain['table']} {chain['chain']} rule {rule['number']}: "
            assert where in comments
    (change,) = told["dnat"]
    renamed = next(row for row in there if row[1] == change["after"].partition(":")[0])
    assert f"DNAT: {change['before']} became {change['after']}" in renamed[2]
    answers = [row for row in rows if row[2] == "answer"]
    assert answers[0][0].startswith("default/web:")
    assert answers[-1][0] == "default/box:eth0"


def test_packets_of_a_saved_trace(lab: Machine, tmp_path: Path) -> None:
    first, again, saved = (tmp_path / name for name in ("1.pcapng", "2.pcapng", "t.json"))
    lab.netlab("trace", "box", "svc/web:80", "--pcap", first, "--save", saved)
    lab.netlab("trace", "--show", saved, "--pcap", again)
    assert first.read_bytes() == again.read_bytes()


BAD = [
    ("", "is empty, and no trace"),
    ('{"version": 1, "verdict"', "is cut off, and no whole trace"),
    ('{"items": []}', "is no trace of netlab"),
    ("\x7fELF", "is no trace of netlab"),
]


@pytest.mark.parametrize(("text", "complaint"), BAD)
def test_what_is_no_trace(tmp_path: Path, text: str, complaint: str) -> None:
    saved = tmp_path / "t.json"
    saved.write_text(text)
    said = Machine(tmp_path).netlab("trace", "--show", saved, code=2).stderr.splitlines()
    assert said[0].startswith(f"error: {saved}: {complaint}")
    assert said[1:] == ["  hint: netlab trace FROM TO --save FILE writes one"]


def test_on_paper(tmp_path: Path) -> None:
    saved, elsewhere = tmp_path / "t.json", Machine(tmp_path)
    file = elsewhere.lab_file(LAB % "")
    words = ("trace", "--dry", "-f", file, "box", "svc/web:80")
    told = elsewhere.netlab(*words, "--save", saved).stdout
    assert elsewhere.netlab("trace", "--show", saved).stdout == told
    done = elsewhere.netlab(*words, "--pcap", tmp_path / "x", code=2)
    assert "there are no packets" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_name_without_an_address(lab: Machine, tmp_path: Path) -> None:
    """Nothing was sent, so there is nothing to be told again."""
    saved = tmp_path / "t.json"
    told = lab.netlab("trace", "box", "wbe.nowhere:80", "--save", saved, "-o", "json", code=2)
    assert not saved.exists()
    saved.write_text(told.stdout)
    said = lab.netlab("trace", "--show", saved, code=2).stderr
    assert "tells of a name without an address: nothing was sent" in said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    said = Machine(tmp_path).netlab("trace", "--show", tmp_path / "no", code=2).stderr
    assert said.startswith(f"error: {tmp_path}/no cannot be read: no such file")
    said = Machine(tmp_path).netlab("trace", "box", "--show", tmp_path / "no", code=2).stderr
    assert "--show tells of what was sent" in said


@pytest.mark.parametrize("flag", ["--save", "--pcap"])
def test_where_nothing_can_be_written_nothing_is_sent(
    lab: Machine, tmp_path: Path, flag: str
) -> None:
    target = tmp_path / "other"
    target.write_text("as it was")
    (tmp_path / "link").symlink_to(target)
    for path in (tmp_path, tmp_path / "no" / "x", tmp_path / "link"):
        done = lab.netlab("trace", "box", "svc/web:80", flag, path, code=2)
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 2
    assert target.read_text() == "as it was"


def test_a_trace_that_fails_leaves_no_file(lab: Machine, tmp_path: Path) -> None:
    lab.netlab("trace", "nobody", "svc/web:80", "--save", tmp_path / "x", code=2)
    assert not list(tmp_path.iterdir())
