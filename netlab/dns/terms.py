"""On what terms the cluster's Corefile has names answered: how long answers may be believed, which
of them are kept, and at which ports it tells how it is. Pure.

    kubernetes … { ttl 30 }     the cluster's own names
    cache 30 { … }              everything that its block answers
    health, ready, prometheus   pages, on ports of the pod
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from netlab.workload.inside.corefile import Directive

TERMS = "terms"
"""The key of `terms` among a names process' entries; no Service has one without a slash."""

OWN_TTL = 5
"""Seconds for which a name of the cluster is believed where `kubernetes` does not say."""

LONGEST_TTL = 3600

PAGES = {"health": (8080, "/health"), "ready": (8181, "/ready"), "prometheus": (9153, "/metrics")}
"""Plugins that answer HTTP: at which port unless they are told, and by which path."""


class PagePlace(Struct, frozen=True):
    """A page of one of these plugins, and at which port; on the loopback alone if `local`."""

    plugin: str
    port: int
    local: bool = False


class Terms(Struct, frozen=True):
    """The cluster's own names are to be believed for `ttl` seconds; the `zones` of server blocks,
    and of those that have a cache its directive; the `pages` that there are."""

    ttl: int = OWN_TTL
    zones: tuple[str, ...] = (".",)
    caches: tuple[tuple[tuple[str, ...], Directive], ...] = ()
    pages: tuple[PagePlace, ...] = ()


def usual(domain: str) -> Terms:
    """Those of the Corefile that kubeadm writes (`bootstrap.corefile`)."""
    sorts = ("success", "denial")
    below = tuple(Directive(0, ("disable", sort, domain)) for sort in sorts)
    cache = Directive(0, ("cache", "30"), below)
    pages = tuple(PagePlace(name, port) for name, (port, _) in PAGES.items())
    return Terms(30, (".",), (((".",), cache),), pages)


def to_json(terms: Terms, domain: str) -> dict[str, Any]:
    """As they travel to the process that answers."""
    caches = [{"zones": zones, "directive": directive} for zones, directive in terms.caches]
    own = {"domain": domain, "ttl": terms.ttl}
    return {**own, "zones": terms.zones, "caches": caches}


def directive(line: int, words: Sequence[str], below: Sequence[Any]) -> Directive:
    """One that has travelled."""
    return Directive(line, tuple(words), tuple(directive(*each) for each in below))
