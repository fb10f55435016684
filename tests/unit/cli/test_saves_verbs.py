"""`netlab trace --from-save` and `netlab rules --from-save` as they are typed, by no root."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.cli import main as entry
from netlab.simulation import hooks

TESTS = Path(__file__).parents[2]
SAVES = TESTS / "unit" / "saves"
WORLD = TESTS / "oracle" / "iptables" / "05-nodeport"
DOCKER = SAVES / "recorded" / "docker-nft.save"
OBJECTS = WORLD / "objects.yaml"
PACKET = "tcp 192.168.1.77:40000 > 10.96.31.10:80"

Spoken = Callable[..., tuple[int, str, str]]


@pytest.fixture
def spoken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Spoken:
    """What a command line comes to, of somebody who is not root: exit code, output, the rest."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def run(*words: object) -> tuple[int, str, str]:
        try:
            code = entry.main([str(word) for word in words])
        except SystemExit as end:  # argparse's own
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


def test_a_packet_is_traced(spoken: Spoken) -> None:
    code, out, err = spoken("trace", "--from-save", DOCKER, "--packet", PACKET)
    assert (code, err) == (0, "")
    assert f"rule 1, {DOCKER}:116: to 10.96.31.10 tcp port 80" in out.replace("\n         ", "")
    assert "delivered to 10.244.0.21:8080, 1 of 3 possible ends" in out


def test_why_a_packet_did_not_come_by_a_rule_of_a_save(spoken: Spoken) -> None:
    here = ("trace", "--from-save", WORLD / "expected.v4", "--objects", OBJECTS, "--packet")
    asked = (*here, "tcp 192.168.1.77:40000 > 10.96.31.10:81", "--node", "worker-1", "-o", "json")
    code, out, _ = spoken(*asked, "--why-not", "svc/storefront", "-n", "shop")
    assert code == 0
    assert any("81" in one["words"] for one in json.loads(out)["whyNot"])
    code, out, _ = spoken(*asked, "--why-not", "nat/KUBE-SERVICES/1")
    (turn,) = json.loads(out)["whyNot"]
    assert (turn["chain"], turn["number"], turn["taken"]) == ("KUBE-SERVICES", 1, False)
    code, out, err = spoken(*asked, "--why-not", "nat/NOBODY/1")
    assert (code, out) == (2, "")
    assert "there is no rule nat/NOBODY/1" in err


@pytest.mark.parametrize("about", ["svc/nobody", "pod/nobody", "nat/NOBODY/1"])
def test_what_a_save_has_not_is_looked_for_in_its_files(spoken: Spoken, about: str) -> None:
    words = ("trace", "--from-save", DOCKER, "--packet", PACKET, "--why-not", about)
    _, _, err = spoken(*words)
    assert "hint: netlab rules --from-save" in err or "--objects tells" in err
    code, out, err = spoken(*words, "--objects", OBJECTS, "--node", "worker-1", "-n", "shop")
    assert (code, out) == (2, "")
    what = {"svc": f"Services in {OBJECTS}: ", "pod": f"pods in {OBJECTS}: "}
    assert f"hint: {what.get(about[:3], f'netlab rules --from-save {DOCKER}')}" in err
    assert about[:3] != "svc" or "shop/storefront" in err
    assert "netlab get" not in err


def test_a_target_that_objects_have_not(spoken: Spoken) -> None:
    words = ("trace", "--from-save", DOCKER, "--objects", OBJECTS, "-n", "shop")
    code, out, err = spoken(*words, "node/worker-1", "svc/nobody:80")
    assert (code, out) == (2, "")
    assert f"hint: Services in {OBJECTS}: " in err
    assert "netlab get" not in err


def test_objects_name_what_is_there(spoken: Spoken) -> None:
    code, out, err = spoken(
        "trace", "--from-save", DOCKER, "--objects", OBJECTS, "--packet", PACKET, "-o", "json"
    )
    assert code == 0
    assert "which of the 3 nodes this is was not said" in err
    told = json.loads(out)
    assert told["verdict"] == "delivered"
    origins = [met["origin"] for chain in told["chains"] for met in chain["met"] if met["origin"]]
    assert {"Service", "EndpointSlice"} == {origin["kind"] for origin in origins}
    lines = OBJECTS.read_text().splitlines()
    wheres = {origin["where"] for origin in origins}
    assert any("port: 80" in lines[int(where.rpartition(":")[2]) - 1] for where in wheres)


