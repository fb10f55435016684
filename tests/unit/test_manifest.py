import io
import json
import sys
import time
from pathlib import Path

import pytest
import yaml

from netlab.errors import InputError
from netlab.manifest import load, loads

TOPOLOGIES = Path(__file__).parents[2] / "topologies"

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
"""


def complaints(text):
    with pytest.raises(InputError) as caught:
        loads(text)
    return [(one.line, one.field, one.message) for one in caught.value.problems]


def write(path, text):
    path.write_text(text)
    return path


JOINED = """\
apiVersion: netlab/v1
kind: Lab
metadata: {name: mine}
spec: {nodes: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {nodeName: edge, containers: [{name: c, image: nginx}]}
---
apiVersion: netlab/v1
kind: PathCheck
metadata: {name: to-edge}
spec: {from: {client: client}, to: {node: edge, nodePort: 30080}}
"""


def test_a_node_that_has_joined_may_be_named(tmp_path):
    file = write(tmp_path / "lab.yaml", JOINED)
    asked = []
    assert len(load([file], joined=lambda name: asked.append(name) or ["edge"]).checks) == 1
    assert set(asked) == {"mine"}
    with pytest.raises(InputError) as caught:
        load([file], joined=lambda _: ["egde", "other"])
    assert [one.line for one in caught.value.problems] == [9, 14]
    assert {one.hint for one in caught.value.problems} == {'did you mean "egde"?'}


# What comes out


def test_a_manifest_holds_a_lab_objects_and_checks():
    manifest = load([TOPOLOGIES / "quickstart.yaml"])
    assert manifest.lab is not None and manifest.lab.name == "quickstart"
    assert [node.name for node in manifest.lab.nodes] == ["master001", "worker001", "worker002"]
    assert [(obj["kind"], obj["metadata"]["name"]) for obj in manifest.objects] == [
        ("Deployment", "hostname-deployment"),
        ("Service", "hostname-svc-clusterip"),
        ("Service", "hostname-svc-nodeport"),
        ("Pod", "client-pod"),
    ]
    assert "pod-to-clusterip-by-name" in [check.name for check in manifest.checks]
    file, line = manifest.where(manifest.objects[1])
    assert file.endswith("quickstart.yaml")
    text = Path(file).read_text().splitlines()
    assert text[line - 1] == "apiVersion: v1" and text[line] == "kind: Service"


@pytest.mark.parametrize("path", sorted(TOPOLOGIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_topology_loads_and_teaches(path):
    manifest = load([path])
    assert manifest.lab is not None and manifest.lab.name == path.stem.removeprefix("tutorial-")
    assert manifest.objects and manifest.checks
    assert path.read_text().count("#") >= 5


def test_objects_come_as_written_not_defaulted():
    assert loads(SERVICE).objects == [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"ports": [{"port": 80}]},
        }
    ]


def test_what_others_cannot_be_made_without_comes_first():
    more = [f"---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: shop}}\n"
            for kind in ("ServiceAccount", "Namespace")]  # fmt: skip
    kinds = [obj["kind"] for obj in loads(SERVICE + "".join(more) + RANGE).objects]
    assert kinds == ["Namespace", "ServiceAccount", "ServiceCIDR", "Service"]


RANGE = """
---
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [203.0.113.0/24]}
"""


def test_an_address_may_be_of_a_range_that_the_files_bring_along():
    lab = "\n---\napiVersion: netlab/v1\nkind: Lab\nmetadata: {name: a}\nspec: {nodes: 2}\n"
    service = SERVICE.replace("{ports", "{clusterIP: 203.0.113.9, ports")
    with pytest.raises(InputError, match=r"The range of valid IPs is 10\.96\.0\.0/12"):
        loads(service + lab)
    assert len(loads(service + lab + RANGE).objects) == 2
    with pytest.raises(InputError, match=r"IPs is 10\.96\.0\.0/12, 203\.0\.113\.0/24"):
        loads(service.replace("203.0.113.9", "203.0.114.9") + lab + RANGE)


def test_a_list_is_flattened():
    items = [yaml.safe_load(SERVICE), yaml.safe_load(SERVICE.replace("web", "db"))]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1)
    assert [obj["metadata"]["name"] for obj in loads(text).objects] == ["web", "db"]


def test_json_with_tabs_and_pairs_of_surrogates():
    obj = yaml.safe_load(SERVICE)
    obj["metadata"]["annotations"] = {"mood": "\N{GRINNING FACE}"}
    assert loads(json.dumps(obj, indent="\t")).objects == [obj]


def test_anchors_and_merges():
    text = """\
apiVersion: v1
kind: Service
metadata: &meta
  name: web
  labels: &labels {app: web}
spec:
  selector: {<<: *labels, tier: front}
  ports:
  - &port {port: 80, protocol: TCP}
  - {<<: *port, name: b, port: 81}
