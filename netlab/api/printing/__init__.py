"""Server-side printing: the columns that `kubectl get` shows, one module a family of kinds."""

from __future__ import annotations

from netlab.api.printing import (
    access,
    admission,
    batch,
    cluster,
    configuration,
    events,
    networking,
    pods,
    workloads,
)
from netlab.api.printing.cells import Printer
from netlab.objects.kinds import Kind

PRINTERS: dict[Kind, Printer] = {
    **access.PRINTERS,
    **admission.PRINTERS,
    **batch.PRINTERS,
    **cluster.PRINTERS,
    **configuration.PRINTERS,
    **events.PRINTERS,
    **networking.PRINTERS,
    **pods.PRINTERS,
    **workloads.PRINTERS,
}
