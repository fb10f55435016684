"""How Ingresses and their classes print."""

from __future__ import annotations

from netlab.api.printing.cells import AGE, NAME, NONE, Cell, Column, Printer, age, first_three
from netlab.api.printing.networking import load_balancer
from netlab.objects.kinds.ingress import INGRESS, INGRESS_CLASS
from netlab.objects.meta import name, spec
from netlab.objects.types import Ingress, IngressClass


def ingress_cells(obj: Ingress) -> list[Cell]:
    """NAME CLASS HOSTS ADDRESS PORTS AGE."""
    hosts = [str(rule["host"]) for rule in spec(obj).get("rules") or [] if rule.get("host")]
    return [
        name(obj),
        spec(obj).get("ingressClassName") or NONE,
        first_three(hosts, nothing="*"),
        ",".join(load_balancer(obj)),
        "80, 443" if spec(obj).get("tls") else "80",
        age(obj),
    ]


def ingressclass_cells(obj: IngressClass) -> list[Cell]:
    """NAME CONTROLLER PARAMETERS AGE."""
    parameters = spec(obj).get("parameters")
    text = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        text = f"{parameters.get('kind')}{group}/{parameters.get('name')}"
    return [name(obj), spec(obj).get("controller") or "", text, age(obj)]


PRINTERS = {
    INGRESS: Printer(
        (NAME, Column("Class"), Column("Hosts"), Column("Address"), Column("Ports"), AGE),
        ingress_cells,
    ),
    INGRESS_CLASS: Printer(
        (NAME, Column("Controller"), Column("Parameters"), AGE), ingressclass_cells
    ),
}
