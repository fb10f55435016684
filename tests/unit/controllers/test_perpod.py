"""What was made of a pod is made anew when the pod, or what else it is made of, is another."""

from __future__ import annotations

from netlab.controllers.perpod import PerPod


def service(version="1", uid="s"):
    return {"metadata": {"namespace": "default", "name": "web", "uid": uid,
                         "resourceVersion": version}}  # fmt: skip


def pod(name):
    return {"metadata": {"namespace": "default", "name": name}}


class Making:
    def __init__(self):
        self.made = []

    def __call__(self, pod):
        self.made.append(pod["metadata"]["name"])
        return pod["metadata"]["name"].upper()


def test_only_what_changed_is_made_anew_and_the_order_is_that_of_the_pods():
    per_pod, making, pods = PerPod(), Making(), [pod("a"), pod("b"), pod("c")]
    assert per_pod.of(service(), pods, making) == ["A", "B", "C"]
    making.made.clear()
    assert per_pod.of(service(), [pods[2], pod("b")], making) == ["C", "B"]
    assert making.made == ["b"]


def test_another_service_or_another_version_of_it_has_all_made_anew():
    per_pod, making, pods = PerPod(), Making(), [pod("a")]
    for other in (service(), service(version="2"), service(version="2", uid="t")):
        per_pod.of(other, pods, making)
        per_pod.of(other, pods, making)
    assert making.made == ["a"] * 3


def test_what_is_beside_counts_and_several_things_are_kept_apart():
    per_pod, making, pods = PerPod(), Making(), [pod("a")]
    for zone in ("x", "y"):
        per_pod.of(service(), pods, making, what="IPv4", beside={"n": zone})
    per_pod.of(service(), pods, making, what="IPv6", beside={"n": "y"})
    per_pod.of(service(), pods, making, what="IPv4", beside={"n": "y"})
    assert making.made == ["a"] * 3


def test_what_is_forgotten_is_made_anew():
    per_pod, making, pods = PerPod(), Making(), [pod("a")]
    per_pod.of(service(), pods, making)
    per_pod.forget("default/web")
    per_pod.of(service(), pods, making)
    assert making.made == ["a"] * 2
