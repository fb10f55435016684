"""The Events that a kubelet records of a pod, in its words: the end of `kubectl describe pod`."""

from __future__ import annotations

from typing import Protocol

from netlab.agents.podrun import PodRun
from netlab.objects import meta
from netlab.objects.elsewhere import Failure
from netlab.objects.types import AnyKind, Pod
from netlab.workload.pulling import Refusal


class Recorder(Protocol):
    """Records events in the name of one component: the kubelet, say."""

    def normal(self, obj: AnyKind, reason: str, message: str) -> None:
        """Something went as it should."""

    def warning(self, obj: AnyKind, reason: str, message: str) -> None:
        """Something did not."""


class PodEvents:
    """One method for each thing that happens to pods and containers."""

    def __init__(self, recorder: Recorder, attaching: Recorder | None = None) -> None:
        """`attaching` records for the controller that has disks attached to nodes."""
        self._recorder = recorder
        self._attaching = attaching or recorder

    def created(self, run: PodRun, container: str) -> None:
        """The container is about to start. No image is ever pulled: each is built in."""
        image = run.spec_of(container).get("image")
        present = f'Container image "{image}" already present on machine'
        self._recorder.normal(run.pod, "Pulled", present)
        self._recorder.normal(run.pod, "Created", f"Created container: {container}")

    def pulling(self, run: PodRun, container: str) -> None:
        """The container's image is about to be looked for, in vain."""
        image = run.spec_of(container).get("image")
        self._recorder.normal(run.pod, "Pulling", f'Pulling image "{image}"')

    def not_pulled(self, run: PodRun, container: str, refused: Refusal) -> None:
        """The container's image cannot be had."""
        message, reason = refused.message, "Failed"
        if refused.reason == "ErrImagePull":
            image = run.spec_of(container).get("image")
            message = f'Failed to pull image "{image}": {message}'
        else:
            reason = {"InvalidImageName": "InspectFailed"}.get(refused.reason, refused.reason)
        self._recorder.warning(run.pod, reason, message)
        self.failed(run, refused.reason)

    def pull_back_off(self, run: PodRun, container: str) -> None:
        """It is not looked for again before some time has passed."""
        image = run.spec_of(container).get("image")
        self._recorder.normal(run.pod, "BackOff", f'Back-off pulling image "{image}"')
        self.failed(run, "ImagePullBackOff")

    def started(self, run: PodRun, container: str) -> None:
        """The container runs."""
        self._recorder.normal(run.pod, "Started", f"Started container {container}")

    def stopping(self, run: PodRun, container: str) -> None:
        """The container ends because its pod does."""
        self._recorder.normal(run.pod, "Killing", f"Stopping container {container}")

    def killing(self, run: PodRun, container: str, why: str) -> None:
        """The container is ended to be started anew."""
        message = f"Container {container} {why}, will be restarted"
        self._recorder.normal(run.pod, "Killing", message)

    def unhealthy(self, run: PodRun, probe: str, message: str) -> None:
        """A probe did not get the answer it wants."""
        self._recorder.warning(run.pod, "Unhealthy", f"{probe} probe failed: {message}")

    def probe_error(self, run: PodRun, probe: str, message: str) -> None:
        """A probe could not be made."""
        text = f"{probe} probe errored and resulted in unknown state: {message}"
        self._recorder.warning(run.pod, "Unhealthy", text)

    def back_off(self, run: PodRun, container: str) -> None:
        """The container has to wait before it may start again."""
        self._recorder.warning(
            run.pod,
            "BackOff",
            f"Back-off restarting failed container {container} in pod {full_name(run)}",
        )

    def failed(self, run: PodRun, message: str) -> None:
        """A container could not be started."""
        self._recorder.warning(run.pod, "Failed", f"Error: {message}")

    def failed_volume(self, run: PodRun, failure: Failure) -> None:
        """A volume could not be made, or attached to the node."""
        by = self._attaching if failure.reason == "FailedAttachVolume" else self._recorder
        by.warning(run.pod, failure.reason, failure.message)

    def failed_hook(self, run: PodRun, hook: str) -> None:
        """A lifecycle hook (`PreStop`, `PostStart`) failed."""
        self._recorder.warning(run.pod, f"Failed{hook}Hook", f"{hook}Hook failed")

    def failed_sandbox(self, pod: Pod, error: Exception) -> None:
        """The pod has no namespace, address or link."""
        message = f"Failed to create pod sandbox: {error}"
        self._recorder.warning(pod, "FailedCreatePodSandBox", message)

    def rejected(self, pod: Pod, reason: str, message: str) -> None:
        """The node lacks what the pod must have."""
        self._recorder.warning(pod, reason, message)

    def deadline_exceeded(self, run: PodRun, message: str) -> None:
        """The pod was active for longer than it may be."""
        self._recorder.normal(run.pod, "DeadlineExceeded", message)

    def unconfigured(self, run: PodRun, message: str) -> None:
        """A built-in server reads no configuration, and there is one."""
        self._recorder.warning(run.pod, "ConfigurationNotRead", message)

    def evicted(self, run: PodRun, message: str) -> None:
        """The pod kept more on disk than it may."""
        self._recorder.warning(run.pod, "Evicted", message)


def full_name(run: PodRun) -> str:
    """`name_namespace(uid)`, as the kubelet writes a pod."""
    return f"{meta.name(run.pod)}_{meta.namespace(run.pod)}({run.uid})"
