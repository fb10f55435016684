"""Waits until a lab is settled, saying for what; what then does not work, and why.

The controller knows what is being done and which pods waiting will not make ready
(`daemon.Daemon`); why a pod is not ready is read from the API, as anybody may.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from netlab.client.settled import State, look
from netlab.client.sync import Client
from netlab.errors import ApiError, NetlabError, NotFound
from netlab.objects import meta
from netlab.objects.types import Event, Pod
from netlab.view import unready

TIMEOUT = 120.0
"""Seconds that `netlab up` waits unless told otherwise."""

_LOOK = 1.0
"""Seconds between two looks at what is waited for."""

STARTING = "the lab is starting"
"""What a controller is at before its nodes are there."""

SHOWN = 20
"""Pods of which it is said why they are not ready; beyond, it is said how many there are."""

Tell = Callable[[str], None]


def started(client: Client, timeout: float) -> None:
    """Wait until the nodes are there; the API answers before."""
    deadline = time.monotonic() + timeout
    while STARTING in (state := look(client)).at_work:
        if time.monotonic() > deadline:
            why = f": {state.lacking[0]}" if state.lacking else ""
            raise NetlabError(f"the lab is still starting{why}", hint="netlab status")
        time.sleep(0.02)


def settle(client: Client, timeout: float, tell: Tell, of: Sequence[str] | None = None) -> State:
    """Wait until the lab is settled, at most so many seconds; tells what is waited for. `of` is as
    in `look`."""
    deadline = time.monotonic() + timeout
    while True:
        left = max(deadline - time.monotonic(), 0.0)
        state = look(client, min(left, _LOOK), of)
        if state.settled or left <= _LOOK:
            return state
        tell(_awaited(client, state))


def _awaited(client: Client, state: State) -> str:
    """`waiting for 2 of 7 pods, such as web-1: container …`."""
    names = [key for key, stuck in state.unready.items() if not stuck] or list(state.unready)
    if state.lacking:
        return f"waiting, but {state.lacking[0]}"
    if not names:
        return f"waiting: {state.at_work[0]}"
    reason = next(iter(reasons(client, names[:1])), names[0])
    if len(names) == 1:
        return f"waiting for {reason}"
    return f"waiting for {len(names)} pods, such as {reason}"


def troubles(client: Client, state: State) -> list[str]:
    """A line for each thing that does not work, or not yet; none for a lab where all does."""
    names = list(state.unready)
    lines = reasons(client, names[:SHOWN])
    if len(names) > SHOWN:
        lines.append(f"{len(names) - SHOWN} more pods are not ready")
    # Pods that are getting ready have been named.
    busy = [line for line in state.at_work if not (names and line.startswith("pods "))]
    return [*lines, *busy, *state.lacking]


def reasons(client: Client, names: Iterable[str]) -> list[str]:
    """`pod default/web-1: …` for each of these pods that is there and not ready."""
    lines = []
    for key in names:
        space, _, name = key.partition("/")
        try:
            text = reason(client, client.get("Pod", space, name))
        except NotFound:
            continue
        if text:
            lines.append(f"pod {key}: {text}")
    return lines


def reason(client: Client, pod: Pod) -> str:
    """Why a pod is not ready, in one line; "" if it is, or has done its work."""
    return unready.why(pod, _events(client, pod), _last_line(client, pod))


def _events(client: Client, pod: Pod) -> Sequence[Event]:
    about = f"involvedObject.name={meta.name(pod)},involvedObject.uid={meta.uid(pod)}"
    return client.list("Event", meta.namespace(pod), query={"fieldSelector": about})


def _last_line(client: Client, pod: Pod) -> str:
    """The last line that the container wrote which has ended; "" if it said nothing."""
    found = unready.culprit(pod)
    if found is None:
        return ""
    container, before = found
    query: dict[str, str | int] = {"container": container, "tailLines": 1, "limitBytes": 400}
    if before:
        query["previous"] = "true"
    try:
        data = b"".join(client.logs(meta.namespace(pod), meta.name(pod), query=query))
    except ApiError:  # it never ran, or its log is gone
        return ""
    lines = data.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
