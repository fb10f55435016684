"""Broken labs: `netlab why` says what is broken, and what it says to do mends it.

Every scenario breaks something real, reads the sentence as a newcomer would, types the command
below it, and sees the Service answer again.
"""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from e2e.labs import Machine, eventually, machine

from netlab.kernel import netns

pytestmark = pytest.mark.root

MODES = {
    "nft": "iptables: nft",
    "legacy": "iptables: legacy",
    "nftables": "proxyMode: nftables",
    "six": "iptables: nft\n  ipFamilies: [IPv4, IPv6]",
}

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {{name: b}}
spec:
  nodes: # the last one is switched off: kube-dns is elsewhere
  - {{name: worker001}}
  - {{name: worker002}}
  - {{name: worker003, taints: [{{key: for, value: away, effect: NoExecute}}]}}
  nodeLifecycle: {{nodeMonitorGracePeriod: 600s}}
  {}
---
apiVersion: v1
kind: Namespace
metadata: {{name: shop}}
"""

SHELL = 'image: netshoot, command: [sleep, "9999"]'
SERVER = (
    'image: netshoot, command: [sh, -c, "python3 -m http.server --bind {} 8080 & '
    'echo $! > /tmp/pid; exec sleep 9999"]'
)
NOT_READY = "readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 1}"
UDP = (
    'image: agnhost, args: [netexec, "--udp-port=8081"], '
    "ports: [{containerPort: 8081, protocol: UDP}]"
)
HTTP = "image: nginx, ports: [{name: http, containerPort: 80}]"


def pod(name: str, node: str, container: str, labels: str = "", space: str = "default") -> str:
    return (
        f"---\napiVersion: v1\nkind: Pod\n"
        f"metadata: {{name: {name}, namespace: {space}, labels: {{{labels}}}}}\n"
        f"spec: {{nodeName: {node}, tolerations: [{{key: for, operator: Exists}}], "
        f"containers: [{{name: c, {container}}}]}}\n"
    )


def service(name: str, spec: str, mode: str) -> str:
    family = ", ipFamilies: [IPv6], ipFamilyPolicy: SingleStack" if mode == "six" else ""
    spec = f"{spec}{family}"
    return f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


PODS = (
    pod("box", "worker001", SHELL)
    + pod("box", "worker001", SHELL, space="shop")
    + pod("web", "worker002", HTTP, "app: web")
    + pod("near", "worker001", HTTP, "app: near")
    + pod("away", "worker003", HTTP, "app: away")
    + pod("dns", "worker002", UDP, "app: dns")
)

CHECK = """
apiVersion: netlab/v1
kind: PathCheck
metadata: {name: box-to-web}
spec: {from: {pod: box}, to: {service: web}, expect: {endpoints: all}}
"""

READY = ("box", "web", "near", "away", "dns", "sticky-1", "sticky-2")

SERVICES = {
    "web": "selector: {app: web}, ports: [{port: 80}]",
    "near": "selector: {app: near}, ports: [{port: 80}]",
    "away": "selector: {app: away}, ports: [{port: 80}]",
    "udp": "selector: {app: dns}, ports: [{port: 8081, protocol: UDP}]",
    "sticky": (
        "sessionAffinity: ClientIP, selector: {app: sticky}, ports: [{port: 80, targetPort: 8080}]"
    ),
    "mistyped": "selector: {app: wbe}, ports: [{port: 80}]",
    "unheard": "selector: {app: web}, ports: [{port: 80, targetPort: 8080}]",
    "unnamed": "selector: {app: web}, ports: [{port: 80, targetPort: htpp}]",
    "local": (
        "type: NodePort, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80}]"
    ),
    "unready": "selector: {app: sick}, ports: [{port: 80, targetPort: 8080}]",
    "headless": "clusterIP: None, selector: {app: web}, ports: [{port: 8000, targetPort: 80}]",
    "outside": "selector: {app: web}, ports: [{port: 80}]",
    "kept-out": (
        "type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8, 'fd00:aaaa::/64'], "
        "selector: {app: web}, ports: [{port: 80}]"
    ),
}


def asked(words: Sequence[str]) -> list[str]:
    """`netlab why` of the box, if nobody else is to ask."""
    sender = [] if "--from" in words else ["--from", "pod/box"]
    return ["why", *words, *sender, "-o", "json"]


@dataclass
class Lab:
    """A lab in one of the modes."""

    mode: str
    machine: Machine

    def netlab(self, *words: str, code: int = 0) -> str:
        return self.machine.netlab(*words, code=code).stdout

    def on(self, node: str, command: str) -> str:
        """What somebody types on a node."""
        return self.machine.run_in(f"b.{node}", *shlex.split(command)).stdout

    def why(self, *words: str, code: int = 1) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.netlab(*asked(words), code=code))
        return said

    def broken(self, *words: str, reason: str, sentence: str) -> str:
        """That it does not answer for that reason; the command which mends it."""
        said = self.why(*words)
        assert re.fullmatch(sentence, said["sentence"]), said
        assert said["causes"][0]["reason"] == reason, said
        return str(said["remedies"][0])

    def do(self, remedy: str) -> None:
        """Type what was said."""
        words = shlex.split(remedy, comments=True)
        words = words[1:] if words[0] == "sudo" else words
        if words[0] == "netlab":
            self.netlab(*words[1:])
        else:
            subprocess.run(words, check=True, capture_output=True)

    def mended(self, *words: str) -> None:
        """That it answers before long, and nothing is said against it."""

        def answers() -> bool:
            said = json.loads(self.netlab(*asked(words)))
            return bool(said["answers"]) and not said["causes"]

        eventually(answers, 20)

    def hands_off(self, what: str, node: str = "worker001") -> None:
        self.netlab("annotate", "node", node, f"netlab/hands-off={what}")

    def address(self, pod_name: str) -> str:
        """The address that Services of this lab send to."""
        found = json.loads(self.netlab("get", "pod", pod_name, "-o", "json"))["status"]["podIPs"]
        return str(found[-1]["ip"])

    def cluster_ip(self, name: str) -> str:
        return str(json.loads(self.netlab("get", "svc", name, "-o", "json"))["spec"]["clusterIP"])

    def lose_rule(self, name: str, node: str = "worker001") -> None:
        """Delete by hand the rule that knows a Service's ClusterIP."""
        ip = self.cluster_ip(name)
        if self.mode == "nftables":
            listed = self.on(node, "nft list map ip kube-proxy service-ips")
            element = re.search(rf"{re.escape(ip)} \. \w+ \. \w+ : goto [\w./-]+", listed)
            assert element is not None, listed
            self.on(node, f"nft 'delete element ip kube-proxy service-ips {{ {element[0]} }}'")
            return
        saved = self.on(node, f"{self.iptables} -t nat -S KUBE-SERVICES")
        rule = next(line for line in saved.splitlines() if f"-d {ip}/" in line)
        self.on(node, f"{self.iptables} -t nat -D {rule.removeprefix('-A ')}")

    @property
    def iptables(self) -> str:
        return {"legacy": "iptables-legacy", "six": "ip6tables-nft"}.get(self.mode, "iptables-nft")