def test_a_node_sends_to_a_service_by_their_names(spoken: Spoken) -> None:
    words = ("--from-save", DOCKER, "--objects", OBJECTS, "-n", "shop")
    names = [line.split()[-1] for line in OBJECTS.read_text().splitlines() if "hostname: " in line]
    node = names[0] if names else "node-a"
    code, out, err = spoken("trace", *words, "--node", node, f"node/{node}", "svc/storefront:80")
    assert code == 0, err
    assert "nat OUTPUT" in out


@pytest.mark.parametrize("more", [(), ("--summary",), ("--minimal",), ("--explain",), ("--ends",)])
def test_it_is_saved_and_shown_again(tmp_path: Path, spoken: Spoken, more: tuple[str, ...]) -> None:
    file = tmp_path / "x.json"
    words = ("--from-save", DOCKER, "--packet", PACKET, "--save", file)
    code, out, _ = spoken("trace", *words, *more)
    assert code == 0
    assert spoken("trace", "--show", file, *more)[:2] == (0, out)


def test_it_is_drawn(tmp_path: Path, spoken: Spoken) -> None:
    for number, (packet, end) in enumerate(
        (
            (PACKET, '"delivered to 10.244.0.21:8080"'),
            ("tcp 192.168.1.77 > 192.168.1.5:30080", '"open: delivered to 10.244.0.21:8080"'),
        )
    ):
        file = tmp_path / f"{number}.json"
        words = ("--from-save", DOCKER, "--save", file, "--minimal")
        assert spoken("trace", *words, "--packet", packet)[0] == 0
        code, drawn, _ = spoken("graph", "trace", file)
        assert code == 0
        assert f"label={end}" in drawn
        assert 'label="192.168.1.77:40000 → ' in drawn


def test_what_is_expected_gives_the_exit_code(spoken: Spoken) -> None:
    ufw = SAVES / "recorded" / "ufw-nft.save"
    words = ("--from-save", ufw, "--local", "192.168.1.5", "--expect", "delivered", "--minimal")
    for port, code in ((22, 0), (9100, 1)):
        packet = f"tcp 192.168.1.77 > 192.168.1.5:{port}"
        assert spoken("trace", *words, "--packet", packet)[0] == code
    packet = "tcp 192.168.1.77 > 192.168.1.6:9100"
    code, out, _ = spoken("trace", *words, "--packet", packet)
    assert (code, out.split()[0]) == (1, "open")


@pytest.mark.parametrize(
    ("gone", "port", "said"),
    [
        (True, 80, "why: Service shop/storefront has 10.96.31.10, port 80/TCP, and no rule here"),
        (False, 81, "why: Service shop/storefront has no port 81/TCP: it has 80/TCP, 443/TCP"),
    ],
)
def test_a_service_whose_address_leads_nowhere(
    tmp_path: Path, spoken: Spoken, gone: bool, port: int, said: str
) -> None:
    text = (WORLD / "expected.v4").read_text()
    rules = [line for line in text.splitlines() if not (gone and "-d 10.96.31.10/32" in line)]
    save = tmp_path / "node.save"
    save.write_text("\n".join(rules) + "\n")
    packet = f"tcp 192.168.1.77 > 10.96.31.10:{port}"
    words = ("--from-save", save, "--objects", OBJECTS, "--packet", packet)
    code, out, _ = spoken("trace", *words)
    assert code == 0
    assert said in out
    assert "no rule translated it" in out


def test_what_a_link_decides_can_be_said(spoken: Spoken) -> None:
    calico = SAVES / "written" / "calico.save"
    words = ("--from-save", calico, "--packet", "tcp 10.0.0.5 > 10.96.0.10:80", "--minimal")
    assert spoken("trace", *words)[1].startswith("open ")
    out = spoken("trace", *words, "--in", "eth0", "--out", "eth1")[1]
    assert out.startswith("delivered 10.244.1.7:8080")


