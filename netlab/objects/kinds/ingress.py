"""What leads to Services by hosts and paths."""

from __future__ import annotations

from netlab.objects.kinds.kind import Kind

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""How an Ingress named its class before there was a field for it."""

INGRESS = Kind(
    "Ingress",
    "ingresses",
    "networking.k8s.io",
    short_names=("ing",),
    subresources=("status",),
    first_status={"loadBalancer": {}},
    counts_generation=True,
)
INGRESS_CLASS = Kind("IngressClass", "ingressclasses", "networking.k8s.io", namespaced=False)

KINDS = (INGRESS, INGRESS_CLASS)
