from __future__ import annotations

from typing import Any

from netlab.store import retention
from netlab.store.registry import Registry


def _event(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
        "reason": "Started",
        **fields,
    }


def test_events_go_an_hour_after_they_last_happened(registry: Registry, clock: Any) -> None:
    registry.create(_event("once"))
    registry.create(_event("again", lastTimestamp="2026-01-01T12:30:00Z"))
    registry.create(_event("series", series={"lastObservedTime": "2026-01-01T12:40:00.000000Z"}))
    clock.now += 3599
    registry.create(_event("too-early"))
    assert len(registry.list("Event").items) == 4
    clock.now += 61
    registry.create(_event("trigger"))
    names = [one["metadata"]["name"] for one in registry.list("Event").items]
    assert names == ["again", "series", "too-early", "trigger"]


def test_of_more_events_than_are_kept_the_oldest_go(
    registry: Registry, clock: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(retention, "MOST", 16)
    for number in range(40):
        clock.now += 1
        registry.create(_event(f"e{number:02}"))
    names = [one["metadata"]["name"] for one in registry.list("Event").items]
    assert names == [f"e{number:02}" for number in range(40 - len(names), 40)]
    assert 16 <= len(names) <= 18
