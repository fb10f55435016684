"""In which order an API server tells of mistakes."""

from __future__ import annotations

from typing import Any

from netlab.objects import strategies
from netlab.objects.problems import render_path
from netlab.objects.validation import validate


def told(kind: str, **spec: Any) -> list[str]:
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": "b"}}
    obj["spec"] = spec
    strategies.apply_defaults(obj)
    return [render_path(problem.path) for problem in validate(obj)]


def words(kind: str, **spec: Any) -> list[str]:
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": "b"}}
    obj["spec"] = spec
    strategies.apply_defaults(obj)
    return [f"{render_path(each.path)}: {each.message}" for each in validate(obj)]


def test_of_a_service_values_that_are_none_come_where_their_fields_are_looked_at() -> None:
    port = {"name": "A", "port": 0, "protocol": "X", "targetPort": "a_b", "nodePort": 7}
    assert told(
        "Service",
        type="Foo",
        ports=[port],
        sessionAffinity="Sticky",
        ipFamilyPolicy="Z",
        ipFamilies=["IPv5"],
        clusterIP="abc",
        externalIPs=["x"],
        externalTrafficPolicy="X",
        internalTrafficPolicy="Y",
        healthCheckNodePort=-1,
    ) == [
        "spec.ports[0].name",
        "spec.ports[0].port",
        "spec.ports[0].protocol",
        "spec.ports[0].targetPort",
        "spec.sessionAffinity",
        "spec.ipFamilies[0]",
        "spec.ipFamilyPolicy",
        "spec.clusterIPs[0]",
        "spec.externalIPs[0]",
        "spec.ports[0].nodePort",
        "spec.type",
        "spec.externalTrafficPolicy",
        "spec.healthCheckNodePort",
        "spec.internalTrafficPolicy",
    ]


def test_of_a_pod_the_fields_of_its_spec_are_looked_at_one_after_the_other() -> None:
    container = {
        "name": "c",
        "image": "",
        "imagePullPolicy": "X",
        "ports": [{"containerPort": 0, "hostPort": 70000, "protocol": "Z"}],
    }
    assert told(
        "Pod",
        priorityClassName="A B",
        preemptionPolicy="X",
        tolerations=[{"operator": "Foo", "key": "a"}],
        hostname="A_B",
        activeDeadlineSeconds=0,
        nodeSelector={"a b": "c"},
        dnsPolicy="Bar",
        restartPolicy="Foo",
        topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "X"}],
        readinessGates=[{"conditionType": "a b"}],
        containers=[container],
        volumes=[{"name": "A", "emptyDir": {}}],
    ) == [
        "spec.volumes[0].name",
        "spec.containers[0].image",
        "spec.containers[0].imagePullPolicy",
        "spec.containers[0].ports[0].containerPort",
        "spec.containers[0].ports[0].hostPort",
        "spec.containers[0].ports[0].protocol",
        "spec.restartPolicy",
        "spec.dnsPolicy",
        "spec.nodeSelector",
        "spec.readinessGates[0].conditionType",
        "spec.topologySpreadConstraints[0].maxSkew",
        "spec.topologySpreadConstraints[0].whenUnsatisfiable",
        "spec.activeDeadlineSeconds",
        "spec.hostname",
        "spec.tolerations[0].operator",
        "spec.priorityClassName",
        "spec.preemptionPolicy",
    ]


def test_what_an_external_name_must_not_have() -> None:
    external = {"type": "ExternalName", "clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"]}
    assert words("Service", **external, ipFamilyPolicy="SingleStack") == [
        f"spec.{field}: Forbidden: may not be set for ExternalName services"
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
    ] + ["spec.externalName: Required value"]


def test_what_else_of_a_service_is_told_as_kubernetes_tells_it() -> None:
    assert words("Service", type="LoadBalancer", ports=[{"port": 10250}]) == [
        "spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is "
        "used by kubelet"
    ]
    none = "may not be set to 'None' for NodePort services"
    assert words("Service", type="NodePort", clusterIP="None", ports=[{"port": 80}]) == [
        f'spec.clusterIPs[0]: Invalid value: "None": {none}'
    ]
    addresses = ["10.0.0.1", "::1", "10.0.0.2"]
    assert words("Service", clusterIP=addresses[0], clusterIPs=addresses, ports=[{"port": 80}]) == [
        'spec.clusterIPs: Invalid value: ["10.0.0.1","::1","10.0.0.2"]: '
        "may only hold up to 2 values"
    ]
    ports = [{"name": name, "port": 80, "nodePort": 30000} for name in "ab"]
    assert told("Service", type="NodePort", ports=ports) == [
        "spec.ports[1].nodePort",
        "spec.ports[1]",
    ]
    assert words("Service", allocateLoadBalancerNodePorts=False, ports=[{"port": 80}]) == [
        "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is "
        "'LoadBalancer'"
    ]
