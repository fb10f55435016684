"""Which Ingresses are a controller's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.ingress.options import Options
from netlab.objects import meta
from netlab.objects.types import Ingress, IngressClass

ANNOTATION = "kubernetes.io/ingress.class"
"""How a class was named before there were IngressClasses."""


def ours(
    ingresses: Iterable[Ingress], classes: Iterable[IngressClass] | None, options: Options
) -> Sequence[Ingress]:
    """Those that the controller is to serve, the oldest first: of two that want the same, the
    first has it."""
    known = None if classes is None else _known(classes, options)
    return sorted((one for one in ingresses if _is_ours(one, known, options)), key=meta.by_creation)


def _known(classes: Iterable[IngressClass], options: Options) -> set[str]:
    return {
        meta.name(one)
        for one in classes
        if meta.spec(one).get("controller") == options.controller_class
        or (options.by_name and meta.name(one) == options.ingress_class)
    }


def _is_ours(ingress: Ingress, known: set[str] | None, options: Options) -> bool:
    spec = meta.spec(ingress)
    if options.namespace and meta.namespace(ingress) != options.namespace:
        return False
    if meta.is_terminating(ingress) or ("defaultBackend" in spec and not options.catches_all):
        return False
    if known is not None and (name := spec.get("ingressClassName")) is not None:
        return name in known
    annotation = meta.annotations(ingress).get(ANNOTATION)
    if annotation is not None:
        return annotation in ("", options.ingress_class)
    return options.without_class or (options.before_version_1 and options.ingress_class == "nginx")
