"""`netlab proxy render|diff|sync` as it is typed: inputs of every kind, and every mistake."""

import gzip
import io
import json
import os
from pathlib import Path

import pytest
import yaml

from netlab.cli import main as entry

GOLDEN = Path(__file__).parents[2] / "golden" / "proxy"
CASES = sorted(case.name for case in GOLDEN.iterdir())
CASE = GOLDEN / "node-port"


@pytest.fixture
def spoken(capsys):
    """What a command line comes to: exit code, output, and what it says besides."""

    def run(*words):
        try:
            code = entry.main(["proxy", *map(str, words)])
        except SystemExit as end:  # argparse's own
            code = end.code
        return code, *capsys.readouterr()

    return run


def render(case, *more):
    return ("render", "-f", case / "objects.yaml", "--config", case / "proxy.yaml", *more)


# -- render --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_render_prints_what_the_library_compiles(case, spoken):
    for words, expected in [
        ((), "expected.v4"),
        (("--family", "ipv6"), "expected.v6"),
        (("--mode", "nftables"), "expected.nft"),
    ]:
        code, out, err = spoken(*render(GOLDEN / case, *words))
        if expected != "expected.nft":
            assert (code, out) == (0, (GOLDEN / case / expected).read_text()), err
        else:
            assert code == 0 and out.startswith("table ip kube-proxy {")
            assert "table ip6 kube-proxy {" in out


def objects():
    return [obj for obj in yaml.safe_load_all((CASE / "objects.yaml").read_text()) if obj]


def as_list(found):
    return {"apiVersion": "v1", "kind": "List", "items": found}


@pytest.mark.parametrize(
    "written",
    [
        lambda: yaml.dump_all(objects()),
        lambda: yaml.dump(as_list(objects())),
        lambda: json.dumps(as_list(objects())),
        lambda: json.dumps(as_list(objects()), indent=2),
    ],
    ids=["documents", "list", "json", "indented json"],
)
def test_objects_in_every_form_on_standard_input(written, spoken, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(written()))
    code, out, _ = spoken("render", "-f", "-", "--config", CASE / "proxy.yaml")
    assert (code, out) == (0, (CASE / "expected.v4").read_text())


def test_objects_from_a_directory_and_from_several_files(tmp_path, spoken):
    for number, obj in enumerate(objects()):
        (tmp_path / f"{number}.yaml").write_text(yaml.dump(obj))
    (tmp_path / "README.md").write_text("not this")
    expected = (CASE / "expected.v4").read_text()
    assert spoken("render", "-f", tmp_path, "--config", CASE / "proxy.yaml")[1] == expected
    files = [word for file in sorted(tmp_path.glob("*.yaml")) for word in ("-f", file)]
    assert spoken("render", *files, "--config", CASE / "proxy.yaml")[1] == expected


NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "alpha"},
    "status": {"addresses": [{"type": "InternalIP", "address": "10.10.11.20"}]},
}


def test_without_settings_the_node_and_the_command_line_say_enough(tmp_path, spoken):
    file = tmp_path / "objects.json"
    file.write_text(json.dumps(as_list([NODE, *objects()])))
    words = ("render", "-f", file, "--cluster-cidr", "10.244.0.0/16,fd00:244::/56")
    code, out, err = spoken(*words)
    assert (code, out) == (0, (CASE / "expected.v4").read_text())
    assert "mode iptables, node alpha with 10.10.11.20, clusterCIDR 10.244.0.0/16" in err


def test_what_the_command_line_must_say(tmp_path, spoken):
    file = tmp_path / "objects.json"
    other = {**NODE, "metadata": {"name": "beta"}}
    file.write_text(json.dumps(as_list([NODE, other])))
    assert spoken("render", "-f", file)[::2] == (
        2, "error: which node?\n  hint: --node NAME, one of: alpha, beta\n",
    )  # fmt: skip
    code, _, err = spoken("render", "-f", file, "--node", "gamma")
    assert code == 2 and "there is no node gamma" in err
    code, _, err = spoken("render", "-f", file, "--node", "alpha", "--cluster-cidr", "pods")
    assert code == 2 and "--cluster-cidr: clusterCIDR: 'pods' is not a prefix" in err
    assert "no clusterCIDR (--cluster-cidr)" in spoken("render", "-f", file, "--node", "beta")[2]


