"""One object in full, in the layout of `kubectl describe`. Pure; a module a family of kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.objects.kinds import BY_KIND, Kind
from netlab.objects.kinds.admission import (
    MUTATING_WEBHOOK_CONFIGURATION,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
from netlab.objects.kinds.cluster import LEASE
from netlab.objects.kinds.events import EVENT
from netlab.objects.kinds.records import Records
from netlab.objects.kinds.workloads import CONTROLLER_REVISION, POD_TEMPLATE
from netlab.objects.meta import Object
from netlab.view import tabs
from netlab.view.describing import plain
from netlab.view.describing.described import Belonging, Description, Related
from netlab.view.escape import escape

PLAIN = (
    CONTROLLER_REVISION,
    EVENT,
    LEASE,
    MUTATING_WEBHOOK_CONFIGURATION,
    POD_TEMPLATE,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
"""Kinds that kubectl shows field by field."""

DESCRIPTIONS: Mapping[Kind, Description] = Records(
    __name__, "DESCRIPTIONS", dict.fromkeys(PLAIN, Description(plain.anything))
)


def describe(obj: Object, related: Related) -> str:
    """The description, without a line end after its last line."""
    lines = DESCRIPTIONS[BY_KIND[obj["kind"]]].lines(obj, related)
    return tabs.align(map(escape, lines))


def belonging(obj: Object) -> Sequence[Belonging]:
    """What else to fetch for the description of `obj`: `Related.objects`."""
    return DESCRIPTIONS[BY_KIND[obj["kind"]]].belonging(obj)
