"""netlab's own kinds, which stand in files and are in no API; and those that it has not."""

from __future__ import annotations

from netlab.objects.kinds.kind import Kind

LAB = Kind("Lab", "labs", "netlab", namespaced=False, schema="lab.schema.json")
PATH_CHECK = Kind(
    "PathCheck", "pathchecks", "netlab", namespaced=False, schema="pathcheck.schema.json"
)

KINDS = (LAB, PATH_CHECK)

UNSERVED = frozenset({
    "APIService", "CertificateSigningRequest", "CSIDriver", "CustomResourceDefinition", "Gateway",
    "GatewayClass", "HorizontalPodAutoscaler", "HTTPRoute", "LimitRange",
    "NetworkPolicy", "PodDisruptionBudget", "RuntimeClass", "VolumeAttachment",
})  # fmt: skip
"""Kinds that Kubernetes has and a lab has not: to say so, not "unknown"."""
