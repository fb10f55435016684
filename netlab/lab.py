"""A lab's life in one screenful: up, down, and how it is.

Nothing here knows how links or rules are made: `up` prepares the lab's directory, starts its
controller, hands it the objects through the API and waits until everything has settled.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from netlab import inventory, pruning, standing, supervision, waiting
from netlab.client.apply import Applied, apply
from netlab.client.settled import look
from netlab.client.sync import Client
from netlab.client.wire import BrokenAnswer, ControllerUnreachable, Unanswered
from netlab.errors import NetlabError, TeardownFailed, UsageError
from netlab.kernel import (
    basedir,
    caller,
    elsewhere,
    files,
    lablock,
    machine,
    modules,
    netns,
    paths,
    tools,
)
from netlab.objects import bootstrap, lab_update, meta, types
from netlab.objects.kinds import pod_of
from netlab.objects.lab import Lab
from netlab.objects.meta import Object
from netlab.objects.nodes import condition, present

if TYPE_CHECKING:
    from netlab.manifest import Manifest

T = TypeVar("T")

Progress = Callable[[str], None]
"""Told in a few words what is being done now."""

STATUS_TIMEOUT = 8.0
"""Seconds after which `status` says that the controller does not answer."""

ROUNDS = 3
"""How often a controller that dies meanwhile is started again."""

_LOST = (ControllerUnreachable, BrokenAnswer)


need_root = caller.need_root
"""Who imports all this anyway finds it here."""


class Brought(Struct, frozen=True):
    """What `up` did: what was applied, and a line for each thing that does not work. `settled`
    says that waiting longer would not help; `changes` is what of a running lab is otherwise
    now, `left_over` objects that the files have no more: with `prune` they are gone."""

    applied: list[Applied]
    troubles: list[str]
    settled: bool = True
    changes: lab_update.LabChanges = lab_update.LabChanges()
    left_over: Sequence[pruning.Known] = ()


def up(
    manifest: Manifest,
    files: Sequence[str],
    *,
    progress: Progress,
    timeout: float | None = waiting.TIMEOUT,
    prune: bool = False,
    newborn: supervision.Newborn | None = None,
) -> Brought:
    """Bring up the lab that `manifest` describes, or make the running one match it.

    `files` is where the manifest came from, kept for `netlab check`. Objects that an earlier `up`
    applied and that are in the files no more stay, unless it is to `prune`. Waits so many seconds
    until all is ready, with None not at all. A lab that fails to come up for the first time is
    taken down again; one of which a part does not work stays. Who else brings the same lab up or
    takes it down is waited for. A lab that has no controller can have the `newborn` one.
    """
    wanted = _lab_of(manifest)
    need_root("up")
    require(wanted, manifest.objects)
    modules.ensure_bridge_netfilter()
    directory = paths.lab_dir(wanted.name)
    basedir.refuse_long(directory)
    basedir.refuse_others(directory)
    with (
        _taken_down_if_it_fails(directory, progress) as keeper,
        Client(inventory.endpoint(directory)) as client,
    ):
        with lablock.held(directory, "netlab up", tell=progress):
            keeper.look()
            lab, changes = _ensure_lab(manifest, directory, progress, newborn)
            progress("applying objects")
            missing = [] if keeper.fresh else _missing_nodes(client, lab, progress)
            made = [_apply(client, obj, directory, progress) for obj in missing]
            applied = made + _apply_all(client, manifest.objects, directory, progress)
            left = _left_over(client, directory, applied, prune=prune)
            _keep_sources(directory, files)
        brought = Brought(applied, [], changes=changes, left_over=left)
        if timeout is None:
            return brought
        progress("waiting for pods, rules and names")
        return _settled(client, directory, brought, timeout, progress)


def _lab_of(manifest: Manifest) -> Lab:
    if manifest.lab is None:
        raise UsageError(
            "the files hold no `kind: Lab` object, so there is no lab to bring up",
            hint="add one (see topologies/quickstart.yaml), or `netlab apply` to a running lab",
        )
    return manifest.lab


def _left_over(
    client: Client, directory: Path, applied: Sequence[Applied], *, prune: bool
) -> Sequence[pruning.Known]:
    """What an earlier `up` applied and this one did not: kept in mind, or pruned."""
    known = pruning.known(applied)
    left = pruning.left_over(client, directory, known)
    pruning.forget_others(directory, [*known, *left])
    if prune:
        pruning.prune(client, directory, left)
    return left


_RULES_BY = {
    "auto": "iptables-restore",
    "nft": "iptables-nft-restore",
    "legacy": "iptables-legacy-restore",
    "libiptc": "iptables-legacy-restore",
}
"""The program that each `iptables:` of a lab file asks for, in IPv4."""


def require(lab: Lab, objects: Iterable[Object] = ()) -> None:
    """Raise `EnvironmentLacks` for what the machine lacks of what this lab asks for."""
    if any("ingress" in image for image in _images(objects)):  # else nobody needs the catalogue
        _require_programs(_images(objects))
    if lab.proxy_mode == "nftables":
        tools.require("nft")
        return
    programs = [_RULES_BY[lab.iptables]]
    if "IPv6" in lab.ip_families:
        programs += [program.replace("ip", "ip6", 1) for program in programs]
    tools.require(*programs)
    if lab.iptables == "libiptc":
        from netlab.proxy import modes  # much of the house, for who asks for it alone

        modes.require_libiptc()


def _images(objects: Iterable[Object]) -> Iterator[str]:
    for obj in objects:
        spec = meta.spec(pod_of(obj))
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            yield str(container.get("image"))


def _require_programs(images: Iterable[str]) -> None:
    from netlab.workload.catalogue import lookup

    programs = {lookup(image).program for image in images} & tools.OPTIONAL_TOOLS.keys()
    tools.require(*sorted(programs))


class _Keeper:
    """Remembers whether the lab was there before us."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.fresh = False

    def look(self) -> None:
        """To be called before the lab is made."""
        self.fresh = not paths.lab_file(self._directory).exists()


