"""Server-side printing: the columns that `kubectl get` shows, one module a family of kinds."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.api.printing.cells import Printer
from netlab.objects.kinds import Kind
from netlab.objects.kinds.records import Records

PRINTERS: Mapping[Kind, Printer] = Records(__name__, "PRINTERS")
