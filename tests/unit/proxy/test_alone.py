"""One Service's rules held against those of all: what is not its own is known to be another's, so
what nobody's is shows, however many Services there are."""

import pytest
from msgspec.structs import replace
from oracle import worlds
from oracle.tries import FOLDERS

from netlab.objects import meta
from netlab.proxy import modes
from netlab.proxy.node_view import node_view


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_each_rule_of_another_service_has_its_owner(name, mode, family):
    world = worlds.read(FOLDERS[name])
    of = modes.of(mode)
    view = node_view(world.node, replace(world.config, mode=mode), family)
    found = of.assemble(of.compile_services(world.services, world.slices, view), view)
    for service in world.services:
        alone = of.assemble(of.compile_services([service], world.slices, view), view)
        differences = of.diff(alone, found)
        own = [one for one in differences if one.service in (None, meta.key(service))]
        assert own == []
        ports = [one for one in differences if one.service.startswith(f"{meta.key(service)}:")]
        assert ports == []
