from __future__ import annotations

import asyncio

from netlab.agents import images
from netlab.agents.podevents import PodEvents
from netlab.retry import Retry


async def test_an_image_that_is_lacking_is_waited_for_until_the_pod_names_another(
    recorder, pod_run, until, monkeypatch
):
    monkeypatch.setattr(images, "BACK_OFF", Retry(0.05))
    monkeypatch.setattr(images, "SEEN", 0.01)
    monkeypatch.setattr(images, "LOOK", 0.01)
    run = pod_run({"name": "c", "image": "webserver:404"})
    assert images.is_lacking(run, "c")
    waiting = []
    run.on_change = lambda run: waiting.append(run.state("c").status()["state"]["waiting"])
    pulling = asyncio.create_task(images.pulled(run, "c", PodEvents(recorder)))
    await until(lambda: len(waiting) >= 4)
    assert [each["reason"] for each in waiting[:4]] == ["ErrImagePull", "ImagePullBackOff"] * 2
    assert waiting[0]["message"].startswith("rpc error: code = NotFound")
    assert waiting[1]["message"].startswith(
        'Back-off pulling image "webserver:404": ErrImagePull: rpc error: code = NotFound'
    )
    assert recorder.told[:2] == [
        'Pulling: Pulling image "webserver:404"',
        'BackOff: Back-off pulling image "webserver:404"',
    ]
    failed, *errors = recorder.warnings[:3]
    assert failed.startswith('Failed: Failed to pull image "webserver:404": rpc error: code = Not')
    assert errors == ["Failed: Error: ErrImagePull", "Failed: Error: ImagePullBackOff"]
    run.pod["spec"]["containers"][0]["image"] = "nginx"
    await asyncio.wait_for(pulling, 5)
    assert run.state("c").waiting == "ContainerCreating"


async def test_names_and_policies_are_told_of_as_they_are(recorder, pod_run, until):
    never = {"image": "foo:non-existent", "imagePullPolicy": "Never"}
    for container, reason, error in (
        ({"image": "UPPER"}, "InspectFailed", "InvalidImageName"),
        (never, "ErrImageNeverPull", "ErrImageNeverPull"),
    ):
        recorder.warnings.clear()
        run = pod_run({"name": "c", **container})
        pulling = asyncio.create_task(images.pulled(run, "c", PodEvents(recorder)))
        await until(lambda: len(recorder.warnings) == 2)
        assert recorder.warnings[0].startswith(f"{reason}: ")
        assert recorder.warnings[1] == f"Failed: Error: {error}"
        pulling.cancel()
