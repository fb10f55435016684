"""How Ingresses and their classes are stored."""

from __future__ import annotations

from netlab.objects import validate_ingress
from netlab.objects.kinds.ingress import INGRESS, INGRESS_CLASS
from netlab.objects.meta import Object
from netlab.objects.strategies.networking import load_balancer
from netlab.objects.strategies.strategy import Strategy, fill, keeps, spec_of


def _ingress_class(obj: Object) -> None:
    if (parameters := spec_of(obj).get("parameters")) is not None:
        fill(parameters, scope="Cluster")


STRATEGIES = {
    INGRESS: Strategy(
        validate=validate_ingress.ingress,
        validate_direct=validate_ingress.ingress_create,
        validate_status=load_balancer,
    ),
    INGRESS_CLASS: Strategy(
        default=_ingress_class,
        validate=validate_ingress.ingress_class,
        validate_update=keeps("spec", "controller"),
    ),
}
