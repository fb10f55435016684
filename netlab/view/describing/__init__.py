"""One object in full, in the layout of `kubectl describe`. Pure; a module a family of kinds."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.objects.kinds import Kind
from netlab.objects.kinds.admission import (
    MUTATING_WEBHOOK_CONFIGURATION,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
from netlab.objects.kinds.cluster import LEASE
from netlab.objects.kinds.events import EVENT
from netlab.objects.kinds.workloads import CONTROLLER_REVISION
from netlab.objects.meta import Object
from netlab.view import tabs
from netlab.view.describing import (
    access,
    batch,
    cluster,
    configuration,
    networking,
    plain,
    pods,
    workloads,
)
from netlab.view.describing.described import Belonging, Description, Related
from netlab.view.escape import escape

PLAIN = (
    CONTROLLER_REVISION,
    EVENT,
    LEASE,
    MUTATING_WEBHOOK_CONFIGURATION,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
"""Kinds that kubectl shows field by field."""

DESCRIPTIONS: dict[Kind, Description] = {
    **dict.fromkeys(PLAIN, Description(plain.anything)),
    **access.DESCRIPTIONS,
    **batch.DESCRIPTIONS,
    **cluster.DESCRIPTIONS,
    **configuration.DESCRIPTIONS,
    **networking.DESCRIPTIONS,
    **pods.DESCRIPTIONS,
    **workloads.DESCRIPTIONS,
}

_BY_KIND = {kind.kind: description for kind, description in DESCRIPTIONS.items()}


def describe(obj: Object, related: Related) -> str:
    """The description, without a line end after its last line."""
    lines = _BY_KIND[obj["kind"]].lines(obj, related)
    return tabs.align(map(escape, lines))


def belonging(obj: Object) -> Sequence[Belonging]:
    """What else to fetch for the description of `obj`: `Related.objects`."""
    return _BY_KIND[obj["kind"]].belonging(obj)
