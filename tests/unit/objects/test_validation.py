from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.objects.kinds import KINDS
from netlab.objects.strategies import apply_defaults
from netlab.objects.validation import validate, validate_update


def made(kind, api_version, name="web", **fields):
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}
    apply_defaults(obj)
    return obj


def service(name="web", **spec):
    return made("Service", "v1", name, spec={"ports": [{"port": 80}], **spec})


def pod(name="p", **spec):
    return made("Pod", "v1", name, spec={"containers": [{"name": "a", "image": "b"}], **spec})


def deployment(**spec):
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "a", "image": "b"}]},
    }
    base = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    return made("Deployment", "apps/v1", spec={**base, **spec})


_DURING = "DuringSchedulingIgnoredDuringExecution"
_TERM = {"podAffinityTerm": {"topologyKey": "zone"}}


def spread(**rule):
    return {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", **rule}


def said(obj):
    return {one.field: one.message for one in reversed(validate(obj))}  # the first of each


@pytest.mark.parametrize("obj", [service(), pod(), deployment()], ids=lambda o: o["kind"])
def test_ordinary_objects_are_valid(obj):
    assert said(obj) == {}


RFC1035 = "a DNS-1035 label must consist of"


@pytest.mark.parametrize(
    ("obj", "field", "words"),
    [
        (service("a_b"), "metadata.name", f'Invalid value: "a_b": {RFC1035}'),
        (service("1a"), "metadata.name", RFC1035),
        (service(""), "metadata.name", "Required value: name or generateName is required"),
        (service(ports=[]), "spec.ports", "Required value"),
        (
            service(type="ClusterIp"),
            "spec.type",
            'Unsupported value: "ClusterIp": supported values: "ClusterIP", "ExternalName", '
            '"LoadBalancer", "NodePort"',
        ),
        (
            service(type="NodePort", ports=[{"port": 80, "nodePort": 80}]),
            "spec.ports[0].nodePort",
            "Invalid value: 80: provided port is not in the valid range. "
            "The range of valid ports is 30000-32767",
        ),
        (
            service(type="NodePort", ports=[{"port": 80, "nodePort": 32768}]),
            "spec.ports[0].nodePort",
            "not in the valid range",
        ),
        (
            service(ports=[{"port": 80, "nodePort": 30080}]),
            "spec.ports[0].nodePort",
            "Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            service(ports=[{"port": 80}, {"port": 81, "name": "x"}]),
            "spec.ports[0].name",
            "Required value",
        ),
        (
            service(ports=[{"port": 80, "name": "x"}, {"port": 81, "name": "x"}]),
            "spec.ports[1].name",
            'Duplicate value: "x"',
        ),
        (
            service(ports=[{"port": 80, "name": "x"}, {"port": 80, "name": "y"}]),
            "spec.ports[1]",
            'Duplicate value: {"protocol":"TCP","port":80}',
        ),
        (
            service(
                type="NodePort",
                ports=[
                    {"port": 80, "name": "x", "nodePort": 30080},
                    {"port": 81, "name": "y", "nodePort": 30080},
                ],
            ),
            "spec.ports[1].nodePort",
            "Duplicate value: 30080",
        ),
        (
            service(ports=[{"port": 0}]),
            "spec.ports[0].port",
            "Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (service(ports=[{"port": 1, "targetPort": 70000}]), "spec.ports[0].targetPort", "65535"),
        (
            service(ports=[{"port": 1, "targetPort": "a_b"}]),
            "spec.ports[0].targetPort",
            "alpha-numeric",
        ),
        (service(ports=[{"port": 1, "protocol": "tcp"}]), "spec.ports[0].protocol", "Unsupported"),
        (service(clusterIP="10.96.0.300"), "spec.clusterIPs[0]", "must be a valid IP address"),
        (
            service(type="NodePort", clusterIP="None"),
            "spec.clusterIPs[0]",
            "may not be set to 'None' for NodePort services",
        ),
        (service(selector={"app": "-x"}), "spec.selector", "a valid label must be"),
        (service(selector={"-app": "x"}), "spec.selector", "name part must consist"),
        (made("Service", "v1", spec={"type": "ExternalName"}), "spec.externalName", "Required"),
        (
            service(sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}}),
            "spec.sessionAffinityConfig",
            "must not be set when session affinity is None",
        ),
        (
            service(
                sessionAffinity="ClientIP",
                sessionAffinityConfig={"clientIP": {"timeoutSeconds": 90000}},
            ),
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            "must be greater than 0 and less than 86400",
        ),
        (service(externalIPs=["127.0.0.1"]), "spec.externalIPs[0]", "loopback range"),
        (
            service(loadBalancerSourceRanges=["10.0.0.0/8"]),
            "spec.loadBalancerSourceRanges",
            "may only be used when `type` is 'LoadBalancer'",
        ),
        (
            service(externalTrafficPolicy="Local"),
            "spec.externalTrafficPolicy",
            "may only be set for externally-accessible services",
        ),
        (pod(containers=[]), "spec.containers", "Required value"),
        (
            pod(containers=[{"name": "a", "image": "b"}, {"name": "a", "image": "b"}]),
            "spec.containers[1].name",
            'Duplicate value: "a"',
        ),
        (pod(containers=[{"name": "a"}]), "spec.containers[0].image", "Required value"),
        (pod(containers=[{"image": "a"}]), "spec.containers[0].name", "Required value"),
        (
            pod(containers=[{"name": "a", "image": "b", "ports": [{"containerPort": 70000}]}]),
            "spec.containers[0].ports[0].containerPort",
            "must be between 1 and 65535",
        ),
        (
            pod(containers=[{"name": "a", "image": "b", "volumeMounts": [
                {"name": "v", "mountPath": "/v"}]}]),
            "spec.containers[0].volumeMounts[0].name",
            'Not found: "v"',
        ),
        (
            pod(containers=[{"name": "a", "image": "b", "readinessProbe": {}}]),
            "spec.containers[0].readinessProbe",
            "must specify a handler type",
        ),
        (
            pod(containers=[{"name": "a", "image": "b", "resources": {"limits": {"cpu": "x"}}}]),
            "spec.containers[0].resources.limits[cpu]",
            "quantities must match",
        ),
        (pod(restartPolicy="always"), "spec.restartPolicy", "Unsupported value"),
        (pod(dnsPolicy="None", dnsConfig={}), "spec.dnsConfig.nameservers", "at least one DNS"),
        (pod(tolerations=[{"value": "x"}]), "spec.tolerations[0].operator", "must be Exists"),
        (pod(hostname="A"), "spec.hostname", "RFC 1123 label"),
        (
            deployment(selector={"matchLabels": {"app": "db"}}),
            "spec.template.metadata.labels",
            'Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        ),
        (deployment(selector={}), "spec.selector", "empty selector is invalid for deployment"),
        (deployment(selector=None), "spec.selector", "Required value"),
        (deployment(replicas=-1), "spec.replicas", "must be greater than or equal to 0"),
        (
            deployment(strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            deployment(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            "spec.strategy.rollingUpdate.maxUnavailable",
            "may not be 0 when `maxSurge` is 0",
        ),
        (
            deployment(strategy={"rollingUpdate": {"maxSurge": "a%"}}),
            "spec.strategy.rollingUpdate.maxSurge",
            "a valid percent string",
        ),
        (
            deployment(strategy={"rollingUpdate": {"maxUnavailable": "9" * 5000 + "%"}}),
            "spec.strategy.rollingUpdate.maxUnavailable",
            "must not be greater than 100%",
        ),
        (
            service(ports=[{"port": 1, "targetPort": "9" * 5000}]),
            "spec.ports[0].targetPort",
            "must be no more than 15 characters",
        ),
        (
            service(ports=[{"port": 1, "targetPort": "²"}]),
            "spec.ports[0].targetPort",
            "must contain only alpha-numeric characters",
        ),
        (
            deployment(minReadySeconds=600),
            "spec.progressDeadlineSeconds",
            "must be greater than minReadySeconds",
        ),
        (
            deployment(template={
                "metadata": {"labels": {"app": "web"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]},
            }),
            "spec.template.spec.restartPolicy",
            'Unsupported value: "Never": supported values: "Always"',
        ),
        (
            made("EndpointSlice", "discovery.k8s.io/v1", addressType="IPv4",
                 endpoints=[{"addresses": ["::1"]}]),
            "endpoints[0].addresses",
            'Invalid value: "::1": must be an IPv4 address',
        ),
        (
            made("EndpointSlice", "discovery.k8s.io/v1", addressType="IPv4",
                 endpoints=[{"addresses": ["10.0.0.1"], "hostname": "a\n9.9.9.9 b"}]),
            "endpoints[0].hostname",
            "RFC 1123 label",
        ),
        (
            made("Endpoints", "v1", subsets=[{"addresses": [{"ip": "10.0.0.1",
                                                             "hostname": "a b"}]}]),
            "subsets[0].addresses[0].hostname",
            "RFC 1123 label",
        ),
        (
            made("Endpoints", "v1", subsets=[{"ports": [{"name": "a/b", "port": 1}]}]),
            "subsets[0].ports[0].name",
            "RFC 1123 label",
        ),
        (
            made("Ingress", "networking.k8s.io/v1", spec={}),
            "spec",
            "either `defaultBackend` or `rules` must be specified",
        ),
        (
            made("ServiceCIDR", "networking.k8s.io/v1", spec={"cidrs": ["10.0.0.1/8"]}),
            "spec.cidrs[0]",
            "bits set beyond the prefix",
        ),
        (
            made("ServiceCIDR", "networking.k8s.io/v1", spec={"cidrs": ["10.0.0.0/8"] * 3}),
            "spec.cidrs",
            "may only hold up to 2 values",
        ),
        (
            made("ServiceCIDR", "networking.k8s.io/v1", spec={"cidrs": ["10.0.0.0/8"] * 2}),
            "spec.cidrs",
            "may specify no more than one IP for each IP family",
        ),
        (
            made("IPAddress", "networking.k8s.io/v1", metadata={"name": "fd00::0:1"},
                 spec={"parentRef": {"resource": "things", "name": "a"}}),
            "metadata.name",
            'must be in canonical form ("fd00::1")',
        ),
        (
            made("IPAddress", "networking.k8s.io/v1", metadata={"name": "web"},
                 spec={"parentRef": {"resource": "things", "name": "a"}}),
            "metadata.name",
            "must be a valid IP address",
        ),
        (
            made("IPAddress", "networking.k8s.io/v1", metadata={"name": "10.0.0.1"},
                 spec={"parentRef": {"resource": "things", "name": "a/b"}}),
            "spec.parentRef.name",
            "may not contain '/'",
        ),
        (
            made("Endpoints", "v1", subsets=[{"addresses": [{"ip": "127.0.0.1"}]}]),
            "subsets[0].addresses[0].ip",
            "may not be in the loopback range",
        ),
        (
            made("EndpointSlice", "discovery.k8s.io/v1", addressType="IPv6",
                 endpoints=[{"addresses": ["fe80::1"]}]),
            "endpoints[0].addresses[0]",
            "may not be in the link-local range",
        ),
        (
            service(ports=[{"port": 80, "appProtocol": "a b"}]),
            "spec.ports[0].appProtocol",
            "name part must consist",
        ),
        (
            service(type="LoadBalancer", loadBalancerClass="a\nb"),
            "spec.loadBalancerClass",
            "name part must consist",
        ),
        (
            made("EndpointSlice", "discovery.k8s.io/v1", addressType="IPv4", endpoints=[
                {"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "a b"}]}}]),
            "endpoints[0].hints.forZones[0].name",
            "a valid label must be",
        ),
        (
            pod(containers=[
                {"name": name, "image": "b", "ports": [{"containerPort": 80, "hostPort": 8080}]}
                for name in "ab"]),
            "spec.containers[1].ports[0].hostPort",
            'Duplicate value: "TCP//8080"',
        ),
        (
            pod(hostPID=True, shareProcessNamespace=True),
            "spec.securityContext.shareProcessNamespace",
            "Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
        ),
        (
            made("EndpointSlice", "discovery.k8s.io/v1", addressType="IPv4", endpoints=[
                {"addresses": ["10.0.0.1"], "hints": {"forNodes": [{"name": "W1"}]}}]),
            "endpoints[0].hints.forNodes[0].name",
            "RFC 1123 subdomain",
        ),
        (
            made("EndpointSlice", "discovery.k8s.io/v1", addressType="IPv4", endpoints=[
                {"addresses": ["10.0.0.1"],
                 "hints": {"forZones": [{"name": "a"}, {"name": "a"}]}}]),
            "endpoints[0].hints.forZones[1].name",
            "Duplicate value",
        ),
        (
            made("Ingress", "networking.k8s.io/v1", spec={"defaultBackend": {
                "service": {"name": "s", "port": {"name": "a/b"}}}}),
            "spec.defaultBackend.service.port.name",
            "must contain only alpha-numeric characters",
        ),
        (made("Node", "v1", spec={"podCIDR": "a"}), "spec.podCIDRs[0]", "must be a valid CIDR"),
        (service(externalIPs=["0.0.0.0"]), "spec.externalIPs[0]", "may not be unspecified"),
        (made("Namespace", "v1", "a.b"), "metadata.name", "must not contain dots"),
        (
            pod(topologySpreadConstraints=[spread(maxSkew=0)]),
            "spec.topologySpreadConstraints[0].maxSkew",
            "must be greater than zero",
        ),
        (
            pod(topologySpreadConstraints=[spread(minDomains=2)]),
            "spec.topologySpreadConstraints[0].minDomains",
            "can only use minDomains if whenUnsatisfiable=DoNotSchedule",
        ),
        (
            pod(affinity={"podAffinity": {f"preferred{_DURING}": [{"weight": 101, **_TERM}]}}),
            f"spec.affinity.podAffinity.preferred{_DURING}[0].weight",
            "must be in the range 1-100",
        ),
        (
            pod(affinity={"podAntiAffinity": {f"required{_DURING}": [{"topologyKey": ""}]}}),
            f"spec.affinity.podAntiAffinity.required{_DURING}[0].topologyKey",
            "can not be empty",
        ),
        (made("ConfigMap", "v1", data={"a b": "c"}), "data[a b]", "a valid config key"),
        (made("ConfigMap", "v1", data={"ключ": "c"}), "data[ключ]", "a valid config key"),
        (made("ConfigMap", "v1", data={".": "c"}), "data[.]", "must not be '.'"),
        (made("ConfigMap", "v1", data={"..": "c"}), "data[..]", "must not be '..'"),
        (made("ConfigMap", "v1", data={"..a": "c"}), "data[..a]", "must not start with '..'"),
        (made("ConfigMap", "v1", data={"a/b": "c"}), "data[a/b]", "a valid config key"),
        (made("Secret", "v1", stringData={"../a": "c"}), "data[../a]", "a valid config key"),
        (made("Secret", "v1", data={"a": "ä"}), "data[a]", "illegal base64 data"),
        (made("ConfigMap", "v1", binaryData={"a": "eA"}), "binaryData[a]", "illegal base64 data"),
        (made("ConfigMap", "v1", data={"a": ""}, binaryData={"a": ""}), "data[a]",
         "duplicate of key present in binaryData"),
        (made("Secret", "v1", data={"a": "eHh4" * (2**20 // 3), "b": "eHg="}), "data", "Too long"),
        (made("Pod", "v1", "../../p"), "metadata.name", "RFC 1123 subdomain"),
        (
            made("ConfigMap", "v1", metadata={"name": "a", "namespace": "../b"}),
            "metadata.namespace",
            "RFC 1123 label",
        ),
        (
            made(
                "ConfigMap",
                "v1",
                metadata={
                    "name": "web",
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "Pod", "name": n, "uid": n, "controller": True}
                        for n in ("a", "b")
                    ],
                },
            ),
            "metadata.ownerReferences",
            'Found "true" in references for Pod/a and Pod/b',
        ),
    ],
)  # fmt: skip
def test_mistakes_in_the_api_servers_words(obj, field, words):
    assert words in said(obj)[field]


def test_an_object_without_a_namespace_cannot_have_one():
    obj = made("Namespace", "v1", "a")
    obj["metadata"]["namespace"] = "b"
    assert said(obj) == {"metadata.namespace": "Forbidden: not allowed on this type"}


def test_all_mistakes_at_once():
    obj = service("a_b", type="NodePrt", ports=[{"port": 0, "nodePort": 5}, {"port": 99999}])
    assert set(said(obj)) == {
        "metadata.name",
        "spec.type",
        "spec.ports[0].name",
        "spec.ports[0].port",
        "spec.ports[0].nodePort",
        "spec.ports[1].name",
        "spec.ports[1].port",
    }


def test_a_wrong_type_does_not_make_its_node_ports_forbidden():
    obj = service(type="nodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert set(said(obj)) == {"spec.type"}


def test_headless_services_need_no_ports():
    assert said(service(clusterIP="None", ports=[])) == {}


# Updates


def changed(obj, *path, to):
    new = deepcopy(obj)
    here = new
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = to
    return {one.field: one.message for one in validate_update(new, obj)}


def test_what_stays_is_no_problem():
    for obj in (service(), pod(), deployment()):
        assert validate_update(deepcopy(obj), obj) == []


def test_names_are_immutable():
    assert (
        "field is immutable" in changed(service(), "metadata", "name", to="other")["metadata.name"]
    )


def test_a_deployments_selector_is_immutable():
    message = changed(deployment(), "spec", "selector", "matchLabels", to={"app": "db"})
    assert message == {
        "spec.selector": 'Invalid value: {"matchLabels":{"app":"db"}}: field is immutable'
    }


def test_a_deployments_template_may_change():
    assert changed(deployment(), "spec", "replicas", to=5) == {}
    containers = [{"name": "a", "image": "c"}]
    assert changed(deployment(), "spec", "template", "spec", "containers", to=containers) == {}


def test_a_cluster_ip_stays():
    old = service(clusterIP="10.96.0.20", clusterIPs=["10.96.0.20"])
    new = deepcopy(old)
    new["spec"]["clusterIPs"] = ["10.96.0.21"]
    assert [str(one) for one in validate_update(new, old)] == [
        'spec.clusterIPs[0]: Invalid value: ["10.96.0.21"]: may not change once set'
    ]


@pytest.mark.parametrize(("before", "after"), [("a/b", "c/d"), ("a/b", None), (None, "a/b")])
def test_a_load_balancers_class_stays(before, after):
    old = service(type="LoadBalancer", loadBalancerClass=before)
    message = changed(old, "spec", "loadBalancerClass", to=after)["spec.loadBalancerClass"]
    assert message.endswith("may not change once set")


def test_a_load_balancers_class_goes_with_the_type():
    old = service(type="LoadBalancer", loadBalancerClass="a/b")
    assert validate_update(service(), old) == []
    assert "spec.loadBalancerClass" in said(service(loadBalancerClass="a/b"))


def test_a_cluster_ip_may_go_with_the_type():
    old = service(clusterIP="10.96.0.20")
    new = made("Service", "v1", spec={"type": "ExternalName", "externalName": "a.b"})
    assert validate_update(new, old) == []


def test_a_pods_image_may_change_and_little_else():
    image = [{**pod()["spec"]["containers"][0], "image": "c"}]
    assert changed(pod(), "spec", "containers", to=image) == {}
    command = [{**pod()["spec"]["containers"][0], "command": ["sh"]}]
    message = changed(pod(), "spec", "containers", to=command)["spec"]
    assert message.startswith("Forbidden: pod updates may not change fields other than")


def test_a_pod_can_be_bound_once():
    assert changed(pod(), "spec", "nodeName", to="worker001") == {}
    assert "spec" in changed(pod(nodeName="worker001"), "spec", "nodeName", to="worker002")


def test_tolerations_can_be_added_not_taken():
    one, two = {"operator": "Exists", "key": "a"}, {"operator": "Exists", "key": "b"}
    assert changed(pod(tolerations=[one]), "spec", "tolerations", to=[one, two]) == {}
    assert changed(pod(tolerations=[one]), "spec", "tolerations", to=[two])


def test_an_immutable_config_map():
    obj = made("ConfigMap", "v1", immutable=True, data={"a": "b"})
    assert changed(obj, "data", "a", to="c") == {
        "data": "Forbidden: field is immutable when `immutable` is set"
    }


def test_a_controller_revision_keeps_its_data():
    obj = made("ControllerRevision", "apps/v1", data={"spec": {"template": {}}}, revision=1)
    assert said(obj) == {}
    assert changed(obj, "revision", to=2) == {}
    assert changed(obj, "data", "spec", to={}) == {
        "data": 'Invalid value: {"spec":{}}: field is immutable'
    }
    assert said({**obj, "data": None, "revision": -1}) == {
        "data": "Required value: data is mandatory",
        "revision": "Invalid value: -1: must be greater than or equal to 0",
    }


# Whatever JSON

_WORDS = [
    "name", "metadata", "spec", "ports", "port", "type", "selector", "matchLabels", "template",
    "containers", "labels", "nodePort", "clusterIP", "strategy", "rollingUpdate", "endpoints",
    "addresses", "rules", "http", "paths", "backend", "service", "tolerations", "volumes", "env",
    "matchExpressions", "key", "operator", "values", "maxSurge", "cidrs", "data", "image",
    "resources", "limits", "dnsConfig", "nameservers", "namespace", "annotations", "addressType",
]  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=15,
)


@settings(max_examples=300)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(_WORDS), _JSON, max_size=5))
def test_validation_never_raises(kind, content):
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, **content}
    validate(obj)
