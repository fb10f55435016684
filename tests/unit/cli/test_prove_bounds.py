"""`netlab prove` on rules that are made to have no end: each ends, soon, and says at which line."""

import pytest

from netlab.cli import main as entry

HOOKS = ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
BASE = "\t\ttype filter hook forward priority filter; policy accept;\n"
BY_CHANCE = "-m statistic --mode random --probability 0.5"
MARKS = [f"{BY_CHANCE} -j MARK --set-xmark {1 << bit:#x}/{1 << bit:#x}" for bit in range(32)]
SETS = [
    f"-m set --match-set s{at} {side} -j {target}"
    for at in range(300)
    for side, target in (("src", "ACCEPT"), ("dst", "DROP"))
]
OVERLAPPING = [
    f"-m iprange --src-range 10.{at % 97}.0.0-10.{100 + at % 89}.0.0"
    f" --dst-range 10.{at % 83}.0.0-10.{100 + at % 79}.0.0"
    f" -p tcp -m tcp --dport {1000 + at}:{5000 + at} -j {'DROP' if at % 2 else 'ACCEPT'}"
    for at in range(3000)
]


def of_iptables(rules, chains=()):
    declared = "".join(f":{chain} - [0:0]\n" for chain in chains)
    texts = "".join(rule if rule.startswith("-A") else f"-A FORWARD {rule}\n" for rule in rules)
    return f"*filter\n{HOOKS}{declared}{texts}COMMIT\n"


@pytest.fixture
def proved(capsys, monkeypatch, tmp_path):
    """What is said of a text by some words, with a small allowance."""

    def run(text, *words):
        monkeypatch.setattr("netlab.prove.diagram.ALLOWANCE", 50_000)
        save = tmp_path / "node.save"
        save.write_text(text)
        code = entry.main(["prove", *(str(save) if word == "SAVE" else word for word in words)])
        return code, capsys.readouterr().out

    return run


ASKED = ("--save", "SAVE", "--to", "any", "--expect", "reachable")


@pytest.mark.parametrize("rules", [MARKS, SETS, OVERLAPPING], ids=["marks", "sets", "overlapping"])
def test_what_is_too_much_stays_open_with_a_line(rules, proved):
    code, out = proved(of_iptables(rules), *ASKED)
    assert code == 1
    assert "any to any: reachable: stays open" in out
    assert "open: there is too much to tell apart (" in out
    assert "there is too much to tell apart (more than 50,000 units), at " in out
    assert "node.save:" in out.splitlines()[-1]


def test_the_same_question_has_the_same_answer(proved):
    assert proved(of_iptables(SETS), *ASKED) == proved(of_iptables(SETS), *ASKED)


def test_a_difference_that_is_too_much_is_open(proved, tmp_path):
    other = tmp_path / "other.save"
    other.write_text(of_iptables(MARKS[:-1]))
    code, out = proved(of_iptables(MARKS), "diff", "--before", "SAVE", "--after", str(other))
    assert code == 1
    assert "was open: there is too much to tell apart (" in out


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_doubled_jumps_are_asked_once(mode, proved):
    """Sixty chains that each jump twice are 2^60 ways to one rule."""
    chains = [f"c{at}" for at in range(60)]
    if mode == "iptables":
        twice = [f"-A {one} -j c{at}\n" * 2 for at, one in enumerate(["FORWARD", *chains[:-1]])]
        text = of_iptables([*twice, "-A c59 -s 10.0.0.1/32 -j DROP\n"], chains)
    else:
        twice = [
            f"\tchain {one} {{\n\t\tjump c{at + 1}\n\t\tjump c{at + 1}\n\t}}"
            for at, one in enumerate(chains[:-1])
        ]
        last = "\tchain c59 {\n\t\tip saddr 10.0.0.1 drop\n\t}"
        base = f"\tchain fw {{\n{BASE}\t\tjump c0\n\t}}"
        text = "\n".join(["table ip f {", base, *twice, last, "}", ""])
    code, out = proved(text, *ASKED)
    assert code == 1
    assert "any protocol from 10.0.0.1 to 0.0.0.0-126" in out
    assert "dropped" in out


def test_deep_chains_are_no_circle(proved):
    chains = [f"C{at}" for at in range(150)]
    jumps = [f"-A {one} -j C{at}\n" for at, one in enumerate(["FORWARD", *chains[:-1]])]
    text = of_iptables([*jumps, "-A C149 -j DROP\n"], chains)
    code, out = proved(text, *ASKED)
    assert code == 1
    assert "open: is more than 100 chains deep (" in out
    assert proved(text, "lint", "--save", "SAVE") == (0, "nothing found\n")


def concatenated(count, source):
    elements = ", ".join(f"{source(at)} . tcp . {1 + at % 60000}" for at in range(count))
    return (
        "table ip f {\n\tset s {\n\t\ttype ipv4_addr . inet_proto . inet_service\n"
        f"\t\telements = {{ {elements} }}\n\t}}\n\tchain fw {{\n{BASE}"
        "\t\tip saddr . meta l4proto . th dport @s drop\n"
        "\t\tip saddr . meta l4proto . th dport @s accept\n\t}\n}\n"
    )


def test_a_large_concatenated_set_is_linted(proved):
    text = concatenated(5000, lambda at: f"10.0.{at // 256}.{at % 256}")
    code, out = proved(text, "lint", "--save", "SAVE")
    assert code == 1
    assert "shadowed rule: rule 1 of the chain takes all its packets\n1 finding" in out


def test_lint_says_from_where_on_it_has_not_looked(proved):
    code, out = proved(concatenated(5000, lambda _: "10.0.0.1"), "lint", "--save", "SAVE")
    assert code == 1
    assert "node.save:8: not looked at: from there on there is too much to tell apart" in out