@pytest.mark.parametrize(
    "words, said",
    [
        (("diff",), "diff needs the node's rules"),
        (("diff", "--save", "-", "-f", "-"), "standard input can be only one"),
        (("render", "--save", "x"), "--save is for diff"),
        (("sync", "-o", "json"), "-o is for diff"),
        (("sync",), "which namespace?"),
        (("undo",), "invalid choice"),
    ],
)
def test_command_lines_that_make_no_sense(words, said, spoken):
    code, out, err = spoken(*words, "-f", CASE / "objects.yaml")
    assert (code, out) == (2, "") and said in err and "hint" in err


# -- bad input -----------------------------------------------------------------------------

BAD = """\
kind: Service
apiVersion: v1
metadata: {name: banana, namespace: town}
spec:
  clusterIP: banana
  ports: [{port: 80}]
---
kind: Service
apiVersion: v1
metadata: {name: ports, namespace: town}
spec:
  clusterIP: 10.96.0.1
  externalIPs: [mango]
  ports:
  - port: 80
    name: good
  - port: 70000
    name: high
  - name: none
  - {name: quic, port: 1, protocol: QUIC}
  - {name: np, port: 2, nodePort: -1}
  - {name: 'x" -j ACCEPT', port: 3}
---
kind: Service
apiVersion: v1
metadata: {name: shape, namespace: town}
spec:
  clusterIP: 10.96.0.2
  ports: none
---
kind: Service
apiVersion: v1
metadata: {name: bare, namespace: town}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: ports-a, namespace: town, labels: {kubernetes.io/service-name: ports}}
addressType: IPv4
ports: [{name: good, port: 8080}, {name: high}]
endpoints:
- addresses: ["fd00::1"]
- addresses: []
- addresses: [10.244.0.7]
"""

NAMED = [
    ("5: Service town/banana: spec.clusterIP", "'banana' is no ipv4 address"),
    ("13: Service town/ports: spec.externalIPs[0]", "'mango' is no ipv4 address"),
    ("17: Service town/ports: spec.ports[1].port", "70000 is no port"),
    ("19: Service town/ports: spec.ports[2].port", "is missing"),
    ("20: Service town/ports: spec.ports[3].protocol", "'QUIC' is no protocol"),
    ("21: Service town/ports: spec.ports[4].nodePort", "-1 is no port"),
    ("22: Service town/ports: spec.ports[5].name", "is no name of a port"),
    ("29: Service town/shape: spec.ports", 'must be a list, not the string "none"'),
    ("31: Service town/bare: spec.clusterIP", "is missing"),
    ("39: EndpointSlice town/ports-a: ports[1].port", "is missing"),
    ("41: EndpointSlice town/ports-a: endpoints[0].addresses", "'fd00::1' is no ipv4 address"),
    ("42: EndpointSlice town/ports-a: endpoints[1].addresses", "is missing"),
]


def named(err, prefix):
    return [line.removeprefix(f"note: {prefix}:") for line in err.splitlines() if prefix in line]


def test_what_cannot_be_used_is_named_with_its_line_and_left_out(tmp_path, spoken):
    file = tmp_path / "objects.yaml"
    file.write_text(BAD)
    code, out, err = spoken("render", "-f", file)
    assert code == 0
    said = named(err, str(file))
    for place, message in NAMED:
        (line,) = [line for line in said if line.startswith(f"{place}: ")]
        assert message in line and line.endswith(": left out"), line
    assert len(said) == len(NAMED)
    assert "town/ports:good" in out and "10.244.0.7:8080" in out
    for word in ("banana", "mango", "70000", "QUIC", "np", 'x"', "shape", "fd00"):
        assert word not in out


def test_json_has_lines_too(tmp_path, spoken):
    file = tmp_path / "objects.json"
    service = {"clusterIP": "banana", "ports": [{"port": 80}]}
    obj = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "x"}, "spec": service}
    file.write_text(json.dumps(as_list([obj]), indent=1))
    (said,) = named(spoken("render", "-f", file)[2], str(file))
    line = file.read_text().splitlines()[int(said.partition(":")[0]) - 1]
    assert "banana" in line and "Service default/x: spec.clusterIP" in said


