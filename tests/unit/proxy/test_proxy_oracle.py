"""What a real kube-proxy programmed for the recorded worlds, beside what is compiled for them.

The recordings are not part of the project: without them these tests are skipped, and say so.
"""

import importlib.util
from pathlib import Path

import pytest
import yaml

from netlab.proxy.config import from_mapping
from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.diff import diff
from netlab.proxy.iptables.parse import parse
from netlab.proxy.iptables.render import render
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.nftables.parse import parse_table
from netlab.proxy.nftables.render import render as nft_render
from netlab.proxy.node_view import node_view

ORACLE = Path(__file__).parents[4] / "shared" / "oracle"
CASES = sorted((ORACLE / "visible").iterdir()) if ORACLE.is_dir() else []
NFT_CASES = sorted((ORACLE / "visible-nftables").iterdir()) if ORACLE.is_dir() else []

pytestmark = pytest.mark.skipif(not CASES, reason=f"no recordings in {ORACLE}")


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def differences():
    """The recordings' own comparison: two texts → what differs."""
    spec = importlib.util.spec_from_file_location("oracle_compare", ORACLE / "compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    options = module.options(ignore_nfacct=True)
    return lambda ours, theirs: module.compare_text(ours, theirs, options)


def read(case):
    text = (case / "objects.yaml").read_text()
    objects = [obj for obj in yaml.load_all(text, Loader=yaml.CSafeLoader) if obj]
    config = from_mapping(yaml.safe_load((case / "proxy.yaml").read_text()))
    nodes = [obj for obj in objects if obj["kind"] == "Node"]
    node = next(obj for obj in nodes if obj["metadata"]["name"] == config.node_name)
    services = [obj for obj in objects if obj["kind"] == "Service"]
    slices = [obj for obj in objects if obj["kind"] == "EndpointSlice"]
    return services, slices, node, config


def compiled(case, family):
    services, slices, node, config = read(case)
    return compile(services, slices, node_view(node, config, family))


@pytest.mark.parametrize("family, extension", [("ipv4", "v4"), ("ipv6", "v6")])
def test_the_rules_are_kube_proxys(case, family, extension, differences):
    expected = (case / f"expected.{extension}").read_text()
    assert differences(render(compiled(case, family)), expected) == []


@pytest.mark.parametrize("family, extension", [("ipv4", "v4"), ("ipv6", "v6")])
def test_our_own_comparison_finds_no_difference_either(case, family, extension):
    found = parse((case / f"expected.{extension}").read_text())
    assert diff(compiled(case, family), found) == []


@pytest.mark.parametrize("nft_case", NFT_CASES, ids=lambda case: case.name)
def test_the_nftables_table_is_kube_proxys(nft_case, differences):
    services, slices, node, config = read(nft_case)
    seen = [node_view(node, config, family) for family in ("ipv4", "ipv6")]
    text = "".join(nft_render(nft_compile(services, slices, one)) for one in seen)
    assert differences(text, (nft_case / "expected.nft").read_text()) == []


@pytest.mark.parametrize("nft_case", NFT_CASES, ids=lambda case: case.name)
def test_their_listing_is_read_as_what_is_compiled(nft_case):
    services, slices, node, config = read(nft_case)
    text = (nft_case / "expected.nft").read_text()
    for family in ("ipv4", "ipv6"):
        expected = nft_compile(services, slices, node_view(node, config, family))
        assert parse_table(text, family) == expected
