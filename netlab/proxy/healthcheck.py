"""What the healthCheckNodePorts of Services say to load balancers."""

from __future__ import annotations

from msgspec import Struct


class HealthCheck(Struct, frozen=True):
    """What a healthCheckNodePort answers: 200 with local endpoints, else 503."""

    service: str
    local_endpoints: int
