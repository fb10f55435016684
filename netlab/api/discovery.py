"""What the server serves, as discovery documents. Pure; made from `objects/kinds`."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.api import components, customkinds, eventviews, reviews
from netlab.objects.bootstrap import KUBELET_VERSION
from netlab.objects.kinds import KINDS, Kind

Document = dict[str, object]

VERSION: Document = {
    "major": "1",
    "minor": KUBELET_VERSION.split(".")[1],
    "gitVersion": f"{KUBELET_VERSION}+netlab",
    "gitCommit": "0" * 40,  # of no commit, but of a commit's form, which is looked for
    "gitTreeState": "clean",
    "buildDate": "2024-12-11T00:00:00Z",
    "goVersion": "none",
    "compiler": "python",
    "platform": "linux/amd64",
}

OBJECT_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

# subresource → (group, version, kind of what it takes and gives, verbs); "" kind: the parent's own
_SUBRESOURCES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "status": ("", "", "", ("get", "patch", "update")),
    "scale": ("autoscaling", "v1", "Scale", ("get", "patch", "update")),
    "finalize": ("", "", "", ("update",)),
    "binding": ("", "v1", "Binding", ("create",)),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", ("create",)),
    "ephemeralcontainers": ("", "", "", ("get", "patch", "update")),
    "eviction": ("policy", "v1", "Eviction", ("create",)),
    "exec": ("", "v1", "PodExecOptions", ("create", "get")),
    "attach": ("", "v1", "PodAttachOptions", ("create", "get")),
    "portforward": ("", "v1", "PodPortForwardOptions", ("create", "get")),
    "log": ("", "v1", "Pod", ("get",)),
    "proxy": ("", "v1", "%sProxyOptions", ("create", "delete", "get", "patch", "update")),
}


# What is answered although no such objects are stored, and its verbs where not all are.
_MORE = (*KINDS, eventviews.KIND, *reviews.KINDS, customkinds.KIND, components.KIND)
_VERBS: dict[Kind, tuple[str, ...]] = {
    **dict.fromkeys(reviews.KINDS, ("create",)),
    components.KIND: components.VERBS,
}


def groups() -> list[tuple[str, str]]:
    """The named (group, version) pairs, in the order of the kinds."""
    return list(dict.fromkeys((kind.group, kind.version) for kind in _MORE if kind.group))


def is_served(group: str) -> bool:
    """Whether there is such a named group."""
    return any(kind.group == group for kind in _MORE if group)


def kinds_of(group: str, version: str) -> list[Kind]:
    """The kinds of one group and version."""
    return [kind for kind in _MORE if (kind.group, kind.version) == (group, version)]


def roots(beside: Iterable[str]) -> list[str]:
    """Where everything begins, for `/`; `beside` what is no API's."""
    of_groups = [f"/apis/{group}/{version}" for group, version in groups()]
    of_groups += [f"/apis/{group}" for group, _ in groups()]
    return sorted({"/api", "/api/v1", "/apis", *of_groups, *beside})


def core_versions() -> Document:
    """`/api`."""
    everywhere = {"clientCIDR": "0.0.0.0/0", "serverAddress": ""}
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [everywhere],
    }


def group_list() -> Document:
    """`/apis`."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(*pair) for pair in groups()],
    }


def group_document(group: str) -> Document | None:
    """`/apis/<group>`; None when there is no such group."""
    for pair in groups():
        if pair[0] == group:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(*pair)}
    return None


def _group(group: str, version: str) -> Document:
    entry = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [entry], "preferredVersion": entry}


def resource_list(group: str, version: str) -> Document | None:
    """`/api/v1` and `/apis/<group>/<version>`; None when there is no such version."""
    kinds = kinds_of(group, version)
    if not kinds:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": [entry for kind in kinds for entry in _resources(kind)],
    }


def _resources(kind: Kind) -> Iterable[Document]:
    main: Document = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_VERBS.get(kind, OBJECT_VERBS)),
    }
    if kind.short_names:
        main["shortNames"] = list(kind.short_names)
    if kind.categories:
        main["categories"] = list(kind.categories)
    yield main
    for subresource in kind.subresources:
        yield _subresource(kind, subresource)


def _subresource(kind: Kind, subresource: str) -> Document:
    group, version, response, verbs = _subresource_of(kind, subresource)
    entry: Document = {
        "name": f"{kind.plural}/{subresource}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": response,
        "verbs": list(verbs),
    }
    if (group, version) != (kind.group, kind.version):
        entry |= {"group": group, "version": version}
    return entry


def _subresource_of(kind: Kind, subresource: str) -> tuple[str, str, str, tuple[str, ...]]:
    """What a subresource takes and gives, and its verbs."""
    group, version, response, verbs = _SUBRESOURCES[subresource]
    if not response:
        return kind.group, kind.version, kind.kind, verbs
    return group, version, response.replace("%s", kind.kind), verbs


def aggregated(*, core: bool, version: str) -> Document:
    """`/api` or `/apis` as one APIGroupDiscoveryList; `version` is v2 or v2beta1."""
    pairs = [("", "v1")] if core else groups()
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_discovery_group(*pair) for pair in pairs],
    }


def _discovery_group(group: str, version: str) -> Document:
    resources = [_discovery_resource(kind) for kind in kinds_of(group, version)]
    return {
        "metadata": {"name": group, "creationTimestamp": None},
        "versions": [{"version": version, "resources": resources, "freshness": "Current"}],
    }


def _discovery_resource(kind: Kind) -> Document:
    entry: Document = {
        "resource": kind.plural,
        "responseKind": _gvk(kind.group, kind.version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(_VERBS.get(kind, OBJECT_VERBS)),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [_discovery_subresource(kind, name) for name in kind.subresources]
    return entry


def _discovery_subresource(kind: Kind, subresource: str) -> Document:
    group, version, response, verbs = _subresource_of(kind, subresource)
    return {
        "subresource": subresource,
        "responseKind": _gvk(group, version, response),
        "verbs": list(verbs),
    }


def _gvk(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}
