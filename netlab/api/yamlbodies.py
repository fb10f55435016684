"""YAML as Kubernetes reads it in request bodies: what looks like a date stays a string."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

import yaml

from netlab.api.duplicates import MOST

_NODES = 500_000


def value(body: bytes) -> Any:
    """The value as JSON would give it; ValueError, in the server's words, for what is no YAML or
    what JSON does not have."""
    try:
        return _Plain(_NODES).plain(yaml.load(body, Loader=_Loader))
    except yaml.YAMLError as error:
        raise ValueError(f"yaml: {' '.join(str(error).split())}") from None
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        # The last three are what PyYAML makes of `!!int ""`, `!!bool x`, `!!timestamp x`.
        raise ValueError(f"error converting YAML to JSON: {error}") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """What reads it."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Plain:
    """YAML values as JSON ones; `budget` bounds what aliases of aliases may grow to."""

    def __init__(self, budget: int) -> None:
        self._budget = budget

    def plain(self, value: Any) -> Any:
        """The value as JSON would give it; ValueError for what JSON does not have."""
        self._budget -= 1
        if self._budget < 0:
            raise ValueError("excessive aliasing")
        if isinstance(value, dict):
            return {self._key(key): self.plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.plain(inner) for inner in value]
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"json: unsupported value: {value}")
        if value is None or isinstance(value, str | int | float):
            return value
        raise ValueError(f"unsupported value of type {type(value).__name__}")

    def _key(self, key: Any) -> str:
        if isinstance(key, bool):
            return str(key).lower()
        return "null" if key is None else str(key)


def repeated(body: bytes) -> list[str]:
    """What a strict decoder says of a sound YAML body: one line, or none."""
    lines = [
        f'line {key.start_mark.line + 1}: key "{key.value}" already set in map'
        for key in _repeated(yaml.compose(body, Loader=_Loader))
    ]
    return ["\n  ".join(["yaml: unmarshal errors:", *lines[:MOST]])] if lines else []


def _repeated(node: yaml.Node | None) -> Iterator[yaml.Node]:
    todo: list[yaml.Node | None] = [node]
    looked: set[int] = set()
    while todo:
        here = todo.pop()
        if here is None or id(here) in looked:
            continue  # an alias leads to what was seen
        looked.add(id(here))
        if isinstance(here, yaml.MappingNode):
            yield from _twice(here.value)
            todo += [value for _, value in reversed(here.value)]
        elif isinstance(here, yaml.SequenceNode):
            todo += reversed(here.value)


def _twice(pairs: Sequence[tuple[yaml.Node, yaml.Node]]) -> Iterator[yaml.Node]:
    seen: set[Any] = set()
    for key, _ in pairs:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                yield key
            seen.add(key.value)
