"""`netlab prove diff` of two labs, and of a lab and a node's rules, as it is typed."""

from pathlib import Path

import pytest

from netlab.cli import main as entry

LAB = Path("topologies/quickstart.yaml")
V6 = Path("topologies/dual-stack.yaml")
SAVE = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"


@pytest.fixture
def spoken(capsys):
    def run(*words):
        code = entry.main(["prove", "diff", *map(str, words)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def file(tmp_path):
    def write(text, name):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.mark.parametrize("lab", [LAB, V6, "topologies/load-balancer.yaml"])
def test_the_same_lab_twice_is_the_same(lab, spoken):
    """Though chance gives Services their addresses."""
    assert spoken("--before", lab, "--after", lab)[:2] == (0, "no packet is treated otherwise\n")


def test_a_replica_less_is_told_on_each_node(spoken, file):
    less = file(LAB.read_text().replace("replicas: 3", "replicas: 2"), "less.yaml")
    code, out, err = spoken("--before", LAB, "--after", less)
    assert code == 1, err
    for node in ("master001", "worker001", "worker002"):
        assert f"on {node}, ipv4:" in out
    assert ", default/hostname-svc-clusterip:web-port" in out
    assert "  was delivered to 10.244.1.3:80 (1/3)" in out
    assert "  is  delivered to 10.244.1.3:80 (1/2)" in out
    assert "on worker002" not in spoken("--before", LAB, "--after", less, "--node", "worker001")[1]


def test_a_port_that_moves_is_told_and_nothing_else(spoken, file):
    text = LAB.read_text()
    assert "nodePort: 30080" in text
    moved = file(text.replace("nodePort: 30080", "nodePort: 30081"), "moved.yaml")
    code, out, _ = spoken("--before", LAB, "--after", moved, "--node", "worker001")
    assert code == 1
    assert "port 30080" in out
    assert "port 30081" in out
    assert "port 8080" not in out


def test_nodes_that_only_one_lab_has_are_told(spoken, file):
    text = V6.read_text()
    assert "  nodes: 3" in text
    less = file(text.replace("  nodes: 3", "  nodes: 2"), "less.yaml")
    code, out, err = spoken("--before", V6, "--after", less)
    assert code == 1, err
    assert out.startswith("node worker002 is no more\n")
    assert "node worker002 was not there before\n" in spoken("--before", less, "--after", V6)[1]


def test_rules_against_a_labs_node(spoken, file):
    save = file(SAVE, "node.save")
    code, out, err = spoken("--before", LAB, "--after", save, "--node", "worker001")
    assert code == 1, err
    assert f"dropped ({save}:2)" in out
    code, out, err = spoken("--before", LAB, "--after", save)
    assert (code, out) == (2, "")
    assert "which node's are these rules?" in err
    assert "hint: --node, one of master001, worker001, worker002" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Service\n", "x.yaml:1: "),
        (LAB.read_text().replace("replicas: 3", "replicas: 3\n  a: 1"), "x.yaml:35: spec.a"),
        ("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n", "these files have no Lab"),
        ("hello\n", "x.yaml:1: 'hello' is no save of rules"),
        (SAVE[:-7], "x.yaml:2: "),
        ("", "x.yaml: is empty"),
    ],
)  # fmt: skip
def test_what_is_neither_is_refused_with_its_line(text, said, spoken, file):
    code, out, err = spoken("--before", LAB, "--after", file(text, "x.yaml"))
    assert (code, out) == (2, "")
    assert said in err
    assert "hint: " in err


def test_one_side_is_of_one_kind(spoken, file):
    save = file(SAVE, "node.save")
    code, out, err = spoken("--before", save, "--before", LAB, "--after", LAB)
    assert (code, out) == (2, "")
    assert f"{LAB}:1: holds no rules, as the other files of that side do" in err
