"""How ConfigMaps, Secrets and ServiceAccounts print."""

from __future__ import annotations

from netlab.api.printing.cells import AGE, NAME, Cell, Column, Printer, age, count
from netlab.objects.kinds.configuration import CONFIG_MAP, SECRET, SERVICE_ACCOUNT
from netlab.objects.meta import name
from netlab.objects.types import ConfigMap, Secret, ServiceAccount


def configmap_cells(obj: ConfigMap) -> list[Cell]:
    """NAME DATA AGE."""
    return [name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj)]


def secret_cells(obj: Secret) -> list[Cell]:
    """NAME TYPE DATA AGE."""
    return [name(obj), obj.get("type") or "Opaque", len(obj.get("data") or {}), age(obj)]


def serviceaccount_cells(obj: ServiceAccount) -> list[Cell]:
    """NAME SECRETS AGE."""
    return [name(obj), len(obj.get("secrets") or []), age(obj)]


PRINTERS = {
    CONFIG_MAP: Printer((NAME, count("Data"), AGE), configmap_cells),
    SECRET: Printer((NAME, Column("Type"), count("Data"), AGE), secret_cells),
    SERVICE_ACCOUNT: Printer((NAME, count("Secrets"), AGE), serviceaccount_cells),
}