"""
    with pytest.raises(InputError, match=r"spec.ports\[0\].name: Required value"):
        loads(text)
    found = loads(text.replace("&port {", "&port {name: a, ")).objects[0]
    assert found["spec"]["selector"] == {"app": "web", "tier": "front"}
    assert found["spec"]["ports"][1] == {"port": 81, "protocol": "TCP", "name": "b"}


def test_aliases_are_copies():
    text = SERVICE.replace("{name: web}", "{name: web, labels: &a {x: y}, annotations: *a}")
    metadata = loads(text).objects[0]["metadata"]
    assert metadata["labels"] == metadata["annotations"]
    assert metadata["labels"] is not metadata["annotations"]


def test_windows_line_ends_a_byte_order_mark_and_directives(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbf%YAML 1.1\r\n---\r\n" + SERVICE.replace("\n", "\r\n").encode())
    assert len(load([path]).objects) == 1


def test_unknown_fields_are_dropped_when_not_strict():
    text = SERVICE.replace("spec: {", "spec: {xyzzy: 1, ")
    assert [field for _, field, _ in complaints(text)] == ["spec.xyzzy"]
    assert "xyzzy" not in loads(text, strict=False).objects[0]["spec"]


def test_a_pathcheck_alone_needs_no_lab():
    text = "kind: PathCheck\nmetadata: {name: a}\nspec: {from: {node: n}, to: {service: web}}\n"
    (check,) = loads(text).checks
    assert (check.sender.kind, check.target.by, check.expect.outcome) == (
        "node",
        "address",
        "reachable",
    )


# Files


def test_a_directory_means_its_manifests(tmp_path):
    write(tmp_path / "b.yml", SERVICE)
    write(tmp_path / "a.yaml", SERVICE.replace("web", "db"))
    write(tmp_path / "notes.txt", "not a manifest")
    found = load([tmp_path])
    assert [obj["metadata"]["name"] for obj in found.objects] == ["db", "web"]


def test_a_file_given_twice_is_read_once(tmp_path):
    path = write(tmp_path / "a.yaml", SERVICE)
    assert len(load([path, tmp_path, str(path)]).objects) == 1


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SERVICE.encode())))
    assert len(load(["-"]).objects) == 1


def test_standard_input_has_a_name_in_complaints(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"kind: Nope\n")))
    with pytest.raises(InputError, match=r"^<stdin>:1: kind"):
        load(["-"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"# only words\n---\n", "is empty"),
        (b"\x7fELF\x02\x01\x01\x00", "is not text: byte 0x7f"),
        (b"a: b\n\x00\n", ":2: is not text: byte 0x00"),
        (b"kind: Service\nname: \xff\n", ":2: is not UTF-8: byte 0xff"),
        ("kind: Service".encode("utf-16"), "is UTF-16 text"),
        (b"[" * 500, "is nested more than 100 levels deep"),
        (b"- " * 300_000, "is nested more than 100 levels deep"),
        (b"{a: " * 300_000, "is nested more than 100 levels deep"),
    ],
)
def test_files_that_are_no_manifests(tmp_path, content, words):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load([path])
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_not_there(tmp_path):
    write(tmp_path / "quickstart.yaml", SERVICE)
    with pytest.raises(InputError) as caught:
        load([tmp_path / "quikstart.yaml", "/nowhere/a.yaml", "a\0b"])
    said = str(caught.value)
    assert "quikstart.yaml: there is no such file\n  hint: did you mean" in said
    assert "/nowhere/a.yaml: there is no such file" in said
    assert "cannot be read" in said


@pytest.mark.parametrize(
    ("there", "asked", "meant"),
    [
        ("9.yaml", "nope.yaml", None),
        ("a.yaml", "b.yaml", None),
        ("web.yaml", "wbe.yaml", "web.yaml"),
        ("web.yaml", "web.yml", "web.yaml"),
        ("web.yaml", "web", "web.yaml"),
    ],
)
def test_a_file_with_another_name_is_not_meant(tmp_path, there, asked, meant):
    """All names end alike: that makes none like another."""
    write(tmp_path / there, SERVICE)
    with pytest.raises(InputError) as caught:
        load([tmp_path / asked])
    hint = caught.value.problems[0].hint
    assert hint == (meant and f"did you mean {tmp_path / meant}?")


def test_what_a_lab_does_not_have_is_left_out_with_a_word():
    """One of them must not keep the Services beside it from being tried."""
    gateway = "kind: Gateway\napiVersion: gateway.networking.k8s.io/v1\nspec: {x: [1, nonsense]}\n"
    loaded = loads(f"{SERVICE}\n---\n{gateway}")
    assert [obj["kind"] for obj in loaded.objects] == ["Service"]
    (line,) = loaded.left_out
    assert "netlab has no Gateway, a part of Kubernetes that is not here: left out" in line
    assert line.startswith("<text>:")
    with pytest.raises(InputError, match="unknown kind"):
        loads("kind: Jobb\napiVersion: batch/v1\n")


def test_the_contrary_of_a_word_is_not_what_was_meant():
    check = """