def test_an_object_given_twice_counts_once(tmp_path, spoken):
    file = tmp_path / "objects.yaml"
    text = (CASE / "objects.yaml").read_text()
    file.write_text(f"{text}\n---\n{text}")
    code, out, err = spoken("render", "-f", file, "--config", CASE / "proxy.yaml")
    assert (code, out) == (0, (CASE / "expected.v4").read_text())
    assert ":3: Service town/shop: is given again further on: left out" in err


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: b: c\n", ":1: is not YAML"),
        ("a: 1\nb: [\n", "is not YAML"),
        ("{", "is no JSON"),
        ("", "holds no objects"),
        ("\n# nothing\n", "holds no objects"),
        ("just words\n", ":1: is no Kubernetes object"),
        ("image: nginx\nreplicas: 2\n", ":1: is no Kubernetes object"),
        ("kind: Service\nmetadata: {name: 7}\n", ":1: is no Kubernetes object"),
        ('kind: Service\nmetadata: {name: "a\\" -j"}\n', ":1: is no Kubernetes object"),
        ("kind: List\nitems:\n- kind: Service\n", ":3: is no Kubernetes object"),
    ],
)
def test_text_that_is_no_objects_is_refused(text, said, tmp_path, spoken):
    file = tmp_path / "objects.yaml"
    file.write_text(text)
    code, out, err = spoken("render", "-f", file)
    assert (code, out) == (2, "") and f"error: {file}" in err and said in err


def test_files_that_cannot_be_read(tmp_path, spoken):
    (tmp_path / "binary.yaml").write_bytes(b"\x7fELF\xff\x00")
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"kind: List"))
    (tmp_path / "wide.yaml").write_bytes("kind: List".encode("utf-16"))
    for file, said in [
        ("nowhere.yaml", "No such file"), ("binary.yaml", "is not text"),
        ("x.gz", "is compressed, by gzip"), ("wide.yaml", "is text in UTF-16"),
    ]:  # fmt: skip
        code, _, err = spoken("render", "-f", tmp_path / file)
        assert code == 2 and f"{tmp_path / file}: {said}" in err


def test_an_empty_list_is_a_cluster_without_services(tmp_path, spoken):
    file = tmp_path / "objects.json"
    file.write_text(json.dumps(as_list([])))
    code, out, _ = spoken("render", "-f", file)
    assert code == 0 and "KUBE-SERVICES" in out and "KUBE-SVC" not in out


def test_mistakes_in_the_settings_have_lines(tmp_path, spoken):
    config = tmp_path / "proxy.yaml"
    config.write_text("mode: ipvs\nnodeName: alpha\nnodeIPs: [x]\nmasquerade: true\n")
    code, out, err = spoken("render", "-f", CASE / "objects.yaml", "--config", config)
    assert (code, out) == (2, "")
    for line, field in [(1, "mode"), (3, "nodeIPs"), (4, "masquerade")]:
        assert f"{config}:{line}: {field}: " in err
    config.write_text("mode: [\n")
    assert f"{config}:" in spoken("render", "-f", CASE / "objects.yaml", "--config", config)[2]


def test_settings_in_json_say_the_same(tmp_path, spoken):
    config = tmp_path / "proxy.json"
    said = yaml.safe_load((CASE / "proxy.yaml").read_text())
    config.write_text(json.dumps(said))
    words = ("render", "-f", CASE / "objects.yaml", "--config")
    assert spoken(*words, config)[1] == spoken(*words, CASE / "proxy.yaml")[1] != ""


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{"nodeName": "alpha",\n "mode": "ipvs"}', 2, "mode"),
        ('{"mode": "iptables",\n', 2, "is not YAML"),
    ],
)
def test_mistakes_in_settings_in_json_have_lines(text, line, words, tmp_path, spoken):
    config = tmp_path / "proxy.json"
    config.write_text(text)
    code, out, err = spoken("render", "-f", CASE / "objects.yaml", "--config", config)
    assert (code, out) == (2, "")
    assert f"{config}:{line}: " in err and words in err


# -- diff ----------------------------------------------------------------------------------


def diff(save, *more, case=CASE):
    return (*("diff", *render(case)[1:]), "--save", save, *more)


def test_no_difference(spoken):
    assert spoken(*diff(CASE / "expected.v4")) == (0, "no difference\n", "")
    assert spoken(*diff(CASE / "expected.v6", "--family", "ipv6"))[0] == 0
    assert spoken(*diff(CASE / "expected.v4", "-o", "json"))[:2] == (0, "[]\n")


