"""What a pod with every right in its own network can do to others: each attack is also made on
ports from which the protection was taken, where it must succeed.

  attacker, victim, third: pods of worker001      far: a pod of master001
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, LLC, STP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from netlab.kernel import netns, sysctl
from netlab.kernel.run import run
from netlab.network.guard import link_local
from netlab.network.model import PodLink

pytestmark = pytest.mark.root

EVERY_FRAME = 3
PATIENCE = 3.0
"""Seconds to wait for what must come."""

SILENCE = 0.3
"""Seconds without a frame that prove there is none: on one machine they come in one."""

EVERYBODY, ALL_NODES, ALL_NODES_MAC = "ff:ff:ff:ff:ff:ff", "ff02::1", "33:33:00:00:00:01"


@dataclass(frozen=True)
class Station:
    """A pod, and how it is addressed."""

    pod: PodLink

    @property
    def mac(self) -> str:
        return self.pod.inside.link("eth0").mac

    @property
    def ip(self) -> str:
        return self.pod.inside.link("eth0").addresses[0].split("/")[0]

    @property
    def ip6(self) -> str:
        return self.pod.inside.link("eth0").addresses[1].split("/")[0]

    @property
    def link_local(self) -> str:
        return str(link_local(self.mac))


@dataclass
class Scene:
    """The pods, on ports that are as netlab makes them, or bare."""

    running: object
    guarded: bool
    attacker: Station = field(init=False)
    victim: Station = field(init=False)
    third: Station = field(init=False)
    far: Station = field(init=False)

    def __post_init__(self):
        names = {"attacker": 2, "victim": 3, "third": 4}
        pods = [self.running.pod("worker001", name, n) for name, n in names.items()]
        pods.append(self.running.pod("master001", "far", 2))
        self.running.attach(*pods)
        self.attacker, self.victim, self.third, self.far = map(Station, pods)
        if not self.guarded:
            for pod in pods:
                self.bare(pod)

    def bare(self, pod):
        """A port as a bridge has it by itself."""
        station, name = Station(pod), pod.port.name
        commands = (
            f"tc qdisc delete dev {name} ingress",
            f"bridge link set dev {name} learning on flood on",
            f"bridge fdb delete {station.mac} dev {name} master",
        )
        for command in commands:
            run(command.split(), netns=self.running.path(pod.node.partition(".")[2]))

    def path(self, name):
        return self.running.path(name if name.startswith("worker") else f"default.{name}")

    def ip(self, name, command):
        return run(["ip", *command.split()], netns=self.path(name)).stdout

    @property
    def node(self):
        """The node's end: its bridge's addresses and hardware address."""
        return self.running.network.namespace("t.worker001").link("cni0")

    @property
    def gateway(self):
        return self.node.addresses[0].split("/")[0]

    def send(self, frame: Packet | bytes, name: str = "attacker"):
        with netns.entered(self.path(name)):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with raw:
            raw.bind(("eth0", 0))
            raw.send(bytes(frame))

    @contextlib.contextmanager
    def ear(self, name: str) -> Iterator[Callable[[bytes], bool]]:
        """Everything that comes in at a pod's eth0: whether a frame with these bytes was there."""
        with netns.entered(self.path(name)):
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_FRAME))
        with tap:
            tap.bind(("eth0", EVERY_FRAME))
            yield lambda token: self._heard(tap, token)

    def _heard(self, tap: socket.socket, token: bytes) -> bool:
        deadline = time.monotonic() + (SILENCE if self.guarded else PATIENCE)
        while (left := deadline - time.monotonic()) > 0:
            tap.settimeout(left)
            with contextlib.suppress(TimeoutError):
                frame, sender = tap.recvfrom(2000)
                if token in frame and sender[2] != socket.PACKET_OUTGOING:
                    return True
        return False

    def neighbour(self, name: str, ip: str) -> str:
        """Where somebody believes an address to be."""
        words = self.ip(name, f"neigh show {ip}").split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""

    def believes(self, name: str, ip: str, mac: str) -> bool:
        return self.eventually(lambda: self.neighbour(name, ip) == mac)

    def eventually(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + (SILENCE if self.guarded else PATIENCE)
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def dropped(self, station: Station) -> int:
        """How many frames the guard at a pod's port dropped."""
        command = ["tc", "-s", "qdisc", "show", "dev", station.pod.port.name, "ingress"]
        words = run(command, netns=self.path("worker001")).stdout.replace(",", "").split()
        return int(words[words.index("(dropped") + 1])


@pytest.fixture(scope="module")
def token() -> bytes:
    return b"netlab-guard-" + os.urandom(8).hex().encode()


@pytest.fixture(params=["guarded", "bare"])
def scene(request, labs):
    with labs.standing(labs.make(nodes=2, ipFamilies=["IPv4", "IPv6"])) as running:
        yield Scene(running, request.param == "guarded")


def frames(s: Scene, token: bytes) -> dict[str, Packet | bytes]:
    """Frames that no pod has to send; each bears the token."""
    a, v, t = s.attacker, s.victim, s.third
    to_third, to_all = (Ether(src=a.mac, dst=mac) for mac in (t.mac, EVERYBODY))
    six = Ether(src=a.mac, dst=ALL_NODES_MAC)
    udp = UDP(sport=1, dport=9) / Raw(token)
    tail = Raw(token)
    own_v4, own_v6 = IP(src=a.ip, dst=t.ip), IPv6(src=a.ip6, dst=t.ip6)
    na = ICMPv6ND_NA(tgt=v.ip6, R=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=a.mac)
    bad = bytes.fromhex("0180c2000000")
    return {
        "hardware address of a neighbour": Ether(src=v.mac, dst=t.mac) / own_v4 / udp,
        "hardware address of the gateway": Ether(src=s.node.mac, dst=t.mac) / own_v4 / udp,
        "source of a neighbour": to_third / IP(src=v.ip, dst=t.ip) / udp,
        "source of nobody": to_third / IP(src="192.0.2.1", dst=t.ip) / udp,
        "no source": to_all / IP(src="0.0.0.0", dst="255.255.255.255") / udp,
        "IPv6 source of a neighbour": to_third / IPv6(src=v.ip6, dst=t.ip6) / udp,
        "no IPv6 source": six / IPv6(src="::", dst=ALL_NODES) / udp,
        "link-local source of a neighbour": to_third / IPv6(src=v.link_local, dst=t.ip6) / udp,
        "redirect": to_third / own_v4 / ICMP(type=5, code=1, gw=a.ip) / IP(dst=v.ip) / tail,
        "IPv6 redirect": to_third / own_v6 / ICMPv6ND_Redirect(tgt=a.ip6, dst=v.ip6) / tail,
        "router": six / IPv6(src=a.link_local, dst=ALL_NODES, hlim=255) / ICMPv6ND_RA() / tail,
        "advertisement behind options": six
        / IPv6(src=a.ip6, dst=ALL_NODES, hlim=255)
        / IPv6ExtHdrDestOpt()
        / na
        / tail,
        "fragment of options": to_third / own_v6 / IPv6ExtHdrFragment(nh=60, m=1) / tail,
        "hop by hop": to_third / own_v6 / IPv6ExtHdrHopByHop() / ICMPv6EchoRequest() / tail,
        "VLAN": to_third / Dot1Q(vlan=5) / own_v4 / udp,
        "priority tag": to_third / Dot1Q(vlan=0, prio=3) / own_v4 / udp,
        "two VLANs": to_third / Dot1AD(vlan=5) / Dot1Q(vlan=6) / own_v4 / udp,
        "spanning tree": Ether(src=a.mac, dst=bad.hex(":"), type=60) / LLC() / STP() / tail,
        "LLDP": Ether(src=a.mac, dst=EVERYBODY, type=0x88CC) / tail,
        "802.1X": Ether(src=a.mac, dst=t.mac, type=0x888E) / tail,
        "reverse ARP": Ether(src=a.mac, dst=EVERYBODY, type=0x8035) / tail,
        "MPLS": Ether(src=a.mac, dst=t.mac, type=0x8847) / tail,
        "ARP of another kind": to_all / ARP(hwtype=6, psrc=a.ip, hwsrc=a.mac, pdst=t.ip) / tail,
        "ARP answer for another": to_all / ARP(op=2, psrc=v.ip, hwsrc=a.mac, pdst=t.ip) / tail,
        "ARP probe": to_all / ARP(op=1, psrc="0.0.0.0", hwsrc=a.mac, pdst=t.ip) / tail,
        "ARP with another's hardware": to_all / ARP(psrc=a.ip, hwsrc=v.mac, pdst=t.ip) / tail,
    }


def test_frames_that_are_not_the_pods_own_reach_nobody(scene, token):
    made = frames(scene, token)
    arrived = []
    for name, frame in made.items():
        with scene.ear("third") as heard:
            scene.send(frame)
            if heard(token):
                arrived.append(name)
    assert arrived == ([] if scene.guarded else list(made))
    if scene.guarded:
        assert scene.dropped(scene.attacker) >= len(made)


def test_what_a_pod_may_send_arrives(scene, token):
    """The same ears hear what is well, from the same pod, right after an attack."""
    a, t = scene.attacker, scene.third
    own_v4, own_v6 = IP(src=a.ip, dst=t.ip), IPv6(src=a.ip6, dst=t.ip6)
    to_third, tail = Ether(src=a.mac, dst=t.mac), Raw(token)
    na = ICMPv6ND_NA(tgt=a.ip6, R=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=a.mac)
    ns = ICMPv6ND_NS(tgt=t.ip6) / ICMPv6NDOptSrcLLAddr(lladdr=a.mac)
    six = Ether(src=a.mac, dst=ALL_NODES_MAC)
    scene.send(frames(scene, token)["source of a neighbour"])
    fine = {
        "UDP": to_third / own_v4 / UDP(sport=1, dport=9) / tail,
        "echo": to_third / own_v4 / ICMP() / tail,
        "ARP": Ether(src=a.mac, dst=EVERYBODY) / ARP(psrc=a.ip, hwsrc=a.mac, pdst=t.ip) / tail,
        "UDP6": to_third / own_v6 / UDP(sport=1, dport=9) / tail,
        "echo6": to_third / own_v6 / ICMPv6EchoRequest() / tail,
        "link-local": to_third / IPv6(src=a.link_local, dst=t.link_local) / UDP() / tail,
        "solicitation": to_third / own_v6 / ns,
        "advertisement": six / IPv6(src=a.link_local, dst=ALL_NODES, hlim=255) / na,
    }
    for name, frame in fine.items():
        with scene.ear("third") as heard:
            scene.send(frame)
            told = bytes(na)[4:] if name == "advertisement" else bytes(ns)[4:]
            word = token if token in bytes(frame) else told
            assert heard(word), name


def sniff(s: Scene, token: bytes) -> bool:
    """Listen to what two others say to each other when the bridge has forgotten where they are."""
    if not s.guarded:
        learn(s, "off")  # nor may it learn anew from what the victim happens to say
        run(["bridge", "fdb", "flush", "dev", "cni0"], netns=s.path("worker001"), check=False)
    frame = Ether(src=s.third.mac, dst=s.victim.mac) / IP(src=s.third.ip, dst=s.victim.ip) / UDP()
    try:
        with s.ear("attacker") as heard:
            s.send(frame / Raw(token), "third")
            return heard(token)
    finally:
        if not s.guarded:
            learn(s, "on")


def learn(s: Scene, word: str) -> None:
    """Whether the bridge notes who is behind which port: "on" or "off"."""
    ports = "ip -o link show master cni0 | cut -d: -f2 | cut -d@ -f1"
    each = f"for port in $({ports}); do bridge link set dev $port learning {word}; done"
    run(["sh", "-ec", each], netns=s.path("worker001"))


def flood_the_bridge(s: Scene, _: bytes) -> bool:
    """Make it learn so many addresses that it has no room, or no patience, for others."""
    for number in range(300):
        mac = f"02:ee:ee:ee:{number >> 8:02x}:{number & 255:02x}"
        s.send(Ether(src=mac, dst=EVERYBODY) / IP(src=s.attacker.ip, dst=s.third.ip))
    known = run(["bridge", "fdb", "show", "br", "cni0"], netns=s.path("worker001")).stdout
    return known.count("02:ee:ee:ee:") == 300


def spoof_neighbour(s: Scene, _: bytes) -> bool:
    """Tell a neighbour that another's address is here."""
    s.send(ask(s.attacker.mac, s.victim.ip, s.third.ip))
    return s.believes("third", s.victim.ip, s.attacker.mac)


def spoof_gateway(s: Scene, _: bytes) -> bool:
    """Tell a neighbour that the gateway is here."""
    s.send(ask(s.attacker.mac, s.gateway, s.third.ip))
    return s.believes("third", s.gateway, s.attacker.mac)


def poison_node(s: Scene, _: bytes) -> bool:
    """Tell the node that a neighbour is here."""
    s.send(ask(s.attacker.mac, s.victim.ip, s.gateway))
    return s.believes("worker001", s.victim.ip, s.attacker.mac)


def ask(mac: str, sender: str, target: str) -> Packet:
    return Ether(src=mac, dst=EVERYBODY) / ARP(op=1, psrc=sender, hwsrc=mac, pdst=target)


def solicit_as_neighbour(s: Scene, _: bytes) -> bool:
    """Ask, as somebody else, with this hardware address."""
    source = IPv6(src=s.victim.ip6, dst=s.third.ip6, hlim=255)
    option = ICMPv6NDOptSrcLLAddr(lladdr=s.attacker.mac)
    head = Ether(src=s.attacker.mac, dst=s.third.mac)
    s.send(head / source / ICMPv6ND_NS(tgt=s.third.ip6) / option)
    return s.believes("third", s.victim.ip6, s.attacker.mac)


def advertise_neighbour(s: Scene, _: bytes) -> bool:
    """Say, as oneself, that somebody else's address is here; to one who has it already."""
    s.ip("third", f"neigh replace {s.victim.ip6} lladdr {s.victim.mac} dev eth0 nud reachable")
    source = IPv6(src=s.attacker.ip6, dst=ALL_NODES, hlim=255)
    told = ICMPv6ND_NA(tgt=s.victim.ip6, R=0, S=0, O=1)
    head = Ether(src=s.attacker.mac, dst=ALL_NODES_MAC)
    s.send(head / source / told / ICMPv6NDOptDstLLAddr(lladdr=s.attacker.mac))
    return s.believes("third", s.victim.ip6, s.attacker.mac)


def misdirect_solicitation(s: Scene, _: bytes) -> bool:
    """Ask as oneself, but with somebody else's hardware address, who then gets the answers."""
    head = Ether(src=s.attacker.mac, dst=s.third.mac)
    option = ICMPv6NDOptSrcLLAddr(lladdr=s.victim.mac)
    source = IPv6(src=s.attacker.ip6, dst=s.third.ip6, hlim=255)
    s.send(head / source / ICMPv6ND_NS(tgt=s.third.ip6) / option)
    return s.believes("third", s.attacker.ip6, s.victim.mac)


def be_the_router(s: Scene, _: bytes) -> bool:
    """Advertise oneself as the way out, to a pod that listens to such."""
    sysctl.set(s.path("third"), {"net.ipv6.conf.eth0.accept_ra": "1"})
    source = IPv6(src=s.attacker.link_local, dst=ALL_NODES, hlim=255)
    prefix = ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64)
    s.send(Ether(src=s.attacker.mac, dst=ALL_NODES_MAC) / source / ICMPv6ND_RA() / prefix)
    return s.eventually(lambda: s.attacker.link_local in s.ip("third", "-6 route"))