def test_misprints_are_named(tmp_path: Path, spoken: Spoken) -> None:
    text = (WORLD / "expected.v4").read_text()
    wrong = "--to-destination :0 --persistent --to-destination :0 --persistent"
    lines = [
        line[: line.index("--to-destination")] + wrong if "-j DNAT" in line else line
        for line in text.splitlines()
    ]
    file = tmp_path / "node.save"
    file.write_text("\n".join(lines) + "\n")
    code, out, err = spoken("trace", "--from-save", file, "--packet", PACKET, "--minimal")
    assert (code, out.splitlines()[0]) == (0, "delivered 10.244.0.21:8080 -")
    assert err.count("kubernetes issue 114537") == 6


def test_whose_rules_there_are(spoken: Spoken) -> None:
    code, out, _ = spoken("rules", "--from-save", DOCKER)
    assert code == 0
    assert "rules of kube-proxy" in out
    assert "Docker" in out
    assert "shop/storefront" in out
    code, out, _ = spoken("rules", "--from-save", SAVES / "written" / "calico.save", "-o", "json")
    ((one,),) = [entry["notUnderstood"] for entry in json.loads(out)]
    assert one["line"].endswith("calico.save:30")


def test_a_mark_of_the_texts_encoding_before_it_is_no_text(tmp_path: Path, spoken: Spoken) -> None:
    file = tmp_path / "node.save"
    file.write_text("\ufeff" + DOCKER.read_text())
    assert spoken("rules", "--from-save", file)[0] == 0


def test_rules_that_nft_tells_half_are_one_line_for_each_kind(spoken: Spoken) -> None:
    code, out, err = spoken("rules", "--from-save", SAVES / "recorded" / "docker-nft.json")
    assert code == 0
    assert "docker-nft (ipv4), kube-proxy in iptables mode" in out
    assert "Services: nft leaves their names out" in out
    (kind,) = [line for line in out.split("(ipv6)")[0].splitlines() if "rule 2 and 5 more" in line]
    assert kind.endswith(
        "nat KUBE-SEP-ASJQTN7CAW7LZVUW rule 2 and 5 more do what nft does not tell:"
    )
    assert out.split("(ipv6)")[0].count("xt target DNAT") == 1
    assert "of 39 of its 98 rules" in err


@pytest.mark.parametrize(
    "file",
    [DOCKER, TESTS / "oracle/nftables/05-nodeport/expected.nft",
     TESTS / "oracle/nftables/05-nodeport/expected.json"],
    ids=lambda file: str(file.name),
)  # fmt: skip
def test_a_services_rules_have_their_lines(file: Path, spoken: Spoken) -> None:
    words = ("rules", "--from-save", file, "svc/storefront", "-n", "shop")
    code, out, err = spoken(*words)
    assert code == 0, err
    assert "10.244.0.21" in out
    found = json.loads(spoken(*words, "-o", "json")[1])
    lines = file.read_text().splitlines()
    wheres = [branch["line"] for branch in _all(found[0]["rules"]) if branch["line"]]
    assert wheres
    for branch in _all(found[0]["rules"]):
        if branch["line"] and "handle" not in branch["line"]:
            assert branch["rule"] in lines[int(branch["line"].rpartition(":")[2]) - 1]


def _all(branches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for branch in branches for one in (branch, *_all(branch["rules"]))]


