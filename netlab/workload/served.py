"""What the controller tells the responder to serve, as values that travel as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

Json = dict[str, Any]


class Listener(Struct, frozen=True):
    """One port that a built-in program answers on.

    `site` names an entry of the catalogue's `sites`; `serve` says how it is spoken.
    """

    port: int
    serve: Literal["http", "https", "tcp", "udp"]
    site: str

    @property
    def protocol(self) -> Literal["TCP", "UDP"]:
        """The protocol of the port, in Kubernetes' spelling."""
        return "UDP" if self.serve == "udp" else "TCP"


class ServedContainer(Struct, frozen=True):
    """A container whose image is built in: its ports, and what its texts may mention."""

    name: str
    listeners: tuple[Listener, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


class ServedPod(Struct, frozen=True):
    """The built-in containers of a pod, served in the namespace mounted at `netns`.

    `ips` are the pod's addresses: with an IPv6 one among them its ports listen on both families.
    They do so on all addresses of the namespace, or on `host` alone.
    """

    uid: str
    netns: str
    ips: tuple[str, ...]
    containers: tuple[ServedContainer, ...]
    host: str = ""

    @property
    def has_tls(self) -> bool:
        """Whether it needs a certificate."""
        return any(listener.serve == "https" for _, listener in self.ports)

    @property
    def ports(self) -> list[tuple[str, Listener]]:
        """What its containers listen on, each with the container's name."""
        return [(one.name, listener) for one in self.containers for listener in one.listeners]

    def to_json(self) -> Json:
        """The form it travels in."""
        return {
            "uid": self.uid,
            "netns": self.netns,
            "ips": list(self.ips),
            "host": self.host,
            "containers": [
                {
                    "name": container.name,
                    "variables": dict(container.variables),
                    "listeners": [
                        {"port": entry.port, "serve": entry.serve, "site": entry.site}
                        for entry in container.listeners
                    ],
                }
                for container in self.containers
            ],
        }

    @staticmethod
    def from_json(data: Json) -> ServedPod:
        """The inverse of `to_json`."""
        return ServedPod(
            data["uid"],
            data["netns"],
            tuple(data["ips"]),
            tuple(
                ServedContainer(
                    container["name"],
                    tuple(Listener(**entry) for entry in container["listeners"]),
                    container["variables"],
                )
                for container in data["containers"]
            ),
            data.get("host", ""),
        )


class HealthAnswer(Struct, frozen=True):
    """What a port of a node says: a healthCheckNodePort 200 while the node has endpoints of its
    own, else 503. With a `text` it says that, and not `body`, at `path` alone."""

    status: int
    body: Json
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    path: str = "/*"

    def to_json(self) -> Json:
        """The form it travels in."""
        said = {"text": self.text, "path": self.path} if self.text else {}
        return {"status": self.status, "body": self.body, "headers": dict(self.headers), **said}