@contextlib.contextmanager
def _taken_down_if_it_fails(directory: Path, progress: Progress) -> Iterator[_Keeper]:
    """Take the lab down again if the body fails that has made it."""
    keeper = _Keeper(directory)
    try:
        yield keeper
    except BaseException as error:
        if keeper.fresh:
            progress(f"taking lab {directory.name} down again")
            with (
                contextlib.suppress(TeardownFailed),
                lablock.held(directory, "netlab up, taking it down again", tell=progress),
            ):
                _tear_down(directory)
        if isinstance(error, KeyboardInterrupt):
            became = "is taken down again" if keeper.fresh else "stays as far as it has come"
            raise KeyboardInterrupt(f"lab {directory.name} {became}") from None
        raise


def _settled(
    client: Client, directory: Path, brought: Brought, timeout: float, progress: Progress
) -> Brought:
    """Wait; if the controller dies meanwhile, with the next one."""
    deadline = time.monotonic() + timeout
    ours = [entry.uid for entry in brought.applied]
    for left in reversed(range(ROUNDS)):
        try:
            seconds = max(deadline - time.monotonic(), 0.0)
            state = waiting.settle(client, seconds, progress, ours)
            troubles = waiting.troubles(client, state)
            return replace(brought, troubles=troubles, settled=state.settled)
        except _LOST:
            with lablock.held(directory, "netlab up", tell=progress):
                if not paths.lab_file(directory).exists():
                    raise NetlabError(
                        f"lab {directory.name} was taken down while `up` waited for it"
                    ) from None
                if not left:
                    raise
                supervision.ensure_controller(directory, progress)
    raise AssertionError("the last round returns or raises")


def _missing_nodes(client: Client, lab: Lab, progress: Progress) -> list[Object]:
    nodes = _surely(lambda: client.list("Node"), paths.lab_dir(lab.name), progress)
    return missing_nodes(lab, nodes)


def missing_nodes(lab: Lab, nodes: Iterable[types.Node]) -> list[Object]:
    """The Node objects of a lab that was up already which somebody has deleted since."""
    known = {meta.name(node) for node in nodes}
    architecture = machine.facts().architecture
    missing = [node for node in lab.nodes if node.name not in known]
    return [{**bootstrap.node_object(node, architecture)} for node in missing]


def _apply_all(
    client: Client, objects: Sequence[Object], directory: Path, progress: Progress
) -> list[Applied]:
    """Apply them in order; whatever stops that, what was applied is kept in mind."""
    applied: list[Applied] = []
    try:
        for obj in objects:
            applied.append(_apply(client, obj, directory, progress))
    finally:
        pruning.remember(directory, pruning.known(applied))
    return applied


def _apply(client: Client, obj: Object, directory: Path, progress: Progress) -> Applied:
    def once() -> Applied:
        known = len(client.warnings)
        return replace(apply(client, obj), warnings=tuple(client.warnings[known:]))

    return _surely(once, directory, progress)


def _surely(call: Callable[[], T], directory: Path, progress: Progress) -> T:
    """What a call to the controller returns; if that dies meanwhile, of the next one."""
    for left in reversed(range(ROUNDS)):
        try:
            return call()
        except _LOST:
            if not left:
                raise
            supervision.ensure_controller(directory, progress)
    raise AssertionError("the last round returns or raises")


