"""What an API server of 1.33 warns of by itself."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.objects import apiwarnings


def pod(spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i", **container}]
    whole = {"containers": containers, **(spec or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": whole}


def of(made: dict[str, Any], **annotations: str) -> list[str]:
    keys = {key.replace("__", "/").replace("_", "."): text for key, text in annotations.items()}
    made["metadata"]["annotations"] = keys
    return apiwarnings.warnings(made)


NONE = "a null labelSelector results in matching no pod"
IGNORED = "IgnoredDuringExecution"


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        ({"nodeSelector": {"beta.kubernetes.io/os": "linux", "a": "b"}},
         ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use '
          '"kubernetes.io/os" instead']),
        ({"affinity": {"nodeAffinity": {f"requiredDuringScheduling{IGNORED}": {
            "nodeSelectorTerms": [{"matchExpressions": [
                {"key": "node-role.kubernetes.io/master", "operator": "Exists"}]}]}}}},
         [f"spec.affinity.nodeAffinity.requiredDuringScheduling{IGNORED}.nodeSelectorTerms[0]."
          'matchExpressions[0].key: node-role.kubernetes.io/master is use '
          '"node-role.kubernetes.io/control-plane" instead']),
        ({"topologySpreadConstraints": [
            {"topologyKey": "failure-domain.beta.kubernetes.io/zone", "maxSkew": 1}]},
         ["spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone "
          'is deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
          f"spec.topologySpreadConstraints[0].labelSelector: {NONE}"]),
        ({"hostAliases": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}]},
         ['spec.hostAliases[2].ip: duplicate ip "10.0.0.1"']),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]},
         ['spec.imagePullSecrets[1].name: duplicate name "a"',
          'spec.imagePullSecrets[2].name: invalid empty name ""']),
        ({"terminationGracePeriodSeconds": -1},
         ["spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will "
          "be treated as 1"]),
        ({"affinity": {"podAntiAffinity": {
            f"requiredDuringScheduling{IGNORED}": [{"topologyKey": "a"}],
            f"preferredDuringScheduling{IGNORED}": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "a"}}]}}},
         [f"spec.affinity.podAntiAffinity.requiredDuringScheduling{IGNORED}[0].labelSelector: "
          f"{NONE}",
          f"spec.affinity.podAntiAffinity.preferredDuringScheduling{IGNORED}[0].podAffinityTerm."
          f"labelSelector: {NONE}"]),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, []),
    ],
)  # fmt: skip
def test_of_pods(spec: dict[str, Any], lines: list[str]) -> None:
    assert apiwarnings.warnings(pod(spec)) == lines


@pytest.mark.parametrize(
    ("container", "lines"),
    [
        ({"resources": {"limits": {"memory": "100m", "cpu": "100m"}, "requests": {"memory": "1k"}}},
         ['spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, '
          "must be an integer"]),
        ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
         ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when '
          "using apply"]),
        ({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}, []),
        ({"ports": [{"containerPort": 80, "hostIP": "127.0.0.1", "protocol": "TCP"}]},
         ["spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 "
          "ContainerPort:80 Protocol:TCP HostIP:127.0.0.1}"]),
        ({"ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"},
                    {"containerPort": 80, "protocol": "UDP"}]},
         ["spec.containers[0].ports[1]: duplicate port definition with "
          "spec.containers[0].ports[0]"]),
        ({"ports": [{"containerPort": 80}, {"containerPort": 80, "hostPort": 8080}]},
         ["spec.containers[0].ports[1]: overlapping port definition with "
          "spec.containers[0].ports[0]"]),
        ({"ports": [{"containerPort": 80, "hostPort": 80},
                    {"containerPort": 80, "hostPort": 80, "hostIP": "10.0.0.1"}]},
         ["spec.containers[0].ports[1]: dangerously ambiguous port definition with "
          "spec.containers[0].ports[0]"]),
        ({"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 80, "hostPort": 81}]},
         []),
    ],
)  # fmt: skip
def test_of_containers(container: dict[str, Any], lines: list[str]) -> None:
    assert apiwarnings.warnings(pod(**container)) == lines


def test_of_annotations() -> None:
    key = "seccomp.security.alpha.kubernetes.io/pod"
    text = r"non-functional in v1.27+; use the \"seccompProfile\" field instead"
    made = pod()
    made["metadata"]["annotations"] = {key: "runtime/default"}
    assert apiwarnings.warnings(made) == [f"metadata.annotations[{key}]: {text}"]
    made["spec"]["securityContext"] = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert apiwarnings.warnings(made) == []
    made["metadata"]["annotations"] = {"scheduler.alpha.kubernetes.io/critical-pod": ""}
    assert apiwarnings.warnings(made)[0].endswith('use the "priorityClassName" field instead')


def test_of_templates() -> None:
    template = {**pod({"terminationGracePeriodSeconds": -1}), "metadata": {"annotations": {
        "container.apparmor.security.beta.kubernetes.io/c": "unconfined"}}}  # fmt: skip
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"template": template}}  # fmt: skip
    first, second = apiwarnings.warnings(made)
    assert first.startswith(
        "spec.template.metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: "
    )
    assert second.startswith("spec.template.spec.terminationGracePeriodSeconds: must be >= 0")


def test_names_that_are_no_label() -> None:
    end = "which can result in surprising behavior; a DNS label is recommended"
    for kind, used in (("Pod", "the Pod's hostname"), ("Deployment", "Pod names and hostnames")):
        head = f"metadata.name: this is used in {used}, {end}"
        for name, words in (
            ("a.b", "must not contain dots"),
            ("a" * 64, "must be no more than 63"),
        ):
            (line,) = apiwarnings.of_name({"kind": kind, "metadata": {"name": name}})
            assert line.startswith(f"{head}: [{words}")
        assert apiwarnings.of_name({"kind": kind, "metadata": {"name": "a-b"}}) == []
    assert apiwarnings.of_name({"kind": "ConfigMap", "metadata": {"name": "a.b"}}) == []


def test_of_services() -> None:
    key = "service.kubernetes.io/topology-aware-hints"
    made = {"kind": "Service", "metadata": {"name": "s", "annotations": {key: "auto"}}, "spec": {}}
    assert apiwarnings.warnings(made) == [
        f"annotation {key} is deprecated, please use service.kubernetes.io/topology-mode instead"
    ]
