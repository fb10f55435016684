"""Somebody's rules beside kube-proxy's on a node: written by its thread, kept by its repairs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.agents.node_proxier import NodeProxier
from netlab.kernel.run import run
from netlab.network import plan
from netlab.portmap import mappings
from netlab.portmap.mappings import MappedPod, PortMapping
from netlab.proxy.iptables.model import Chain, Ruleset, Table
from netlab.proxy.nftables.model import NftChain, NftTable
from netlab.proxy.other_rules import OwnedRules

pytestmark = pytest.mark.root

OWNER = "NETLAB-POLICY"
DENIED = "-s 10.244.0.66/32 -j DROP"
OTHER = "-s 10.244.0.67/32 -j DROP"
JUMP = f"-m comment --comment policies -j {OWNER}-FORWARD"
LEAVING = plan.MASQUERADE_COMMENT
BACKENDS = ("nft", "legacy", "libiptc", "nftables")


class Scene:
    """A node's proxier, and what somebody has it write."""

    def __init__(self, running: Any, backend: str) -> None:
        self.backend = backend
        self.path = running.path("master001")
        self.proxier = NodeProxier(running.lab, running.lab.nodes[0], running.directory)
        self.owned = self.proxier.owned(OWNER)
        self.serve("web", 80)
        self.proxier.sync()

    def serve(self, name: str, port: int) -> None:
        meta = {"name": name, "namespace": "default"}
        spec = {"type": "ClusterIP", "clusterIP": f"10.96.0.{port}", "ports": [{"port": port}]}
        self.proxier.set_service(f"default/{name}", {"metadata": meta, "spec": spec})  # type: ignore[typeddict-item]

    def want(self, *rules: str) -> None:
        """Have these rules decide about what is forwarded."""
        if self.backend == "nftables":
            hook = "type filter hook forward priority filter - 10; policy accept;"
            texts = [
                rule.replace("-s ", "ip saddr ").replace("/32 -j DROP", " drop") for rule in rules
            ]
            chains = {"forward": NftChain(tuple(texts), hook)}
            self.owned.set({"ipv4": NftTable("ipv4", chains, name=OWNER)})
        else:
            chain, forward = Chain(f"{OWNER}-FORWARD", rules), Chain("FORWARD", (JUMP,))
            table = Table("filter", {chain.name: chain, "FORWARD": forward})
            self.owned.set({"ipv4": Ruleset({"filter": table})})

    def map_ports(self, *pods: MappedPod) -> OwnedRules:
        """Have these pods' host ports lead to them."""
        mode = "nftables" if self.backend == "nftables" else "iptables"
        rules = self.proxier.owned(mappings.owner(mode), mappings.AFTER_KUBE_PROXY)
        rules.set({"ipv4": mappings.rules(mode, pods, "ipv4", "10.244.0.0/24")})
        self.proxier.sync()
        return rules

    def run(self, command: str) -> str:
        return run(["sh", "-ec", command], netns=self.path).stdout

    def saved(self) -> str:
        program = "iptables-nft-save" if self.backend == "nft" else "iptables-legacy-save"
        return self.run("nft list ruleset" if self.backend == "nftables" else program)

    def denied(self) -> list[str]:
        """The last parts of the sources that are dropped."""
        lines = [line for line in self.saved().splitlines() if "10.244.0.6" in line]
        return [line.split("10.244.0.")[1][:2] for line in lines]

    def is_first(self) -> bool:
        """Whether the owner is asked before kube-proxy lets through what is under way."""
        if self.backend == "nftables":
            return True
        rules = [line for line in self.saved().splitlines() if line.startswith("-A FORWARD")]
        return rules[0] == f"-A FORWARD {JUMP}" and "KUBE-PROXY-FIREWALL" in rules[1]

    @contextlib.contextmanager
    def without_a_look(self) -> Iterator[None]:
        """Fail if all rules of the node are read: with many Services that takes seconds."""
        for applier in self.owned._appliers:
            applier.read = lambda: pytest.fail("all was read")  # type: ignore[method-assign]
        yield
        for applier in self.owned._appliers:
            del applier.read  # type: ignore[attr-defined]

    def flush(self) -> None:
        if self.backend == "nftables":
            self.run(f"nft delete table ip {OWNER}; nft flush table ip kube-proxy")
        else:
            variant = "nft" if self.backend == "nft" else "legacy"
            self.run(f"iptables-{variant} -F; iptables-{variant} -t nat -F")


@pytest.fixture(params=BACKENDS)
def scene(request, labs):
    settings = (
        {"proxyMode": "nftables"} if request.param == "nftables" else {"iptables": request.param}
    )
    with labs.standing(labs.make(nodes=1, **settings)) as running:
        yield Scene(running, request.param)


def test_an_owner_s_rules_survive_what_kube_proxy_writes(scene):
    scene.want(DENIED)
    scene.proxier.sync()
    assert scene.denied() == ["66"] and scene.is_first()
    scene.serve("api", 81)
    assert not scene.proxier.sync().full
    assert scene.denied() == ["66"] and "default/api" in scene.saved()
    for family in scene.proxier._families:
        family._in_force = False
    assert scene.proxier.sync().full
    assert scene.denied() == ["66"] and scene.is_first()
    assert not scene.proxier.repair(thorough=True), "nothing was amiss"


