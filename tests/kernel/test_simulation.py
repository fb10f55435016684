"""What `simulate` says of a packet is what the kernel does with it: any world, every mode."""

import functools
import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass

import needs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kernel.wires import (
    COMES_IN_BY,
    FAR,
    LOCAL,
    NEAR,
    NODE,
    OTHER,
    PORTS,
    STRANGER,
    WHERE,
    YONDER,
    Try,
    Wires,
)
from msgspec.structs import replace

from netlab.kernel.run import run
from netlab.proxy.config import ProxyConfig
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.iptables.compile import compile
from netlab.proxy.nftables.apply import NftApplier
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.node_view import node_view
from netlab.simulation.iptables import simulate
from netlab.simulation.nftables import simulate as nft_simulate
from netlab.simulation.packet import Packet

pytestmark = pytest.mark.root

EXTERNAL_IP, VIP = "203.0.113.7", "203.0.113.8"


@pytest.fixture(scope="module", params=["nft", "legacy", "nftables"])
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def wires(tmp_path_factory, mode):
    needs.root()
    built = Wires(tmp_path_factory.mktemp("wires"))
    yield built
    built.close()


# -- worlds --------------------------------------------------------------------------------

_HOSTS = [(ip, "alpha") for ip in NEAR] + [(ip, "beta") for ip in FAR]

hosts = st.fixed_dictionaries(
    {
        "host": st.sampled_from(_HOSTS),
        "conditions": st.sampled_from(
            [{"ready": True}] * 4
            + [{"ready": False}, {"ready": False, "serving": True, "terminating": True}]
        ),
    }
)
services = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
        "protocol": st.sampled_from(["TCP", "TCP", "UDP"]),
        "targetPort": st.sampled_from(PORTS),
        "internalTrafficPolicy": st.sampled_from(["Cluster", "Cluster", "Local"]),
        "externalTrafficPolicy": st.sampled_from(["Cluster", "Local"]),
        "sessionAffinity": st.sampled_from(["None", "None", "ClientIP"]),
        "externalIPs": st.sampled_from([[], [EXTERNAL_IP]]),
        "ranges": st.sampled_from([[], ["192.0.2.0/24"], ["192.0.2.0/24", "192.168.77.0/24"]]),
        "hosts": st.lists(hosts, max_size=4, unique_by=lambda host: host["host"]),
    }
)
configs = st.builds(
    lambda pods, masquerade_all, localhost: ProxyConfig(
        node_name="alpha", node_ips=(NODE,), masquerade_all=masquerade_all,
        localhost_node_ports=localhost, **pods,
    ),
    st.sampled_from(
        [
            {"cluster_cidr": ("10.244.0.0/16",)},
            {"cluster_cidr": ()},
            {"detect_local_mode": "BridgeInterface", "bridge_interface": "cni0"},
        ]
    ),
    st.booleans(),
    st.booleans(),
)  # fmt: skip

_number = itertools.count()


def objects_of(drawn):
    """The Service and its slice; no two worlds share a name, for the kernel remembers clients."""
    name = f"web{next(_number)}"
    labels = {"kubernetes.io/service-name": name}
    port = {"port": 80, "protocol": drawn["protocol"], "nodePort": 30080}
    service = {
        "metadata": {"name": name, "namespace": "town"},
        "spec": {
            **{key: drawn[key] for key in drawn if key.endswith(("Policy", "Affinity", "IPs"))},
            "type": drawn["type"],
            "clusterIP": "10.96.0.5",
            "ports": [port if drawn["type"] != "ClusterIP" else {**port, "nodePort": None}],
            "loadBalancerSourceRanges": drawn["ranges"],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": VIP}]}}
        if drawn["type"] == "LoadBalancer"
        else {},
    }
    endpoint_slice = {
        "metadata": {"name": f"{name}-a", "namespace": "town", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"port": drawn["targetPort"], "protocol": drawn["protocol"]}],
        "endpoints": [
            {"addresses": [host["host"][0]], "nodeName": host["host"][1],
             "conditions": host["conditions"]}
            for host in drawn["hosts"]
        ],
    }  # fmt: skip
    return service, endpoint_slice


def tries(protocol):
    """Everybody to every address of the Service, and to a port that it does not have."""
    fronts = [("10.96.0.5", 80), (EXTERNAL_IP, 80), (VIP, 80), (NODE, 30080), ("10.96.0.5", 81)]
    everybody = [Try(who, *front, protocol) for front in fronts for who in WHERE]
    sensible = [one for one in everybody if one.source != "127.0.0.1"]
    return [*sensible, Try("127.0.0.1", "127.0.0.1", 30080, protocol)]


# -- the comparison ------------------------------------------------------------------------


