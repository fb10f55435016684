"""`netlab prove` as it is typed: questions, comparisons, findings, and every mistake."""

import contextlib
import json
import os
import re
import threading

import pytest
from oracle import worlds

from netlab.cli import main as entry
from netlab.cli.packets import proxy_input

NODE = "10.0.0.5"
PODS = "10.244.0.0/16"
OPEN = re.compile(r"\bopen\b")  # a path here may have "popen"
SEPS = {"A": "10.244.1.2", "B": "10.244.2.2"}


def service(name, ip, number=80, chance="0.50000000000"):
    """A Service with two endpoints, as kube-proxy has it in nat."""
    comment = f'-m comment --comment "default/{name}'
    port = f'-p tcp {comment} cluster IP" -m tcp --dport {number}'
    yield f":KUBE-SVC-{name.upper()} - [0:0]"
    yield from (f":KUBE-SEP-{name.upper()}{at} - [0:0]" for at in SEPS)
    yield f"-A KUBE-SERVICES -d {ip}/32 {port} -j KUBE-SVC-{name.upper()}"
    yield f"-A KUBE-SVC-{name.upper()} ! -s {PODS} -d {ip}/32 {port} -j KUBE-MARK-MASQ"
    first = f'{comment} -> x" -m statistic --mode random --probability {chance}'
    yield f"-A KUBE-SVC-{name.upper()} {first} -j KUBE-SEP-{name.upper()}A"
    yield f'-A KUBE-SVC-{name.upper()} {comment} -> x" -j KUBE-SEP-{name.upper()}B'
    for at, pod in SEPS.items():
        yield f'-A KUBE-SEP-{name.upper()}{at} -s {pod}/32 {comment}" -j KUBE-MARK-MASQ'
        to = f"-m tcp -j DNAT --to-destination {pod}:8080"
        yield f'-A KUBE-SEP-{name.upper()}{at} -p tcp {comment}" {to}'


