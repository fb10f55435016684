"""The recorded worlds, read for netlab: `tests/oracle/README.md` says what they hold."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from netlab.proxy.addresses import Family
from netlab.proxy.config import ProxyConfig, from_mapping
from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.nftables.model import NftTable
from netlab.proxy.node_view import node_view

HERE = Path(__file__).parent
IPTABLES = sorted((HERE / "iptables").iterdir())
NFTABLES = sorted((HERE / "nftables").iterdir())
FAMILIES: dict[Family, str] = {"ipv4": "expected.v4", "ipv6": "expected.v6"}
"""And what iptables told of each."""


class World(NamedTuple):
    """What kube-proxy on one node knew."""

    services: list[dict[str, Any]]
    slices: list[dict[str, Any]]
    node: dict[str, Any]
    config: ProxyConfig


def read(folder: Path) -> World:
    """The objects and the settings of a recording."""
    text = (folder / "objects.yaml").read_text()
    objects = [obj for obj in yaml.load_all(text, Loader=yaml.CSafeLoader) if obj]
    config = from_mapping(yaml.safe_load((folder / "proxy.yaml").read_text()))
    services, slices, nodes = (
        [obj for obj in objects if obj["kind"] == kind]
        for kind in ("Service", "EndpointSlice", "Node")
    )
    node = next(node for node in nodes if node["metadata"]["name"] == config.node_name)
    return World(services, slices, node, config)


def ruleset(folder: Path, family: Family) -> Ruleset:
    """What netlab makes of it in iptables mode."""
    world = read(folder)
    seen = node_view(world.node, world.config, family)
    return compile(world.services, world.slices, seen)


def table(folder: Path, family: Family) -> NftTable:
    """What netlab makes of it in nftables mode."""
    world = read(folder)
    seen = node_view(world.node, world.config, family)
    return nft_compile(world.services, world.slices, seen)
