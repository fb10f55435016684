"""The claims of a StatefulSet: for each of its pods one of each template, which outlives the pod.

Who owns one says what becomes of it: by `persistentVolumeClaimRetentionPolicy` the set, so that it
goes with the set, or a pod that is not to come back, so that it goes with that.

Source: pkg/controller/statefulset/stateful_set_utils.go, getPersistentVolumeClaims and
updateClaimOwnerRefForSetAndPod.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence, Set

from netlab.client.informer import Informers
from netlab.objects import meta
from netlab.objects.types import (
    OwnerReference,
    PersistentVolumeClaim,
    Pod,
    StatefulSet,
    Volume,
)


def name_of(owner: StatefulSet, template: PersistentVolumeClaim, number: int) -> str:
    """`data-db-0`."""
    return f"{meta.name(template)}-{meta.name(owner)}-{number}"


def _templates(owner: StatefulSet) -> Sequence[PersistentVolumeClaim]:
    return meta.spec(owner).get("volumeClaimTemplates") or ()


def volumes(owner: StatefulSet, number: int, given: Sequence[Volume]) -> list[Volume]:
    """A pod's volumes: its claims, and what of the template's has none of their names."""
    own: list[Volume] = [
        {
            "name": meta.name(template),
            "persistentVolumeClaim": {"claimName": name_of(owner, template, number)},
        }
        for template in _templates(owner)
    ]
    names = {volume["name"] for volume in own}
    return own + [volume for volume in given if volume["name"] not in names]


def lacking(
    informers: Informers, owner: StatefulSet, number: int
) -> Iterator[PersistentVolumeClaim]:
    """The claims that a pod needs and that are not there."""
    labels = (meta.spec(owner).get("selector") or {}).get("matchLabels") or {}
    for template in _templates(owner):
        name = name_of(owner, template, number)
        if informers["PersistentVolumeClaim"].get(f"{meta.namespace(owner)}/{name}") is not None:
            continue
        claim: PersistentVolumeClaim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name,
                "namespace": meta.namespace(owner),
                "labels": {**meta.labels(template), **labels},
            },
            "spec": copy.deepcopy(meta.spec(template)),
        }
        if notes := meta.annotations(template):
            claim["metadata"]["annotations"] = dict(notes)
        yield claim


async def own(
    informers: Informers, owner: StatefulSet, pods: Mapping[int, Pod], wanted: Set[int]
) -> None:
    """Let each claim belong to whom it is to go with."""
    for number, pod in pods.items():
        for template in _templates(owner):
            key = f"{meta.namespace(owner)}/{name_of(owner, template, number)}"
            claim = informers["PersistentVolumeClaim"].get(key)
            if claim is None or meta.is_terminating(claim):
                continue
            before = claim["metadata"].get("ownerReferences") or []
            after = _owners(owner, pod, before, is_surplus=number not in wanted)
            if before != after:
                await informers.patch(claim, {"metadata": {"ownerReferences": after or None}})


def _owners(
    owner: StatefulSet, pod: Pod, before: Sequence[OwnerReference], *, is_surplus: bool
) -> list[OwnerReference]:
    policy = meta.spec(owner).get("persistentVolumeClaimRetentionPolicy") or {}
    ours = {meta.uid(owner), meta.uid(pod)}
    after = [each for each in before if each["uid"] not in ours]
    if is_surplus and policy.get("whenScaled") == "Delete":
        after.append(_reference(pod))
    elif policy.get("whenDeleted") == "Delete":
        after.append(_reference(owner))
    return after


def _reference(obj: Pod | StatefulSet) -> OwnerReference:
    """Without controlling it: whoever does deletes what is too many."""
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": meta.name(obj),
        "uid": meta.uid(obj),
    }
