"""What an Ingress controller says in Events, and what it keeps to itself."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.agents.ingress_events import IngressEvents
from netlab.ingress.model import IngressProblem


def ingress(**annotations: str) -> Any:
    metadata = {"name": "web", "namespace": "default", "uid": "u", "annotations": annotations}
    return {"kind": "Ingress", "metadata": metadata}


BROKEN = IngressProblem("default/web", "AnnotationIgnored", "no such thing")


class Informers:
    """Has one Ingress."""

    def __getitem__(self, _: str) -> dict[str, Any]:
        return {"default/web": ingress()}


@pytest.fixture
def events(recorder: Any) -> IngressEvents:
    return IngressEvents(Informers(), recorder)  # type: ignore[arg-type]


SYNC = "Sync: Scheduled for sync"
IGNORED = "AnnotationIgnored: no such thing"


def test_each_thing_is_told_once_until_the_ingress_changes(events: Any, recorder: Any) -> None:
    for _ in range(2):
        events.tell([ingress()], [BROKEN])
    assert (recorder.told, recorder.warnings) == ([SYNC], [IGNORED])
    events.tell([ingress(a="b")], ())
    assert (recorder.told, recorder.warnings) == ([SYNC, SYNC], [IGNORED])


def test_syncs_are_told_of_unless_a_flag_says_otherwise(events: Any, recorder: Any) -> None:
    events.tell([ingress()], [BROKEN], tells_of_syncs=False)
    assert (recorder.told, recorder.warnings) == ([], [IGNORED])


def test_who_may_write_no_events_writes_none(events: Any, recorder: Any) -> None:
    events.tell([ingress()], [BROKEN], lambda _: False)
    assert (recorder.told, recorder.warnings) == ([], [])
