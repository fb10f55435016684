"""A lab's life in one screenful: up, down, and which labs there are.

Nothing here knows how links or rules are made: `up` prepares the lab's directory, starts its
controller, hands it the objects through the API and waits until everything has settled.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.client.apply import Applied, apply
from netlab.client.sync import Client
from netlab.errors import EnvironmentLacks, NetlabError, TeardownFailed, UsageError
from netlab.kernel import caller, files, lock, modules, netns, paths, preflight, process, teardown
from netlab.objects.lab import Lab, lab_from_object
from netlab.objects.meta import Object

if TYPE_CHECKING:
    from netlab.manifest import Manifest

Progress = Callable[[str], None]
"""Told in a few words what is being done now."""

START_TIMEOUT = 15.0
SETTLE_TIMEOUT = 120.0


def up(
    manifest: Manifest, files: Sequence[str], *, progress: Progress
) -> tuple[list[Applied], list[str]]:
    """Bring up the lab that `manifest` describes, or make the running one match it.

    `files` is where the manifest came from, kept for `netlab check`. Returns what was applied,
    and a line for each thing that does not work (a pod that crashes, say). A lab that fails to
    come up for the first time is taken down again.
    """
    if manifest.lab is None:
        raise UsageError(
            "the files hold no `kind: Lab` object, so there is no lab to bring up",
            hint="add one (see topologies/quickstart.yaml), or `netlab apply` to a running lab",
        )
    need_root("up")
    preflight.require_tools()
    modules.ensure_bridge_netfilter()
    directory = paths.lab_dir(manifest.lab.name)
    fresh = not paths.lab_file(directory).exists()
    try:
        client = _ensure_controller(manifest.lab, directory, progress)
        progress("applying objects")
        applied = [_apply(client, obj) for obj in manifest.objects]
        progress("waiting for pods, rules and names")
        unsettled = settle(client)
        _keep_sources(directory, files)
    except BaseException:
        if fresh:
            with contextlib.suppress(TeardownFailed):
                teardown.teardown(directory)
        raise
    return applied, unsettled


def _apply(client: Client, obj: Object) -> Applied:
    known = len(client.warnings)
    return replace(apply(client, obj), warnings=tuple(client.warnings[known:]))


def down(name: str) -> None:
    """Leave nothing of a lab, whatever state it is in. `TeardownFailed` lists what resisted."""
    need_root("down")
    teardown.teardown(paths.lab_dir(name))


def names() -> list[str]:
    """The labs of this machine, running or left behind."""
    return [directory.name for directory in paths.lab_dirs()]


def choose(name: str | None) -> str:
    """The lab that a command means: the one named, or the only one there is."""
    labs = names()
    wanted = name or os.environ.get("NETLAB_LAB")
    if wanted:
        if wanted not in labs:
            have = f"running: {', '.join(labs)}" if labs else "no lab is running"
            raise NetlabError(f"there is no lab named {wanted}", hint=have)
        return wanted
    if not labs:
        raise NetlabError("no lab is running", hint="sudo netlab up topologies/quickstart.yaml")
    if len(labs) > 1:
        raise UsageError(
            f"several labs are running: {', '.join(labs)}", hint="choose one with --lab NAME"
        )
    return labs[0]


def client_of(name: str | None) -> Client:
    """A client of the API of the lab that a command means."""
    return Client(paths.api_socket(paths.lab_dir(choose(name))))


def read_lab(directory: Path) -> Lab:
    """The lab that a directory belongs to, as it was brought up."""
    return lab_from_object(json.loads(paths.lab_file(directory).read_text()))


def tidy() -> None:
    """Leave nothing of what all labs share either, unless there is a lab."""
    netns.tidy(paths.run_dir())


def sources(name: str) -> list[str]:
    """The files that a lab was brought up from, as absolute paths."""
    try:
        found: list[str] = json.loads(_sources_file(paths.lab_dir(name)).read_text())
    except FileNotFoundError:
        found = []
    if not found:
        raise UsageError(
            f"lab {name} was not brought up from files that can be read again",
            hint="name the files with the checks",
        )
    return found


def _keep_sources(directory: Path, files: Sequence[str]) -> None:
    kept = [str(Path(file).absolute()) for file in files if file != "-"]
    _write(_sources_file(directory), json.dumps(kept))


def _write(path: Path, text: str) -> None:
    """Also for the user whose sudo started the lab: to read, as root believes what it says."""
    files.write(path, text, mode=0o640, group=_readers(path.parent))


def _readers(directory: Path) -> int:
    before = paths.lab_file(directory)
    known = before.stat().st_gid if before.exists() and is_running(directory) else 0
    return known or caller.gid()


def _sources_file(directory: Path) -> Path:
    return directory / "sources.json"


def settle(client: Client, timeout: float = SETTLE_TIMEOUT) -> list[str]:
    """Wait until controllers are idle, pods run, and rules and names are in place.

    Returns a line for each thing that does not work; `NetlabError` when the lab itself cannot.
    """
    path, query = "/netlab/v1/settled", {"timeoutSeconds": f"{timeout:g}"}
    answer = client.request("GET", path, query=query)
    if answer["failed"]:
        raise NetlabError(f"the lab could not be built: {answer['failed']}")
    lines: list[str] = answer["waitingFor"]
    return lines


def need_root(verb: str) -> None:
    """Namespaces are root's to make."""
    if os.geteuid() != 0:
        raise EnvironmentLacks(f"netlab {verb} needs root", hint=f"sudo netlab {verb} …")


