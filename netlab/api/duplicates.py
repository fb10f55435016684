"""Fields that a body has more than once, of which a decoder keeps the last. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from netlab.objects.problems import Path, render_path

MOST = 100
"""Complaints, as kube-apiserver's decoder cuts them."""


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all that it says."""


def in_json(body: bytes, unknown: Mapping[Path, str]) -> list[str]:
    """What a strict decoder says of a sound JSON body: its `unknown` fields, each with the words
    about it, and those given twice, in the order in which they stand."""
    if not _has_any(body):
        return list(unknown.values())[:MOST]
    said = _complaints(json.loads(body, object_pairs_hook=_Pairs), (), unknown)
    return list(dict.fromkeys(said))[:MOST]


class _Twice(Exception):
    """A field is there once more."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def _has_any(body: bytes) -> bool:
    try:
        _DECODER.decode(body.decode())
    except _Twice:
        return True
    return False


def _complaints(value: Any, path: Path, unknown: Mapping[Path, str]) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, inner in value:
            here = (*path, name)
            if here in unknown:
                yield unknown[here]  # and nobody looks into it
                continue
            if name in seen:
                yield f'duplicate field "{render_path(here)}"'
            seen.add(name)
            yield from _complaints(inner, here, unknown)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _complaints(inner, (*path, index), unknown)
