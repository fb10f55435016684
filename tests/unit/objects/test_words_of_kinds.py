"""What an API server says of objects of each kind, in its order: paths and words as kubectl prints
them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from netlab import manifest
from netlab.errors import InputError
from netlab.objects import gowords, strategies
from netlab.objects.validation import creation_problems, validate, validate_update

Json = dict[str, Any]

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NAME = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
SERVICE = {"service": {"name": "a", "port": {"number": 80}}}
PATH = {"path": "/", "pathType": "Prefix", "backend": SERVICE}


def made(kind: str, group: str = "v1", meta: Json | None = None, /, **fields: Any) -> Json:
    metadata = {"name": "a", **(meta or {})}
    obj = {"apiVersion": group, "kind": kind, "metadata": metadata, **fields}
    strategies.apply_defaults(obj)
    return obj


def told(obj: Json) -> list[str]:
    return [str(problem) for problem in [*validate(obj), *creation_problems(obj)]]


def named(**metadata: Any) -> Json:
    return made("ServiceAccount", "v1", metadata)


METADATA: list[tuple[Json, list[str]]] = [
    (named(name="A" * 254), [
        f'metadata.name: Invalid value: "{"A" * 254}": must be no more than 253 characters',
        f'metadata.name: Invalid value: "{"A" * 254}": {SUBDOMAIN}']),
    (named(generateName="a-"), []),
    (named(generateName="AB-"), [
        f'metadata.generateName: Invalid value: "AB-": {SUBDOMAIN}']),
    (named(namespace="a.b"), ['metadata.namespace: Invalid value: "a.b": must not contain dots']),
    (named(labels={"a/b/c": "-"}), [
        f'metadata.labels: Invalid value: "a/b/c": a qualified name {NAME} with an optional DNS '
        "subdomain prefix and '/' (e.g. 'example.com/MyName')",
        f'metadata.labels: Invalid value: "-": {VALUE}']),
    (named(labels={"/": ""}), [
        'metadata.labels: Invalid value: "/": prefix part must be non-empty',
        'metadata.labels: Invalid value: "/": name part must be non-empty',
        f'metadata.labels: Invalid value: "/": name part {NAME}']),
    (named(labels={"A/b": "c" * 64}), [
        f'metadata.labels: Invalid value: "A/b": prefix part {SUBDOMAIN}',
        f'metadata.labels: Invalid value: "{"c" * 64}": must be no more than 63 characters']),
    (named(annotations={"A/b": ""}), []),
    (named(annotations={"A_/B": ""}), [
        f'metadata.annotations: Invalid value: "A_/B": prefix part {SUBDOMAIN}']),
    (named(annotations={"a": "ä" * 2**17}), [
        "metadata.annotations: Too long: may not be more than 262144 bytes"]),
    (named(finalizers=["a b"]), [
        f'metadata.finalizers: Invalid value: "a b": name part {NAME}',
        'metadata.finalizers[0]: Invalid value: "a b": name is neither a standard finalizer name '
        "nor is it fully qualified",
    ]),
    (named(finalizers=["orphan", "foregroundDeletion"]), [
        'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: '
        "finalizer orphan and foregroundDeletion cannot be both set"]),
    (named(ownerReferences=[{"apiVersion": "a/b/c", "kind": "", "name": "", "uid": ""}]), [
        'metadata.ownerReferences.apiVersion: Invalid value: "a/b/c": version must not be empty',
        *(f'metadata.ownerReferences.{field}: Invalid value: "": must not be empty'
          for field in ("kind", "name", "uid"))]),
    (named(ownerReferences=[{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]), [
        'metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"e",'
        '"uid":"u"}: /v1, Kind=Event is disallowed from being an owner']),
]  # fmt: skip


def slice_(type_: str, *addresses: str, ports: list[Json] | None = None, **endpoint: Any) -> Json:
    endpoints = [{"addresses": list(addresses), **endpoint}]
    return made(
        "EndpointSlice", "discovery.k8s.io/v1", addressType=type_, ports=ports or [],
        endpoints=endpoints,
    )  # fmt: skip


def endpoints(addresses: list[Json], ports: list[Json]) -> Json:
    return made("Endpoints", subsets=[{"addresses": addresses, "ports": ports}])


FIRST = "endpoints[0].addresses"
NETWORK: list[tuple[Json, list[str]]] = [
    (slice_("IPv5", "a"), [
        'addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"']),
    (slice_("IPv4"), [f"{FIRST}: Required value: must contain at least 1 address"]),
    (slice_("IPv4", *["10.0.0.1"] * 101), [f"{FIRST}: Too many: 101: must have at most 100 items"]),
    (slice_("IPv4", "a", "010.0.0.1"), [f'{FIRST}[0]: Invalid value: "a": {IP}']),
    (slice_("IPv4", "fd00::1"), [f'{FIRST}: Invalid value: "fd00::1": must be an IPv4 address']),
    (slice_("IPv6", "10.0.0.1"), [f'{FIRST}: Invalid value: "10.0.0.1": must be an IPv6 address']),
    (slice_("IPv6", "FD00::1"), [
        f'{FIRST}[0]: Invalid value: "FD00::1": must be in canonical form ("fd00::1")']),
    (slice_("IPv6", "::ffff:10.0.0.1"), [
        f'{FIRST}[0]: Invalid value: "::ffff:10.0.0.1": must not be an IPv4-mapped IPv6 address']),
    (slice_("IPv4", "224.0.0.1", "0.0.0.0"), [
        f'{FIRST}[0]: Invalid value: "224.0.0.1": may not be in the link-local multicast range '
        "(224.0.0.0/24, ff02::/10)",
        f'{FIRST}[1]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)']),
    (slice_("FQDN", "a.b.", "a", "A.b", ""), [
        f'{FIRST}[1]: Invalid value: "a": should be a domain with at least two segments separated '
        "by dots",
        f'{FIRST}[2]: Invalid value: "A.b": {SUBDOMAIN}',
        f"{FIRST}[3]: Required value"]),
    (slice_("IPv4", "10.0.0.1", ports=[{"name": "A", "protocol": "X", "appProtocol": "a b"},
                                       {"name": "A"}], hostname="a.b", nodeName="A",
            hints={"forZones": [{"name": "a"}] * 9}), [
        f'ports[0].name: Invalid value: "A": {LABEL}',
        'ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
        f'ports[0].appProtocol: Invalid value: "a b": name part {NAME}',
        f'ports[1].name: Invalid value: "A": {LABEL}',
        'ports[1].name: Duplicate value: "A"',
        f'endpoints[0].nodeName: Invalid value: "A": {SUBDOMAIN}',
        'endpoints[0].hostname: Invalid value: "a.b": must not contain dots',
        "endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"]),
    (made("Endpoints", subsets=[{"ports": [{"port": 1}]}]), [
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"]),
    (endpoints([{"ip": "a"}], [{"port": 0}, {"port": 1, "name": "a.b"}]), [
        f'subsets[0].addresses[0].ip: Invalid value: "a": {IP}',
        'subsets[0].addresses[0].ip: Invalid value: "a": must be a valid IP address',
        "subsets[0].ports[0].name: Required value",
        "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        'subsets[0].ports[1].name: Invalid value: "a.b": must not contain dots']),
    (made("Service", spec={"ports": [{"port": 80}], "clusterIP": "a"}), [
        f'spec.clusterIPs[0]: Invalid value: "a": {IP}']),
    (made("Service", spec={"ports": [{"port": 80}], "clusterIPs": ["10.0.0.1", "10.0.0.2"]}), [
        'spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: '
        "may specify no more than one IP for each IP family"]),
    (made("ServiceCIDR", "networking.k8s.io/v1", spec={"cidrs": ["a", "10.0.0.1/24"]}), [
        f'spec.cidrs[0]: Invalid value: "a": {CIDR}',
        'spec.cidrs[1]: Invalid value: "10.0.0.1/24": '
        "must not have bits set beyond the prefix length"]),
    (made("ServiceCIDR", "networking.k8s.io/v1", spec={"cidrs": ["FD00::/64"]}), [
        'spec.cidrs[0]: Invalid value: "FD00::/64": must be in canonical form ("fd00::/64")']),
    (made("IPAddress", "networking.k8s.io/v1", {"name": "fd00:0::1"}), [
        'metadata.name: Invalid value: "fd00:0::1": must be in canonical form ("fd00::1")',
        "spec.parentRef: Required value"]),
    (made("IPAddress", "networking.k8s.io/v1", {"name": "10.0.0.1"},
          spec={"parentRef": {"group": "A", "resource": "a/b"}}), [
        f'spec.parentRef.group: Invalid value: "A": {SUBDOMAIN}',
        "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'",
        "spec.parentRef.name: Required value"]),
]  # fmt: skip


def ingress(meta: Json | None = None, **spec: Any) -> Json:
    return made("Ingress", "networking.k8s.io/v1", meta or {}, spec=spec)


def ruled(**path: Any) -> Json:
    return ingress(rules=[{"http": {"paths": [{**PATH, **path}]}}])


def class_(**spec: Any) -> Json:
    return made("IngressClass", "networking.k8s.io/v1", spec={"controller": "a.io/b", **spec})


def named_class(**parameters: Any) -> Json:
    return class_(parameters={"kind": "K", "name": "n", **parameters})


ONE = "spec.rules[0].http.paths[0]"
INGRESS: list[tuple[Json, list[str]]] = [
    (ingress(), [
        "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]),
    (ingress(defaultBackend=SERVICE, ingressClassName="A", tls=[{"hosts": ["A"]}]), [
        f'spec.tls[0].hosts[0]: Invalid value: "A": {SUBDOMAIN}',
        f'spec.ingressClassName: Invalid value: "A": {SUBDOMAIN}']),
    (ingress({"annotations": {"kubernetes.io/ingress.class": "a"}}, ingressClassName="b",
             defaultBackend=SERVICE), [
        'annotations.kubernetes.io/ingress.class: Invalid value: "a": '
        "must match `ingressClassName` when both are specified"]),
    (ruled(pathType=None, backend={}), [f"{ONE}.pathType: Required value: "
                                        "pathType must be specified"]),
    (ruled(pathType="X", path="a"), [
        f'{ONE}.pathType: Unsupported value: "X": '
        'supported values: "Exact", "ImplementationSpecific", "Prefix"']),
    (ruled(path="a//b/.."), [
        f'{ONE}.path: Invalid value: "a//b/..": must be an absolute path',
        f"{ONE}.path: Invalid value: \"a//b/..\": must not contain '//'",
        f"{ONE}.path: Invalid value: \"a//b/..\": cannot end with '/..'"]),
    (ruled(backend={"resource": {"apiGroup": "A", "kind": "a/b", "name": ""}}), [
        f'{ONE}.backend.resource.apiGroup: Invalid value: "A": {SUBDOMAIN}',
        f"{ONE}.backend.resource.kind: Invalid value: \"a/b\": may not contain '/'",
        f"{ONE}.backend.resource.name: Required value"]),
    (ruled(backend={}), [
        f'{ONE}.backend: Invalid value: "": resource or service backend is required']),
    (class_(controller="a.io/b?"), [
        'spec.controller: Invalid value: "b?": Invalid path (regex used for validation is '
        "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"]),
    (class_(parameters={"kind": "K"}), ["spec.parameters.name: Required value"]),
    (named_class(scope="Namespace"), [
        "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"]),
    (named_class(scope="Namespace", namespace="A"), [
        f'spec.parameters.namespace: Invalid value: "A": {LABEL}']),
]  # fmt: skip


def secret(kind: str = "Opaque", /, **data: str) -> Json:
    return made("Secret", type=kind, data=data)


BIG = "x" * 2**20
REDACTED = "<secret contents redacted>"
CONFIG: list[tuple[Json, list[str]]] = [
    (made("ConfigMap", data={"a": BIG}), []),
    (made("ConfigMap", data={"a": BIG}, binaryData={"b": "eA=="}), [
        "[]: Too long: may not be more than 1048576 bytes"]),
    (made("ConfigMap", data={"a b": "", "..c": "", ".": ""}), [
        f'data[a b]: Invalid value: "a b": {KEY}',
        "data[..c]: Invalid value: \"..c\": must not start with '..'",
        "data[.]: Invalid value: \".\": must not be '.'"]),
    (made("ConfigMap", data={"a" * 254: ""}), [
        f'data[{"a" * 254}]: Invalid value: "{"a" * 254}": must be no more than 253 characters']),
    (secret(a="eHh4" * (2**20 // 3)), []),
    (secret(a="eHh4" * (2**20 // 3), b="eHg="), [
        "data: Too long: may not be more than 1048576 bytes"]),
    (secret("kubernetes.io/tls", **{"tls.crt": ""}), ["data[tls.key]: Required value"]),
    (secret("kubernetes.io/ssh-auth", **{"ssh-privatekey": ""}), [
        "data[ssh-privatekey]: Required value"]),
    (secret("kubernetes.io/dockercfg", **{".dockercfg": ""}), [
        f'data[.dockercfg]: Invalid value: "{REDACTED}": unexpected end of JSON input']),
    (secret("kubernetes.io/dockercfg", **{".dockercfg": "W10="}), [
        f'data[.dockercfg]: Invalid value: "{REDACTED}": json: cannot unmarshal array into Go '
        "value of type map[string]interface {}"]),
    (secret("kubernetes.io/dockerconfigjson", **{".dockerconfigjson": "YQ=="}), [
        f"data[.dockerconfigjson]: Invalid value: \"{REDACTED}\": invalid character 'a' looking "
        "for beginning of value"]),
    (secret("kubernetes.io/service-account-token"), [
        "metadata.annotations[kubernetes.io/service-account.name]: Required value"]),
]  # fmt: skip


def node(**spec: Any) -> Json:
    return made("Node", spec=spec)


def event(**fields: Any) -> Json:
    return made("Event", "v1", {"namespace": "a"}, **fields)


TIME = "2026-01-01T00:00:00.000000Z"
CLUSTER: list[tuple[Json, list[str]]] = [
    (made("Namespace", "v1", {"name": "a.b"}), [
        'metadata.name: Invalid value: "a.b": must not contain dots']),
    (made("Namespace", spec={"finalizers": ["a", "kubernetes", "b.io/c"]}), [
        'spec.finalizers[0]: Invalid value: "a": '
        "name is neither a standard finalizer name nor is it fully qualified"]),
    (node(taints=[{"key": "a b", "value": "-", "effect": "NoSchedule"}]), [
        f'metadata.taints[0].key: Invalid value: "a b": name part {NAME}',
        f'metadata.taints[0].value: Invalid value: "-": {VALUE}']),
    (node(taints=[{"key": "a", "effect": "NoSchedule"}] * 2), [
        'metadata.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}: '
        "taints must be unique by key and effect pair"]),
    (node(podCIDRs=["10.0.0.0/24", "10.0.1.0/24"]), [
        'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: '
        "may specify no more than one CIDR for each IP family"]),
    (node(podCIDR="a"), [f'spec.podCIDRs[0]: Invalid value: "a": {CIDR}']),
    (made("Lease", "coordination.k8s.io/v1",
          spec={"leaseDurationSeconds": 0, "leaseTransitions": -1}), [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"]),
    (made("Event", "v1", {"name": "A_B"}, involvedObject={}), []),
    (event(involvedObject={}), [
        'involvedObject.namespace: Invalid value: "": does not match event.namespace']),
    (event(involvedObject={"namespace": "b"}), [
        'involvedObject.namespace: Invalid value: "b": does not match event.namespace']),
    (event(involvedObject={"namespace": "a"}, eventTime=TIME, reason="r" * 129), [
        "reportingComponent: Required value",
        'reportingComponent: Invalid value: "": name part must be non-empty',
        f'reportingComponent: Invalid value: "": name part {NAME}',
        "reportingInstance: Required value",
        "action: Required value",
        'reason: Invalid value: "": can have at most 128 characters']),
    (made("PriorityClass", "scheduling.k8s.io/v1", {"name": "A"}, value=2 * 10**9), [
        f'metadata.name: Invalid value: "A": {SUBDOMAIN}',
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]),
]  # fmt: skip


def claim(**spec: Any) -> Json:
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return made("PersistentVolumeClaim", spec={**base, **spec})


def volume(**spec: Any) -> Json:
    base = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/a"}}  # fmt: skip
    return made("PersistentVolume", spec={**base, **spec})


def storage_class(**fields: Any) -> Json:
    return made("StorageClass", "storage.k8s.io/v1", **{"provisioner": "a", **fields})


MODES = '"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'
ON_NODE = "allowedTopologies[0].matchLabelExpressions[0]"
STORAGE: list[tuple[Json, list[str]]] = [
    (claim(accessModes=[], resources={}), [
        "spec.accessModes: Required value: at least 1 access mode is required",
        "spec.resources[storage]: Required value"]),
    (claim(accessModes=["X", "ReadWriteOncePod"], volumeMode="Y",
           resources={"requests": {"storage": "0"}}, storageClassName="A"), [
        f'spec.accessModes: Unsupported value: "X": supported values: {MODES}',
        'spec.resources[storage]: Invalid value: "0": must be greater than zero',
        f'spec.storageClassName: Invalid value: "A": {SUBDOMAIN}',
        'spec.volumeMode: Unsupported value: "Y": supported values: "Block", "Filesystem"']),
    (claim(dataSource={"kind": "Foo"}), [
        "spec.dataSource.name: Required value",
        'spec.dataSource: Invalid value: "Foo": '
        "must be 'PersistentVolumeClaim' when referencing the default apiGroup"]),
    (claim(selector={"matchExpressions": [{"key": "a", "operator": "In"}]}), [
        "spec.selector.matchExpressions[0].values: Required value: "
        "must be specified when `operator` is 'In' or 'NotIn'"]),
    (volume(accessModes=[], capacity={}), [
        "spec.accessModes: Required value",
        "spec.capacity: Required value",
        'spec.capacity: Unsupported value: null: supported values: "storage"']),
    (volume(capacity={"storage": "-1"}, persistentVolumeReclaimPolicy="X", nodeAffinity={}), [
        'spec.capacity[storage]: Invalid value: "-1": must be greater than zero',
        'spec.persistentVolumeReclaimPolicy: Unsupported value: "X": '
        'supported values: "Delete", "Recycle", "Retain"',
        "spec.nodeAffinity.required: Required value: must specify required node constraints"]),
    (volume(hostPath={"path": "/"}, persistentVolumeReclaimPolicy="Recycle"), [
        "spec.persistentVolumeReclaimPolicy: Forbidden: "
        "may not be 'recycle' for a hostPath mount of '/'"]),
    (volume(hostPath={"path": ""}), ["spec.hostPath.path: Required value"]),
    (storage_class(provisioner="A b", reclaimPolicy="X", parameters={"": ""}), [
        f'provisioner: Invalid value: "a b": name part {NAME}',
        'parameters: Invalid value: "": field can not be empty.',
        'reclaimPolicy: Unsupported value: "X": supported values: "Delete", "Retain"']),
    (storage_class(parameters={"a": BIG}), [
        "parameters: Too long: may not be more than 262144 bytes"]),
    (storage_class(allowedTopologies=[{"matchLabelExpressions": [{"key": "a b", "values": []}]}]), [
        f"{ON_NODE}.values: Required value",
        f'{ON_NODE}.key: Invalid value: "a b": name part {NAME}']),
]  # fmt: skip


@pytest.mark.parametrize(
    ("obj", "words"), [*METADATA, *NETWORK, *INGRESS, *CONFIG, *CLUSTER, *STORAGE]
)
def test_an_object_is_refused_in_the_words_of_a_cluster(obj: Json, words: list[str]) -> None:
    assert told(obj) == words


def bound(obj: Json, phase: str = "Bound", capacity: str = "1Gi") -> Json:
    return {**obj, "status": {"phase": phase, "capacity": {"storage": capacity}}}


def resized(size: str) -> Json:
    return bound(claim(resources={"requests": {"storage": size}}))


KEPT = "field is immutable"
SET = "Forbidden: field is immutable when `immutable` is set"
CLAIM_KEPT = (
    "spec: Forbidden: spec is immutable after creation except resources.requests and "
    "volumeAttributesClassName for bound claims"
)
UPDATES: list[tuple[Json, Json, list[str]]] = [
    (slice_("IPv4", "10.0.0.1"), slice_("FQDN", "a.b"), [
        f'addressType: Invalid value: "FQDN": {KEPT}']),
    (class_(), class_(controller="a.io/c"), [f'spec.controller: Invalid value: "a.io/c": {KEPT}']),
    (made("ConfigMap", data={"a": "b"}, immutable=True), made("ConfigMap", binaryData={"c": ""}), [
        f"immutable: {SET}", f"data: {SET}", f"binaryData: {SET}"]),
    ({**secret(a="eA=="), "immutable": True}, secret("x"), [
        f'type: Invalid value: "x": {KEPT}', f"immutable: {SET}", f"data: {SET}"]),
    (node(podCIDRs=["10.0.0.0/24"], providerID="a://b"), node(providerID="a://c"), [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
        'spec.providerID: Forbidden: '
        'node updates may not change providerID except from "" to valid']),
    (claim(), resized("2Gi"), [CLAIM_KEPT]),
    (resized("1Gi"), resized("2Gi"), []),
    (resized("2Gi"), resized("1500Mi"), []),
    (resized("2Gi"), resized("1Gi"), [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]),
    (claim(), claim(volumeMode="Block"), [
        CLAIM_KEPT, f'volumeMode: Invalid value: "Block": {KEPT}']),
    (claim(), claim(volumeName="a"), []),
    (volume(), volume(hostPath={"path": "/b"}, volumeMode="Block"), [
        "spec.persistentvolumesource: Forbidden: "
        "spec.persistentvolumesource is immutable after creation",
        f'volumeMode: Invalid value: "Block": {KEPT}']),
    (storage_class(), storage_class(reclaimPolicy="Retain", volumeBindingMode="Immediate"), [
        "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden."]),
    (made("PriorityClass", "scheduling.k8s.io/v1", value=1),
     made("PriorityClass", "scheduling.k8s.io/v1", value=2, preemptionPolicy="Never"), [
        "value: Forbidden: may not be changed in an update.",
        f'preemptionPolicy: Invalid value: "Never": {KEPT}']),
    (made("ServiceCIDR", "networking.k8s.io/v1", spec={"cidrs": ["10.0.0.0/24"]}),
     made("ServiceCIDR", "networking.k8s.io/v1", spec={"cidrs": ["10.0.1.0/24"]}), [
        f'spec.cidrs[0]: Invalid value: "10.0.1.0/24": {KEPT}']),
    (ingress({"annotations": {"kubernetes.io/ingress.class": "a"}}, defaultBackend=SERVICE),
     ingress({"annotations": {"kubernetes.io/ingress.class": "a"}}, defaultBackend=SERVICE,
             ingressClassName="b"), []),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), UPDATES)
def test_a_change_is_refused_in_the_words_of_a_cluster(
    old: Json, new: Json, words: list[str]
) -> None:
    assert [str(problem) for problem in validate_update(deepcopy(new), old)] == words


@pytest.mark.parametrize(
    ("text", "at"),
    [("eA==", None), ("e\nA=\r\n=", None), ("", None), ("eHg=", None), ("ä", 0), ("eA", 0),
     ("eHh4eA", 4), ("e===", 1), ("eA=x", 2), ("eA=", 3), ("eA==x", 4), ("e-==", 1)],
)  # fmt: skip
def test_where_base64_ends_to_be_such(text: str, at: int | None) -> None:
    fault = None if at is None else f"illegal base64 data at input byte {at}"
    assert gowords.base64_fault(text) == fault


_FILE = """\
apiVersion: v1
kind: Service
metadata: {name: a}
spec:
  ports: [{port: 80}]
  clusterIP: b
---
apiVersion: v1
kind: Node
metadata: {name: a}
spec:
  taints:
  - key: a b
    effect: NoSchedule
"""


def test_in_a_file_a_field_has_its_line_by_whatever_path_it_is_named() -> None:
    with pytest.raises(InputError) as caught:
        manifest.loads(_FILE, name="a.yaml")
    found = [(problem.line, problem.field) for problem in caught.value.problems]
    assert found == [(6, "spec.clusterIPs[0]"), (13, "metadata.taints[0].key")]
