"""Texts of nodes' rules, read: which program's they are, whose family, on which line a rule is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netlab.errors import InputError
from netlab.proxy.iptables.model import Chain
from netlab.saves.read import read
from netlab.saves.save import Save

HERE = Path(__file__).parent
ORACLE = HERE.parents[1] / "oracle"
RECORDED = sorted((HERE / "recorded").iterdir())


def saved(*files: Path) -> Save:
    return read((file.name, file.read_text()) for file in files)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.name)
def test_what_programs_write_is_read_with_its_lines(file: Path) -> None:
    save = saved(file)
    lines = file.read_text().splitlines()
    count = 0
    for rules in save.families.values():
        assert rules.family == ("ipv6" if file.suffix == ".save6" else "ipv4") or file.suffix in (
            ".nft",
            ".json",
        )
        for table, chain, text in rules.ruleset.rules():
            where = rules.where_of(table, chain, text)
            assert lines[int(where.rpartition(":")[2]) - 1].endswith(text)
            count += 1
        for listed in rules.tables:
            for name, kept in listed.chains.items():
                for number, text in enumerate(kept.rules, 1):
                    where = rules.where(listed.name, name, number)
                    if file.suffix == ".nft":
                        assert lines[int(where.rpartition(":")[2]) - 1].strip() == text
                    else:
                        assert where.startswith(f"{file.name} handle ")
                    count += 1
    assert count > 20


def test_both_families_in_one_file() -> None:
    text = "".join((HERE / "recorded" / f"ufw-nft.{end}").read_text() for end in ("save", "save6"))
    save = read([("both.save", text)])
    assert sorted(save.families) == ["ipv4", "ipv6"]
    of_six = save.families["ipv6"]
    first = next(text for table, _, text in of_six.ruleset.rules() if table == "filter")
    line = int(of_six.where_of("filter", "INPUT", first).rpartition(":")[2])
    assert text.splitlines()[line - 1] == f"-A INPUT {first}"


def test_families_are_told_by_addresses_where_nothing_else_does() -> None:
    for name, family in (("expected.v4", "ipv4"), ("expected.v6", "ipv6")):
        found = saved(ORACLE / "iptables" / "16-dual-stack" / name)
        ((name_, rules),) = found.families.items()
        assert name_ == family
        assert rules.ruleset.chain("nat", "KUBE-SERVICES") is not None
    both = "".join(
        (ORACLE / "iptables" / "16-dual-stack" / name).read_text()
        for name in ("expected.v4", "expected.v6")
    )
    assert list(read([("both", both)]).families) == ["ipv4", "ipv6"]


def test_a_listing_and_a_save_of_the_same_rules_are_one() -> None:
    here = HERE / "recorded"
    both = saved(here / "firewalld-nftables.save", here / "firewalld-nftables.nft")
    rules = both.families["ipv4"]
    assert sorted(rules.ruleset.tables) == ["filter", "mangle", "nat"]
    assert [table.name for table in rules.tables] == ["firewalld"]
    assert rules.where("firewalld", "filter_INPUT", 1).startswith("firewalld-nftables.nft:")


def test_tables_of_one_name_are_kept_apart() -> None:
    text = "".join(
        f"table {kind} filter {{\n\tchain c {{\n\t\t{rule}\n\t}}\n}}\n"
        for kind, rule in (("ip", "accept"), ("inet", "drop"))
    )
    rules = read([("x", text)]).families["ipv4"]
    assert [table.name for table in rules.tables] == ["filter", "inet filter"]
    assert [rules.where(table.name, "c", 1) for table in rules.tables] == ["x:3", "x:8"]


def test_handles_in_a_listing_are_passed_over() -> None:
    rule = "\t\tip daddr 10.0.0.1 drop # handle 7\n"
    text = f"table ip nat {{ # handle 4\n\tchain c {{ # handle 1\n{rule}\t}}\n}}\n"
    (table,) = read([("x", text)]).families["ipv4"].tables
    assert table.chains["c"].rules == ("ip daddr 10.0.0.1 drop",)


def test_what_the_program_left_out_is_remarked() -> None:
    first = "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n"
    odd = "# Table `nat' is incompatible, use 'nft' tool.\n"
    save = read([("x", first + odd + "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n")])
    assert [remark.line for remark in save.remarks] == [1, 2]
    assert "those rules are not in this text" in str(save.remarks[0])


BAD = [
    ("", 0, "is empty"),
    ("# only a remark\n", 0, "is empty"),
    ("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j", 3, "does not end with COMMIT"),
    ("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j KUBE-X\nCOMMIT\n", 3, "no chain KUBE-X"),
    ("*nat\nCOMMIT\n*nat\nCOMMIT\n", 3, "was there before"),
    ("Chain INPUT (policy ACCEPT)\ntarget prot\n", 1, "iptables -L"),
    ("-P INPUT ACCEPT\n-N KUBE-SERVICES\n", 1, "iptables -S"),
    ("apiVersion: v1\nkind: List\nitems: []\n", 1, "objects of Kubernetes"),
    ('{"apiVersion": "v1", "kind": "List"}', 1, "objects of Kubernetes"),
    ("Name: KUBE-CLUSTER-IP\nType: hash:ip,port\n", 1, "ipset list"),
    ("IP Virtual Server version 1.2.1 (size=4096)\n", 1, "is no save of rules"),
    ("table ip nat {\n\tchain c {\n\t\taccept\n", 3, "does not end"),
    ("table ip nat {\n\tchain c {\n\t\taccept\n\t}\n", 4, "does not end"),
    ('{"nftables": [{"table": {"family": "ip", "na', 1, "cut off"),
    ('{"nftables": [{"table": {"family": "ip"}}]}', 1, "lacks 'name'"),
    (
        "table ip t {\n\tchain c {\n"
        "\t\ttype filter hook input priority 0; policy x;\n\t\tdrop\n\t}\n}\n",
        3,
        "no hook and policy that there are",
    ),
    ('{"nftables": 3}', 1, "no listing of nft's"),
    ("[1, 2]", 1, "no listing of nft's"),
]


@pytest.mark.parametrize(("text", "line", "said"), BAD)
def test_what_is_none_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read([("node.save", text)])
    (problem,) = refused.value.problems
    assert (problem.file, problem.line) == ("node.save", line)
    assert said in problem.message
    assert problem.hint


def test_the_same_rules_twice_are_refused() -> None:
    text = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j ACCEPT\nCOMMIT\n"
    with pytest.raises(InputError, match=r"b:2: table nat of IPv4 is given twice"):
        read([("a", text), ("b", text)])


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.name)
def test_a_file_that_is_cut_off_is_refused(file: Path, cut: float) -> None:
    text = file.read_text().rpartition("# Completed")[0] or file.read_text()[:-4]
    with pytest.raises(InputError):
        read([(file.name, text[: int(len(text) * cut)])])


@pytest.mark.parametrize("world", sorted((ORACLE / "nftables").iterdir()), ids=lambda w: w.name)
def test_json_comes_to_what_the_text_comes_to(world: Path) -> None:
    text, as_json = saved(world / "expected.nft"), saved(world / "expected.json")
    for family, rules in text.families.items():
        others = as_json.families[family]
        for one, other in zip(rules.tables, others.tables, strict=True):
            assert one.name == other.name
            # nft 1.0.6 leaves chains' comments out.
            assert {
                name: chain._replace(header="") if "comment" in chain.header else chain
                for name, chain in one.chains.items()
            } == other.chains
            assert one.sets == other.sets
            dynamic = {name for name, found in one.sets.items() if found.dynamic}
            assert {key: value for key, value in one.elements.items() if key[0] not in dynamic} == {
                key: value for key, value in other.elements.items() if key[0] not in dynamic
            }


def test_json_of_a_rule_that_nobody_knows_says_so() -> None:
    entries = [
        {"table": {"family": "ip", "name": "t", "handle": 1}},
        {"chain": {"family": "ip", "table": "t", "name": "c", "handle": 2}},
        {
            "rule": {
                "family": "ip", "table": "t", "chain": "c", "handle": 3,
                "expr": [{"queue": {"num": 1}}, {"accept": None}],
            }
        },
    ]  # fmt: skip
    (table,) = read([("x", json.dumps({"nftables": entries}))]).families["ipv4"].tables
    assert table.chains["c"].rules == ('target queue {"num":1} accept',)


def test_hooks_that_are_not_followed_are_remarked() -> None:
    header = "type filter hook ingress devices = { eth0, eth1 } priority filter; policy accept;"
    text = f"table inet t {{\n\tchain c {{\n\t\t{header}\n\t\tdrop\n\t}}\n}}\n"
    (remark, _) = read([("x", text)]).remarks
    assert str(remark) == "x:3: chain c of t is at hook ingress, which is not followed"


def test_an_unread_chain_is_nowhere() -> None:
    rules = saved(HERE / "recorded" / "ufw-nft.save").families["ipv4"]
    assert rules.where("nat", "NOBODYS", 1) == ""
    assert rules.where("nat", "PREROUTING", 99) == ""
    assert isinstance(rules.ruleset.chain("nat", "PREROUTING"), Chain)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"chain": {"family": "ip", "table": "t", "name": "c", "hook": "input"}}, "lacks 'prio'"),
        ({"rule": {"family": "ip", "table": "t", "chain": "c", "expr": 7}}, "in an entry"),
        (
            {"set": {"family": "ip", "table": "t", "name": "s", "type": "x", "elem": 7}},
            "in an entry",
        ),
    ],
)
def test_entries_of_json_that_nft_never_writes_are_refused_in_a_line(
    entry: object, said: str
) -> None:
    table = {"table": {"family": "ip", "name": "t"}}
    text = json.dumps({"nftables": [table, entry]})
    with pytest.raises(InputError) as caught:
        read([("node.json", text)])
    (problem,) = caught.value.problems
    assert said in problem.message
    assert problem.file == "node.json"
