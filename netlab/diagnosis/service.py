"""Why a Service fails: from its objects to one line for each cause. Pure.

    selector → pods → their readiness → the port's name → an address of the family
    → somebody who listens → traffic policies → load balancer, nodePort

Each is asked only when those before it hold, so what is said first is what to mend first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.diagnosis import nodes as nodelib
from netlab.diagnosis import pods as podlib
from netlab.diagnosis import ports as portlib
from netlab.diagnosis import selection, slices, traffic_policy
from netlab.diagnosis.facts import Cause, Facts, Way, count, listed, ports, protocol_of, selector
from netlab.diagnosis.remedies import patch
from netlab.objects import meta
from netlab.objects.addresses import is_address
from netlab.objects.offers import addresses
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import EndpointSlice, Pod, Service, ServicePort

PROXY_NAME = "service.kubernetes.io/service-proxy-name"
EVERY_WAY = Way()


def causes(service: Service, facts: Facts, way: Way = EVERY_WAY) -> tuple[Cause, ...]:
    """Every cause for which packets that take this way do not arrive; () when they should."""
    if meta.spec(service).get("type") == "ExternalName":
        return tuple(_external_name(service, facts))
    found = [*_not_proxied(service), *_behind(service, facts, way)]
    if not any(cause.reason in _HOPELESS for cause in found):
        found += [
            *traffic_policy.load_balancer(service, facts, way),
            *traffic_policy.node_port(facts, way),
        ]
    return tuple(dict.fromkeys(found))


_HOPELESS = {"NoPodMatches", "NoPodYet", "NoEndpointSlice", "NoSuchPort"}
"""Causes beside which nothing else is worth a word."""


def partial(service: Service, facts: Facts) -> tuple[Cause, ...]:
    """Why some of the pods that match are no endpoints while others are."""
    selected = facts.selected(service) if selector(service) else []
    waiting = [pod for pod in selected if not _is_ready(service, pod)]
    found = list(podlib.not_ready(waiting, len(selected), facts))
    ready = [pod for pod in selected if _is_ready(service, pod)]
    for port in ports(service):
        found += portlib.partly_nameless(service, port, ready)
    return tuple(found)


def no_such_port(service: Service, number: int | str, protocol: str) -> Cause:
    """For a port that the Service does not have."""
    have = listed([_port_text(port) for port in ports(service)])
    return Cause("NoSuchPort", f"the Service has no port {number}/{protocol} (there are: {have})")


def _port_text(port: ServicePort) -> str:
    name = f"{port['name']} " if port.get("name") else ""
    return f"{name}{port['port']}/{protocol_of(port)}"


def _not_proxied(service: Service) -> Iterator[Cause]:
    if PROXY_NAME in meta.labels(service):
        text = f"the label {PROXY_NAME} leaves it to another proxy"
        yield Cause("LeftToAnotherProxy", text)


def _behind(service: Service, facts: Facts, way: Way) -> Iterator[Cause]:
    """What is wrong with what stands behind each port in each family."""
    if not ports(service):
        yield from _without_ports(service, facts)
    mine = facts.slices_of(service)
    for family in _families(service, mine, way):
        for port in [way.port] if way.port is not None else ports(service):
            found = slices.endpoints(mine, port, family)
            if not found:
                yield from _nobody(service, port, family, facts)
                continue
            yield from nodelib.off(found, facts)
            yield from traffic_policy.local(service, port, found, facts, way)
            if not selector(service):
                yield from slices.strangers(mine, facts)
            else:
                ready = [pod for pod in facts.selected(service) if _is_ready(service, pod)]
                yield from portlib.unheard(service, port, family, ready, facts)


def _families(service: Service, mine: Sequence[EndpointSlice], way: Way) -> list[str]:
    """Those to look into: of two that are only preferred, the one that has slices will do."""
    wanted = list[str](meta.spec(service).get("ipFamilies") or ["IPv4"])
    if way.family:
        return [family for family in wanted if family == way.family]
    if meta.spec(service).get("ipFamilyPolicy") == "PreferDualStack":
        there = {str(one.get("addressType", "IPv4")) for one in mine}
        return [family for family in wanted if family in there] or wanted
    return wanted


def _nobody(service: Service, port: ServicePort, family: str, facts: Facts) -> Iterator[Cause]:
    """Why no endpoint gets the port's packets."""
    if not selector(service):
        yield slices.written(service, port, family, facts)
    elif found := list(_no_pods(service, facts)):
        yield from found
    else:
        ready = [pod for pod in facts.selected(service) if _is_ready(service, pod)]
        yield portlib.nowhere(service, port, family, ready) or Cause(
            "SlicesBehind", f"its EndpointSlices lack its {count(len(ready), 'ready pod')}, as yet"
        )


def _no_pods(service: Service, facts: Facts) -> Iterator[Cause]:
    """Why no pod is there for the Service, whatever the port."""
    selected = facts.selected(service)
    if not selected:
        yield selection.no_pod(service, facts)
    elif not any(_is_ready(service, pod) for pod in selected):
        yield from podlib.not_ready(selected, len(selected), facts)


def _without_ports(service: Service, facts: Facts) -> Iterator[Cause]:
    """A headless Service may have none: then its names are all that there is to it."""
    if selector(service):
        yield from _no_pods(service, facts)


def _is_ready(service: Service, pod: Pod) -> bool:
    """Whether a pod that matches is an endpoint."""
    if not addresses(pod) or is_pod_terminal(pod):
        return False
    if meta.spec(service).get("publishNotReadyAddresses"):
        return True
    return meta.is_ready(pod) and not meta.is_terminating(pod)


def _external_name(service: Service, facts: Facts) -> Iterator[Cause]:
    """A name that DNS cannot follow."""
    name = str(meta.spec(service).get("externalName") or "").rstrip(".")
    if is_address(name):
        text = f"externalName {name} is an address, and DNS takes it for a name"
        yield Cause("ExternalNameIsAddress", text)
        return
    inner = name.removesuffix(f".svc.{facts.domain}")
    if inner != name and inner.count(".") == 1:
        target, _, space = inner.partition(".")
        known = [(meta.namespace(one), meta.name(one)) for one in facts.services]
        if (space, target) in known:
            return
        text, mended = f"externalName: there is no Service {space}/{target}", ""
        elsewhere = sorted(each for each, found in known if found == target)
        if elsewhere:
            text += f" (one is in namespace {listed(elsewhere)})"
            meant = f"{target}.{elsewhere[0]}.svc.{facts.domain}"
            mended = patch(service, {"spec": {"externalName": meant}})
        yield Cause("NoSuchService", text, remedy=mended)
