"""`netlab proxy diff` reads what a node has: misprinted rules are no difference, JSON is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.cli import main as entry

ORACLE = Path(__file__).parents[2] / "oracle"
WORLD = ORACLE / "iptables" / "05-nodeport"
NFT = ORACLE / "nftables" / "05-nodeport"


def diff(world: Path, save: Path, *more: str) -> int:
    words = ["proxy", "diff", "-f", world / "objects.yaml", "--config", world / "proxy.yaml"]
    return entry.main([str(word) for word in (*words, "--save", save, *more)])


def test_what_an_older_iptables_prints_is_no_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (WORLD / "expected.v4").read_text().splitlines()
    wrong = [
        line[: line.index("--to-destination")] + "--to-destination :0 --persistent"
        if "-j DNAT" in line
        else line
        for line in lines
    ]
    file = tmp_path / "node.save"
    file.write_text("\n".join(wrong) + "\n")
    assert diff(WORLD, file) == 0
    said = capsys.readouterr()
    assert said.out == "no difference\n"
    assert said.err.count("kubernetes issue 114537") == sum("-j DNAT" in line for line in lines)


def test_a_rule_that_leads_elsewhere_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "node.save"
    text = (WORLD / "expected.v4").read_text()
    file.write_text(
        text.replace("--to-destination 10.244.0.21:8080", "--to-destination 10.9.9.9:1")
    )
    assert diff(WORLD, file) == 1
    assert "1 difference" in capsys.readouterr().out


@pytest.mark.parametrize("save", ["expected.nft", "expected.json"])
def test_nfts_listings_are_read(save: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff(NFT, NFT / save) == 0, capsys.readouterr().out


def test_a_difference_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "node.json"
    text = (NFT / "expected.json").read_text()
    file.write_text(text.replace('"10.244.0.21", 8080', '"10.9.9.9", 8080'))
    assert diff(NFT, file) == 1
    assert "10.9.9.9" in capsys.readouterr().out
