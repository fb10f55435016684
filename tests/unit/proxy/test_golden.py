"""Each folder of tests/golden/proxy: objects beside the rules they must become, to the letter.

The expected texts were read back from a kernel (tests/kernel/test_proxy_appliers.py still does).
After a wanted change: NETLAB_UPDATE_GOLDEN=1 pytest tests/unit/proxy/test_golden.py
"""

import os
from pathlib import Path

import pytest
import yaml

from netlab.proxy.config import from_mapping
from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.parse import parse
from netlab.proxy.iptables.render import render
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.nftables.parse import parse_table
from netlab.proxy.nftables.render import render as nft_render
from netlab.proxy.node_view import node_view

GOLDEN = Path(__file__).parents[2] / "golden" / "proxy"


def compiled(case, family):
    objects = [obj for obj in yaml.safe_load_all((case / "objects.yaml").read_text()) if obj]
    config = from_mapping(yaml.safe_load((case / "proxy.yaml").read_text()))
    by_kind = {kind: [o for o in objects if o["kind"] == kind] for kind in ("Node", "Service")}
    slices = [obj for obj in objects if obj["kind"] == "EndpointSlice"]
    node = next(iter(by_kind["Node"]), None)
    return compile(by_kind["Service"], slices, node_view(node, config, family))


def compiled_nft(case):
    objects = [obj for obj in yaml.safe_load_all((case / "objects.yaml").read_text()) if obj]
    settings = yaml.safe_load((case / "proxy.yaml").read_text())
    config = from_mapping({**settings, "mode": "nftables", "serviceCIDRs": "10.96.0.0/12"})
    node = next((obj for obj in objects if obj["kind"] == "Node"), None)
    services = [obj for obj in objects if obj["kind"] == "Service"]
    slices = [obj for obj in objects if obj["kind"] == "EndpointSlice"]
    seen = [node_view(node, config, family) for family in ("ipv4", "ipv6")]
    return [nft_compile(services, slices, one) for one in seen]


@pytest.mark.parametrize("case", sorted(GOLDEN.iterdir()), ids=lambda case: case.name)
def test_objects_become_exactly_this_nftables_table(case):
    tables = compiled_nft(case)
    text = "".join(nft_render(table) for table in tables)
    expected = case / "expected.nft"
    if os.environ.get("NETLAB_UPDATE_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()
    assert [parse_table(text, family) for family in ("ipv4", "ipv6")] == tables
    newer = text.replace("output priority -1", "output priority dstnat - 1")
    newer = newer.replace("dstnat - 100", "dstnat").replace("dstnat - 110", "dstnat - 10")
    assert newer != text
    assert [parse_table(newer, family) for family in ("ipv4", "ipv6")] == tables


@pytest.mark.parametrize("family, extension", [("ipv4", "v4"), ("ipv6", "v6")])
@pytest.mark.parametrize("case", sorted(GOLDEN.iterdir()), ids=lambda case: case.name)
def test_objects_become_exactly_these_rules(case, family, extension):
    ruleset = compiled(case, family)
    expected = case / f"expected.{extension}"
    if os.environ.get("NETLAB_UPDATE_GOLDEN"):
        expected.write_text(render(ruleset))
    assert render(ruleset) == expected.read_text()
    assert parse(expected.read_text()) == ruleset