def take_address(s: Scene, _: bytes) -> bool:
    """Have a neighbour's address, and speak to others with it."""
    s.ip("attacker", f"addr add {s.victim.ip}/24 dev eth0")
    return speaks_as_victim(s)


def take_both(s: Scene, _: bytes) -> bool:
    """Have a neighbour's address and its hardware address."""
    for command in ("set eth0 down", f"set eth0 address {s.victim.mac}", "set eth0 up"):
        s.ip("attacker", f"link {command}")
    s.ip("attacker", f"addr replace {s.victim.ip}/24 dev eth0")
    return speaks_as_victim(s)


def speaks_as_victim(s: Scene) -> bool:
    s.ip("victim", "link set eth0 down")  # or it would answer too
    with s.running.listen("default.third", s.third.ip, 80), contextlib.suppress(OSError):
        patience = SILENCE if s.guarded else PATIENCE
        seen, _ = s.running.connect(
            "default.attacker", s.third.ip, 80, source=s.victim.ip, timeout=patience
        )
        return seen == s.victim.ip
    return False


def take_hardware_address(s: Scene, token: bytes) -> bool:
    """Have the bridge believe that a neighbour's hardware address is here."""
    s.send(Ether(src=s.victim.mac, dst=EVERYBODY) / IP(src=s.attacker.ip, dst=s.third.ip))
    frame = Ether(src=s.third.mac, dst=s.victim.mac) / IP(src=s.third.ip, dst=s.victim.ip) / UDP()
    with s.ear("attacker") as heard:
        s.send(frame / Raw(token), "third")
        return heard(token)