@dataclass
class World:
    """A Service on the node, what the mode makes of it, and what packets come to by that."""

    mode: str
    service: dict
    endpoint_slice: dict
    config: ProxyConfig

    def __post_init__(self):
        nftables = self.mode == "nftables"
        config = replace(self.config, mode="nftables") if nftables else self.config
        compiler = nft_compile if nftables else compile
        seen = node_view(None, config, "ipv4")
        self.rules = compiler([self.service], [self.endpoint_slice], seen)

    def simulate(self, packet, *, entry):
        if self.mode == "nftables":
            return nft_simulate([self.rules], packet, entry=entry)
        return simulate(self.rules, packet, entry=entry)

    def program(self, node):
        if self.mode == "nftables":
            NftApplier("ipv4", node).replace(self.rules)
        else:
            RestoreApplier(self.mode, "ipv4", node).replace(self.rules)
        run(["conntrack", "-F"], netns=node)


@functools.cache
def packet_of(one, recent=frozenset()):
    entry = "OUTPUT" if WHERE[one.source] == "node" else "PREROUTING"
    packet = Packet(
        one.source, one.destination, one.protocol, one.port, local=LOCAL, recent=recent,
        in_interface=COMES_IN_BY.get(WHERE[one.source], ""),
    )  # fmt: skip
    return packet, entry


_REMEMBERS = re.compile(r"(?:--set --name |update @)(\S+)")


def foreseen(world, one, recent=frozenset()):
    """(word, endpoint) → (chance, masqueraded, the affinity list of the endpoint's chain)."""
    packet, entry = packet_of(one, recent)
    found = {}
    for outcome in world.simulate(packet, entry=entry):
        word = word_of(outcome)
        lists = [name for hit in outcome.rules for name in _REMEMBERS.findall(hit.rule)]
        endpoint = outcome.endpoint if word == "ok" else None
        found[word, endpoint] = (outcome.probability, outcome.masqueraded, lists)
    return found


def word_of(outcome):
    """What the client notices. Nobody listens on the node; nobody answers for a Service."""
    if outcome.verdict != "ACCEPT":
        return {"DROP": "timeout", "REJECT": "refused"}[outcome.verdict]
    if outcome.endpoint:
        return "ok"
    return "refused" if outcome.delivered else "timeout"


def agree(world, sent, results, recent=frozenset()):
    """Every result is one of those foreseen, and its source was masqueraded or not as said."""
    for one, (word, endpoint, seen) in zip(sent, results, strict=True):
        ways = foreseen(world, one, recent)
        told = "\n".join(f"{way}: {what}" for way, what in ways.items())
        assert (word, endpoint) in ways, f"{one}\n got {word} {endpoint}, foreseen:\n{told}"
        if word == "ok":
            _, masqueraded, _ = ways[word, endpoint]
            expected = LOCAL if masqueraded else {one.source}
            assert seen in expected, f"{one}: {endpoint} saw {seen}, masqueraded: {masqueraded}"


def expecting(world, planned):
    """The tries, each knowing whether to wait for an answer."""
    return [
        replace(one, must_answer=all(word != "timeout" for word, _ in foreseen(world, one)))
        for one in planned
    ]


@settings(
    max_examples=20,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a failing world is small enough as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(services, configs)
def test_the_kernel_does_what_simulate_says(wires, mode, drawn, config):
    world = World(mode, *objects_of(drawn), config)
    world.program(wires.fds["node"])
    sent = expecting(world, tries(drawn["protocol"].lower()))
    agree(world, sent, wires.send(sent))


HOSTS = [{"host": host, "conditions": {"ready": True}} for host in _HOSTS]
PLAIN = {
    "type": "NodePort", "protocol": "TCP", "targetPort": 8080, "sessionAffinity": "None",
    "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster",
    "externalIPs": [], "ranges": [], "hosts": HOSTS,
}  # fmt: skip
CONFIG = ProxyConfig(node_name="alpha", node_ips=(NODE,), cluster_cidr=("10.244.0.0/16",))


def test_endpoints_get_their_shares(wires, mode):
    """By Hoeffding's inequality a share is that far off in one run of a billion."""
    world = World(mode, *objects_of(PLAIN), CONFIG)
    world.program(wires.fds["node"])
    many, got = 1200, Counter()
    one = Try(STRANGER, "10.96.0.5", 80, "tcp", must_answer=True)
    ways = {end: chance for (_, end), (chance, _, _) in foreseen(world, one).items()}
    for _ in range(many // 100):
        got.update(end for _, end, _ in wires.send([one] * 100))
    far = math.sqrt(math.log(2 * len(ways) / 1e-9) / (2 * many))
    assert got.keys() <= ways.keys() and len(ways) == 4
    for end, chance in ways.items():
        assert abs(got[end] / many - chance) < far, (got, ways)


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_affinity_leads_every_client_back(wires, mode, protocol):
    """Whoever was sent to an endpoint is in its list, and so simulate knows where he goes."""
    world = World(
        mode, *objects_of({**PLAIN, "protocol": protocol, "sessionAffinity": "ClientIP"}), CONFIG
    )
    world.program(wires.fds["node"])
    for source in (STRANGER, OTHER, NEAR[0], YONDER, NODE):
        one = Try(source, "10.96.0.5", 80, protocol.lower(), must_answer=True)
        ((word, endpoint, _),) = wires.send([one])
        _, _, lists = foreseen(world, one)[word, endpoint]
        known = frozenset(lists)
        assert set(foreseen(world, one, known)) == {("ok", endpoint)}
        agree(world, [one] * 5, wires.send([one] * 5), known)
