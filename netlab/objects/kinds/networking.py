"""Services, what stands behind them, and where their addresses come from."""

from __future__ import annotations

from netlab.objects.kinds.kind import ALL, LABEL, Kind

SERVICE = Kind(
    "Service",
    "services",
    short_names=("svc",),
    categories=ALL,
    subresources=("status", "proxy"),
    selectable=("spec.clusterIP", "spec.type"),
    not_selectable=LABEL,
    first_status={"loadBalancer": {}},
    selects_by_pairs=True,
    answers_deletion=True,
)
ENDPOINTS = Kind(
    "Endpoints",
    "endpoints",
    short_names=("ep",),
    deprecated="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
)
ENDPOINT_SLICE = Kind("EndpointSlice", "endpointslices", "discovery.k8s.io", counts_generation=True)
SERVICE_CIDR = Kind(
    "ServiceCIDR",
    "servicecidrs",
    "networking.k8s.io",
    namespaced=False,
    subresources=("status",),
)
IP_ADDRESS = Kind(
    "IPAddress",
    "ipaddresses",
    "networking.k8s.io",
    namespaced=False,
    short_names=("ip",),
)

KINDS = (SERVICE, ENDPOINTS, ENDPOINT_SLICE, SERVICE_CIDR, IP_ADDRESS)
