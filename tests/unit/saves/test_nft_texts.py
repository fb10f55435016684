"""What nft prints of expressions, as text and as JSON: read alike, understood, or named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netlab.saves.read import read
from netlab.saves.understood import not_understood


def said(expressions: list[Any]) -> tuple[str, list[str]]:
    """A rule of JSON as text, and what of it nobody understands."""
    chain = {"family": "ip", "table": "t", "name": "c", "type": "filter", "hook": "input",
             "prio": 0, "policy": "accept"}  # fmt: skip
    entries = [
        {"table": {"family": "ip", "name": "t"}},
        {"chain": chain},
        {"rule": {"family": "ip", "table": "t", "chain": "c", "expr": expressions}},
    ]
    rules = read([("x.json", json.dumps({"nftables": entries}))]).families["ipv4"]
    return rules.tables[0].chains["c"].rules[0], [one.words for one in not_understood(rules)]


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}
OVER = {"rate": 10, "burst": 5, "per": "minute", "inv": True}
FLAGS = {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ({"set": {"op": "add", "elem": SOURCE, "set": "@s", "stmt": [{"limit": OVER}]}},
         "add @s { ip saddr limit rate over 10/minute }"),
        ({"meter": {"key": SOURCE, "stmt": {"limit": OVER}, "size": 9, "name": "ssh"}},
         "meter ssh size 9 { ip saddr limit rate over 10/minute }"),
        (match({"&": [{"ct": {"key": "mark"}}, 255]}, 16), "ct mark & 0x000000ff == 0x00000010"),
        (match(FLAGS, "syn"), "tcp flags & (fin | syn | rst | ack) == syn"),
        ({"mangle": {"key": {"ct": {"key": "mark"}}, "value": {"meta": {"key": "mark"}}}},
         "ct mark set meta mark"),
        ({"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}},
                     "value": {"rt": {"key": "mtu"}}}}, "tcp option maxseg size set rt mtu"),
        ({"mangle": {"key": {"meta": {"key": "nftrace"}}, "value": 1}}, "meta nftrace set 1"),
        (match({"exthdr": {"name": "rt", "field": "type"}}, 0), "rt type 0"),
    ],
)  # fmt: skip
def test_what_is_understood_in_json(expression: dict[str, Any], text: str) -> None:
    assert said([expression, {"drop": None}]) == (f"{text} drop", [])


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ({"set": {"op": "add", "elem": SOURCE, "set": "@s",
                  "stmt": [{"ct count": {"val": 3, "inv": True}}]}},
         "add @s { ip saddr ct count over 3 }"),
        ({"limit": "often"}, 'limit name "often"'),
        ({"quota": {"val": 10, "val_unit": "mbytes", "inv": True}}, "quota over 10 mbytes"),
        ({"quota": "much"}, 'quota name "much"'),
        ({"ct count": {"val": 20, "inv": True}}, "ct count over 20"),
        (match({"ct": {"key": "ip daddr", "dir": "original"}}, "10.96.0.1"),
         "ct original ip daddr 10.96.0.1"),
        (match({"socket": {"key": "transparent"}}, 1), "socket transparent 1"),
        (match({"tcp option": {"name": "maxseg"}}, True), "tcp option maxseg exists"),
        (match({"payload": {"protocol": "ip6", "field": "hoplimit"}}, 255), "ip6 hoplimit 255"),
    ],
)  # fmt: skip
def test_what_stays_open_is_named_as_nft_writes_it(expression: dict[str, Any], text: str) -> None:
    assert said([expression, {"drop": None}]) == (f"{text} drop", [text])


LISTED = """\
table ip t { # progname firewalld
	flags owner,persist

	counter seen {
		packets 0 bytes 0
	}
	set s {
		type ipv4_addr
		counter
		elements = { 10.0.0.1 counter packets 3 bytes 180, 10.0.0.2 counter packets 0 bytes 0 }
	}
	chain c {
		type filter hook input priority filter; policy accept;
		ip saddr @s counter name "seen" drop
	}
}
"""


def test_a_table_with_an_owner_elements_that_count_and_counters_with_names() -> None:
    for more in ("", " # handle 7"):
        text = LISTED.replace("firewalld\n", f"firewalld{more}\n")
        rules = read([("x.nft", text)]).families["ipv4"]
        assert set(rules.tables[0].elements) == {("s", "10.0.0.1"), ("s", "10.0.0.2")}
        assert not list(not_understood(rules))
