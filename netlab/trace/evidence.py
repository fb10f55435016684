"""What a packet's own way says of why nobody answered. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.diagnosis.facts import Cause, count
from netlab.diagnosis.remedies import on_node
from netlab.objects import meta
from netlab.objects.types import Service
from netlab.pathcheck.world import World
from netlab.proxy.config import ModeName
from netlab.proxy.iptables.model import HOOKS
from netlab.proxy.nftables.model import TABLE
from netlab.trace.passages import TURN_AWAY, MetRule, Passage
from netlab.trace.predicted import Prediction, is_shut_out
from netlab.trace.story import ChainVisit, Story
from netlab.trace.way import NOWHERE, Decision

_AFFINITY_SECONDS = 10800


def place(visit: ChainVisit, rule: MetRule) -> str:
    """`rule 1 of filter FORWARD on worker001`."""
    return f"rule {rule.number} of {visit.table} {visit.chain} on {visit.place}"


def rules_of_others(story: Story) -> Iterator[Cause]:
    """A rule that is none of kube-proxy's and turns the packet away."""
    for visit in story.there:
        for rule in visit.met:
            if rule.verdict in TURN_AWAY and not _is_of_kube_proxy(visit):
                said = rule.text or f"{rule.verdict}, in a table of {rule.family}"
                text = f"turns it away, and is none of kube-proxy's: {said}"
                yield Cause(
                    "RulesOfOthers",
                    f"{place(visit, rule)} {text}",
                    nodes=(visit.place,),
                    remedy=_deletion(story, visit, rule),
                )


def policies(story: Story) -> Iterator[Cause]:
    """A chain that drops what none of its rules lets go on."""
    for one in story.denials:
        where = f"{one.table} {one.chain} on {one.place}"
        text = (
            f"the policy of {where} is to drop what no rule there accepts, and none accepts "
            f"{one.source} → {one.destination}"
        )
        yield Cause("DefaultDeny", text, nodes=(one.place,), remedy=_acceptance(story, one))


def _acceptance(story: Story, denial: Passage) -> str:
    """The command after which the chain lets go on what it has no rule for."""
    if story.mode == "iptables" and denial.table in HOOKS:
        return on_node(
            denial.place, f"{_iptables(story)} -t {denial.table} -P {denial.chain} ACCEPT"
        )
    chain = f"{denial.family} {denial.table} {denial.chain}"
    return on_node(denial.place, f"nft chain {chain} '{{ policy accept; }}'")


def _iptables(story: Story) -> str:
    family = "ip6tables" if ":" in story.probe.dst else "iptables"
    return f"{family}-{'nft' if story.told else 'legacy'}"


def _is_of_kube_proxy(visit: ChainVisit) -> bool:
    return visit.table == TABLE or visit.chain.startswith("KUBE-")


def _deletion(story: Story, visit: ChainVisit, rule: MetRule) -> str:
    """The command that takes a rule away; "" where no command of that node's does."""
    if story.mode == "iptables" and visit.table in HOOKS and rule.text:
        deletion = f"-t {visit.table} -D {visit.chain} {rule.text}"
        return on_node(visit.place, f"{_iptables(story)} {deletion}")
    if rule.handle:
        where = f"{rule.family} {visit.table} {visit.chain}"
        return on_node(visit.place, f"nft delete rule {where} handle {rule.handle}")
    return ""


def nowhere(story: Story) -> Iterator[Decision]:
    """Where a machine's routes turned it away."""
    for one in story.evidence.decisions:
        if one.route is not None and one.route.kind in NOWHERE:
            yield one


_NO_PROTOCOL = {4: (3, 2), 6: (4, 1)}


def unknown_protocol(story: Story) -> Iterator[Cause]:
    """A machine whose kernel says that it does not speak the protocol."""
    back, version = story.evidence.back, 6 if ":" in story.probe.dst else 4
    if back is not None and back.error == _NO_PROTOCOL[version]:
        name = story.probe.proto.upper()
        text = (
            f"{back.sent} does not know {name}: this machine's kernel has none, so nobody listens"
        )
        command = f"sudo modprobe {story.probe.proto}    # if there is such a module"
        yield Cause("UnknownProtocol", text, remedy=command)


def hairpin_port(story: Story) -> tuple[str, str] | None:
    """(node, interface) of the pod that a Service sent back to itself in vain, if that is so."""
    if story.journey.outcome == "reachable" or "/" not in story.sender:
        return None
    if not any(
        is_shut_out(end) or (end.verdict == "delivered" and end.at == story.sender)
        for end in story.ends
    ):
        return None
    ports = ((hop.place, hop.ifname) for hop in story.journey.hops if hop.place != story.sender)
    return next(ports, None)


def hairpin(story: Story, node: str, port: str) -> Cause:
    """For a port of that node which lets nothing out again that came in by it."""
    text = (
        f"hairpin: {story.sender} is behind the Service that it asks and was sent to itself, and "
        f"its port {port} on node {node} lets nothing out again that came in by it (hairpin off)"
    )
    command = on_node(node, f"bridge link set dev {port} hairpin on")
    return Cause("HairpinOff", text, nodes=(node,), remedy=command)


def stuck(service: Service, story: Story, world: World) -> Iterator[Cause]:
    """A client that affinity keeps at an endpoint which does not answer, though there are more."""
    went = _predicted(story)
    if story.journey.outcome == "reachable" or went is None or not _by_affinity(story):
        return
    number, known_ports = story.probe.dport, meta.spec(service).get("ports") or ()
    asked = (one for one in known_ports if number in (one["port"], one.get("nodePort")))
    port = next(asked, None)
    version = 6 if ":" in story.probe.dst else 4
    known = world.endpoints(meta.key(service), port, version) if port is not None else {}
    others = [each for each in known if each != went.destination]
    if not others:
        return
    config = (meta.spec(service).get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = config.get("timeoutSeconds") or _AFFINITY_SECONDS
    space, _, pod = went.at.partition("/")
    text = (
        f"sessionAffinity: ClientIP keeps {story.sender} at {went.at} ({went.destination}), which "
        f"does not answer; {count(len(others), 'other endpoint')} "
        f"{'is' if len(others) == 1 else 'are'} not asked until it has been silent for {seconds} s"
    )
    where = "" if space == "default" else f" -n {space}"
    command = f"netlab delete pod {pod}{where}    # its clients are sent to another then"
    yield Cause("AffinityStuck", text, pods=(pod,), remedy=command if pod else "")


def _predicted(story: Story) -> Prediction | None:
    """The end that the packet came to, or was to come to: with affinity there is but one."""
    delivered = story.journey.delivered
    ends = [end for end in story.ends if end.verdict == "delivered"]
    went = [end for end in ends if end.destination == delivered]
    return next(iter(went or ends), None)


def _by_affinity(story: Story) -> bool:
    """Whether a rule that knows the client sent it to its endpoint."""
    return any(_remembers(rule.text, story.mode) for visit in story.there for rule in visit.met)


def _remembers(rule: str, mode: ModeName) -> bool:
    if mode == "nftables":
        return "saddr @affinity-" in rule and "goto" in rule
    return "-m recent --rcheck" in rule
