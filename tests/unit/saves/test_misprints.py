"""Rules that an older iptables prints wrongly: what they stand for is found, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlab.proxy.iptables.parse import parse
from netlab.saves.read import read

ORACLE = Path(__file__).parents[2] / "oracle" / "iptables" / "05-nodeport"
RIGHT = (ORACLE / "expected.v4").read_text()
PRINTED = [
    "--to-destination :0 --persistent --to-destination :0 --persistent --to-destination 0.0.0.0:0",
    "--to-destination :0",
    "--to-destination 0.0.0.0:0",
    "[unsupported revision]",
]


def misprinted(as_: str, *, comments: bool) -> str:
    lines = []
    for line in RIGHT.splitlines():
        before, dnat, _ = line.partition("-j DNAT ")
        line = f"{before}{dnat}{as_}" if dnat else line
        if not comments and " -> " in line:
            line = line.replace(line[line.index(" -> ") : line.index('" ', line.index(" -> "))], "")
        lines.append(line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("comments", [True, False], ids=["by comments", "by chains' names"])
@pytest.mark.parametrize("as_", PRINTED)
def test_endpoints_are_found_again(as_: str, comments: bool) -> None:
    text = misprinted(as_, comments=comments)
    save = read([("node.save", text)])
    right = parse(RIGHT).tables["nat"].chains
    for name, chain in save.families["ipv4"].ruleset.tables["nat"].chains.items():
        if name.startswith("KUBE-SEP-"):
            assert chain.rules == right[name].rules
    wrong = [at for at, line in enumerate(text.splitlines(), 1) if "-j DNAT" in line]
    assert [remark.line for remark in save.remarks] == wrong
    assert all("kubernetes issue 114537" in str(remark) for remark in save.remarks)


def test_one_that_is_nowhere_is_left_and_said() -> None:
    text = misprinted(PRINTED[0], comments=False).replace("-s 10.244.0.21/32", "-s 10.244.9.9/32")
    said = [str(remark) for remark in read([("node.save", text)]).remarks]
    assert sum("sends to nowhere known" in one for one in said) == 2
    assert sum("whatever is printed" in one for one in said) == len(said) - 2


def test_kubelets_mark_that_is_left_out() -> None:
    rule = '-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets"'
    text = f"*filter\n:OUTPUT ACCEPT [0:0]\n:KUBE-FIREWALL - [0:0]\n{rule} -j DROP\nCOMMIT\n"
    save = read([("node.save", text)])
    chain = save.families["ipv4"].ruleset.chain("filter", "KUBE-FIREWALL")
    assert chain is not None
    assert chain.rules[0].endswith('packets" -m mark --mark 0x8000/0x8000 -j DROP')
    (remark,) = save.remarks
    assert remark.line == 4
    right = read([("node.save", text.replace(" -j DROP", " -m mark --mark 0x8000/0x8000 -j DROP"))])
    assert right.remarks == ()
