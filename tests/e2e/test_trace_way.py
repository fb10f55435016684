"""What `netlab trace` tells beside rules: routes, connections, the answer's way back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.labs import TOPOLOGIES, Machine, machine
from e2e.test_trace import opened, trace

pytestmark = pytest.mark.root

RULES = ["iptables: nft", "iptables: legacy", "proxyMode: nftables"]


@pytest.fixture(scope="module", params=RULES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Machine]:
    yield from opened(tmp_path_factory, request.param)


@pytest.fixture(scope="module", params=RULES)
def dual(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Machine]:
    text = (TOPOLOGIES / "dual-stack.yaml").read_text()
    with machine(tmp_path_factory.mktemp("dual")) as here:
        where = here.lab_file(text.replace("  nodes: 3", f"  {request.param}\n  nodes: 3", 1))
        here.netlab("up", str(where))
        yield here


def document(lab: Machine, *words: str) -> dict[str, Any]:
    return dict(json.loads(lab.netlab("trace", *words, "-o", "json").stdout))


def test_the_answer_is_turned_back_where_it_was_translated(lab: Machine) -> None:
    told = document(lab, "box", "svc/web:80")
    service, end = told["packet"]["destination"], told["deliveredAs"]
    back = told["reply"]
    assert (back["what"], back["sent"]) == ("SYN-ACK", told["deliveredTo"])
    assert back["sources"] == [{"place": "worker001", "before": end, "after": service}]
    assert back["hops"][-1]["place"] == "default/box"
    assert back["hops"][-1]["source"] == service
    text = trace(lab, "box", "svc/web:80")
    assert any(
        re.fullmatch(r"  worker001: \S+:80 became \S+:80 again, by conntrack", line)
        for line in text
    )


def test_the_connection_is_told_as_conntrack_remembers_it(lab: Machine) -> None:
    told = document(lab, "client", "node/worker001:30080")
    (known, *_) = (one for one in told["conntrack"] if one["place"] == "worker001")
    source, port = told["packet"]["source"].split(":")
    there, back = known["original"], known["reply"]
    assert (there["source"], there["sport"], there["dport"]) == (source, int(port), 30080)
    assert f"{back['source']}:{back['sport']}" == told["deliveredAs"]
    assert f"{back['destination']}:{back['dport']}" == told["masquerade"][0]["after"]
    assert known["seenReply"]
    listed = lab.run_in(
        "traced.worker001", "conntrack", "-L", "-p", "tcp", "--orig-port-src", port
    ).stdout
    assert f"src={back['source']} dst={back['destination']}" in listed


def test_routes_are_the_kernels_own(lab: Machine) -> None:
    told = document(lab, "box", "pod/far:80")
    by_place = {one["place"]: one for one in told["routes"]}
    first, second = by_place["worker001"], by_place["worker002"]
    far = told["deliveredAs"].split(":")[0]
    got = lab.run_in("traced.worker001", "ip", "route", "get", far).stdout.split()
    assert (first["route"]["gateway"], first["route"]["link"]) == (got[2], got[4])
    assert (first["neighbour"], first["mac"] != "") == (got[2], True)
    assert (second["route"]["gateway"], second["bridge"]) == ("", "cni0")
    fdb = lab.run_in("traced.worker002", "bridge", "fdb", "show", "br", "cni0").stdout
    assert f"{second['mac']} dev {second['port']} " in fdb
    text = trace(lab, "box", "pod/far:80")
    assert f"  route: 10.244.1.0/24 via {got[2]}, out by {got[4]}" in text
    whole = trace(lab, "box", "pod/far:80", "--explain")
    port = second["port"]
    assert f"  neighbour: {far} is {second['mac']}, behind cni0's port {port}" in whole


def test_a_packet_that_is_only_bridged_meets_no_route(lab: Machine) -> None:
    told = document(lab, "box", "pod/near:80")
    (here,) = (one for one in told["routes"] if one["place"] == "worker001")
    assert here["route"] is None
    assert here["bridge"] == "cni0"
    assert here["port"] == told["hops"][-2]["ifname"]


def test_where_there_is_no_route_it_is_said(lab: Machine) -> None:
    assert "  route: no route to 10.244.1.2" in trace(lab, "client", "10.244.1.2:80")


def test_errors_are_told_with_who_sent_them(lab: Machine) -> None:
    told = document(lab, "box", "pod/far:81", "--udp")
    assert (told["reply"]["error"], told["reply"]["sent"]) == ([3, 3], "default/far")
    text = "\n".join(trace(lab, "box", "pod/far:81", "--udp"))
    assert "reply: ICMP type 3 code 3 (destination unreachable: port unreachable)," in text


def test_in_ipv6_all_is_the_same(dual: Machine) -> None:
    told = document(dual, "client-pod", "svc/web-v6:80")
    assert told["agree"]
    node = told["hops"][1]["place"]
    (known,) = (one for one in told["conntrack"] if one["place"] == node)
    end = f"[{known['reply']['source']}]:{known['reply']['sport']}"
    assert end == told["deliveredAs"]
    service = told["packet"]["destination"]
    assert told["reply"]["sources"] == [{"place": node, "before": end, "after": service}]
    (route,) = (one["route"] for one in told["routes"] if one["place"] == node)
    assert route["destination"].endswith("/64")


def test_in_ipv6_a_router_says_that_it_knows_no_route(dual: Machine) -> None:
    told = document(dual, "client-pod", "svc/web-v6:81")
    assert told["agree"], told["difference"]
    assert told["verdict"] == "refused"


def test_marks_and_for_whose_sake_it_was_masqueraded(lab: Machine) -> None:
    told = document(lab, "client", "node/worker001:30080")
    there, back = (one for one in told["marks"] if one["place"] == "worker001")
    assert (there["before"], there["after"], back["before"], back["after"]) == (
        (0, 0x4000, 0x4000, 0)
    )  # fmt: skip
    (sake,) = told["masqueradedFor"]
    assert "KUBE-EXT-" in sake["chain"] or sake["chain"].startswith("external-")
    text = "\n".join(trace(lab, "client", "node/worker001:30080"))
    assert "    mark     0x0 becomes 0x4000" in text
    assert f"    for the sake of rule 1 of {sake['table']} {sake['chain']}" in text


def test_the_draw_is_told_in_words(lab: Machine) -> None:
    told = document(lab, "box", "svc/web:80")
    (draw,) = (chain["draw"] for chain in told["chains"] if chain["draw"])
    assert (draw["among"], draw["fellOn"] in (1, 2)) == (2, True)
    text = "\n".join(trace(lab, "box", "svc/web:80"))
    assert re.search(r"draw     2 endpoints, the draw fell on the (first|second)", text)


def test_each_rule_has_the_object_field_and_line_that_it_comes_from(lab: Machine) -> None:
    told = document(lab, "client", "node/worker001:30080")
    found = [rule["origin"] for chain in told["chains"] for rule in chain["met"] if rule["origin"]]
    entrance = next(one for one in found if one["field"] == "spec.ports[0].nodePort")
    assert (entrance["kind"], entrance["key"]) == ("Service", "default/web")
    file, _, line = entrance["where"].rpartition(":")
    assert "nodePort: 30080" in Path(file).read_text().splitlines()[int(line) - 1]
    end = found[-1]
    assert end["kind"] == "EndpointSlice"
    index = int(re.findall(r"endpoints\[(\d+)\]", end["field"])[0])
    name = end["key"].partition("/")[2]
    path = f"jsonpath={{.endpoints[{index}].addresses[0]}}"
    address = lab.netlab("get", "endpointslice", name, "-o", path).stdout
    assert told["deliveredAs"] == f"{address}:80"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("box svc/empty:80", "Service default/empty spec.selector"),
        ("box svc/web:80", "Service default/web spec.ports[0].port"),
        ("local node/worker002:8088", "Pod default/local spec.containers[0].ports[0].hostPort"),
    ],
)
def test_an_origin_stands_below_its_rule(lab: Machine, words: str, said: str) -> None:
    text = "\n".join(trace(lab, *words.split()))
    assert re.search(rf"    of       {re.escape(said)}, \S+lab\.yaml:\d+\n", text)


def test_a_drop_by_a_map_is_told(lab: Machine) -> None:
    told = document(lab, "client", "node/worker001:30081")
    dropped = [chain for chain in told["chains"] if chain["matters"]]
    assert any(rule["verdict"] == "drop" for chain in dropped for rule in chain["met"])


def test_why_it_did_not_come_by_another_service(lab: Machine) -> None:
    told = document(lab, "box", "svc/web:80", "--why-not", "svc/beside")
    (turn,) = told["whyNot"]
    assert (turn["place"], turn["taken"]) == ("worker001", False)
    other = lab.netlab("get", "svc", "beside", "-o", "jsonpath={.spec.clusterIP}").stdout
    assert other in turn["words"]
    taken = document(lab, "box", "svc/web:80", "--why-not", "svc/web")
    assert any(turn["taken"] for turn in taken["whyNot"])
    text = trace(lab, "box", "svc/web:80", "--why-not", "pod/local")
    assert any(line.startswith("  worker001 ") for line in text[text.index("why not") :])


def test_the_nearest_is_named_by_what_held(lab: Machine) -> None:
    text = "\n".join(trace(lab, "box", "svc/web:81", "--explain"))
    service = lab.netlab("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}").stdout
    iptables = "right address, port 81 is not 80" in text
    nftables = re.search(rf"{service} . tcp . 81 is not in \S+, which has {service} . tcp", text)
    assert iptables or nftables


def test_what_mattered_and_what_did_not(lab: Machine) -> None:
    told = document(lab, "box", "svc/web:80")["mattered"]
    assert {"source", "destination", "protocol", "port", "the draw"} <= set(told["asked"])
    assert {"source port", "TTL", "length", "content"} <= set(told["ignored"])
    assert any(line.startswith("mattered: ") for line in trace(lab, "box", "svc/web:80"))


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ("svc/wep", "there is no Service default/wep"),
        ("nat/KUBE-SERVICES/99", "there is no rule nat/KUBE-SERVICES/99"),
        ("nonsense", "nobody knows what nonsense is"),
    ],
)
def test_why_not_of_what_there_is_not(lab: Machine, about: str, said: str) -> None:
    done = lab.netlab("trace", "box", "svc/web:80", "--why-not", about, code=2)
    assert said in done.stderr


def test_a_summary_has_a_line_for_each_place(lab: Machine) -> None:
    told = trace(lab, "client", "node/worker001:30080", "--summary")
    (node,) = (line for line in told if line.startswith("worker001: "))
    assert re.search(r", to 10\.244\.\d\.\d+:80, from 10\.\S+$", node)
    assert told[-2].startswith("delivered to default/")
    refused = trace(lab, "box", "svc/empty:80", "--summary")
    assert any(re.search(r", refused by rule 1 of \S+ \S+$", line) for line in refused)


def test_details_have_the_rules_own_texts(lab: Machine) -> None:
    short, detailed, whole = (
        "\n".join(trace(lab, "near", "svc/beside:80", *more))
        for more in ((), ("--detailed",), ("--explain",))
    )
    text = r" +(handle \d+: )?(-p tcp .*-j DNAT --to-destination|meta l4proto tcp dnat )"
    assert not re.search(text, short)
    assert re.search(text, detailed)
    assert re.search(r"  neighbour: \S+ is (\w\w:){5}\w\w, behind cni0's port veth", detailed)
    assert "is for" not in detailed
    assert re.search(r"    is for   one Service port: which endpoint\n", whole)
    assert "    is for   what comes in, before its route is chosen; nat: new addresses" in whole


@pytest.mark.parametrize("how", ["--summary", "--detailed", "--explain", "--minimal"])
def test_exactly_one_amount_is_told(lab: Machine, how: str) -> None:
    lab.netlab("trace", "box", "svc/web:80", how)
    other = "--summary" if how != "--summary" else "--minimal"
    assert "not allowed with" in lab.netlab("trace", "box", "svc/web:80", how, other, code=2).stderr
