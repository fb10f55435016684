"""A check that did not pass → the causes that lie in the lab's objects. Pure.

The captures say where a packet was lost; this says which field of which object had it lost there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from netlab.diagnosis.facts import Cause, Facts, Way, listed, ports, protocol_of
from netlab.diagnosis.pods import not_ready, why_not_ready
from netlab.diagnosis.ports import nobody_listens, remedy
from netlab.diagnosis.service import causes, no_such_port, partial
from netlab.diagnosis.traffic_policy import nearest_node_port
from netlab.objects import meta
from netlab.objects.hostports import mappings
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.offers import declared, target_port
from netlab.objects.pathcheck import PathCheck
from netlab.objects.problems import did_you_mean
from netlab.objects.types import Pod, Service, ServicePort
from netlab.pathcheck.decode import split
from netlab.pathcheck.result import CheckResult
from netlab.pathcheck.trial import pods_of
from netlab.pathcheck.world import World

_AFFINITY_SECONDS = 10800

Entrance = Literal["clusterIP", "nodePort", "loadBalancer", "externalIP"]


def explained(check: PathCheck, result: CheckResult, world: World, facts: Facts) -> CheckResult:
    """The result with its causes; as it is when the check passed."""
    if result.passed:
        return result
    found = _Search(check, result, world, facts).causes()
    return replace(result, causes=tuple(dict.fromkeys(found)))


def entrance(check: PathCheck, service: Service) -> Entrance:
    """By which of its addresses a check comes to a Service."""
    target = check.target
    if target.node:
        return "nodePort"
    if target.by == "loadBalancer" or target.address in ingress_ips(service):
        return "loadBalancer"
    if target.address in (meta.spec(service).get("externalIPs") or ()):
        return "externalIP"
    return "clusterIP"


class _Search(Struct, frozen=True):
    """One check that did not pass."""

    check: PathCheck
    result: CheckResult
    world: World
    facts: Facts

    def causes(self) -> Iterator[Cause]:
        service = self._service()
        not_running = list(self._not_running())
        yield from not_running
        if not_running:  # nothing was sent: the Service had no part in it
            return
        if self.check.target.service and service is None:
            yield from self._no_such_service()
        if self.result.outcome == "reachable":
            if service is not None:
                yield from self._missing(service)
            return
        if self._has_no_name():
            yield from self._name_server()
        yield from self._from_outside(service)
        if service is not None and self._is_ping_of_cluster_ip(service):
            yield self._nobody_answers_pings(service)
            return
        refusals = list(self._refusals())
        yield from refusals
        if service is not None:
            found = self._of_service(service)
            # Who refused is known by name: what holds for all need not be said again.
            yield from (one for one in found if not (refusals and one.reason == "NobodyListens"))
        elif self.check.target.node_port:
            number, protocol = self.check.target.node_port, self.check.target.protocol
            yield nearest_node_port(number, protocol, list(self.world.services.values()))
        elif self.check.target.host_port:
            yield from self._no_such_host_port()

    def _no_such_host_port(self) -> Iterator[Cause]:
        """No pod on the node has that one: which there are."""
        target = self.check.target
        here = [
            (meta.name(pod), port)
            for pod in self.world.pods.values()
            if meta.spec(pod).get("nodeName") == target.node
            for port in mappings(pod)
        ]
        if any(port.host_port == target.host_port for _, port in here):
            return
        known = [f"{port.host_port}/{port.protocol} of {name}" for name, port in sorted(here)]
        hint = f"there are: {', '.join(known)}" if known else "none there has any"
        text = f"no pod on {target.node} has the hostPort {target.host_port}/{target.protocol}"
        yield Cause("NoSuchHostPort", f"{text} ({hint})")

    def _service(self) -> Service | None:
        """The Service that is addressed: by name, by its nodePort, or by an address of its."""
        target = self.check.target
        if target.service:
            return self.world.services.get(f"{target.namespace}/{target.service}")
        for service in self.world.services.values():
            by_port = any(one.get("nodePort") == target.node_port for one in ports(service))
            if (target.node_port and by_port) or target.address in addresses_of(service):
                return service
        return None

    def _not_running(self) -> Iterator[Cause]:
        """Why the pod that was to send, or to be reached, does not run."""
        sender, target = self.check.sender, self.check.target
        ends = [(sender.namespace, sender.name)] if sender.kind == "pod" else []
        ends += [(target.namespace, target.pod)] if target.pod else []
        for space, name in ends:
            pod = self.world.pods.get(f"{space}/{name}")
            if pod is not None and f"{space}/{name}" not in self.world.places:
                reason, text = why_not_ready(pod, self.facts)
                yield Cause(reason, f"pod {name} is {text}", pods=(name,))
        if sender.kind == "deployment":
            pods = [
                self.world.pods[each]
                for each in sorted(pods_of(sender.name, sender.namespace, self.world))
            ]
            if pods and not any(map(meta.is_ready, pods)):
                yield from not_ready(pods, len(pods), self.facts)

    def _no_such_service(self) -> Iterator[Cause]:
        """A Service that is not in the namespace that was asked: where, or what, it may be."""
        target = self.check.target
        known = [meta.split_key(key) for key in sorted(self.world.services)]
        spaces = [space for space, name in known if name == target.service]
        mine = [name for space, name in known if space == target.namespace]
        near = did_you_mean(target.service, mine)
        hint = f"one is in namespace {listed(spaces)}" if spaces else f"nearest: {near}"
        if spaces or near:
            text = f"no Service {target.service} in namespace {target.namespace} ({hint})"
            yield Cause("NoSuchService", text)

    def _from_outside(self, service: Service | None) -> Iterator[Cause]:
        """Addresses that mean something inside the cluster alone."""
        target = self.check.target
        if self.check.sender.kind != "client":
            return
        ways = "from outside take a nodePort or a load balancer"
        if target.pod:
            yield Cause("PodFromOutside", f"pods' addresses are the cluster's own; {ways}")
        elif service is not None and entrance(self.check, service) == "clusterIP":
            yield Cause("ClusterIPFromOutside", f"ClusterIPs are the cluster's own; {ways}")
        elif target.address and service is not None and not self.world.owner(target.address):
            text = f"externalIPs: no node has {target.address}, so nothing leads there"
            if entrance(self.check, service) == "externalIP":
                yield Cause("NobodyHasExternalIP", text)

    def _is_ping_of_cluster_ip(self, service: Service) -> bool:
        spec = meta.spec(service)
        addresses = {*(spec.get("clusterIPs") or ()), spec.get("clusterIP")} - {None, "", "None"}
        asked = (
            self.check.target.protocol == "ICMP" and entrance(self.check, service) == "clusterIP"
        )
        return asked and bool(addresses)

    def _nobody_answers_pings(self, service: Service) -> Cause:
        """A ClusterIP is an address in rules alone, and these ask for ports."""
        listed_ports = listed([f"{one['port']}/{protocol_of(one)}" for one in ports(service)])
        text = (
            "ClusterIPs answer no ping: no interface has them, and kube-proxy's rules are for the "
            f"Service's ports alone ({listed_ports})"
        )
        return Cause("PingOfClusterIP", text)

    def _has_no_name(self) -> bool:
        by_name = self.check.target.service and self.check.target.by == "name"
        return bool(by_name and not self.result.name_found and self.result.status == "fail")

    def _name_server(self) -> Iterator[Cause]:
        """What is wrong with the cluster's DNS itself."""
        service = self.world.services.get("kube-system/kube-dns")
        if service is not None and self.check.sender.is_pod:
            way = Way(node=self._sender_node(), entrance="clusterIP")
            for cause in causes(service, self.facts, way):
                yield replace(cause, message=f"kube-system/kube-dns: {cause.message}")

    def _refusals(self) -> Iterator[Cause]:
        """A packet that got as far as a pod, and found nobody there."""
        journey = self.result.journey
        if journey is None or journey.outcome != "refused" or journey.delivered is None:
            return
        pod = self.world.pods.get(journey.delivered_at or "")
        if pod is not None and journey.probe.protocol.has_ports:
            ip, number = split(journey.delivered)
            if not self._leads_to(pod, number):  # rules of before have sent it there
                return
            why = self._unheard(pod, ip, number, journey.probe.proto.upper())
            text = f"connection refused by {ip}: {why}"
            yield Cause(
                "ConnectionRefused",
                text,
                pods=(meta.name(pod),),
                remedy=self._other_port(pod, number),
            )

    def _leads_to(self, pod: Pod, number: int) -> bool:
        """Whether the Service's port has packets go to that one, if it is about a Service."""
        service = self._service()
        port = self._port(service) if service is not None else None
        is_headless = service is not None and meta.spec(service).get("clusterIP") == "None"
        if port is None or is_headless:
            return True
        return target_port(port, protocol_of(port), pod) == number

    def _other_port(self, pod: Pod, number: int) -> str:
        """Have the Service's port lead to the one that its pod does listen on."""
        service = self._service()
        port = self._port(service) if service is not None else None
        if service is None or port is None:
            return ""
        return remedy(service, port, pod, number, self.facts.listeners(pod) or ())

    def _unheard(self, pod: Pod, ip: str, number: int, protocol: str) -> str:
        """`nothing listens on 8080 (but on 80); the container's ports: 80`."""
        found = self.facts.listeners(pod)
        text = nobody_listens(protocol, number, ip, found) if found is not None else ""
        text = text or f"pod {meta.name(pod)} does not take it on {number}"
        numbers = [str(one["containerPort"]) for one in declared(pod)]
        text += f"; the container's ports: {', '.join(numbers)}" if numbers else ""
        if not meta.is_ready(pod) and not self.check.target.pod:
            _, why = why_not_ready(pod, self.facts)
            text += f"; it is published though {why}"
        return text

    def _of_service(self, service: Service) -> tuple[Cause, ...]:
        target = self.check.target
        port = self._port(service)
        is_alias = meta.spec(service).get("type") == "ExternalName"  # its ports are another's
        if port is None and target.port is not None and not is_alias:
            return (no_such_port(service, target.port, target.protocol),)
        return causes(service, self.facts, self._way(service, port))

    def _port(self, service: Service) -> ServicePort | None:
        target, known = self.check.target, ports(service)
        if target.node_port:
            return next((one for one in known if one.get("nodePort") == target.node_port), None)
        if target.port is None:
            return known[0] if len(known) == 1 else None
        same = [one for one in known if protocol_of(one) == target.protocol]
        wanted = (one for one in same if target.port in (one.get("name"), one["port"]))
        return next(wanted, None)

    def _way(self, service: Service, port: ServicePort | None) -> Way:
        journey, target = self.result.journey, self.check.target
        by = entrance(self.check, service)
        node = self._sender_node()
        if by == "nodePort":
            node = target.node
        elif by == "loadBalancer":
            node = self.world.announcer(meta.key(service)) or ""
        return Way(
            port=port,
            family=self._family(),
            node=node,
            entrance=by,
            source=journey.probe.src if journey is not None else "",
            destination=journey.probe.dst if journey is not None else "",
        )

    def _family(self) -> str:
        journey = self.result.journey
        if journey is None:
            return ""
        return "IPv6" if ":" in journey.probe.dst else "IPv4"

    def _sender_node(self) -> str:
        sender = self.check.sender
        if sender.kind == "node":
            return sender.name
        key = f"{sender.namespace}/{sender.name}"
        if sender.kind == "deployment":
            journey = self.result.journey
            key = (journey.hops[0].place if journey is not None and journey.hops else "") or key
        place = self.world.places.get(key)
        return place.node if place is not None else ""

    def _missing(self, service: Service) -> Iterator[Cause]:
        """Why not all answered that should have."""
        expect = self.check.expect
        if expect.endpoints is None and expect.spread is None:
            return
        yield from partial(service, self.facts)
        spec = meta.spec(service)
        if spec.get("sessionAffinity") == "ClientIP" and len(self.result.counts) == 1:
            config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
            seconds = config.get("timeoutSeconds") or _AFFINITY_SECONDS
            text = f"sessionAffinity: ClientIP keeps a client at one endpoint for {seconds} s"
            yield Cause("SessionAffinity", text)


def addresses_of(service: Service) -> set[str]:
    """All addresses that a Service is reached at, but for its nodePorts."""
    spec = meta.spec(service)
    own = [*(spec.get("clusterIPs") or ()), *(spec.get("externalIPs") or ())]
    return {*own, *ingress_ips(service)} - {"None", ""}