@pytest.fixture(scope="module", params=MODES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    mode: str = request.param
    with machine(tmp_path_factory.mktemp("broken")) as here:
        server = SERVER.format("::" if mode == "six" else "0.0.0.0")
        text = LAB.format(MODES[mode]) + PODS
        text += pod("sick", "worker002", f"{server}, {NOT_READY}", "app: sick")
        text += pod("sticky-1", "worker001", server, "app: sticky")
        text += pod("sticky-2", "worker002", server, "app: sticky")
        text += "".join(service(name, spec, mode) for name, spec in SERVICES.items())
        here.netlab("up", str(here.lab_file(text)), "--no-wait")
        here.netlab(
            "wait", *(f"pod/{name}" for name in READY), "--for=condition=Ready", "--timeout=60s"
        )
        yield Lab(mode, here)


# -- what the objects say ------------------------------------------------------------------


def test_selector_that_matches_nothing(lab: Lab) -> None:
    remedy = lab.broken(
        "svc/mistyped",
        reason="NoPodMatches",
        sentence=r"svc/mistyped does not answer: selector app=wbe matches no pod "
        r"\(nearest: app=web\)",
    )
    lab.do(remedy)
    lab.mended("svc/mistyped")


def test_target_port_without_listener(lab: Lab) -> None:
    remedy = lab.broken(
        "svc/unheard",
        reason="ConnectionRefused",
        sentence=r"svc/unheard does not answer: connection refused by \S+: "
        r"nothing listens on 8080 \(but on 80\); the container's ports: 80",
    )
    lab.do(remedy)
    lab.mended("svc/unheard")


def test_port_name_that_no_pod_has(lab: Lab) -> None:
    remedy = lab.broken(
        "svc/unnamed",
        reason="NoPortOfName",
        sentence=r"svc/unnamed does not answer: no port named htpp on its pods \(nearest: http\)",
    )
    lab.do(remedy)
    lab.mended("svc/unnamed")


def test_traffic_policy_local_without_a_local_pod(lab: Lab) -> None:
    remedy = lab.broken(
        "svc/local", "--from", "client",
        reason="NoLocalEndpoint",
        sentence=r"svc/local does not answer: externalTrafficPolicy: Local, and no endpoint on "
        r"worker001 \(endpoints are on worker002\)",
    )  # fmt: skip
    lab.do(remedy)
    lab.mended("svc/local", "--from", "client")


def test_cluster_ip_from_outside(lab: Lab) -> None:
    remedy = lab.broken(
        "svc/outside", "--from", "client",
        reason="ClusterIPFromOutside",
        sentence=r"svc/outside does not answer: ClusterIPs are the cluster's own; from outside "
        r"take a nodePort or a load balancer",
    )  # fmt: skip
    lab.do(remedy)
    lab.mended("svc/outside", "--from", "client")


def test_source_ranges_that_leave_the_client_out(lab: Lab) -> None:
    remedy = lab.broken(
        "svc/kept-out", "--from", "client",
        reason="SourceRefused",
        sentence=r"svc/kept-out does not answer: loadBalancerSourceRanges .* leave \S+ out",
    )  # fmt: skip
    lab.do(remedy)
    lab.mended("svc/kept-out", "--from", "client")


def test_wrong_namespace_in_the_name(lab: Lab) -> None:
    remedy = lab.broken(
        "web.shop", "--from", "box",
        reason="NoSuchService",
        sentence=r"web.shop does not answer: there is no Service web in namespace shop "
        r"\(one is in namespace default\)",
    )  # fmt: skip
    lab.do(remedy)
    said = lab.why("web", "--from", "shop/box", code=0)
    assert said["evidence"][0] == (
        "in namespace shop its name is web.default: web alone is no name there"
    )


def test_pods_that_are_not_ready(lab: Lab) -> None:
    remedy = lab.broken(
        "svc/unready",
        reason="ReadinessProbeFails",
        sentence=r"svc/unready does not answer: 1 pod matches, not ready: readiness probe failed: "
        r"cat: .*/tmp/ready.*: No such file or directory",
    )
    assert remedy == "netlab describe pod sick"
    assert "/tmp/ready" in lab.netlab(*shlex.split(remedy)[1:])
    lab.netlab("exec", "sick", "--", "touch", "/tmp/ready")
    lab.mended("svc/unready")


def test_a_headless_service_has_its_pods_ports(lab: Lab) -> None:
    said = lab.why("svc/headless", code=0)
    assert said["evidence"][0] == (
        "headless: its name gives the pods' own addresses, so ask for their port 80, not 8000"
    )


# -- nodes ---------------------------------------------------------------------------------


def test_node_down(lab: Lab) -> None:
    lab.netlab("node", "stop", "worker003")
    remedy = lab.broken(
        "svc/away",
        reason="NodeOff",
        sentence=r"svc/away does not answer: its one endpoint is on node worker003, which is "
        r"switched off: what is sent there is lost",
    )
    lab.do(remedy)
    lab.netlab("wait", "pod/away", "--for=condition=Ready", "--timeout=30s")
    lab.mended("svc/away")


def test_rule_deleted_by_hand(lab: Lab) -> None:
    lab.hands_off("rules")
    lab.lose_rule("web")
    where = "kube-proxy service-ips" if lab.mode == "nftables" else "nat KUBE-SERVICES"
    remedy = lab.broken(
        "svc/web",
        reason="RuleDeleted",
        sentence=rf"svc/web does not answer: a rule was deleted by hand on node worker001: "
        rf"{where}: .*{re.escape(lab.cluster_ip('web'))}.* \(kube-proxy there stands still: "
        r"the Node is annotated netlab/hands-off\)",
    )
    lab.do(remedy)
    lab.mended("svc/web")


def test_kube_proxy_that_stands_still(lab: Lab) -> None:
    lab.hands_off("rules")
    lab.netlab("apply", "-f", str(lab.machine.lab_file(
        service("late", SERVICES["web"], lab.mode), "late.yaml")))  # fmt: skip
    remedy = lab.broken(
        "svc/late",
        reason="RulesBehind",
        sentence=r"svc/late does not answer: node worker001 has no rule for svc/late "
        r"\(kube-proxy there stands still: the Node is annotated netlab/hands-off\)",
    )
    said = lab.why("svc/late", "--from", "worker001")
    assert said["causes"][0]["reason"] == "RulesBehind", said
    lab.do(remedy)
    lab.mended("svc/late")
    lab.mended("svc/late", "--from", "worker001")


def test_sysctl_off(lab: Lab) -> None:
    """In IPv4 one that netlab has no plan for, so that nobody puts it back."""
    name, effect = "net.ipv4.conf.cni0.forwarding", "nothing that comes in by cni0"
    if lab.mode == "six":
        lab.hands_off("network")
        name, effect = "net.ipv6.conf.all.forwarding", "no IPv6 packet"
    lab.on("worker001", f"sysctl -w {name}=0")
    remedy = lab.broken(
        "svc/web",
        reason="SysctlOff",
        sentence=rf"svc/web does not answer: sysctl {name} is 0 on node worker001, and has to be "
        rf"1: the node forwards {effect}",
    )
    for target in ("svc/web:80", "pod/web:80"):
        version = "--ipv6" if lab.mode == "six" else "--ipv4"
        told = json.loads(lab.netlab("trace", "box", target, version, "-o", "json"))
        assert (told["verdict"], told["agree"]) == ("lost", True), told["difference"]
        assert any(f"sysctl {name} is 0" in cause["message"] for cause in told["causes"]), told
    check = lab.machine.lab_file(CHECK, "check.yaml")
    said = lab.netlab("check", str(check), code=1)
    assert f"  why: sysctl {name} is 0 on node worker001, and has to be 1" in said
    lab.do(remedy)
    lab.mended("svc/web")
    lab.netlab("annotate", "node", "worker001", "netlab/hands-off-")


def test_link_that_is_down(lab: Lab) -> None:
    """The kernel went by the routes that are left, which is no fault of the rules."""
    lab.hands_off("network")
    lab.on("worker001", "ip link set eth0 down")
    remedy = lab.broken(
        "svc/web",
        reason="NetworkChanged",
        sentence=r"svc/web does not answer: the network of node worker001 was changed by hand: "
        r"eth0 is down; .*",
    )
    told = json.loads(lab.netlab("trace", "box", "svc/web", "-o", "json"))
    assert (told["verdict"] in ("lost", "refused"), told["agree"]) == (True, True), told["parted"]
    lab.do(remedy)
    lab.mended("svc/web")


@pytest.mark.parametrize("end", ["pod", "node"])
def test_link_of_a_pod_that_is_down(lab: Lab, end: str) -> None:
    lab.hands_off("network")
    inside = lab.machine.run_in("b.default.near", "ip", "-j", "link", "show", "eth0").stdout
    if end == "pod":
        lab.machine.run_in("b.default.near", "ip", "link", "set", "eth0", "down")
        said = "eth0 is down"
    else:
        there = json.loads(lab.on("worker001", "ip -j link show type veth"))
        number = json.loads(inside)[0]["link_index"]
        (port,) = [one["ifname"] for one in there if one["ifindex"] == number]
        lab.on("worker001", f"ip link set {port} down")
        said = "eth0's port on the node is down"
    remedy = lab.broken(
        "svc/near",
        reason="NetworkChanged",
        sentence="svc/near does not answer: the network of pod default/near was changed by hand: "
        + said,
    )
    told = json.loads(lab.netlab("trace", "box", "svc/near", "-o", "json"))
    assert (told["verdict"] in ("lost", "refused"), told["agree"]) == (True, True), told["parted"]
    lab.do(remedy)
    lab.netlab("wait", "pod/near", "--for=condition=Ready", "--timeout=30s")
    lab.mended("svc/near")


def test_bridge_that_is_down(lab: Lab) -> None:
    lab.hands_off("network")
    lab.on("worker001", "ip link set cni0 down")
    remedy = lab.broken(
        "svc/web",
        reason="NetworkChanged",
        sentence=r"svc/web does not answer: the network of node worker001 was changed by hand: "
        r"cni0 is down.*",
    )
    told = json.loads(lab.netlab("trace", "box", "svc/web", "-o", "json"))
    assert (told["verdict"], told["agree"]) == ("lost", True), told["parted"]
    lab.do(remedy)
    lab.mended("svc/web")


@pytest.mark.parametrize("kind", ["blackhole", "prohibit"])
def test_route_that_leads_nowhere(lab: Lab, kind: str) -> None:
    """It is none that netlab has planned, so nobody takes it away."""
    to = lab.address("web")
    family, bits = ("-6 ", 128) if ":" in to else ("", 32)
    lab.on("worker001", f"ip {family}route add {kind} {to}/{bits}")
    remedy = lab.broken(
        "svc/web",
        reason="NoRoute",
        sentence=rf"svc/web does not answer: node worker001 does not send on what is for {to}: "
        rf"its route {kind} {to} .*",
    )
    told = json.loads(lab.netlab("trace", "box", "svc/web", "-o", "json"))
    verdict = "refused" if kind == "prohibit" and lab.mode != "six" else "lost"
    assert (told["verdict"], told["agree"]) == (verdict, True), told["difference"]
    lab.do(remedy)
    lab.mended("svc/web")


def test_bridges_that_pass_the_rules_by(lab: Lab) -> None:
    lab.hands_off("network")
    tables = "ip6tables" if lab.mode == "six" else "iptables"
    name = f"net.bridge.bridge-nf-call-{tables}"
    lab.on("worker001", f"sysctl -w {name}=0")
    remedy = lab.broken(
        "svc/near",
        reason="SysctlOff",
        sentence=rf"svc/near does not answer: sysctl {name} is 0 on node worker001, and has to be "
        r"1: packets between pods of the node skip its .*rules",
    )
    lab.do(remedy)
    lab.mended("svc/near")
    lab.netlab("annotate", "node", "worker001", "netlab/hands-off-")


def test_hairpin(lab: Lab) -> None:
    lab.hands_off("network")
    ports = json.loads(lab.on("worker001", "bridge -d -j link"))
    for port in ports:
        lab.on("worker001", f"bridge link set dev {port['ifname']} hairpin off")
    remedy = lab.broken(
        "svc/near", "--from", "pod/near",
        reason="HairpinOff",
        sentence=r"svc/near does not answer: hairpin: default/near is behind the Service that it "
        r"asks and was sent to itself, and its port \w+ on node worker001 lets nothing out again "
        r"that came in by it \(hairpin off\)",
    )  # fmt: skip
    told = lab.netlab("trace", "near", "svc/near")
    assert re.search(r"^lost at the bridge port \w+ of worker001: hairpin is off$", told, re.M)
    assert f"  mend: {remedy}" in told and "differ" not in told
    lab.netlab("trace", "near", "svc/near", "--expect", "delivered", code=1)
    lab.do(remedy)
    lab.mended("svc/near", "--from", "pod/near")
    lab.netlab("annotate", "node", "worker001", "netlab/hands-off-")


# -- what a node remembers -----------------------------------------------------------------


def test_affinity_stuck_to_a_dead_pod(lab: Lab) -> None:
    said = lab.why("svc/sticky", code=0)
    dead = re.search(r"answered by default/(sticky-\d)", said["evidence"][0])
    assert dead is not None, said
    lab.netlab("exec", dead[1], "--", "sh", "-c", "kill $(cat /tmp/pid)")
    eventually(lambda: lab.why("svc/sticky"))
    remedy = lab.broken(
        "svc/sticky",
        reason="AffinityStuck",
        sentence=rf"svc/sticky does not answer: sessionAffinity: ClientIP keeps default/box at "
        rf"default/{dead[1]} \(\S+:8080\), which does not answer; 1 other endpoint is not asked "
        r"until it has been silent for 10800 s",
    )
    lab.do(remedy)
    lab.mended("svc/sticky")


def test_stale_conntrack_of_udp(lab: Lab) -> None:
    """A client keeps its port, and with it the entry that its first packet made."""
    to = (lab.cluster_ip("udp"), 8081)
    with netns.entered(lab.machine.namespace("b.default.box")):
        client = socket.socket(
            socket.AF_INET6 if lab.mode == "six" else socket.AF_INET, socket.SOCK_DGRAM
        )
    with client:
        client.bind(("", 5000))
        client.settimeout(0.3)
        leads = begun_in_vain(lab, client, to)
        said = eventually_said(lab, "svc/udp", "StaleConntrack")
        assert said["sentence"] == (
            "svc/udp answers default/box, but stale UDP conntrack on node worker001: what "
            f"default/box sends from its port 5000 is sent to {leads}, and each packet keeps "
            "that entry alive"
        )
        with pytest.raises(TimeoutError):
            ask(client, to)
        lab.do(said["remedies"][0])
        assert ask(client, to)
    lab.mended("svc/udp")


def begun_in_vain(lab: Lab, client: socket.socket, to: tuple[str, int]) -> str:
    """Have an entry made that leads nowhere, and say where."""
    if lab.mode == "nftables":  # there, nothing is sent on that no rule knows
        way = f"-s {lab.address('box')} -d {to[0]} --sport 5000 --dport 8081"
        lab.on("worker001", f"conntrack -I -p udp -t 60 {way} --dst-nat 10.244.1.99:8081")
        return "10.244.1.99:8081, no endpoint any more"
    lab.hands_off("rules")
    lab.lose_rule("udp")
    with pytest.raises(TimeoutError):
        ask(client, to)
    lab.netlab("annotate", "node", "worker001", "netlab/hands-off-")
    return "no endpoint: it began when no rule was there to choose one"


def ask(client: socket.socket, to: tuple[str, int]) -> bytes:
    client.sendto(b"hostname\n", to)
    return client.recv(100)


def eventually_said(lab: Lab, word: str, reason: str) -> dict[str, Any]:
    said: dict[str, Any] = {}

    def found() -> bool:
        said.update(lab.why(word, code=0))
        return [cause["reason"] for cause in said["causes"]] == [reason]

    eventually(found, 20)
    return said


# -- others --------------------------------------------------------------------------------


def test_a_rule_of_others(lab: Lab) -> None:
    lab.on("worker001", "nft add table inet firewall")
    chain = "{ type filter hook forward priority 0; }"
    lab.on("worker001", f"nft 'add chain inet firewall no {chain}'")
    lab.on("worker001", "nft add rule inet firewall no tcp dport 80 drop")
    remedy = lab.broken(
        "svc/web",
        reason="RulesOfOthers",
        sentence=r"svc/web does not answer: rule 1 of firewall no on worker001 turns it away, and "
        r"is none of kube-proxy's: tcp dport 80 drop",
    )
    lab.do(remedy)
    lab.mended("svc/web")


def test_a_rule_of_others_by_iptables(lab: Lab) -> None:
    """In nftables mode by iptables-nft, whose table is one of nf_tables like any other."""
    lab.on("worker001", f"{lab.iptables} -I FORWARD -p tcp --dport 80 -j DROP")
    rule = "tcp dport 80 .*drop" if lab.mode == "nftables" else "-p tcp -m tcp --dport 80 -j DROP"
    remedy = lab.broken(
        "svc/web",
        reason="RulesOfOthers",
        sentence=r"svc/web does not answer: rule 1 of filter FORWARD on worker001 turns it away, "
        rf"and is none of kube-proxy's: {rule}",
    )
    lab.do(remedy)
    lab.mended("svc/web")


def test_default_deny(lab: Lab) -> None:
    if lab.mode == "nftables":
        lab.on("worker001", "nft add table inet deny")
        chain = "{ type filter hook forward priority 0; policy drop; }"
        lab.on("worker001", f"nft 'add chain inet deny rest {chain}'")
    else:
        lab.on("worker001", f"{lab.iptables} -P FORWARD DROP")
    where = "deny rest" if lab.mode == "nftables" else "filter FORWARD"
    remedy = lab.broken(
        "svc/udp",
        reason="DefaultDeny",
        sentence=rf"svc/udp does not answer: the policy of {where} on worker001 is to drop what "
        r"no rule there accepts, and none accepts \S+ → \S+:8081",
    )
    lab.do(remedy)
    lab.mended("svc/udp")


def test_name_servers_that_stand_still(lab: Lab) -> None:
    published = f"hostsdir={lab.machine.base}/run/b/dns/"
    pids = subprocess.run(
        ["pgrep", "-f", published], check=True, capture_output=True, text=True
    ).stdout.split()
    subprocess.run(["kill", "-STOP", *pids], check=True)

    def named() -> bool:
        said = lab.why("svc/web")
        return said["remedies"][0].startswith("sudo kill")

    eventually(named, 20)
    remedy = lab.broken(
        "svc/web",
        reason="NoNameServer",
        sentence=r"svc/web does not answer: no DNS server answers \(svc/web itself does, at its "
        r"address\): dnsmasq on port \d+ \(process \d+\) does not answer: .*",
    )
    lab.do(remedy)
    lab.mended("svc/web")
