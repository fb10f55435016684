"""Which rule of a chain's many it was: by where it alone led, or by its handle."""

from pathlib import Path

import pytest

from netlab.trace import rule_texts

CHAIN = (
    "-d 10.96.0.1/32 -j SVC-A",
    "-d 10.96.0.2/32 -g SVC-B",
    "-j SVC-C",
    "-s 10.0.0.0/8 -j SVC-C",
)
HANDLES = [11, 12, 13, 14]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The chains whose handles the kernel was asked for."""
    found: list[str] = []

    def handles(netns: Path | int, family: int, table: str, chain: str) -> list[int]:
        found.append(chain)
        return HANDLES

    monkeypatch.setattr(rule_texts, "rule_handles", handles)
    return found


@pytest.mark.parametrize(
    ("handle", "to", "number", "asks"),
    [
        (11, "SVC-A", 1, False),
        (12, "SVC-B", 2, False),
        (14, "SVC-C", 4, True),
        (13, "", 3, True),
        (12, "VC-B", 2, True),
        (99, "SVC-C", 0, True),
    ],
)
def test_by_the_chain_that_only_it_leads_to_or_by_its_handle(
    handle: int, to: str, number: int, asks: bool, asked: list[str]
) -> None:
    find = rule_texts.finder(Path("/none"), lambda *_: CHAIN)
    text = CHAIN[number - 1] if number else ""
    assert find("ip", "nat", "KUBE-SERVICES", handle, to) == (number, text)
    assert bool(asked) == asks