def down(name: str, *, progress: Progress) -> None:
    """Leave nothing of a lab, whatever state it is in. `TeardownFailed` lists what resisted;
    `NetlabError` for one that lies in another mount namespace.

    Who brings it up at this moment is waited for.
    """
    need_root("down")
    directory = paths.lab_dir(name)
    elsewhere.require_here(directory)
    with lablock.held(directory, "netlab down", tell=progress):
        progress(f"taking {name} down")
        try:
            _tear_down(directory)
        except KeyboardInterrupt:
            rest = f"netlab down {name} does the rest"
            raise KeyboardInterrupt(f"lab {name} is down half-way; {rest}") from None


def tidy() -> None:
    """Leave nothing of what all labs share either, unless there is a lab."""
    basedir.tidy(paths.run_dir())


def _keep_sources(directory: Path, files: Sequence[str]) -> None:
    kept = [str(Path(file).absolute()) for file in files if file != "-"]
    _write(inventory.sources_file(directory), json.dumps(kept))


def _write(path: Path, text: str) -> None:
    """Also for the user whose sudo started the lab: to read, as root believes what it says."""
    files.write(path, text, mode=0o640, group=_readers(path.parent))


def _readers(directory: Path) -> int:
    before = paths.lab_file(directory)
    known = before.stat().st_gid if before.exists() and inventory.is_running(directory) else 0
    return known or caller.gid()


def _tear_down(directory: Path) -> None:
    from netlab.kernel import teardown  # what is seldom needed makes nobody wait

    teardown.teardown(directory)


def _ensure_lab(
    manifest: Manifest, directory: Path, progress: Progress, newborn: supervision.Newborn | None
) -> tuple[Lab, lab_update.LabChanges]:
    """Have the lab's controller run, as the lab is to be now; what of that is new, as fields."""
    lab = manifest.lab
    assert lab is not None
    if directory.exists() and not paths.lab_file(directory).exists():
        progress("taking away what is left of a lab that was made or taken down half-way")
        _tear_down(directory)
    uid = newborn.owner if newborn else None
    netns.LabMount(directory).ensure(uid=uid, tell=progress)
    changes = lab_update.LabChanges()
    if paths.lab_file(directory).exists():
        lab, changes = _changed(manifest, inventory.read_lab(directory), directory, progress)
    _write(paths.lab_file(directory), json.dumps(lab.to_object(), indent=2))
    supervision.ensure_controller(directory, progress, newborn)
    return lab, changes


def _changed(
    manifest: Manifest, before: Lab, directory: Path, progress: Progress
) -> tuple[Lab, lab_update.LabChanges]:
    """What a lab that is up is to be from now on; if that is something else, it has no controller
    on return, nor what the next one would not take away."""
    from netlab import reconfiguration  # a new lab is none that changes

    joined = standing.joined(before, directory)
    after = reconfiguration.wanted(manifest, before, joined)
    if after == before:
        return before, lab_update.LabChanges()
    require(after)
    supervision.ensure_controller(directory, progress)
    client = Client(inventory.endpoint(directory))
    waiting.started(client, supervision.START_TIMEOUT)
    named = (node for node in joined if after.node(node.name))
    known = replace(before, nodes=(*before.nodes, *named))
    reconfiguration.ready(client, known, after, directory, progress)
    progress("having the controller start again with other settings")
    supervision.end_controller(directory)
    changes = lab_update.changes(before, after)
    reconfiguration.withdraw_rules(before, after, changes.fields, directory)
    return after, changes


def status(name: str) -> tuple[Lab, dict[str, Any]]:
    """A lab with the nodes it has, and its state: `running`, `waitingFor` (lines), `pods`, and
    `nodes`: the condition of each.

    A lab whose controller is gone has neither pods nor conditions to tell of.
    """
    directory = inventory.running(name)
    spec = inventory.read_lab(directory)
    try:
        with Client(inventory.endpoint(directory), timeout=STATUS_TIMEOUT) as client:
            troubles = waiting.troubles(client, look(client))
            pods, nodes = client.list("Pod"), client.list("Node")
    except Unanswered as error:
        return spec, {
            "running": True,
            "waitingFor": [f"{error.message} ({supervision.controller_name(directory)})"],
            "pods": [],
        }
    except _LOST:
        return spec, {"running": False, "waitingFor": ["its controller does not run"], "pods": []}
    conditions = {meta.name(node): condition(node) for node in nodes}
    state = {"running": True, "waitingFor": troubles, "pods": list(pods), "nodes": conditions}
    return present(spec, nodes), state
