"""What rules say of addresses, of Services, of their writers, and which nobody understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.saves.inferred import addresses
from netlab.saves.read import read
from netlab.saves.save import SavedRules
from netlab.saves.services import services
from netlab.saves.understood import not_understood
from netlab.saves.writers import writer, writers

HERE = Path(__file__).parent
ORACLE = HERE.parents[1] / "oracle"


def rules(file: Path) -> SavedRules:
    return read([(file.name, file.read_text())]).families["ipv4"]


@pytest.mark.parametrize(
    ("file", "own"),
    [
        (ORACLE / "iptables/05-nodeport/expected.v4", set()),
        (ORACLE / "nftables/05-nodeport/expected.nft", {"192.168.77.10"}),
        (ORACLE / "nftables/05-nodeport/expected.json", {"192.168.77.10"}),
        (HERE / "recorded/docker-nft.nft", set()),
        (HERE / "recorded/firewalld-nftables.save", set()),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_whose_addresses_are(file: Path, own: set[str]) -> None:
    found = addresses(rules(file))
    assert found.own == own
    assert {"10.96.31.10", "10.244.0.21", "10.244.1.21", "10.244.2.21"} <= found.foreign


def test_nobody_has_the_rest_of_a_services_network() -> None:
    found = addresses(rules(ORACLE / "nftables/05-nodeport/expected.nft"))
    assert found.networks == ("10.96.0.0/12",)


@pytest.mark.parametrize(
    "file", ["iptables/05-nodeport/expected.v4", "nftables/05-nodeport/expected.nft"]
)
def test_services_that_are_named(file: str) -> None:
    (key, named), *more = services(rules(ORACLE / file)).items()
    assert not more
    assert key == "shop/storefront"
    assert named.addresses == {"10.96.31.10"}
    line = (ORACLE / file).read_text().splitlines()[named.line - 1]
    assert "storefront" in line or "MCOOVVSN" in line or "dnat" in line


@pytest.mark.parametrize(
    ("file", "whose"),
    [
        ("ufw-nft.save", {"ufw", "kube-proxy", "kubelet"}),
        ("docker-legacy.save", {"Docker", "kube-proxy", "kubelet"}),
        ("firewalld-nftables.nft", {"firewalld", "kube-proxy", "kubelet"}),
    ],
)
def test_whose_rules_are(file: str, whose: set[str]) -> None:
    found = writers(rules(HERE / "recorded" / file))
    assert {who for table in found.values() for who in table} == whose


@pytest.mark.parametrize(
    ("table", "chain", "text", "whose"),
    [
        ("filter", "FORWARD", "-o br-1a090aab531c -j ACCEPT", "Docker"),
        ("filter", "FORWARD", "-j DOCKER-USER", "Docker"),
        ("filter", "FORWARD", "-j cali-FORWARD", "Calico"),
        ("nat", "ISTIO_OUTPUT", "-j RETURN", "Istio"),
        ("nat", "KUBE-SERVICES", "-d 10.96.0.1/32 -j KUBE-SVC-A", "kube-proxy"),
        ("nat", "POSTROUTING", "-s 10.0.0.0/8 -j MASQUERADE", "others"),
        ("filter", "INPUT", "-j ufw6-before-input", "ufw"),
        ("kube-proxy", "services", "drop", "kube-proxy"),
    ],
)
def test_whose_a_rule_is(table: str, chain: str, text: str, whose: str) -> None:
    assert writer(table, chain, text) == whose


def test_rules_that_nobody_understands() -> None:
    (one,) = not_understood(rules(HERE / "written" / "calico.save"))
    assert (one.chain, one.number, one.asks) == ("cali-pi-allow-clients", 1, True)
    line = (HERE / "written" / "calico.save").read_text().splitlines()
    assert "--match-set" in line[int(one.where.rpartition(":")[2]) - 1]
    asked = [one.words for one in not_understood(rules(HERE / "written" / "istio.save"))]
    assert asked == [*["-m owner --uid-owner 1337"] * 3, *["-m owner --gid-owner 1337"] * 3]


def test_targets_that_nobody_understands() -> None:
    rule = "-A PREROUTING -p tcp -j TPROXY --on-port 15001"
    text = f"*mangle\n:PREROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n"
    (one,) = not_understood(read([("x", text)]).families["ipv4"])
    assert (one.where, one.words, one.asks) == ("x:3", "-j TPROXY", False)
    listed = "table ip t {\n\tchain c {\n\t\ttcp dport 80 queue num 1\n\t}\n}\n"
    (other,) = not_understood(read([("y", listed)]).families["ipv4"])
    assert (other.where, other.asks) == ("y:3", False)


@pytest.mark.parametrize(
    "file", ["ufw-nft.save", "ufw-nft.nft", "docker-nft.save", "docker-nft.nft",
             "docker-legacy.save", "firewalld-iptables.save", "firewalld-nftables.save"],
)  # fmt: skip
def test_what_others_write_is_nearly_all_understood(file: str) -> None:
    odd = {one.words.split()[0] for one in not_understood(rules(HERE / "recorded" / file))}
    assert odd <= {"--rt-type", "--hl-eq", "limit", "xt"}
