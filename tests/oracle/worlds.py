"""The recorded worlds, read for netlab: `tests/oracle/README.md` says what they hold."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from netlab.proxy.compile import compile
from netlab.proxy.config import ProxyConfig, from_mapping
from netlab.proxy.model import Family, Ruleset
from netlab.proxy.nft_compile import nft_compile
from netlab.proxy.nft_model import NftTable
from netlab.proxy.view import view

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
    return compile(*read(folder), family)


def table(folder: Path, family: Family) -> NftTable:
    """What netlab makes of it in nftables mode."""
    world = read(folder)
    return nft_compile(world.services, world.slices, view(world.node, world.config, family))