def test_an_owner_changes_his_rules_and_takes_them_away(scene):
    scene.want(DENIED)
    scene.proxier.sync()
    with scene.without_a_look():
        scene.want(DENIED, OTHER)
        scene.proxier.sync()
        assert scene.denied() == ["66", "67"]
        scene.want(OTHER)
        scene.proxier.sync()
    assert scene.denied() == ["67"] and scene.is_first()
    scene.owned.set({})
    scene.proxier.sync()
    assert OWNER not in scene.saved() and "default/web" in scene.saved()
    assert not scene.proxier.repair(thorough=True)


def test_what_somebody_flushed_comes_back_in_its_order(scene):
    scene.want(DENIED)
    scene.proxier.sync()
    scene.flush()
    assert scene.denied() == []
    assert scene.proxier.repair()
    assert scene.denied() == ["66"] and scene.is_first()
    assert "default/web" in scene.saved()
    assert not scene.proxier.repair(), "and is looked at once"


def test_so_it_does_with_a_sync_that_writes_everything(scene):
    """It looks at everything, and nobody would look again for what it left."""
    scene.want(DENIED)
    scene.proxier.sync()
    scene.flush()
    for family in scene.proxier._families:
        family._in_force = False
    assert scene.proxier.sync().full
    assert scene.denied() == ["66"] and scene.is_first()


@pytest.mark.parametrize("scene", ["nft", "legacy", "libiptc"], indirect=True)
def test_an_owner_s_jump_goes_back_before_kube_proxy_s(scene):
    scene.want(DENIED)
    scene.proxier.sync()
    variant = "nft" if scene.backend == "nft" else "legacy"
    scene.run(f"iptables-{variant} -D FORWARD {JUMP}; iptables-{variant} -A FORWARD {JUMP}")
    assert not scene.is_first()
    assert scene.proxier.repair(thorough=True)
    assert scene.is_first()


def test_an_owner_s_rule_deleted_by_hand_comes_back(scene):
    scene.want(DENIED)
    scene.proxier.sync()
    if scene.backend == "nftables":
        scene.run(f"nft flush chain ip {OWNER} forward")
    else:
        variant = "nft" if scene.backend == "nft" else "legacy"
        scene.run(f"iptables-{variant} -D FORWARD {JUMP}")
    assert scene.proxier.repair()
    assert scene.denied() == ["66"] and scene.is_first()


def test_so_does_the_masquerading_of_what_leaves_the_cluster(scene):
    assert LEAVING in scene.saved()
    if scene.backend == "nftables":
        scene.run("nft flush chain ip netlab postrouting")
    else:
        variant = "nft" if scene.backend == "nft" else "legacy"
        line = next(line for line in scene.saved().splitlines() if LEAVING in line)
        scene.run(f"iptables-{variant} -t nat {line.replace('-A ', '-D ', 1)}")
    assert LEAVING not in scene.saved()
    assert scene.proxier.repair()
    assert LEAVING in scene.saved()


PROTOCOLS = ("sctp", "tcp", "udp")
MAPPED = MappedPod(
    "a" * 64,
    ("10.244.0.7",),
    tuple(PortMapping(protocol, port, 80) for protocol in PROTOCOLS for port in (8080, 8443))
    + (PortMapping("tcp", 81, 80, "127.0.0.1"),),
)


def test_host_ports_are_read_back_as_they_were_written(scene):
    """So that nothing is amiss by a mere spelling."""
    rules = scene.map_ports(MAPPED)
    assert not scene.proxier.repair(thorough=True), "nothing was amiss"
    if scene.backend != "nftables":
        lines = scene.saved().partition("*nat")[2].partition("COMMIT")[0].splitlines()
        for hook, order in (
            ("PREROUTING", ["KUBE-SERVICES", "CNI-HOSTPORT-DNAT"]),
            ("OUTPUT", ["KUBE-SERVICES", "CNI-HOSTPORT-DNAT"]),
            ("POSTROUTING", ["CNI-HOSTPORT-MASQ", "KUBE-POSTROUTING"]),
        ):
            jumps = [line.split()[-1] for line in lines if line.startswith(f"-A {hook} ")]
            assert [jump for jump in jumps if jump in order] == order
    rules.set({})
    scene.proxier.sync()
    assert "CNI-" not in scene.saved() and "cni_hostport" not in scene.saved()
    assert "default/web" in scene.saved() and not scene.proxier.repair(thorough=True)


@pytest.mark.parametrize("scene", ["nft", "legacy", "libiptc"], indirect=True)
def test_a_host_port_s_jump_goes_back_after_kube_proxy_s(scene):
    scene.map_ports(MAPPED)
    variant = "nft" if scene.backend == "nft" else "legacy"
    jump = "PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT"
    tool = f"iptables-{variant} -t nat"
    scene.run(f"{tool} -D {jump}; {tool} -I {jump}")
    assert scene.proxier.repair(thorough=True)
    jumps = [line.split()[-1] for line in scene.saved().splitlines() if "-A PREROUTING" in line]
    assert jumps == ["KUBE-SERVICES", "CNI-HOSTPORT-DNAT"]