def spoof_off_node(s: Scene, token: bytes) -> bool:
    """Send as a neighbour to a pod of another node."""
    return routed(s, IP(src=s.victim.ip, dst=s.far.ip), token)


def spoof_off_node_v6(s: Scene, token: bytes) -> bool:
    """The same by IPv6."""
    return routed(s, IPv6(src=s.victim.ip6, dst=s.far.ip6), token)


def routed(s: Scene, packet: Packet, token: bytes) -> bool:
    with s.ear("far") as heard:
        s.send(Ether(src=s.attacker.mac, dst=s.node.mac) / packet / UDP(dport=9) / Raw(token))
        return heard(token)


ATTACKS = (
    sniff,
    flood_the_bridge,
    spoof_neighbour,
    spoof_gateway,
    poison_node,
    solicit_as_neighbour,
    advertise_neighbour,
    misdirect_solicitation,
    be_the_router,
    take_address,
    take_hardware_address,
    take_both,
    spoof_off_node,
    spoof_off_node_v6,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_attack_succeeds_on_bare_ports_alone(scene, attack, token):
    assert attack(scene, token) is not scene.guarded


def test_large_packets_pass_in_fragments(scene):
    for ip in (scene.third.ip, scene.third.ip6, scene.far.ip, scene.far.ip6):
        run(["ping", "-c1", "-W5", "-s3000", ip], netns=scene.path("attacker"))


def test_ordinary_traffic_is_not_counted_as_dropped(running):
    web, near = running.pod("worker001", "web", 2), running.pod("worker001", "near", 3)
    running.attach(web, near)
    with running.listen("default.web", "10.244.1.2", 80):
        assert running.connect("default.near", "10.244.1.2", 80)[0] == "10.244.1.3"
        assert running.connect("worker001", "10.244.1.2", 80)[0] == "10.244.1.1"
        assert running.connect("worker002", "10.244.1.2", 80)[0] == "10.10.11.12"
    listing = run(["tc", "-s", "qdisc", "show", "ingress"], netns=running.path("worker001")).stdout
    assert listing.count("qdisc ingress") == listing.count("(dropped 0,") == 2
