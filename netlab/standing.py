"""The nodes that stand in a lab, as its controller keeps them for the next one.

What is to be, Node objects say. This is what the network was made for last: a controller that
starts connects these nodes again before it has read a single object, and takes nobody's way away.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netlab.errors import NetlabError
from netlab.kernel import files, paths
from netlab.objects.lab import Lab, Node, node_from_object, node_to_object
from netlab.objects.nodes import Standing


def read(lab: Lab, directory: Path) -> Standing:
    """The nodes that stand in a lab; of a new one, those of its file."""
    try:
        kept = json.loads(paths.nodes_file(directory).read_text())
    except FileNotFoundError:
        return Standing(lab.nodes)
    except ValueError as error:
        raise NetlabError(f"{paths.nodes_file(directory)} is damaged: {error}") from None
    return Standing(_nodes(lab, kept["nodes"]), _nodes(lab, kept["off"]))


def joined(lab: Lab, directory: Path) -> tuple[Node, ...]:
    """The nodes that stand in a lab without its file naming them."""
    there = read(lab, directory)
    return tuple(node for node in (*there.nodes, *there.off) if lab.node(node.name) is None)


def is_kept(directory: Path) -> bool:
    """Whether the lab had a controller before that came to run nodes."""
    return paths.nodes_file(directory).exists()


def keep(standing: Standing, directory: Path) -> None:
    """Note which nodes stand from now on."""
    kept = {
        "nodes": [node_to_object(node) for node in standing.nodes],
        "off": [node_to_object(node) for node in standing.off],
    }
    name = paths.nodes_file(directory).name
    files.write_beside(paths.lab_file(directory), name, json.dumps(kept, indent=2))


def _nodes(lab: Lab, kept: list[dict[str, Any]]) -> tuple[Node, ...]:
    """As the lab's file has them now, which may have other labels for them."""
    return tuple(lab.node(entry["name"]) or node_from_object(entry) for entry in kept)
