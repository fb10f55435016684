"""The kinds this lab serves: what discovery lists, what paths and short names mean."""

from __future__ import annotations

from msgspec import Struct


class Kind(Struct, frozen=True):
    """One resource of the Kubernetes API: its names, its group and version, its scope."""

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`v1` for the core group, else `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The name in commands and in results: `service`."""
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """`services` or `deployments.apps`: the resource as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, an object, or a subresource of it."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        return "/".join(parts + [part for part in (name, subresource) if part])


_ALL = ("all",)

KINDS: tuple[Kind, ...] = (
    Kind(
        "Namespace",
        "namespaces",
        namespaced=False,
        short_names=("ns",),
        subresources=("status", "finalize"),
    ),
    Kind("Node", "nodes", namespaced=False, short_names=("no",), subresources=("status",)),
    Kind(
        "Pod",
        "pods",
        short_names=("po",),
        categories=_ALL,
        subresources=(
            "status",
            "binding",
            "eviction",
            "exec",
            "attach",
            "log",
            "portforward",
        ),
    ),
    Kind("Service", "services", short_names=("svc",), categories=_ALL, subresources=("status",)),
    Kind("Endpoints", "endpoints", short_names=("ep",)),
    Kind("ConfigMap", "configmaps", short_names=("cm",)),
    Kind("Secret", "secrets"),
    Kind("ServiceAccount", "serviceaccounts", short_names=("sa",)),
    Kind("Event", "events", short_names=("ev",)),
    Kind(
        "Deployment",
        "deployments",
        "apps",
        short_names=("deploy",),
        categories=_ALL,
        subresources=("status", "scale"),
    ),
    Kind(
        "ReplicaSet",
        "replicasets",
        "apps",
        short_names=("rs",),
        categories=_ALL,
        subresources=("status", "scale"),
    ),
    Kind(
        "StatefulSet",
        "statefulsets",
        "apps",
        short_names=("sts",),
        categories=_ALL,
        subresources=("status", "scale"),
    ),
    Kind(
        "DaemonSet",
        "daemonsets",
        "apps",
        short_names=("ds",),
        categories=_ALL,
        subresources=("status",),
    ),
    Kind("ControllerRevision", "controllerrevisions", "apps"),
    Kind("EndpointSlice", "endpointslices", "discovery.k8s.io"),
    Kind(
        "Ingress",
        "ingresses",
        "networking.k8s.io",
        short_names=("ing",),
        subresources=("status",),
    ),
    Kind("IngressClass", "ingressclasses", "networking.k8s.io", namespaced=False),
    Kind(
        "ServiceCIDR",
        "servicecidrs",
        "networking.k8s.io",
        namespaced=False,
        subresources=("status",),
    ),
    Kind("Lease", "leases", "coordination.k8s.io"),
)

BY_KIND: dict[str, Kind] = {kind.kind: kind for kind in KINDS}

_BY_WORD: dict[str, Kind] = {
    word: kind
    for kind in KINDS
    for name in (kind.plural, kind.singular, *kind.short_names)
    for word in (name, f"{name}.{kind.group}".rstrip("."))
}

_BY_PATH: dict[tuple[str, str, str], Kind] = {
    (kind.group, kind.version, kind.plural): kind for kind in KINDS
}


def find(word: str) -> Kind | None:
    """The kind that a user's word means: `svc`, `services`, `Service`, `deployment.apps`."""
    return _BY_WORD.get(word.lower())


def at_path(group: str, version: str, plural: str) -> Kind | None:
    """The kind served at `/apis/group/version/plural` (group "" is the core group)."""
    return _BY_PATH.get((group, version, plural))
