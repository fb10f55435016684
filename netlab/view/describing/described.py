"""The pieces that every `describe` is made of: labels, annotations, times, events. Pure.

Lines carry tabs between their columns; `tabs.align` spaces them out at the very end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from netlab.objects import meta
from netlab.objects.kinds import Kind
from netlab.objects.meta import AnyObject
from netlab.objects.selectors import format_label_selector
from netlab.objects.times import parse_time
from netlab.objects.types import Event
from netlab.view.ages import human_duration

Lines = Iterator[str]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
WIDEST_ANNOTATION = 140


class Related(Struct, frozen=True):
    """What a description tells besides the object itself.

    `events` are those about the object; `objects` those that its `Description` asks for; `now` is
    seconds since the epoch; `causes` a line for each reason why a Service fails.
    """

    now: float
    events: Sequence[Event] = ()
    objects: Sequence[Any] = ()
    causes: Sequence[str] = ()


class Belonging(Struct, frozen=True):
    """What to list besides an object: which kind, in which namespace (None: all), by what query."""

    kind: Kind
    namespace: str | None
    query: dict[str, str] = {}


class Description(Struct, frozen=True):
    """How one kind is described: the lines, and what else of the lab they tell of."""

    lines: Callable[[Any, Related], Lines]
    belonging: Callable[[Any], Sequence[Belonging]] = lambda _: ()


def of_kind(kind: Kind, related: Related) -> list[Any]:
    """Those of the related objects that are of a kind."""
    return [obj for obj in related.objects if obj["kind"] == kind.kind]


def name_lines(obj: AnyObject) -> Lines:
    """Name and, where there is one, namespace."""
    yield f"Name:\t{meta.name(obj)}"
    if meta.namespace(obj):
        yield f"Namespace:\t{meta.namespace(obj)}"


def created(obj: AnyObject) -> str:
    """The line that tells when the object was made."""
    return f"CreationTimestamp:\t{moment(obj['metadata'].get('creationTimestamp'))}"


def head(obj: AnyObject) -> Lines:
    """Name, namespace, labels, annotations: how most descriptions begin."""
    yield from name_lines(obj)
    yield from label_lines(obj)
    yield from annotation_lines(obj)


def label_lines(obj: AnyObject) -> Lines:
    """The object's labels, one a line."""
    return pairs("Labels", meta.labels(obj))


def pairs(title: str, values: Mapping[str, str]) -> Lines:
    """`Title:  a=1` and, below each other, what else there is; `<none>` for nothing."""
    return listed(title, [f"{name}={values[name]}" for name in sorted(values)])


def listed(title: str, entries: Sequence[str]) -> Lines:
    """A title with entries below each other; `<none>` for nothing."""
    for number, entry in enumerate(entries or ["<none>"]):
        yield f"{'' if number else title + ':'}\t{entry}"


def annotation_lines(obj: AnyObject, title: str = "Annotations") -> Lines:
    """The annotations but for what `apply` remembers; long ones start on a line of their own."""
    values = meta.annotations(obj)
    entries: list[str] = []
    for name in sorted(set(values) - {LAST_APPLIED}):
        value = values[name].removesuffix("\n")
        if "\n" in value or len(name) + len(value) + 2 > WIDEST_ANNOTATION:
            entries.append(f"{name}:")
            entries += [f"  {_shortened(line)}" for line in value.split("\n")]
        else:
            entries.append(f"{name}: {value}")
    return listed(title, entries)


def _shortened(text: str) -> str:
    longest = WIDEST_ANNOTATION - 2
    return text if len(text) <= longest else text[:longest] + "..."


def selector(obj: AnyObject) -> str:
    """A workload's or a Service's selector on one line."""
    found: Mapping[str, Any] = obj["spec"].get("selector") or {}
    if "matchLabels" in found or "matchExpressions" in found:
        return format_label_selector(found)
    return comma_pairs(found)


def comma_pairs(values: Mapping[str, str]) -> str:
    """`a=1,b=2`, or `<none>`."""
    return ",".join(f"{name}={values[name]}" for name in sorted(values)) or "<none>"


def controlled_by(obj: AnyObject) -> Lines:
    """Who made the object, if anybody did."""
    owner = meta.controller_of(obj)
    if owner:
        yield f"Controlled By:\t{owner['kind']}/{owner['name']}"


def tolerations(entries: Iterable[Mapping[str, Any]], title: str = "Tolerations") -> Lines:
    """Tolerations, one a line, by their keys."""
    ordered = sorted(entries, key=lambda entry: str(entry.get("key") or ""))
    return listed(title, [_toleration(entry) for entry in ordered])


def _toleration(entry: Mapping[str, Any]) -> str:
    text = str(entry.get("key") or "")
    text += f"={entry['value']}" if entry.get("value") else ""
    text += f":{entry['effect']}" if entry.get("effect") else ""
    if entry.get("operator") == "Exists" and not entry.get("value"):
        text += " op=Exists" if text else "op=Exists"
    seconds = entry.get("tolerationSeconds")
    return text if seconds is None else f"{text} for {seconds}s"


def moment(text: object) -> str:
    """An RFC 3339 time as `Fri, 20 Nov 2026 23:10:16 +0000`; kubectl's words when it is none."""
    seconds = parse_time(text)
    if seconds is None:
        return "Mon, 01 Jan 0001 00:00:00 +0000"
    return datetime.fromtimestamp(seconds, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")


def age(text: object, now: float) -> str:
    """How long ago an RFC 3339 time was."""
    seconds = parse_time(text)
    return "<unknown>" if seconds is None else human_duration(now - seconds)


def events(related: Related) -> Lines:
    """The table of events with which a description ends."""
    if not related.events:
        yield "Events:\t<none>"
        return
    yield "Events:"
    yield "  Type\tReason\tAge\tFrom\tMessage"
    yield "  ----\t------\t----\t----\t-------"
    for event in sorted(related.events, key=lambda event: parse_time(_last(event)) or 0):
        source = (event.get("source") or {}).get("component") or event.get("reportingComponent")
        words = str(event.get("message") or "").strip()
        kind, reason = event.get("type"), event.get("reason")
        yield f"  {kind}\t{reason}\t{_since(event, related.now)}\t{source or ''}\t{words}"


def _last(event: Event) -> object:
    return event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp")


def _since(event: Event, now: float) -> str:
    count = int(event.get("count") or 1)
    last = age(_last(event), now)
    if count < 2:
        return last
    return f"{last} (x{count} over {age(event.get('firstTimestamp'), now)})"
