"""What a trace by a save says is what the kernel does with those rules: recordings of ufw,
firewalld and Docker beside kube-proxy's rules, put in force again on a node with pods."""

import re
import socket
import time
from pathlib import Path

import needs
import pytest
from kernel.wires import (
    COMES_IN_BY,
    FAR,
    LOCAL,
    NEAR,
    NODE,
    OTHER,
    PATIENCE,
    SILENCE,
    WHERE,
    Try,
    Wires,
)
from msgspec.structs import replace

from netlab.kernel.run import run
from netlab.pathcheck.decode import split
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.trial import NothingToAddress
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


def in_force(name, node, table="", rule=""):
    """The rules as texts, which are in force from now on; with one more, the first of its chain."""
    file, variant = SAVES[name]
    run(["iptables-legacy-restore"], input=_nothing(), netns=node)
    run(["nft", "flush", "ruleset"], netns=node)
    texts = [(file, with_rule(here((RECORDED / file).read_text()), table, rule))]
    run([f"iptables-{variant}-restore"], input=texts[0][1], netns=node)
    if name == "firewalld by nftables":
        texts.append(("own.nft", firewalld_table()))
        run(["nft", "-f", "-"], input=texts[1][1], netns=node)
    run(["conntrack", "-F"], netns=node)
    return texts


def with_rule(text, table, rule):
    """A save whose table has a rule more, before all others."""
    if not table:
        return text
    before, head, rest = text.partition(f"*{table}\n")
    assert head
    place = re.search(r"^(?:-A|COMMIT)", rest, re.MULTILINE).start()
    return f"{before}{head}{rest[:place]}{rule}\n{rest[place:]}"


def tries():
    doors = [
        (SERVICE, 80), (SERVICE, 81), (NODE, 30080), (NODE, 22), (NODE, 6443), (NODE, 9100),
        (NEAR[0], 8080), (FAR[0], 8080), (FAR[1], 9090),
    ]  # fmt: skip
    everybody = [Try(who, *door, "tcp") for door in doors for who in WHERE]
    return [one for one in everybody if one.source not in ("127.0.0.1", one.destination)]


def story(one, save, ct="new"):
    rules = save.families["ipv4"]
    said = addresses(rules)
    node = Node(
        "node",
        LOCAL,
        (said.foreign | {*NEAR, *FAR, SERVICE}) - LOCAL,
        comes_in_by=COMES_IN_BY.get(WHERE[one.source], ""),
    )
    probe = ProbePacket(0, "tcp", one.source, 40000, one.destination, one.port, 1)
    return told(probe, rules, node, World({}), save.files, ct=ct)


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


LATER = {
    "nothing more": ("", ""),
    "the next packet is dropped before it is translated": (
        "mangle", f"-A PREROUTING -d {SERVICE}/32 -m conntrack --ctstate ESTABLISHED -j DROP"),
    "the next packet is dropped when it is translated": (
        "filter", "-A FORWARD -p tcp -m tcp --dport 8080 -m conntrack --ctstate ESTABLISHED"
        " -j DROP"),
    "answers are dropped before they are turned back": (
        "filter", "-A FORWARD -p tcp -m tcp --sport 8080 -m conntrack --ctstate ESTABLISHED"
        " -j DROP"),
    "what begins a connection alone passes": (
        "mangle", "-A POSTROUTING -p tcp -m tcp --dport 8080 -m conntrack ! --ctstate NEW -j DROP"),
}  # fmt: skip
"""One rule more, by which later packets part from the first."""


def later(one, save, ct):
    """What may become of that packet of a flow: verdicts, all that are open included."""
    try:
        found = story(one, save, ct)
    except NothingToAddress:
        return {"none"}
    said = {end.verdict for end in found.ends}
    if found.verdict == "open":
        said |= {
            way_of(words)[0] for doubt in found.untold if doubt.matters
            for words in (*doubt.is_so, *doubt.is_not)
        }  # fmt: skip
    return said - {"open"} or {"delivered", "lost", "refused"}


def noticed(connection, may):
    """What a client notices; silence is waited for, and what must come for longer."""
    began, word = time.monotonic(), ""
    while word != "answered" and time.monotonic() < began + PATIENCE:
        if word in may and time.monotonic() > began + SILENCE:
            break
        time.sleep(0.002)
        word = (
            "answered"
            if connection.ended() and connection.result[0] == "ok"
            else ("connected" if is_connected(connection) else "nothing")
        )
    connection.socket.close()
    return word


def is_connected(connection):
    """Whether its SYN was answered."""
    info = connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] == _ESTABLISHED


_ESTABLISHED = 1
TRIES = 3


@pytest.mark.parametrize("more", LATER)
@pytest.mark.parametrize("name", ["ufw, nft", "docker, legacy", "firewalld by nftables"])
def test_later_packets_go_as_a_trace_of_them_says(name, more, wires):
    """Of a connection to a Service: SYN, the answer, and the question behind them. Who is no
    endpoint asks: a trace of an answer is that of one end alone."""
    save = read(in_force(name, wires.fds["node"], *LATER[more]))
    clients = [one for one in tries() if one.source != NEAR[0]]
    asked = [one for one in clients if (one.destination, one.port) == (SERVICE, 80)]
    seen = set()
    for one in asked:
        ways = {ct: later(one, save, ct) for ct in ("established", "reply")}
        may = may_see(ways["reply"], ways["established"])
        for _ in range(TRIES):  # as many endpoints as chance chooses
            word = noticed(wires._begun(one), may)
            seen.add(word)
            assert word in may, f"{one}: {word}, foreseen {ways}"
    assert seen & {"answered", "connected"} or "answers" in more or name.startswith("docker"), seen


def may_see(reply, following):
    """What the client may notice where its first packet gets through, or does not."""
    found = {"nothing"} if (reply | following) & {"none"} else set()
    if reply & {"lost", "refused"}:
        found.add("nothing")
    if "delivered" in reply:
        found |= {"answered"} if "delivered" in following else set()
        found |= {"connected"} if following & {"lost", "refused"} else set()
    return found
