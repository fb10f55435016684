"""Properties of the proxy room that hold whatever the objects are."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netlab.proxy.config import ProxyConfig
from netlab.proxy.iptables import book as book_module
from netlab.proxy.iptables.book import IptablesBook
from netlab.proxy.iptables.chains import SHARED
from netlab.proxy.iptables.compile import assemble, compile, compile_services
from netlab.proxy.iptables.diff import diff
from netlab.proxy.iptables.model import Chain, Ruleset, RulesetChange, Table
from netlab.proxy.iptables.parse import parse
from netlab.proxy.iptables.render import edits, render, render_change
from netlab.proxy.iptables.rule import parse_rule
from netlab.proxy.iptables.service_rules import compile_service
from netlab.proxy.nftables.book import NftBook
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.node_view import node_view
from netlab.proxy.sharing import Compiled
from netlab.simulation.iptables import simulate
from netlab.simulation.packet import Packet

CONFIG = ProxyConfig(node_name="alpha", node_ips=("10.10.11.20",), cluster_cidr=("10.244.0.0/16",))
NODE = node_view(None, CONFIG, "ipv4")

conditions = st.fixed_dictionaries(
    {}, optional={key: st.booleans() for key in ("ready", "serving", "terminating")}
)
hosts = st.builds(
    lambda number, conditions, node, zones: {
        "addresses": [f"10.244.{number // 250}.{number % 250 + 1}"],
        "conditions": conditions,
        "nodeName": node,
        "hints": {"forZones": [{"name": zone} for zone in zones]},
    },
    st.integers(0, 999),
    conditions,
    st.sampled_from(["alpha", "beta"]),
    st.lists(st.sampled_from(["a", "b"]), max_size=2),
)
specs = st.builds(
    lambda type_, internal, external, affinity, node_port, ips, ranges: {
        "type": type_,
        "internalTrafficPolicy": internal,
        "externalTrafficPolicy": external,
        "sessionAffinity": affinity,
        "externalIPs": ips,
        "loadBalancerSourceRanges": ranges,
        "port": {"nodePort": node_port} if type_ != "ClusterIP" else {},
    },
    st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
    st.sampled_from(["Cluster", "Local"]),
    st.sampled_from(["Cluster", "Local"]),
    st.sampled_from(["None", "ClientIP"]),
    st.integers(30000, 32767),
    st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2"]), unique=True),
    st.lists(st.sampled_from(["10.10.11.0/24", "203.0.113.0/24", "0.0.0.0/0"]), unique=True),
)


@st.composite
def worlds(draw):
    """Services by key and their slices by the same key."""
    services, slices = {}, {}
    for number, (spec, found) in enumerate(
        draw(st.lists(st.tuples(specs, st.lists(hosts, max_size=5)), max_size=4)), 1
    ):
        name = f"s{number}"
        port = {"name": "p", "port": 80, **spec.pop("port")}
        spec = {**spec, "clusterIP": f"10.96.0.{number}", "ports": [port]}
        status = {"loadBalancer": {"ingress": [{"ip": f"198.51.100.{number}"}]}}
        metadata = {"name": name, "namespace": "town"}
        services[f"town/{name}"] = {"metadata": metadata, "spec": spec, "status": status}
        labels = {"kubernetes.io/service-name": name}
        slices[f"town/{name}"] = {
            "metadata": {"name": f"{name}-a", "namespace": "town", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "p", "port": 8080}],
            "endpoints": found,
        }
    return services, slices


def compiled(world):
    services, slices = world
    return compile(services.values(), slices.values(), NODE)


@given(worlds())
def test_text_and_back(world):
    ruleset = compiled(world)
    assert parse(render(ruleset)) == ruleset


names = st.from_regex(r"[A-Z][A-Z0-9-]{0,27}", fullmatch=True)
rules = st.text(st.characters(codec="ascii", exclude_categories=("C",)), max_size=60).map(str.strip)
counters = st.tuples(st.integers(0, 2**63), st.integers(0, 2**63))


@given(st.dictionaries(names, st.lists(st.tuples(rules, counters), max_size=4), max_size=5))
def test_any_text_and_back(content):
    chains = {
        name: Chain(name, tuple(rule for rule, _ in found), "-", tuple(count for _, count in found))
        for name, found in content.items()
    }
    ruleset = Ruleset({"nat": Table("nat", chains)})
    assert parse(render(ruleset)) == ruleset


@example("-j")
@example("-m")
@given(st.text(max_size=80))
def test_no_rule_text_makes_the_reader_fall_over(text):
    parse_rule(text)


@given(worlds())
def test_no_jump_leads_nowhere(world):
    ruleset = compiled(world)
    for table, _, rule in ruleset.rules():
        target = parse_rule(rule).target
        assert not target.startswith("KUBE-") or ruleset.chain(table, target), rule


@given(worlds())
def test_every_endpoint_is_as_likely_as_the_others(world):
    ruleset = compiled(world)
    for service in world[0].values():
        packet = Packet("10.244.200.200", service["spec"]["clusterIP"], dport=80)
        outcomes = simulate(ruleset, packet)
        chances = [outcome.probability for outcome in outcomes]
        assert abs(sum(chances) - 1) < 1e-6
        assert max(chances) - min(chances) < 1e-6


@given(worlds())
def test_nothing_differs_from_itself(world):
    assert diff(compiled(world), compiled(world)) == []


@given(worlds())
def test_a_service_is_compiled_the_same_alone(world):
    services, slices = world
    together = compile_services(services.values(), slices.values(), NODE)
    alone = [compile_service(services[key], [slices[key]], NODE) for key in sorted(services)]
    assert render(assemble(together, NODE)) == render(assemble(alone, NODE))


@given(st.data())
def test_edits_make_of_one_chain_the_other(data):
    """Carried out one by one, as iptables does, they leave the rules in the new order."""
    once = [f"-d 10.0.0.{number} -j X" for number in range(150)]
    again = data.draw(st.lists(st.tuples(st.integers(0, 149), st.sampled_from(once)), max_size=2))
    for place, rule in again:
        once.insert(place, rule)
    before = tuple(once)
    gone = data.draw(st.sets(st.integers(0, 149), max_size=7))
    after = [rule for number, rule in enumerate(before) if number not in gone]
    for number in range(data.draw(st.integers(0, 8))):
        after.insert(data.draw(st.integers(0, len(after))), f"-d 10.1.0.{number} -j Y")
    lines = edits("C", before, tuple(after))
    assert lines or again or before == tuple(after)
    assert not lines or restored("C", before, lines) == after


def restored(chain, rules, lines):
    """What iptables-restore makes of a chain's rules by such lines, one after another."""
    rules = list(rules)
    for line in lines:
        command, name, rest = line.split(" ", 2)
        assert name == chain
        if command == "-D":
            rules.remove(rest)
        elif command == "-A":
            rules.append(rest)
        else:
            number, _, rule = rest.partition(" ")
            assert 1 <= int(number) <= len(rules)
            rules.insert(int(number) - 1, rule)
    return rules


