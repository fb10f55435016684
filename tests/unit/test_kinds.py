"""Every kind has what belongs to a kind: this says which room still lacks what of a new one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from netlab.api.printing import PRINTERS
from netlab.objects import schema, strategies
from netlab.objects.kinds import BY_KIND, GROUPS, KINDS, OWN, Kind, pod_of
from netlab.objects.kinds.own import UNSERVED
from netlab.objects.selectors import STANDS_FOR
from netlab.objects.strategies.strategy import Strategy
from netlab.view import describing

GOLDEN = Path(__file__).parents[1] / "golden" / "describe"

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def described() -> set[str]:
    """The kinds of which a real kubectl's description is recorded."""
    files = GOLDEN.glob("*/object.json")
    return {json.loads(file.read_text())["object"]["kind"] for file in files}


@every_kind
def test_has_a_structure(kind: Kind) -> None:
    assert schema.of(kind.api_version, kind.kind) is not None, "scripts/generate-schema"


@every_kind
def test_has_a_strategy(kind: Kind) -> None:
    assert kind in strategies.STRATEGIES, "objects/strategies: its Strategy, or PLAIN"
    says_something = strategies.STRATEGIES[kind] != Strategy()
    assert says_something is (kind not in strategies.PLAIN)


@every_kind
def test_has_columns(kind: Kind) -> None:
    assert kind in PRINTERS, "api/printing"


@every_kind
def test_has_a_description(kind: Kind) -> None:
    assert kind in describing.DESCRIPTIONS, "view/describing: its Description, or PLAIN"
    assert kind.kind in described(), "tests/golden/describe"


def test_no_room_knows_more_kinds() -> None:
    for room in (strategies.STRATEGIES, PRINTERS, describing.DESCRIPTIONS):
        assert set(room) <= set(KINDS)


def test_every_word_means_one_kind() -> None:
    words = [word for kind in KINDS for word in {kind.plural, kind.singular, *kind.short_names}]
    assert len(words) == len(set(words))
    assert len(BY_KIND) == len(KINDS)


def test_the_groups_are_those_of_the_kinds() -> None:
    assert {kind.group for kind in KINDS} == set(GROUPS)


def test_what_is_not_served_is_no_kind() -> None:
    assert UNSERVED.isdisjoint({*BY_KIND, *OWN})


def test_what_is_not_served_is_told() -> None:
    page = (Path(schema.__file__).parents[1] / "docs" / "kubernetes-api.md").read_text()
    told = page.partition("no matches for kind")[2].partition("\n## ")[0]
    assert set(re.findall(r"\w+", told)) >= UNSERVED


@every_kind
def test_what_is_selectable_is_in_the_structure(kind: Kind) -> None:
    structure = schema.of(kind.api_version, kind.kind)
    assert structure is not None
    paths = [tuple(one.split(".")) for one in kind.selectable]
    assert [one for one in paths if structure.at(STANDS_FOR.get(one, one)) is None] == []


@every_kind
def test_its_pods_are_where_it_says(kind: Kind) -> None:
    structure = schema.of(kind.api_version, kind.kind)
    assert structure is not None
    below = (("spec", "template"), ("spec", "jobTemplate", "spec", "template"))
    makers = (structure.at((*path, "spec", "containers")) for path in below)
    assert any(one not in (None, schema.ANYTHING) for one in makers) is kind.makes_pods
    if kind.pod_path is not None:
        assert structure.at((*kind.pod_path, "spec", "containers")) is not None


@every_kind
def test_its_pods_are_found(kind: Kind) -> None:
    spec: dict[str, Any] = {"containers": []}
    obj: dict[str, Any] = {"spec": spec}
    for part in reversed(kind.pod_path or ()):
        obj = {part: obj}
    found = pod_of({**obj, "kind": kind.kind})
    assert found.get("spec") is (None if kind.pod_path is None else spec)


@pytest.mark.parametrize("kind", OWN.values(), ids=lambda kind: kind.kind)
def test_a_kind_of_netlab_s_own_has_a_structure(kind: Kind) -> None:
    assert schema.of(kind.api_version, kind.kind) is not None