def save(*services, filters=(), nat=()):
    """A node's rules."""
    parts = [line for one in services for line in one]
    chains = [line for line in parts if line.startswith(":")]
    rules = [line for line in parts if not line.startswith(":")]
    lines = [
        "*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]",
        *filters, "COMMIT", "*nat",
        *(f":{hook} ACCEPT [0:0]" for hook in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")),
        ":KUBE-SERVICES - [0:0]", ":KUBE-MARK-MASQ - [0:0]", ":KUBE-POSTROUTING - [0:0]", *chains,
        "-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES",
        "-A POSTROUTING -j KUBE-POSTROUTING",
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully", *nat, *rules, "COMMIT", "",
    ]  # fmt: skip
    return "\n".join(lines)


WEB = tuple(service("web", "10.96.0.10"))


@pytest.fixture
def spoken(capsys):
    """What a command line comes to: exit code, output, and what it says besides."""

    def run(*words):
        try:
            code = entry.main(["prove", *map(str, words)])
        except SystemExit as end:  # argparse's own
            code = end.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def file(tmp_path):
    def write(text, name="node.save"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def asked(path, to, expect, *more):
    return ("--save", path, "--to", to, "--expect", expect, *more)


# -- questions -----------------------------------------------------------------------------


def test_a_service_answers_every_packet(spoken, file):
    code, out, err = spoken(*asked(file(save(WEB)), "svc/web:80", "reachable"))
    assert (code, err) == (0, "")
    assert "holds for every packet" in out
    assert "delivered to 10.244.1.2:8080 (1/2), 10.244.2.2:8080 (1/2)" in out
    assert "masqueraded" in out


def test_one_source_that_is_dropped_is_the_counter_example(spoken, file):
    drop = "-A FORWARD -s 10.9.8.7/32 -d 10.244.2.2/32 -j DROP"
    path = file(save(WEB, filters=[drop]))
    code, out, _ = spoken(*asked(path, "svc/web:80", "reachable"))
    assert code == 1
    assert "does not hold" in out
    assert "such as tcp 10.9.8.7:40000 > 10.96.0.10:80" in out
    assert f"dropped ({path}:5) (1/2)" in out
    assert spoken(*asked(path, "svc/web:80", "reachable", "--from", "pods"))[0] == 0


def test_unequal_shares_are_no_equal_spread(spoken, file):
    assert spoken(*asked(file(save(WEB)), "svc/web", "spread-equal"))[0] == 0
    odd = tuple(service("web", "10.96.0.10", chance="0.40000000000"))
    code, out, _ = spoken(*asked(file(save(odd)), "svc/web", "spread-equal"))
    assert code == 1
    assert "10.244.1.2:8080 (40 %)" in out


def test_nobody_from_outside_reaches_the_services_network(spoken, file):
    question = ("10.96.0.0/12", "none", "--from", "external")
    code, out, _ = spoken(*asked(file(save(WEB)), *question))
    assert code == 1
    assert "such as tcp 198.51.100.7:40000 > 10.96.0.10:80" in out
    guard = f"-A KUBE-SERVICES ! -s {PODS} -j RETURN"
    assert spoken(*asked(file(save(WEB, nat=[guard])), *question))[0] == 0


def test_a_rule_that_nobody_understands_leaves_open_what_it_decides(spoken, file):
    odd = "-A FORWARD -m string --string x --algo bm -j DROP"
    path = file(save(WEB, filters=[odd]))
    code, out, _ = spoken(*asked(path, "svc/web:80", "reachable"))
    assert code == 1
    assert "stays open" in out
    assert f"not understood: 1 rule, {path}:5: 1 answer stays open" in out
    harmless = odd.replace("DROP", "ACCEPT")
    assert spoken(*asked(file(save(WEB, filters=[harmless])), "svc/web:80", "reachable"))[0] == 0


def test_a_connections_mark_is_not_the_packets(spoken, file):
    marked = "-A FORWARD -p tcp -j MARK --set-xmark 0x1/0x1"
    rules = (marked, "-A FORWARD -m connmark --mark 0x1 -j DROP")
    code, out, _ = spoken(*asked(file(save(WEB, filters=rules)), "any", "reachable"))
    assert code == 0, "the packet's is set, and its connection's is not"
    assert not OPEN.search(out)
    saved = "-A FORWARD -j CONNMARK --save-mark --nfmask 0x3 --ctmask 0x3"
    restored = "-A FORWARD -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff"
    dropped = "-A FORWARD -m mark --mark 0x1 -j DROP"
    off = "-A FORWARD -j MARK --set-xmark 0x0/0xffffffff"
    rules = (marked, saved, off, restored, dropped)
    code, out, _ = spoken(*asked(file(save(WEB, filters=rules)), "any", "reachable"))
    assert code == 1
    assert "dropped" in out
    assert not OPEN.search(out)


def test_the_mark_of_a_later_packets_connection_is_not_known(spoken, file):
    restored = "-A FORWARD -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff"
    asked_ = "-A FORWARD -m mark --mark 0x1/0x1 -j DROP"
    before = file(save(WEB, filters=(restored, asked_)), "before.save")
    code, out, _ = spoken("diff", "--before", before, "--after", file(save(WEB), "after.save"))
    assert code == 1
    assert OPEN.search(out)
    rest = "-A FORWARD -m mark --mark 0x100/0x100 -j DROP"
    before = file(save(WEB, filters=(restored, rest)), "before.save")
    code, out, _ = spoken("diff", "--before", before, "--after", file(save(WEB), "after.save"))
    assert code == 0, "other bits of the mark are the packet's own"


def test_a_set_that_rules_fill_is_not_what_was_saved(spoken, file):
    rules = ("-A FORWARD -j SET --add-set bad src", "-A FORWARD -m set --match-set bad src -j DROP")
    path, sets = file(save(WEB, filters=rules)), file(IPSETS, "ipset.save")
    code, out, _ = spoken(*asked(path, "svc/web:80", "reachable", "--save", sets))
    assert code == 1
    assert "not understood: 1 rule" in out, "the one that asks; the other one hinders nobody"
    assert OPEN.search(out)


NARROWER = """\
create nested hash:net family inet hashsize 1024 maxelem 65536
add nested 10.0.0.0/8 nomatch
add nested 10.9.0.0/16
add nested 10.9.8.0/24 nomatch
add nested 10.9.8.7
create doors hash:net,port family inet hashsize 1024 maxelem 65536
add doors 10.244.0.0/16,tcp:8080
add doors 10.244.2.0/24,tcp:8080 nomatch
"""


def test_of_members_in_each_other_the_narrowest_counts(spoken, file):
    sets = file(NARROWER, "ipset.save")
    path = file(save(WEB, filters=["-A FORWARD -m set --match-set nested src -j DROP"]))
    code, out, _ = spoken(*asked(path, "svc/web:80", "reachable", "--save", sets))
    assert code == 1
    assert "from 10.9.0.0/21, 10.9.8.7, 10.9.9.0-10.9.255.255" in out
    path = file(save(WEB, filters=["-A FORWARD -m set --match-set doors dst,dst -j DROP"]))
    code, out, _ = spoken(*asked(path, "svc/web:80", "reachable", "--save", sets))
    assert "delivered to 10.244.2.2:8080 (1/2)" in out, "the other endpoint's network is left out"
    assert "dropped" in out
    assert not OPEN.search(out)


def test_json_has_every_class_with_a_packet_of_it(spoken, file):
    code, out, _ = spoken(*asked(file(save(WEB)), "svc/web:80", "reachable", "-o", "json"))
    found = json.loads(out)
    assert (code, found["judgement"]) == (0, "holds")
    (node,) = found["nodes"]
    for one in node["classes"]:
        assert sum(end["share"] for end in one["outcomes"]) == pytest.approx(1)
        assert one["packet"]["destination"] == "10.96.0.10"
    assert node["notCovered"]


def test_manifests_are_proved_on_every_node(spoken):
    lab = "topologies/quickstart.yaml"
    to = ("--to", "svc/hostname-svc-clusterip", "--expect", "spread-equal")
    code, out, err = spoken("-f", lab, *to)
    assert code == 0, out + err
    assert "(on worker001, ipv4" in out
    assert "(on worker002, ipv4" in out


def test_what_one_node_sends_on_is_judged_where_it_comes(spoken):
    lab = "topologies/quickstart.yaml"
    code, out, err = spoken(
        "-f", lab, "--from", "pods", "--to", "10.244.0.0/16", "--expect", "reachable",
        "--node", "worker001", "-o", "json",
    )  # fmt: skip
    assert code == 1, err
    (node,) = json.loads(out)["nodes"]
    told = {one["with"] for each in node["classes"] for one in each["outcomes"]}
    assert "default/client-pod" in told
    assert "nobody on cni0 of worker002 has the address" in told


# -- two rulesets --------------------------------------------------------------------------


def diff(file, before, after):
    return ("diff", "--before", file(before, "a.save"), "--after", file(after, "b.save"))


def test_the_same_rules_in_other_words_are_no_difference(spoken, file):
    other = save(WEB).replace("KUBE-SEP-WEBA", "FIRST").replace("--random-fully", "")
    assert spoken(*diff(file, save(WEB), other))[:2] == (0, "no packet is treated otherwise\n")


def test_what_is_treated_otherwise_is_told_the_smallest_first(spoken, file):
    gone = "\n".join(line for line in save(WEB).splitlines() if "-d 10.96.0.10/32 -p" not in line)
    code, out, _ = spoken(*diff(file, save(WEB), gone + "\n"))
    assert code == 1
    assert "  is  passed on as it is" in out
    assert "default/web" in out
    code, out, _ = spoken(*diff(file, save(WEB), gone + "\n"), "-o", "json")
    sizes = [one["headers"] for one in json.loads(out)]
    assert sizes == sorted(sizes)


def test_a_drop_is_told_with_its_line(spoken, file):
    after = save(WEB, filters=["-A FORWARD -s 10.244.7.0/24 -j DROP"])
    code, out, _ = spoken(*diff(file, save(WEB), after))
    assert code == 1
    assert "tcp from 10.244.7.0/24 to 10.96.0.10 port 80 (NEW), default/web" in out
    assert "b.save:5)" in out


def test_both_modes_of_a_lab_are_told_apart_on_each_node(spoken):
    code, out, err = spoken("diff", "-f", "topologies/quickstart.yaml", "--node", "worker001")
    assert code == 1, err
    assert out.startswith("on worker001, ipv4:\n")
    assert "  iptables dropped (filter KUBE-FORWARD rule 1)\n  nftables passed on as it is" in out
    mixed = ("diff", "-f", "topologies/quickstart.yaml", "--before", "x")
    assert spoken(*mixed)[0] == 2


# -- objects -------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", worlds.IPTABLES, ids=lambda folder: folder.name)
def test_recorded_nodes_do_what_their_services_ask(folder, spoken):
    for expected in ("expected.v4", "expected.v6"):
        code, out, err = spoken(
            "--objects", folder / "objects.yaml", "--config", folder / "proxy.yaml",
            "--save", folder / expected,
        )  # fmt: skip
        assert (code, out) == (0, "no packet is otherwise than the Services ask\n"), err


def test_a_rule_of_somebody_elses_that_drops_is_told(spoken, file):
    folder = worlds.IPTABLES[0]
    text = (folder / "expected.v4").read_text()
    path = file(text.replace("-A FORWARD", "-I\n-A FORWARD -d 10.244.0.0/16 -j DROP\n-A FORWARD", 1)
                .replace("-I\n", ""))  # fmt: skip
    code, out, _ = spoken(
        "--objects", folder / "objects.yaml", "--config", folder / "proxy.yaml", "--save", path
    )
    assert code == 1
    assert "asked delivered to" in out
    assert f"dropped ({path}:" in out


def test_objects_of_another_cluster_are_refused(spoken, file):
    folder = worlds.IPTABLES[0]
    code, out, err = spoken(
        "--objects", folder / "objects.yaml", "--config", folder / "proxy.yaml",
        "--save", file(save(tuple(service("elsewhere", "10.97.0.1")))),
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert "knows none of these Services" in err
    assert "it has default/elsewhere" in err


# -- lint ----------------------------------------------------------------------------------


def test_rules_that_nothing_reaches_are_found(spoken, file):
    twice = tuple(service("other", "10.96.0.10"))
    filters = [
        ":LOST - [0:0]", "-A FORWARD -d 10.0.0.0/8 -j ACCEPT", "-A FORWARD -d 10.1.0.0/16 -j DROP",
        "-A FORWARD -p tcp -j NO-SUCH", "-A LOST -j DROP",
    ]  # fmt: skip
    path = file(save(WEB, twice, filters=filters))
    code, out, _ = spoken("lint", "--save", path)
    assert code == 1
    assert f"{path}:7: shadowed rule: rule 1 of the chain takes all its packets" in out
    assert f"{path}:8: dangling jump: there is no chain NO-SUCH in filter" in out
    assert f"{path}:9: unreachable chain: no hook leads to chain LOST" in out
    assert "claimed twice: 10.96.0.10:80/tcp is claimed by default/web and by default/other" in out


IPSETS = """\
create bad hash:net family inet hashsize 1024 maxelem 65536
add bad 10.9.0.0/16
add bad 10.9.8.0/24 nomatch
create pairs hash:ip,port family inet hashsize 1024 maxelem 65536 timeout 300
add pairs 10.244.2.2,tcp:8080 timeout 17
create ports bitmap:port range 0-65535
add ports 8080-8090
create both list:set size 8
add both bad
"""


@pytest.mark.parametrize(
    ("asked_", "holds", "said"),
    [
        ("--match-set bad src -j DROP", False, "from 10.9.0.0/21, 10.9.9.0-10.9.255.255"),
        ("! --match-set bad src -j ACCEPT", True, ""),
        ("--match-set pairs dst,dst -j DROP", False, "dropped (node.save:5) (1/2)"),
        ("--match-set pairs src,src -j DROP", False, "from 10.244.2.2 port 8080"),
        ("--match-set ports dst -j DROP", False, "dropped (node.save:5)"),
        ("--match-set both src -j DROP", False, "from 10.9.0.0/21, 10.9.9.0-10.9.255.255"),
        ("! --match-set pairs dst,dst -j DROP", False, "delivered to 10.244.2.2:8080 (1/2)"),
        ("--match-set nobody dst -j DROP", False, "open"),
    ],
)
def test_sets_of_ipset_are_asked_when_they_are_given(asked_, holds, said, spoken, file):
    path = file(save(WEB, filters=[f"-A FORWARD -m set {asked_}"]))
    sets = file(IPSETS, "ipset.save")
    code, out, err = spoken(*asked(path, "svc/web:80", "reachable", "--save", sets))
    assert code == int(not holds), out + err
    assert said in out.replace(str(path), "node.save")
    alone = spoken(*asked(path, "svc/web:80", "reachable"))[1]
    assert "not understood: 1 rule" in alone


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("create a hash:ip\nad a 10.0.0.1\n", "ipset.save:2: 'ad a 10.0.0.1' is no line"),
        ("create a hash:ip\nadd b 10.0.0.1\n", "ipset.save:2: 'add b 10.0.0.1' is no line"),
        ("create a hash:ip\n", "ipset.save:1: has sets of ipset, and no rules"),
    ],
)
def test_what_is_no_ipset_save_is_refused_with_its_line(text, said, spoken, file):
    code, out, err = spoken(*asked(file(text, "ipset.save"), "any", "none"))
    assert (code, out) == (2, "")
    assert said in err
    assert "hint: " in err


SEVERAL = {
    "halves": (["-d 10.0.0.0/9 -j ACCEPT", "-d 10.128.0.0/9 -j DROP"], "-d 10.0.0.0/8 -j ACCEPT",
               True),
    "a part is left": (["-d 10.0.0.0/9 -j ACCEPT"], "-d 10.0.0.0/8 -j DROP", False),
    "ports": (
        ["-p tcp -m tcp --dport 0:1023 -j DROP", "-p tcp -m tcp --dport 1024:65535 -j ACCEPT"],
        "-d 10.0.0.1/32 -p tcp -j REJECT", True,
    ),
    "two fields": (
        ["-s 10.0.0.0/8 -j DROP", "! -s 10.0.0.0/8 -p tcp -j DROP"], "-p tcp -j ACCEPT", True,
    ),
    "another protocol": (["-s 10.0.0.0/8 -j DROP", "! -s 10.0.0.0/8 -p tcp -j DROP"],
                         "-p udp -j ACCEPT", False),
    "all the same": (["-d 10.0.0.0/9 -j DROP", "-d 10.128.0.0/9 -j DROP"], "-d 10.0.0.0/8 -j DROP",
                     False),
    "by chance": (["-d 10.0.0.0/9 -m statistic --mode random --probability 0.5 -j ACCEPT",
                   "-d 10.128.0.0/9 -j DROP"], "-d 10.0.0.0/8 -j ACCEPT", False),
}  # fmt: skip


@pytest.mark.parametrize("case", SEVERAL)
def test_a_rule_may_be_taken_all_packets_by_several_together(case, spoken, file):
    before, rule, shadowed = SEVERAL[case]
    path = file(save(WEB, filters=[f"-A FORWARD {one}" for one in (*before, rule)]))
    code, out, _ = spoken("lint", "--save", path)
    said = f"{path}:7: shadowed rule: rules 1 and 2 of the chain together take all its packets"
    assert (said in out) == shadowed == bool(code), out


@pytest.mark.parametrize("folder", worlds.IPTABLES, ids=lambda folder: folder.name)
def test_kube_proxys_own_rules_are_clean(folder, spoken):
    assert spoken("lint", "--save", folder / "expected.v4")[:2] == (0, "nothing found\n")


# -- mistakes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "what is to be proved?"),
        (("--to", "svc/web:80"), "what is to be proved?"),
        (("--save", "x", "-f", "y", "--to", "a", "--expect", "none"), "--save or -f, not both"),
        (("--save", "NODE", "--to", "svc/nobody", "--expect", "none"), "names nothing"),
        (
            ("--save", "NODE", "--to", "svc/web:81", "--expect", "none"),
            "Service default/web has no port 81; it has 80/TCP",
        ),
        (("--save", "/dev/zero", "--to", "any", "--expect", "none"), "/dev/zero: is a device"),
        (("lint", "--save", "/"), "/: Is a directory"),
        (("--save", "NODE", "--to", "10.0.0.300", "--expect", "none"), "names nothing"),
        (("--save", "NODE", "--from", "mars", "--to", "any", "--expect", "none"), "names nothing"),
        (("--save", "NODE", "--local", "x", "--to", "any", "--expect", "none"), "--local"),
        (("--save", "NODE", "--pods", "x", "--to", "any", "--expect", "none"), "--pods"),
        (("--save", "/no/such", "--to", "any", "--expect", "none"), "/no/such: No such file"),
        (("--objects", "x"), "--objects is for a node's saved rules"),
        (("diff", "--after", "NODE"), "which two?"),
    ],
)
def test_mistakes_are_one_line_and_a_hint(words, said, spoken, file):
    path = str(file(save(WEB)))
    code, out, err = spoken(*(path if word == "NODE" else word for word in words))
    assert (code, out) == (2, "")
    assert said in err
    assert "hint: " in err