class World:
    """Where a book finds its objects."""

    def __init__(self, world):
        self.services, self.known_slices = dict(world[0]), dict(world[1])

    def service(self, key):
        return self.services.get(key)

    def slices(self, key):
        return [self.known_slices[key]] if key in self.known_slices else []

    def keys(self):
        return list(self.services)


@settings(max_examples=50)
@given(worlds(), worlds())
def test_changes_lead_where_a_fresh_start_does(before, after):
    """Applying only the change to the old chains gives the new ruleset, chain by chain."""
    world = World(before)
    book = IptablesBook(NODE, world)
    book.update(())
    have = {(t.name, c.name): c.rules for t in book.ruleset().tables.values() for c in t.own()}
    world.services, world.known_slices = dict(after[0]), dict(after[1])
    change, _ = book.update(sorted({*before[0], *after[0]}))
    for place, new in change.after.items():
        assert have.get(place) == change.before[place]
        have.pop(place, None)
        if new is not None:
            have[place] = new
    fresh = compiled(after)
    assert have == {(t.name, c.name): c.rules for t in fresh.tables.values() for c in t.own()}


@settings(max_examples=50)
@given(worlds(), worlds())
def test_edits_of_shared_chains_lead_there_and_back(before, after):
    """The same where each chain that Services share is long enough to be edited."""
    world = World(before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book_module, "is_worth_editing", lambda *_: True)
        book = IptablesBook(NODE, world)
        book.update(())
        old = compiled(before)
        world.services, world.known_slices = dict(after[0]), dict(after[1])
        change, _ = book.update(sorted({*before[0], *after[0]}))
    new = compiled(after)
    assert not {name for _, name in change.after} & {name for _, name in SHARED}
    for table, name in SHARED:
        was, now = old.chain(table, name).rules, new.chain(table, name).rules
        edit = change.edited.get((table, name))
        if edit is None:
            assert was == now
            continue
        assert edit.whole() == now
        assert edit.undone().whole() == was
        for way, start, end in ((edit, was, now), (edit.undone(), now, was)):
            assert (way.before, way.after) == (len(start), len(end))
            single = RulesetChange(edited={(table, name): way})
            assert restored(name, start, render_change(single).splitlines()[1:-1]) == [*end]


@settings(max_examples=50)
@given(worlds(), worlds())
def test_changes_of_the_table_lead_where_a_fresh_start_does(before, after):
    """The same in nftables mode, where two Services may want one element."""
    world = World(before)
    book = NftBook(NODE, world)
    book.update(())
    have = book.ruleset()
    world.services, world.known_slices = dict(after[0]), dict(after[1])
    change, _ = book.update(sorted({*before[0], *after[0]}))
    for part in ("chains", "sets", "elements"):
        there = getattr(have, part)
        for name, (old, new) in getattr(change, part).items():
            assert there.get(name) == old
            there.pop(name, None)
            if new is not None:
                there[name] = new
    assert have == book.ruleset() == nft_compile(after[0].values(), after[1].values(), NODE)


def _place(name, ip, zone):
    """A node of the cluster of `NODE`."""
    config = ProxyConfig(node_name=name, node_ips=(ip,), cluster_cidr=("10.244.0.0/16",))
    labels = {"topology.kubernetes.io/zone": zone}
    return node_view({"metadata": {"name": name, "labels": labels}}, config, "ipv4")


PLACES = [
    _place("alpha", "10.10.11.20", "a"),
    _place("beta", "203.0.113.9", "b"),
    _place("gamma", "10.10.12.1", "b"),
]


@settings(max_examples=50)
@given(worlds(), worlds())
def test_nodes_that_share_what_is_compiled_have_the_rules_of_their_own(before, after):
    world, shared = World(before), Compiled()
    books = [
        (kind, at, kind(at, world, shared)) for kind in (IptablesBook, NftBook) for at in PLACES
    ]
    for _, _, book in books:
        book.update(())
    world.services, world.known_slices = dict(after[0]), dict(after[1])
    for kind, at, book in books:
        book.update(sorted({*before[0], *after[0]}))
        alone = kind(at, world)
        alone.update(())
        assert list(book) == list(alone)
