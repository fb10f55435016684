"""The claims of a StatefulSet: for each of its pods one of each template, which outlives the pod.

Who owns one says what becomes of it: by `persistentVolumeClaimRetentionPolicy` the set, so that it
goes with the set, or a pod that is not to come back, so that it goes with that.

Source: pkg/controller/statefulset/stateful_set_utils.go, getPersistentVolumeClaims and
updateClaimOwnerRefForSetAndPod; stateful_pod_control.go, PodClaimIsStale.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Literal

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


def are_going(informers: Informers, owner: StatefulSet, number: int) -> bool:
    """Whether claims that a pod needs go first: on their own, or with the pod that was before."""
    keys = (f"{meta.namespace(owner)}/{name_of(owner, one, number)}" for one in _templates(owner))
    found = list(filter(None, map(informers["PersistentVolumeClaim"].get, keys)))
    former = ("Pod", f"{meta.name(owner)}-{number}")
    references = (each for one in found for each in one["metadata"].get("ownerReferences") or ())
    with_pod = any((each["kind"], each["name"]) == former for each in references)
    return any(map(meta.is_terminating, found)) or (with_pod and _policy(owner, "whenScaled"))


def _policy(owner: StatefulSet, when: Literal["whenDeleted", "whenScaled"]) -> bool:
    """Whether the set's claims are deleted then."""
    policy = meta.spec(owner).get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get(when) == "Delete"


def sets_of(informers: Informers, claim: PersistentVolumeClaim) -> Iterator[str]:
    """The keys of the sets whose pods' claim it is, by its name."""
    for owner in informers["StatefulSet"].items():
        begins = (f"{meta.name(one)}-{meta.name(owner)}-" for one in _templates(owner))
        is_near = meta.namespace(owner) == meta.namespace(claim)
        if is_near and meta.name(claim).startswith(tuple(begins)):
            yield meta.key(owner)


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
    """Whom it is to belong to. What belonged to a set or pod of the same name before is left to
    those who collect garbage; what another one controls, to that one."""
    if any(_is_of_namesake(each, owner) or _is_of_namesake(each, pod) for each in before):
        return list(before)
    ours = {meta.uid(owner), meta.uid(pod)}
    after = [each for each in before if each["uid"] not in ours]
    if any(each.get("controller") for each in after):
        return after
    if is_surplus and _policy(owner, "whenScaled"):
        after.append(meta.owner_reference(pod))
    elif _policy(owner, "whenDeleted"):
        after.append(meta.owner_reference(owner))
    return after


def _is_of_namesake(reference: OwnerReference, obj: Pod | StatefulSet) -> bool:
    named = reference["kind"], reference["name"]
    return named == (obj["kind"], meta.name(obj)) and reference["uid"] != meta.uid(obj)
