"""Nodes' rules, read side by side, each node's once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from netlab.trace.node_rules import NodeRules


class Reading:
    """A node's rules by its name; called, it waits for them."""

    def __init__(self, read: Callable[[str], NodeRules], threads: ThreadPoolExecutor) -> None:
        self._read = read
        self._threads = threads
        self._begun: dict[str, Future[NodeRules]] = {}

    def begin(self, nodes: Iterable[str]) -> None:
        """Their rules will be asked for."""
        for node in nodes:
            if node not in self._begun:
                self._begun[node] = self._threads.submit(self._read, node)

    def __call__(self, node: str) -> NodeRules:
        """A node's rules, once they are there."""
        self.begin([node])
        return self._begun[node].result()
