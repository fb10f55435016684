"""Containers whose images cannot be had: they wait, and say so, until their pod names another."""

from __future__ import annotations

import asyncio

from netlab.agents.podevents import PodEvents
from netlab.agents.podrun import PodRun
from netlab.retry import Retry
from netlab.workload.pulling import Refusal, refusal

BACK_OFF = Retry(10.0, 300.0)
"""Between two tries."""

SEEN = 2.0
"""Seconds that a failed try shows, before it shows that the next is waited for."""

LOOK = 0.5
"""Seconds between two looks at what image the pod names now."""


def is_lacking(run: PodRun, container: str) -> bool:
    """Whether a container's image cannot be had."""
    return refusal(run.spec_of(container)) is not None


async def pulled(run: PodRun, container: str, events: PodEvents) -> None:
    """Return once there is an image for the container, which may be never."""
    tries = 0
    while (refused := refusal(run.spec_of(container))) is not None:
        tries += 1
        await _tried(run, container, events, refused, BACK_OFF.delay(tries))
    run.state(container).wait("ContainerCreating", "")


async def _tried(
    run: PodRun, container: str, events: PodEvents, refused: Refusal, seconds: float
) -> None:
    image = run.spec_of(container).get("image")
    if refused.reason == "ErrImagePull":
        events.pulling(run, container)
    events.not_pulled(run, container, refused)
    _wait(run, container, refused.reason, refused.message)
    if refused.reason == "ErrImagePull":
        await _while_named(run, container, image, SEEN)
        events.pull_back_off(run, container)
        message = f'Back-off pulling image "{image}": ErrImagePull: {refused.message}'
        _wait(run, container, "ImagePullBackOff", message)
    await _while_named(run, container, image, seconds)


def _wait(run: PodRun, container: str, reason: str, message: str) -> None:
    run.state(container).wait(reason, message)
    run.changed()


async def _while_named(run: PodRun, container: str, image: str | None, seconds: float) -> None:
    """Let that time pass, as long as the pod wants this image."""
    end = asyncio.get_running_loop().time() + seconds
    while run.spec_of(container).get("image") == image:
        left = end - asyncio.get_running_loop().time()
        if left <= 0:
            return
        await asyncio.sleep(min(LOOK, left))
