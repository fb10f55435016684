"""What a trace by a save says is what the kernel does with those rules: recordings of ufw,
firewalld and Docker beside kube-proxy's rules, put in force again on a node with pods."""

import re
from pathlib import Path

import needs
import pytest
from kernel.wires import COMES_IN_BY, FAR, LOCAL, NEAR, NODE, OTHER, WHERE, Try, Wires
from msgspec.structs import replace

from netlab.kernel.run import run
from netlab.pathcheck.decode import split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.world import World
from netlab.proxy.iptables.model import HOOKS
from netlab.saves.inferred import addresses
from netlab.saves.read import read
from netlab.trace.onsave import Node, told

pytestmark = pytest.mark.root

RECORDED = Path(__file__).parents[1] / "unit" / "saves" / "recorded"
HERE = {
    "10.244.0.21": NEAR[0], "10.244.1.21": FAR[0], "10.244.2.21": FAR[1],
    "192.168.1.": "192.168.77.", "192.168.1.66": OTHER,
}  # fmt: skip
"""The recordings' addresses, and those of who is here."""

SERVICE = "10.96.31.10"
SAVES = {
    "ufw, nft": ("ufw-nft.save", "nft"),
    "ufw, legacy": ("ufw-legacy.save", "legacy"),
    "docker, nft": ("docker-nft.save", "nft"),
    "docker, legacy": ("docker-legacy.save", "legacy"),
    "firewalld by iptables": ("firewalld-iptables.save", "nft"),
    "firewalld by nftables": ("firewalld-nftables.save", "nft"),
}


@pytest.fixture(scope="module")
def wires(tmp_path_factory):
    needs.root()
    built = Wires(tmp_path_factory.mktemp("wires"))
    yield built
    built.close()


def here(text):
    """With who is here in it."""
    for old in sorted(HERE, key=len, reverse=True):
        text = text.replace(old, HERE[old])
    return text


def firewalld_table():
    """Its own table; the others are iptables' again."""
    text = here((RECORDED / "firewalld-nftables.nft").read_text())
    (table,) = re.findall(r"(?ms)^table inet firewalld \{.*?^\}\n", text)
    return table


def _nothing():
    tables = (
        f"*{table}\n" + "".join(f":{hook} ACCEPT\n" for hook in hooks) + "COMMIT\n"
        for table, hooks in HOOKS.items()
        if table in ("filter", "nat", "mangle")
    )
    return "".join(tables)


def in_force(name, node):
    """The rules as texts, which are in force from now on."""
    file, variant = SAVES[name]
    run(["iptables-legacy-restore"], input=_nothing(), netns=node)
    run(["nft", "flush", "ruleset"], netns=node)
    texts = [(file, here((RECORDED / file).read_text()))]
    run([f"iptables-{variant}-restore"], input=texts[0][1], netns=node)
    if name == "firewalld by nftables":
        texts.append(("own.nft", firewalld_table()))
        run(["nft", "-f", "-"], input=texts[1][1], netns=node)
    run(["conntrack", "-F"], netns=node)
    return texts


def tries():
    doors = [
        (SERVICE, 80), (SERVICE, 81), (NODE, 30080), (NODE, 22), (NODE, 6443), (NODE, 9100),
        (NEAR[0], 8080), (FAR[0], 8080), (FAR[1], 9090),
    ]  # fmt: skip
    everybody = [Try(who, *door, "tcp") for door in doors for who in WHERE]
    return [one for one in everybody if one.source not in ("127.0.0.1", one.destination)]


def story(one, save):
    rules = save.families["ipv4"]
    said = addresses(rules)
    node = Node(
        "node",
        LOCAL,
        (said.foreign | {*NEAR, *FAR, SERVICE}) - LOCAL,
        comes_in_by=COMES_IN_BY.get(WHERE[one.source], ""),
    )
    probe = ProbePacket(0, "tcp", one.source, 40000, one.destination, one.port, 1)
    return told(probe, rules, node, World({}), save.files)


def foreseen(one, save):
    """What the client may notice, and whether that depends on nothing that is not known."""
    found = story(one, save)
    ways = [
        (end.verdict, end.destination) for end in found.ends
    ] if found.verdict != "open" else [
        way for doubt in found.untold if doubt.matters
        for way in map(way_of, (*doubt.is_so, *doubt.is_not))
    ]  # fmt: skip
    return {word_of(*way) for way in ways}, found.verdict != "open"


def way_of(words):
    verdict, _, destination = words.partition(" to ")
    return {"dropped": "lost"}.get(verdict, verdict), destination


def word_of(verdict, destination):
    if verdict != "delivered":
        return {"lost": "timeout"}.get(verdict, verdict), None
    address, port = split(destination)
    if address in NEAR + FAR:
        return ("ok", (address, port)) if port in (8080, 8081) else ("refused", None)
    return ("refused", None) if address in LOCAL else ("timeout", None)


@pytest.mark.parametrize("name", SAVES)
def test_the_kernel_does_what_a_trace_by_a_save_says(name, wires):
    save = read(in_force(name, wires.fds["node"]))
    planned = [(one, *foreseen(one, save)) for one in tries()]
    sent = [
        replace(one, must_answer=all(word != "timeout" for word, _ in ways))
        for one, ways, _ in planned
    ]
    for (one, ways, sure), (word, end, _) in zip(planned, wires.send(sent), strict=True):
        word = "refused" if word == "No route to host" else word  # as firewalld refuses
        assert (word, end) in ways, f"{one} got {word} {end}, foreseen {ways}, sure: {sure}"
    assert sum(sure for _, _, sure in planned) > len(planned) // 2
    words = {word for _, ways, sure in planned if sure for word, _ in ways}
    assert {"ok", "timeout", "refused"} <= words or name.startswith("docker")
