"""Which pods count for who waits for a lab: all, or those that come of some objects."""

from typing import Any

import pytest

from netlab.objects.lab import lab_from_object
from netlab.readiness import Readiness

LAB = lab_from_object({"metadata": {"name": "mine"}, "spec": {"nodes": 1}})


class Known:
    """The objects of one kind."""

    def __init__(self, objects: dict[str, dict[str, Any]]) -> None:
        self.objects = objects

    def items(self):
        return self.objects.values()

    def get(self, key):
        return self.objects.get(key)


class Pods:
    """Kubelets that know of these unready pods."""

    def __init__(self, unready: dict[str, bool]) -> None:
        self.pods = unready

    def unready(self):
        yield from self.pods.items()

    def at_work(self):
        yield from ()

    def has_news(self):
        return False


def obj(kind: str, name: str, owner: tuple[str, str, str] | None = None, space: str = "default"):
    metadata: dict[str, Any] = {"name": name, "namespace": space, "uid": f"uid-{name}"}
    if owner:
        kind_, name_, uid = owner
        metadata["ownerReferences"] = [
            {"kind": kind_, "name": name_, "uid": uid, "controller": True}
        ]
    spec, status = {"nodeName": "n"}, {"failed": 1}
    return f"{space}/{name}", {"kind": kind, "metadata": metadata, "spec": spec, "status": status}


PODS = [
    obj("Pod", "bare"),
    obj("Pod", "web-1-a", ("ReplicaSet", "web-1", "uid-web-1")),
    obj("Pod", "job-a", ("Job", "job", "uid-job")),
    obj("Pod", "db-0", ("StatefulSet", "db", "uid-db")),
    obj("Pod", "dns-1-a", ("ReplicaSet", "dns-1", "uid-dns-1"), "kube-system"),
]


@pytest.fixture
def ready():
    informers: Any = {
        "Pod": Known(dict(PODS)),
        "ReplicaSet": Known(
            dict(
                [
                    obj("ReplicaSet", "web-1", ("Deployment", "web", "uid-web")),
                    obj("ReplicaSet", "dns-1", ("Deployment", "dnsmasq", "x"), "kube-system"),
                ]
            )
        ),
        "Job": Known(dict([obj("Job", "job", ("CronJob", "cron", "uid-cron"))])),
    }
    known = Readiness(LAB, informers)
    pods: Any = Pods(dict.fromkeys(dict(PODS), False))
    known.begun(pods)
    return known


@pytest.mark.parametrize(
    ("of", "keys"),
    [
        (None, [key for key, _ in PODS]),
        ([], ["kube-system/dns-1-a"]),
        (["uid-bare"], ["default/bare", "kube-system/dns-1-a"]),
        (["uid-web"], ["default/web-1-a", "kube-system/dns-1-a"]),
        (["uid-web-1", "uid-db"], ["default/web-1-a", "default/db-0", "kube-system/dns-1-a"]),
        (["uid-cron"], ["default/job-a", "kube-system/dns-1-a"]),
    ],
)
def test_what_counts_comes_of_them_or_is_the_labs_own(ready, of, keys):
    assert list(ready.unready(of)) == keys


def test_nothing_is_awaited_that_does_not_count(ready):
    assert list(ready.at_work(["uid-web"])) == ["pods are getting ready"]
    ready._pods.pods["kube-system/dns-1-a"] = ready._pods.pods["default/web-1-a"] = True
    assert list(ready.at_work(["uid-web"])) == []
    assert list(ready.at_work()) == ["pods are getting ready"]


def test_before_it_has_begun_it_is_starting():
    assert list(Readiness(LAB, {}).at_work()) == ["the lab is starting"]