def test_every_difference_names_its_service(tmp_path, spoken):
    lines = (CASE / "expected.v4").read_text().splitlines(keepends=True)
    (gone,) = [line for line in lines if "town/shop:http cluster IP" in line and "SERVICES" in line]
    lines.remove(gone)
    save = tmp_path / "node.save"
    save.write_text("".join(lines))
    code, out, _ = spoken(*diff(save))
    assert code == 1 and out.endswith("1 difference\n")
    assert out.startswith("Service town/shop:http: nat KUBE-SERVICES: missing\n  - -d 10.96.8.1/32")
    code, out, _ = spoken(*diff(save, "-o", "json"))
    (found,) = json.loads(out)
    assert code == 1 and found["service"] == "town/shop:http" and found["kind"] == "missing"


def test_the_save_says_of_which_family_it_is(tmp_path, spoken):
    save = tmp_path / "node.save"
    text = (CASE / "expected.v6").read_text()
    save.write_text(f"# Generated by ip6tables-save v1.8.9 (nf_tables)\n{text}")
    assert spoken(*diff(save))[0] == 0


@pytest.mark.parametrize(
    "text, line",
    [
        ("hello\n", 1),
        ("*nat\n:PREROUTING ACCEPT [0:0]\n-A NOWHERE -j ACCEPT\nCOMMIT\n", 3),
        ("*nat\n:PREROUTING ACCEPT [0:0]\n", 2),
        ("table ip kube-proxy {\n}\n", 1),
    ],
)
def test_a_save_that_is_none(text, line, tmp_path, spoken):
    save = tmp_path / "node.save"
    save.write_text(text)
    code, out, err = spoken(*diff(save))
    assert (code, out) == (2, "") and f"{save}:{line}: " in err and "iptables-save" in err


def test_the_save_of_a_node_in_another_mode(tmp_path, spoken):
    save = tmp_path / "node.save"
    save.write_text("*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n")
    code, _, err = spoken(*diff(save))
    assert code == 1 and "is the node in nftables mode?" in err


def nft(save, *more):
    config = Path(save).parent / "nft.yaml"
    settings = yaml.safe_load((CASE / "proxy.yaml").read_text())
    config.write_text(yaml.dump({**settings, "mode": "nftables", "serviceCIDRs": "10.96.0.0/12"}))
    return ("diff", "-f", CASE / "objects.yaml", "--config", config, "--save", save, *more)


def test_nftables_tables_compare_too(tmp_path, spoken):
    save = tmp_path / "ruleset"
    text = (CASE / "expected.nft").read_text()
    save.write_text(text)
    assert spoken(*nft(save)) == (0, "no difference\n", "")
    there = 'comment "town/there" : drop'
    assert there in text
    save.write_text(
        text.replace(there, there.replace("drop", "goto reject-chain"))
        .replace("0 : 10.244.0.11 . 8080, 1 :", "0 : 10.244.9.9 . 8080, 1 :")
        .replace("10.96.8.1, ", "")
    )
    code, out, _ = spoken(*nft(save))
    who = [line.partition(": ")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert code == 1 and "Service town/shop:http" in who and "Service town/there" in who
    assert "map no-endpoint" not in out and "  + udp . 30082" in out


def test_a_listing_that_is_none(tmp_path, spoken):
    save = tmp_path / "ruleset"
    save.write_text("*nat\nCOMMIT\n")
    code, _, err = spoken(*nft(save))
    assert code == 2 and f"{save}:1: lists no nftables table" in err
    save.write_text("table ip kube-proxy {\n\tchain services {\n")
    code, _, err = spoken(*nft(save))
    assert code == 2 and f"{save}:2: a block does not end" in err
    save.write_text("table ip theirs {\n}\n")
    assert spoken(*nft(save))[0] == 1


# -- sync ----------------------------------------------------------------------------------


def test_sync_wants_root(spoken, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, out, err = spoken("sync", "-f", CASE / "objects.yaml", "--netns", "x")
    assert (code, out) == (3, "")
    assert err == "error: netlab proxy sync needs root\n  hint: sudo netlab proxy sync …\n"


def test_sync_wants_a_namespace_that_is_there(tmp_path, spoken, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("NETLAB_NETNS_DIR", str(tmp_path))
    code, _, err = spoken(*("sync", *render(CASE)[1:]), "--netns", "nowhere")
    assert code == 1 and err == "error: there is no namespace nowhere\n  hint: ip netns list\n"
