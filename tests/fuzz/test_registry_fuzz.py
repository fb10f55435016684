"""Nonsense in, an `ApiError` out: never a traceback, and what was stored stays sound."""

from __future__ import annotations

import random
from typing import Any

from fuzz.nonsense import BODIES, LAB, spoiled
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.errors import ApiError
from netlab.objects.lab import lab_from_object
from netlab.objects.validation import validate
from netlab.store.registry import Registry
from netlab.store.store import Store

PATCHES: list[Any] = [
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]


def _registry() -> Registry:
    registry = Registry(Store(None), lab_from_object(LAB))
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    for body in BODIES:
        registry.create(body)
    return registry


def _attempt(registry: Registry, dice: random.Random) -> None:
    body = dice.choice(BODIES)
    junk = spoiled(body, dice)
    match dice.choice(("create", "update", "patch", "patch", "delete")):
        case "create":
            registry.create(junk, dry_run=dice.random() < 0.3)
        case "update":
            registry.update(junk, subresource=dice.choice(("", "status", "scale", "binding")))
        case "patch":
            part = {key: junk[key] for key in ("metadata", "spec") if key in junk}
            kind, subresource = dice.choice(PATCHES), dice.choice(("", "", "status"))
            registry.patch(
                body["kind"], "default", "web", part, content_type=kind, subresource=subresource
            )
        case "delete" if dice.random() < 0.2:
            registry.delete(body["kind"], "default", "web")


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_nonsense_is_refused_and_leaves_sound_objects(seed: int) -> None:
    dice, registry = random.Random(seed), _registry()
    for _ in range(40):
        before = registry.store.revision
        try:
            _attempt(registry, dice)
        except ApiError:
            assert registry.store.revision == before, "refused, and yet something was written"
    for body in BODIES:
        for obj in registry.store.each(body["kind"]):
            assert validate(obj) == [], obj
