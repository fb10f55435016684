"""A name looked up as its sender does it, under captures that see who is asked."""

from __future__ import annotations

from netlab.pathcheck.capture import Capture
from netlab.pathcheck.resolve import resolve
from netlab.pathcheck.trial import Trial
from netlab.pathcheck.world import World
from netlab.trace.lookup import LookUp, Unresolved, listened_at, names, resolv_conf, told

_REST_SECONDS = 0.001


def resolved(trial: Trial, world: World) -> tuple[Trial, LookUp | None]:
    """With the address of the target's name, where it has a name; `Unresolved` without one."""
    if not trial.name:
        return trial, None
    place = trial.place
    conf = resolv_conf(place, trial.name_servers, world)
    here = listened_at(place, conf.nameservers, world)
    with Capture({name: world.places[name].netns for name in here}) as capture:
        capture.prove()
        wanted = names(trial.name, conf)
        found = resolve(place.netns, conf.nameservers, wanted, version=trial.version)
        seen = capture.collect(_REST_SECONDS)
    lookup = told(trial.name, conf, found, seen, world)
    if found.error:
        raise Unresolved(lookup)
    return trial.resolved(found.addresses), lookup
