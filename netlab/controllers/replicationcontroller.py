"""ReplicationController: what there was before ReplicaSets, and does as they do."""

from __future__ import annotations

from typing import ClassVar

from netlab.controllers.replicaset import ReplicaSets


class ReplicationControllers(ReplicaSets):
    """Keeps each ReplicationController's pods at the number asked for."""

    name = "replication-controller"
    kind: ClassVar[str] = "ReplicationController"