def is_running(directory: Path) -> bool:
    """True while the lab's controller lives."""
    return lock.controller_runs(directory)


def _ensure_controller(lab: Lab, directory: Path, progress: Progress) -> Client:
    owner = netns.LabMount(directory).ensure(tell=progress)
    changed = _keep_lab_file(lab, directory)
    if changed and is_running(directory):
        progress("telling the controller of other addresses for load balancers")
        _end_controller(directory)
    if not is_running(directory):
        progress("starting the controller")
        _start_controller(directory, owner)
    return Client(paths.api_socket(directory), timeout=SETTLE_TIMEOUT + 10)


def _keep_lab_file(lab: Lab, directory: Path) -> bool:
    """Note what the lab is to be; True if that is something else than it was."""
    file = paths.lab_file(directory)
    before = lab_from_object(json.loads(file.read_text())) if file.exists() else lab
    if replace(before, load_balancer_pools=lab.load_balancer_pools) != lab:
        raise UsageError(
            f"lab {lab.name} is up with other nodes, networks or settings than this file's",
            hint=f"sudo netlab down --lab {lab.name}, then up again; "
            "objects and loadBalancer alone may change",
        )
    _write(file, json.dumps(lab.to_object(), indent=2))
    return before != lab


def _end_controller(directory: Path) -> None:
    """End the controller in good order: pods, rules and names go on without one."""
    pid = int(paths.controller_pid(directory).read_text())
    process.end([pid], grace=START_TIMEOUT)


def _start_controller(directory: Path, owner: str) -> None:
    """Start the controller and wait until its API answers; its last words are in the error."""
    ready, theirs = os.pipe()
    log = paths.controller_log(directory)
    argv = [sys.executable, "-m", "netlab.boot", str(directory), str(theirs)]
    try:
        # `python -m` looks for modules in the working directory first: let that be our own
        home = Path(__file__).parents[1]
        controller = process.spawn(argv, owner=owner, log=log, cwd=home, pass_fds=(theirs,))
    finally:
        os.close(theirs)
    try:
        answered, _, _ = select.select([ready], [], [], START_TIMEOUT)
        if not answered:
            raise NetlabError("the lab's controller does not start", hint=f"see {log}")
        if not os.read(ready, 1):  # closed without a word: it died
            code = controller.wait(START_TIMEOUT)
            raise NetlabError(
                f"the lab's controller ended at once (exit code {code})", hint=_last_words(log)
            )
    finally:
        os.close(ready)


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:  # somebody takes the lab down
        lines = []
    return lines[-1] if lines else "it left no message"


def status(name: str) -> tuple[Lab, dict[str, Any]]:
    """A lab as it was described, and its state: `running`, `waitingFor` (lines), `pods`.

    A lab whose controller is gone has no pods to tell of.
    """
    directory = paths.lab_dir(name)
    spec = read_lab(directory)
    if not is_running(directory):
        return spec, {"running": False, "waitingFor": ["its controller does not run"], "pods": []}
    with Client(paths.api_socket(directory)) as client:
        waiting = settle(client, timeout=0)
        pods = client.list("Pod")
    return spec, {"running": True, "waitingFor": waiting, "pods": list(pods)}
