"""A trace on paper: what files come to, and what their rules would do with a packet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: dry}
spec:
  nodes: [{name: worker001}, {name: worker002}]
  podCIDR: "10.244.0.0/16,fd00:10:244::/56"
  serviceCIDR: "10.96.0.0/12,fd00:10:96::/112"
  loadBalancer: {pool: 172.16.110.200-172.16.110.201}
  proxyMode: %s
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: none}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  selector: {app: local}
  ports: [{port: 80, nodePort: 30081}]
---
apiVersion: v1
kind: Pod
metadata: {name: local, labels: {app: local}}
spec:
  nodeName: worker002
  containers: [{name: web, image: nginx, ports: [{containerPort: 80, hostPort: 8088}]}]
"""


def dry(directory: Path, words: str, mode: str = "iptables", code: int = 0) -> Any:
    file = directory / "lab.yaml"
    file.write_text(LAB % mode)
    argv = [sys.executable, "-m", "netlab", "trace", "--dry", "-f", str(file), *words.split()]
    done = subprocess.run(
        argv, capture_output=True, text=True, cwd=ROOT, env=os.environ, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done


WAYS = [
    ("box svc/web:80", {"delivered": 3}),
    ("box svc/web:80 --ipv6", {"delivered": 3}),
    ("box web:80", {"delivered": 3}),
    ("client node/worker001:30080", {"delivered": 3}),
    ("client lb/balanced:80", {"delivered": 3}),
    ("client node/worker001:30081", {"lost": 1}),
    ("client node/worker002:30081", {"delivered": 1}),
    ("client node/worker002:8088", {"delivered": 1}),
    ("box svc/none:80", {"refused": 1}),
    ("worker002 pod/box --icmp", {"delivered": 1}),
    ("box 93.184.216.34:80", {"lost": 1}),
    ("box kubernetes:443", {"delivered": 1}),
]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize(("words", "verdicts"), WAYS)
def test_ends(tmp_path: Path, words: str, verdicts: dict[str, int], mode: str) -> None:
    told = json.loads(dry(tmp_path, f"{words} -o json", mode).stdout)
    assert (told["dry"], told["toldBy"], told["mode"]) == (True, "simulator", mode)
    found: dict[str, int] = {}
    for end in told["ends"]:
        found[end["verdict"]] = found.get(end["verdict"], 0) + 1
    assert found == verdicts
    assert sum(end["share"] for end in told["ends"]) == pytest.approx(1.0)


def test_the_likeliest_end_is_told_in_full(tmp_path: Path) -> None:
    told = dry(tmp_path, "box svc/web:80").stdout
    assert "nat KUBE-SERVICES" in told
    assert "DNAT: 10." in told
    assert "rules alone: nothing was sent\npossible ends\n   33.3% delivered default/web-" in told


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_later_packets_go_where_the_first_may_go(tmp_path: Path, mode: str) -> None:
    told = json.loads(dry(tmp_path, "box svc/web:80 --ct established -o json", mode).stdout)
    assert (told["ct"], told["verdict"], told["from"]) == (
        "established",
        "delivered",
        "default/box",
    )
    assert [round(end["share"], 3) for end in told["ends"]] == [0.333] * 3
    assert all(chain["table"] != "nat" for chain in told["chains"]), "it is not asked again"
    back = json.loads(dry(tmp_path, "box svc/web:80 --ct reply -o json", mode).stdout)
    assert (back["ct"], back["deliveredTo"]) == ("reply", "default/box")
    assert back["from"].startswith("default/web-")
    assert back["packet"]["source"] in [end["destination"] for end in told["ends"]]


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_why_not_is_told_on_paper(tmp_path: Path, mode: str) -> None:
    for more in ("", "--summary"):
        told = dry(tmp_path, f"box svc/web:80 --why-not svc/none {more}", mode).stdout
        assert "why not\n  worker001 " in told
    taken = json.loads(dry(tmp_path, "box svc/web:80 --why-not svc/web -o json", mode).stdout)
    assert taken["whyNot"][0]["taken"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("box svc/none:80 --ct reply", 1, "by the rules it is refused"),
        ("box svc/web:80 --why-not svc/wbe", 2, "there is no Service default/wbe"),
        ("box svc/wbe:80", 2, "there is no Service default/wbe"),
        ("bxo svc/web:80", 2, "did you mean box?"),
        ("box svc/none:80 --expect delivered", 1, ""),
        ("box example.com:80", 2, "no DNS is asked for example.com on paper"),
        ("box svc/web:80 --count 3", 2, "--dry sends nothing"),
        ("box http://web/", 2, "--dry sends nothing"),
        ("box svc/web:80 -f /nowhere.yaml", 2, "/nowhere.yaml"),
    ],
)
def test_mistakes(tmp_path: Path, words: str, code: int, said: str) -> None:
    assert said in dry(tmp_path, words, code=code).stderr


def test_files_are_for_it_alone(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "netlab", "trace", "box", "web"]
    for more, said in (["--dry"], "--dry goes by manifests"), (["-f", "x"], "-f is for --dry"):
        done = subprocess.run([*argv, *more], capture_output=True, text=True, cwd=ROOT)
        assert (done.returncode, said in done.stderr) == (2, True)