WRONG = [
    (("trace", "--from-save", "SAVE"), "which packet?"),
    (("trace", "--from-save", "SAVE", "box", "svc/web"), "who has which name, --objects tells"),
    (("trace", "--from-save", "SAVE", "--packet", PACKET, "a", "b"), "from where to where"),
    (("trace", "--from-save", "SAVE", "--packet", PACKET, "--count", "3"), "--count does not go"),
    (("trace", "--from-save", "SAVE", "--packet", PACKET, "--http", "/"), "--http does not go"),
    (("trace", "--from-save", "SAVE", "--packet", PACKET, "-f", "x"), "-f does not go"),
    (("trace", "--from-save", "SAVE", "--packet", PACKET, "--local", "me"), "is no address"),
    (("trace", "--from-save", "SAVE", "--packet", "tcp 1.2.3.4 > x"), "is no address and port"),
    (
        ("trace", "--from-save", "SAVE", "--packet", "tcp fd00::1 > [fd00::2]:80"),
        "no rules of IPv6",
    ),
    (("trace", "--from-save", "/nowhere", "--packet", PACKET), "/nowhere: No such file"),
    (("trace", "--packet", PACKET), "--packet goes with --from-save"),
    (("trace", "a", "b", "--node", "n"), "--node goes with --from-save"),
    (("trace", "a", "b", "--objects", "OBJECTS"), "--objects goes with --from-save"),
    (("rules", "--from-save", "SAVE", "svc/web"), "names Service default/web"),
    (("rules", "--from-save", "SAVE", "storefrnt", "-n", "shop"), "svc/storefront -n shop?"),
    (("rules", "--objects", "OBJECTS", "svc/x"), "--objects goes with --from-save"),
    (("rules",), "which Service?"),
    (("rules", "--from-save", "-", "--objects", "-"), "standard input can be only one"),
    (
        (
            "trace",
            "--from-save",
            "SAVE",
            "--objects",
            "OBJECTS",
            "--node",
            "nobody",
            "--packet",
            PACKET,
        ),
        "there is no node nobody",
    ),
    (
        ("trace", "--from-save", "SAVE", "--objects", "SAVE", "--packet", PACKET),
        "holds rules, and no objects",
    ),
    (("trace", "--from-save", "OBJECTS", "--packet", PACKET), "holds objects of Kubernetes"),
    (
        ("trace", "--from-save", "OTHER", "--objects", "OBJECTS", "--packet", PACKET),
        "Service shop/storefront has no rule in",
    ),
]


@pytest.mark.parametrize(("words", "said"), WRONG)
def test_mistakes(words: tuple[str, ...], said: str, spoken: Spoken) -> None:
    other = TESTS / "oracle/iptables/01-clusterip-three-endpoints/expected.v4"
    files = {"SAVE": DOCKER, "OBJECTS": OBJECTS, "OTHER": other}
    code, out, err = spoken(*(files.get(word, word) for word in words))
    assert (code, out) == (2, ""), err
    assert said in err
    assert "Traceback" not in err


def test_a_packet_with_too_many_ways_stays_open(
    tmp_path: Path, spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "ALLOWANCE", 50_000)
    bits = (f"{1 << bit:#x}/{1 << bit:#x}" for bit in range(32))
    chance = "-A FORWARD -m statistic --mode random --probability 0.5"
    rules = "".join(f"{chance} -j MARK --set-xmark {bit}\n" for bit in bits)
    file = tmp_path / "node.save"
    file.write_text(f"*filter\n:FORWARD ACCEPT [0:0]\n{rules}COMMIT\n")
    code, out, err = spoken("trace", "--from-save", file, "--packet", PACKET)
    assert (code, err) == (0, "")
    assert "open: undecided on node" in out
    assert "it depends on what it comes to: there are more ways than can be followed" in out
    assert "node.save:" in out
    assert ", filter FORWARD rule " in out


def test_a_file_that_is_cut_off(tmp_path: Path, spoken: Spoken) -> None:
    file = tmp_path / "node.save"
    file.write_text(DOCKER.read_text()[:4000])
    code, _, err = spoken("trace", "--from-save", file, "--packet", PACKET)
    assert code == 2
    assert err.startswith(f"error: {file}:")
    assert len(err.splitlines()) == 2  # and a hint


def test_a_later_packet_follows_a_first_one_that_arrives(spoken: Spoken) -> None:
    asked = ("trace", "--from-save", DOCKER, "--packet", PACKET)
    code, out, _ = spoken(*asked, "--ct", "established", "--summary")
    assert code == 0
    assert "a later packet of its flow" in out
    code, out, err = spoken(*asked, "--ct", "reply", "--local", "192.168.1.5", "-o", "json")
    assert (code, json.loads(out)["ct"]) == (0, "reply"), err
    none = "tcp 192.168.1.77:40000 > 10.96.31.10:81"
    ufw = DOCKER.with_name("ufw-nft.save")
    code, out, err = spoken("trace", "--from-save", ufw, "--packet", none, "--ct", "reply")
    assert (code, out) == (1, "")
    assert "no packet follows that from 192.168.1.77:40000 to 10.96.31.10:81" in err
    assert "leave --ct away" in err