def test_what_has_no_end_is_refused(spoken, tmp_path):
    huge = tmp_path / "huge.save"
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)  # has no blocks
    code, out, err = spoken(*asked(huge, "any", "none"))
    assert (code, out) == (2, "")
    assert "huge.save: is longer than 256 MB" in err
    assert "hint: " in err


def test_a_pipe_is_read_up_to_a_bound(spoken, tmp_path, monkeypatch):
    monkeypatch.setattr(proxy_input, "MOST", 1 << 20)
    endless = tmp_path / "fifo"
    os.mkfifo(endless)
    writer = threading.Thread(target=_write_for_ever, args=(endless,))
    writer.start()
    code, _, err = spoken(*asked(endless, "any", "none"))
    writer.join()
    assert code == 2
    assert "fifo: is longer than 1 MB" in err


def _write_for_ever(path):
    with contextlib.suppress(BrokenPipeError), path.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"#" * 65536)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "node.save: is empty: it has no rules"),
        ("Chain INPUT (policy ACCEPT)\n", "node.save:1: is what iptables -L prints"),
        (save(WEB)[:700], "node.save:"),
        ("table ip nat {\n\tchain a {\n", "node.save:"),
        ("table arp x {\n}\n", "node.save:1: has no rules that IPv4 or IPv6 meets"),
        ('{"nftables": []}\n', "node.save:1: has no rules that IPv4 or IPv6 meets"),
        ("kind: Service\n", "node.save:1: holds objects of Kubernetes, and no rules"),
        ("a: b\n", "node.save:1: 'a: b' is no save of rules"),
    ],
)
def test_other_texts_and_cut_off_ones_are_refused_with_their_line(text, said, spoken, file):
    code, out, err = spoken(*asked(file(text), "any", "none"))
    assert (code, out) == (2, "")
    assert said in err
    assert "hint: " in err


def test_a_rule_that_nobody_understands_matters_only_to_who_comes_to_it(spoken, file):
    """Half of the packets are gone before, and it does nothing that the policy would not do."""
    half = "-A FORWARD -m statistic --mode random --probability 0.5 -j DROP"
    odd = "-A FORWARD -m string --string odd --algo bm -j ACCEPT"
    path = file(save(WEB, filters=(half, odd)))
    code, out, _ = spoken(*asked(path, "svc/web:80", "reachable"))
    assert code == 1
    assert "delivered to 10.244.1.2:8080 (1/4)" in out
    assert "no answers stay open" in out
