"""A new connection in the lab's words. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from netlab.objects.times import micro_time


class End(Struct, frozen=True):
    """An address and port, and the place that has that address; "" for one that nobody of the lab
    has."""

    name: str
    address: str
    port: int

    def json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {"name": self.name, "address": self.address, "port": self.port}


class VirtualAddress(Struct, frozen=True):
    """What of a Service is addressed: `service` its `namespace/name`, `port` the name of its port;
    `kind` is clusterIP, externalIP, loadBalancer or nodePort."""

    service: str
    port: str
    kind: str


class Opening(Struct, frozen=True):
    """Who opens it, to what, where that leads by the rules of `node`, and as whom.

    `virtual` is None for what is no Service's; `became` is who the endpoint takes for the client,
    None where that is the client itself.
    """

    time: float
    node: str
    protocol: str
    client: End
    to: End
    virtual: VirtualAddress | None
    endpoint: End
    became: End | None

    @property
    def service(self) -> str:
        """`namespace/name`, or ""."""
        return self.virtual.service if self.virtual is not None else ""

    def json(self) -> dict[str, Any]:
        """All of it as plain data."""
        virtual = self.virtual
        return {
            "time": micro_time(self.time),
            "node": self.node,
            "protocol": self.protocol,
            "client": self.client.json(),
            "to": {
                **self.to.json(),
                "service": virtual.service if virtual else "",
                "servicePort": virtual.port if virtual else "",
                "kind": virtual.kind if virtual else "",
            },
            "endpoint": self.endpoint.json(),
            "masqueraded": self.became is not None,
            "source": (self.became or self.client).json(),
        }
