"""The class of an Ingress that names none: what the DefaultIngressClass admission does.

Source: plugin/pkg/admission/network/defaultingressclass of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable

from netlab.objects import meta
from netlab.objects.kinds.ingress import CLASS_ANNOTATION
from netlab.objects.meta import Object

IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"


def fill(ingress: Object, classes: Iterable[Object]) -> None:
    """Name the default class in a new Ingress, in place; of several, the one that came last."""
    spec = ingress.get("spec")
    if not spec or spec.get("ingressClassName") is not None:
        return
    if CLASS_ANNOTATION in meta.annotations(ingress):
        return
    defaults = [one for one in classes if meta.annotations(one).get(IS_DEFAULT) == "true"]
    if defaults:
        newest = max(one["metadata"].get("creationTimestamp") or "" for one in defaults)
        found = [one for one in defaults if one["metadata"].get("creationTimestamp") == newest]
        spec["ingressClassName"] = min(meta.name(one) for one in found)