kind: PathCheck
metadata: {name: c}
spec: {from: {pod: a}, to: {service: b}, expect: {outcome: %s}}
"""
    with pytest.raises(InputError) as caught:
        loads(check % "unreachable")
    assert caught.value.problems[0].hint == (
        "for nobody to answer: refused (it says no) or timeout (silence)"
    )
    with pytest.raises(InputError) as caught:
        loads(check % "reachabel")
    assert caught.value.problems[0].hint == 'did you mean "reachable"?'


def test_a_directory_without_manifests(tmp_path):
    with pytest.raises(InputError, match=r"holds no \*.yaml"):
        load([tmp_path])


def test_the_mistakes_of_all_files_at_once(tmp_path):
    one = write(tmp_path / "one.yaml", SERVICE.replace("port: 80", "prot: 80"))
    two = write(tmp_path / "two.yaml", "a: [1\n")
    with pytest.raises(InputError) as caught:
        load([one, two, tmp_path / "three.yaml"])
    files = {Path(problem.file).name for problem in caught.value.problems}
    assert files == {"one.yaml", "two.yaml", "three.yaml"}
    assert caught.value.exit_code == 2


# Mistakes in the text


def test_a_broken_document_does_not_hide_the_others():
    found = complaints(f"a: 'x\n---\n{SERVICE.replace('web', 'We')}---\nb: c: d\n")
    assert [line for line, _, _ in found] == [1, 5, 8]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1\n", 2, "a tab stands where YAML wants spaces"),
        ("a:\n  b: 1\n\tc: 2\n", 3, "a tab stands where YAML wants spaces"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("a: [1,\n", 2, "is not YAML"),
        ("kind: x\nkind: y\n", 2, '"kind" stands here twice, first in line 1'),
        ("a: *b\n", 1, "*b refers to an anchor that is not there"),
        ("a: &b [*b]\n", 1, "refers to what it is itself a part of"),
        ("a: !!python/object:os.system x\n", 1, "means nothing in a manifest"),
        ("{{ .Values.name }}: 1\n", 1, "a field's name must be plain text"),
        ("x" * 50, 1, f'an object is expected here, not plain text ("{"x" * 38}…")'),
        ("<<: [1]\nkind: x\n", 1, "<< takes a mapping"),
        ("? [a]\n: b\n", 1, "a field's name must be plain text"),
    ],
)
def test_mistakes_in_the_text(text, line, words):
    found = complaints(text)
    assert any(at == line and words in message for at, _, message in found), found


def test_aliases_cannot_explode():
    layers = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    layers += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.monotonic()
    found = complaints("\n".join(layers))
    assert "holds more than 500000 values" in found[0][2]
    assert time.monotonic() - started < 10


def test_a_file_mode_may_be_octal_and_a_date_is_text():
    text = """\
apiVersion: v1
kind: Pod
metadata: {name: a, annotations: {since: 2024-01-01, at: 12:30:45}}
spec:
  containers: [{name: a, image: b, args: [0x10s, 1_000_000_0s]}]
  volumes: [{name: v, configMap: {name: c, defaultMode: 0644}}]
"""
    pod = loads(text).objects[0]
    assert pod["spec"]["volumes"][0]["configMap"]["defaultMode"] == 0o644
    assert pod["metadata"]["annotations"] == {"since": "2024-01-01", "at": "12:30:45"}


def test_generated_names_cannot_be_applied():
    found = complaints(SERVICE.replace("name: web", "generateName: web-"))
    assert found == [(3, "metadata.name", "Required value")]


# Between objects


def test_the_same_name_in_two_namespaces_is_no_duplicate():
    other = SERVICE.replace("name: web", "name: web, namespace: shop")
    assert len(loads(f"{SERVICE}---\n{other}").objects) == 2
    other = SERVICE.replace("name: web", "name: web, namespace: default")
    assert complaints(f"{SERVICE}---\n{other}") == [
        (8, "metadata.name", 'Service "web" stands in the input twice')
    ]


def test_a_node_port_may_serve_tcp_and_udp():
    tcp = "{name: a, port: 80, nodePort: 30080}"
    ports = f"[{tcp}, {tcp.replace('name: a', 'name: b, protocol: UDP')}]"
    text = SERVICE.replace("{ports: [{port: 80}]}", f"{{type: NodePort, ports: {ports}}}")
    assert loads(text).objects


def test_kubernetes_and_kube_dns_may_keep_their_addresses():
    lab = "kind: Lab\nmetadata: {name: x}\nspec: {nodes: 1}\n---\n"
    text = SERVICE.replace("name: web", "name: kube-dns, namespace: kube-system")
    assert loads(lab + text.replace("spec: {", "spec: {clusterIP: 10.96.0.10, ")).objects
    found = complaints(lab + SERVICE.replace("spec: {", "spec: {clusterIP: 10.96.0.10, "))
    assert found == [
        (8, "spec.clusterIP", 'Invalid value: "10.96.0.10": provided IP is already allocated')
    ]
