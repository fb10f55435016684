"""The recorded worlds in three ways: see `three_ways`."""

import pytest
from kernel.three_ways import MODES, everything, three_ways
from oracle import worlds
from oracle.tries import FOLDERS

pytestmark = pytest.mark.root

NAMES = sorted(FOLDERS)
SHORT = ("06-nodeport-local", "11-session-affinity", "15-sctp", "16-dual-stack")
WORLDS = [name if name in SHORT else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WORLDS)
def test_three_ways(name, mode, family, tmp_path):
    world = worlds.read(FOLDERS[name])
    three_ways(world, mode, family, tmp_path, everything(world, family))
