"""PathCheck: a statement about a packet's path that `netlab check` proves or refutes.

It reads aloud: *from* client, *to* service web at node worker001, *expect* reachable,
endpoints all, masquerade at worker001.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from msgspec import Struct, field

from netlab.objects.meta import Object

SenderKind = Literal["pod", "deployment", "node", "client"]
Outcome = Literal["reachable", "refused", "timeout"]
Protocol = Literal["TCP", "UDP", "ICMP", "SCTP"]
WITHOUT_PORTS = ("ICMP",)
"""An echo request has no port to be sent to."""

NOWHERE = "none"
AT_SENDER = "sender"
AT_ANNOUNCER = "announcer"


class Sender(Struct, frozen=True):
    """Who sends. `namespace` counts for pods and Deployments only."""

    kind: SenderKind
    name: str
    namespace: str = "default"

    @property
    def is_pod(self) -> bool:
        """Whether the packet starts in a pod, which knows the cluster's DNS."""
        return self.kind in ("pod", "deployment")

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Target(Struct, frozen=True):
    """What is addressed; exactly one of these shapes has its fields set:

    `service` (its ClusterIP, or its load balancer's address) · `service` and `node` (its nodePort
    there) · `node` and `node_port` or `host_port` · `pod` and `port` · `address` and `port`. By a
    protocol without ports: `service` · `node` · `pod` · `address`.

    `port` None means the Service's only port; a name means that port of the Service.
    `by` and `node_address` are resolved: what the user left out is filled in by the sender's kind.
    `version` is 4 or 6 where one of several addresses is meant, else 0.
    """

    service: str = ""
    node: str = ""
    node_port: int = 0
    host_port: int = 0
    pod: str = ""
    address: str = ""
    namespace: str = "default"
    port: int | str | None = None
    protocol: Protocol = "TCP"
    by: Literal["name", "address", "loadBalancer"] = "address"
    node_address: Literal["internal", "external"] = "internal"
    version: Literal[0, 4, 6] = 0

    def __str__(self) -> str:
        number = self.port or self.node_port or self.host_port
        port = f":{number}" if number else ""
        if self.service:
            at = f" at node {self.node}" if self.node else f" by {self.by}"
            return f"service {self.service}{port}{at}"
        kind = "node" if self.node else "pod" if self.pod else "address"
        return f"{kind} {self.node or self.pod or self.address}{port}"


class Spread(Struct, frozen=True):
    """How many connections to make, and how many of them each endpoint must get."""

    tries: int
    at_least: int = 1


class Expectation(Struct, frozen=True):
    """What must be seen; None means that the check does not care.

    `endpoints`: "all", a number of different ones, or names of pods or Deployments or addresses.
    `source_seen`: "sender", "node:NAME" or an address. `dnat_at`, `masquerade_at`: a node's name,
    `AT_SENDER`, `AT_ANNOUNCER` (the node that answers for the load balancer) or `NOWHERE`.
    """

    outcome: Outcome = "reachable"
    endpoints: Literal["all"] | int | tuple[str, ...] | None = None
    spread: Spread | None = None
    source_seen: str | None = None
    dnat_at: str | None = None
    masquerade_at: str | None = None


class PathCheck(Struct, frozen=True):
    """One check: from, to, expect."""

    name: str
    sender: Sender
    target: Target
    expect: Expectation = field(default_factory=Expectation)
    description: str = ""

    def __str__(self) -> str:
        return self.description or f"from {self.sender} to {self.target}"


def check_from_object(obj: Object) -> PathCheck:
    """The PathCheck that an object without `validate_pathcheck.check_problems` describes."""
    spec: Mapping[str, Any] = obj["spec"]
    sender = _sender(spec["from"])
    return PathCheck(
        name=obj["metadata"]["name"],
        sender=sender,
        target=_target(spec["to"], sender),
        expect=_expectation(spec.get("expect") or {}),
        description=spec.get("description") or "",
    )


def object_of(check: PathCheck) -> Object:
    """The object that describes a check: `check_from_object` gives that check for it."""
    spec: dict[str, Any] = {"description": check.description} if check.description else {}
    spec |= {
        "from": _sender_object(check.sender),
        "to": _target_object(check.target, check.sender),
        "expect": _expectation_object(check.expect),
    }
    metadata = {"name": check.name}
    return {"apiVersion": "netlab/v1", "kind": "PathCheck", "metadata": metadata, "spec": spec}


def _sender_object(sender: Sender) -> dict[str, Any]:
    space = {"namespace": sender.namespace} if sender.namespace != "default" else {}
    return {sender.kind: sender.name, **space}


def _target_object(target: Target, sender: Sender) -> dict[str, Any]:
    """What is said by itself is left out."""
    spaced = target.namespace != "default"
    service = f"{target.service}.{target.namespace}" if spaced else target.service
    found: dict[str, Any] = {
        "service": service if target.service else "",
        "node": target.node,
        "nodePort": target.node_port,
        "hostPort": target.host_port,
        "pod": target.pod,
        "address": target.address,
        "namespace": target.namespace if spaced and not target.service else "",
        "port": target.port,
        "protocol": target.protocol if target.protocol != "TCP" else "",
        "by": target.by,
        "nodeAddress": target.node_address,
    }
    usual = _target({}, sender)
    plain = {"by": usual.by, "nodeAddress": usual.node_address}
    return {key: value for key, value in found.items() if value and plain.get(key) != value}


def _expectation_object(expect: Expectation) -> dict[str, Any]:
    found: dict[str, Any] = {"outcome": expect.outcome}
    if expect.endpoints is not None:
        said = expect.endpoints
        found["endpoints"] = list(said) if isinstance(said, tuple) else said
    if expect.spread is not None:
        found["spread"] = {"tries": expect.spread.tries, "atLeast": expect.spread.at_least}
    for key, at in (("dnat", expect.dnat_at), ("masquerade", expect.masquerade_at)):
        if at is not None:
            found[key] = {"at": at}
    if expect.source_seen is not None:
        found["sourceSeen"] = expect.source_seen
    return found


def _sender(written: Mapping[str, Any]) -> Sender:
    kinds: tuple[SenderKind, ...] = get_args(SenderKind)
    kind = next(one for one in kinds if written.get(one))
    return Sender(kind, written[kind], written.get("namespace") or "default")


def _target(written: Mapping[str, Any], sender: Sender) -> Target:
    service, _, namespace = (written.get("service") or "").partition(".")
    return Target(
        service=service,
        node=written.get("node") or "",
        node_port=written.get("nodePort") or 0,
        host_port=written.get("hostPort") or 0,
        pod=written.get("pod") or "",
        address=written.get("address") or "",
        namespace=namespace or written.get("namespace") or "default",
        port=written.get("port"),
        protocol=written.get("protocol") or "TCP",
        by=written.get("by") or ("name" if sender.is_pod else "address"),
        node_address=written.get("nodeAddress")
        or ("external" if sender.kind == "client" else "internal"),
    )


def _expectation(written: Mapping[str, Any]) -> Expectation:
    endpoints, spread = written.get("endpoints"), written.get("spread")
    return Expectation(
        outcome=written.get("outcome") or "reachable",
        endpoints=tuple(endpoints) if isinstance(endpoints, list) else endpoints,
        spread=Spread(spread["tries"], spread.get("atLeast") or 1) if spread else None,
        source_seen=written.get("sourceSeen"),
        dnat_at=(written.get("dnat") or {}).get("at"),
        masquerade_at=(written.get("masquerade") or {}).get("at"),
    )
