"""Labs on paper, proved: routes choose the link, and each class ends as the simulator says."""

import random
from pathlib import Path

import proved
import pytest

from netlab import manifest, onpaper
from netlab.pathcheck.world import world_of
from netlab.prove.ground import Grounds, Node
from netlab.prove.intake import of_rules
from netlab.trace.routing import router_of

LABS = ("quickstart", "dual-stack")


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("name", LABS)
def test_every_node_of_a_lab_does_what_its_classes_say(name, mode, tmp_path):
    text = Path(f"topologies/{name}.yaml").read_text()
    (tmp_path / "lab.yaml").write_text(in_mode(text, mode))
    paper = onpaper.settled(manifest.load([str(tmp_path / "lab.yaml")]))
    assert paper.lab.proxy_mode == mode
    world = world_of(
        paper.lab, services=paper.services, slices=paper.slices, pods=paper.pods,
        nodes=paper.nodes, netns=lambda _: Path(),
    )  # fmt: skip
    router = router_of(world, paper.lab)
    pick = random.Random(name).choice
    tried = 0
    for node in paper.lab.nodes[:2]:
        for family in ("ipv4", "ipv6") if len(paper.lab.ip_families) > 1 else ("ipv4",):
            save = of_rules(node.name, {family: onpaper.ruleset(paper, node.name, family)})
            local = tuple(world.places[node.name].local)
            routes = tuple(router.routes(node.name))
            grounds = Grounds(Node(node.name, (save,), local, routes), family)
            rules = onpaper.rules(paper, node.name, family)
            for entry in ("PREROUTING", "OUTPUT"):
                for one in proved.classes_of(grounds.hooks, grounds.space, entry):
                    for region in one.regions:
                        packet = proved.packet_in(region, grounds.space, pick)
                        outcomes = rules.simulate(
                            packet, entry=entry, route=lambda to, at=node.name: link(router, at, to)
                        )
                        assert proved.agree(one, packet, outcomes, grounds.space), packet
                        tried += 1
    assert tried > 100


def link(router, place, destination):
    way = router.way(place, destination)
    return way.link if way is not None else ""


def in_mode(text, mode):
    """The lab's file with another mode of kube-proxy."""
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line == "spec:")
    lines = [line for line in lines if not line.strip().startswith("proxyMode:")]
    return "\n".join([*lines[: at + 1], f"  proxyMode: {mode}", *lines[at + 1 :]]) + "\n"
