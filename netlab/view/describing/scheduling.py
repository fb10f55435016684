"""PriorityClasses as `kubectl describe` shows them. Pure."""

from __future__ import annotations

from netlab.objects import meta
from netlab.objects.kinds.scheduling import PRIORITY_CLASS
from netlab.objects.types import PriorityClass
from netlab.view.describing import described
from netlab.view.describing.described import Description, Lines, Related


def priority_class(obj: PriorityClass, related: Related) -> Lines:
    """A PriorityClass: how much its pods matter, and whether they drive out others."""
    yield f"Name:\t{meta.name(obj)}"
    yield f"Value:\t{obj['value']}"
    yield f"GlobalDefault:\t{'true' if obj.get('globalDefault') else 'false'}"
    yield f"PreemptionPolicy:\t{obj.get('preemptionPolicy', '')}"
    yield f"Description:\t{obj.get('description', '')}"
    yield from f"Annotations:\t{described.comma_pairs(meta.annotations(obj))}".split("\n")
    yield from described.events(related)


DESCRIPTIONS = {PRIORITY_CLASS: Description(priority_class)}
