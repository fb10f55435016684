"""The packets that tests/flow sends through the golden cases on paper, in three ways: see
`three_ways`.
"""

import pytest
from flow import golden
from kernel.three_ways import MODES, everything, three_ways

pytestmark = pytest.mark.root


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", dict.fromkeys(row.case for row in golden.ROWS))
def test_the_rows_of_flow(name, mode, family, tmp_path):
    """The packets that tests/flow sends on paper."""
    rows = [row.of(family) for row in golden.ROWS if row.case == name]
    tries = [
        (("row", row.destination, row.port, row.protocol), (row.source, row.entry)) for row in rows
    ]
    three_ways(golden.read(name, family), mode, family, tmp_path, tries)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("mode", MODES)
def test_a_node_that_does_not_forward(mode, family, tmp_path):
    rows = [row.of(family) for row in golden.ROWS if row.case == "node-port"]
    tries = [
        (("row", row.destination, row.port, row.protocol), (row.source, row.entry)) for row in rows
    ]
    world = golden.read("node-port", family)
    three_ways(world, mode, family, tmp_path, tries, forwards=False)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("mode", ["nft", "nftables", "legacy"])
@pytest.mark.parametrize("name", sorted(golden.FOLDERS))
def test_golden_cases(name, mode, family, tmp_path):
    world = golden.read(name, family)
    three_ways(world, mode, family, tmp_path, everything(world, family))
