"""What a namespace's quotas let be made, in the words of ResourceQuota admission."""

from __future__ import annotations

from typing import Any

import pytest
from refusals import complaints, refused

from netlab.errors import Invalid

GI = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}


def quota(name: str = "few", *scopes: str, more: Any = None, **hard: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"hard": {one.replace("_", "."): most for one, most in hard.items()}}
    if scopes:
        spec["scopes"] = [*scopes]
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec | (more or {}),
    }


def in_force(registry: Any, obj: dict[str, Any], **used: str) -> None:
    """As its controller leaves it."""
    stored = registry.create(obj)
    hard = stored["spec"]["hard"]
    known = {one.replace("_", "."): amount for one, amount in used.items()}
    status = {"hard": hard, "used": {**dict.fromkeys(hard, "0"), **known}}
    registry.update({**stored, "status": status}, subresource="status")


def used(registry: Any, name: str = "few") -> dict[str, str]:
    return dict(registry.get("ResourceQuota", "default", name)["status"]["used"])


def pod(name: str, resources: Any = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "nginx", "resources": resources or {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], **spec},
    }


def test_pods_are_counted_and_one_too_many_is_refused(registry):
    in_force(registry, quota(pods="1"))
    registry.create(pod("a"))
    assert used(registry) == {"pods": "1"}
    assert refused(registry, pod("b")) == (
        'pods "b" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, '
        "limited: pods=1"
    )
    assert used(registry) == {"pods": "1"}


def test_a_quota_that_is_not_counted_yet_limits_nothing(registry):
    registry.create(quota(pods="0"))
    registry.create(pod("a"))
    assert "used" not in registry.get("ResourceQuota", "default", "few")["status"]


def test_a_limit_whose_use_is_unknown_lets_nothing_be_made(registry):
    stored = registry.create(quota(pods="5"))
    registry.update({**stored, "status": {"hard": {"pods": "5"}}}, subresource="status")
    assert refused(registry, pod("a")) == (
        'pods "a" is forbidden: status unknown for quota: few, resources: pods'
    )


def test_a_dry_run_takes_nothing(registry):
    in_force(registry, quota(pods="1"))
    registry.create(pod("a"), dry_run=True)
    assert used(registry) == {"pods": "0"}


def test_what_a_quota_limits_has_to_be_said(registry):
    in_force(registry, quota(requests_cpu="1", limits_memory="1Gi"))
    assert refused(registry, pod("a")) == (
        'pods "a" is forbidden: failed quota: few: must specify limits.memory for: c; '
        "requests.cpu for: c"
    )
    registry.create(pod("a", GI))
    assert used(registry) == {"requests.cpu": "100m", "limits.memory": "128Mi"}


def test_of_all_that_is_too_much_all_is_told(registry):
    in_force(registry, quota(cpu="150m", memory="100Mi", pods="9"), cpu="100m", memory="64Mi")
    assert refused(registry, pod("a", GI)) == (
        'pods "a" is forbidden: exceeded quota: few, requested: cpu=100m,memory=64Mi, '
        "used: cpu=100m,memory=64Mi, limited: cpu=150m,memory=100Mi"
    )


def test_the_most_that_containers_take_at_a_time_counts(registry):
    in_force(registry, quota(requests_cpu="2"))
    first = {"name": "i", "image": "nginx", "resources": {"requests": {"cpu": "500m"}}}
    registry.create(pod("a", {"requests": {"cpu": "100m"}}, initContainers=[first]))
    assert used(registry) == {"requests.cpu": "500m"}


def test_pods_of_other_scopes_are_not_counted(registry):
    in_force(registry, quota("best", "BestEffort", pods="5"))
    in_force(registry, quota("ends", "Terminating", pods="5"))
    in_force(registry, quota("burst", "NotBestEffort", pods="5"))
    registry.create(pod("a"))
    registry.create(pod("b", GI, activeDeadlineSeconds=9))
    assert [used(registry, name)["pods"] for name in ("best", "ends", "burst")] == ["1", "1", "1"]


def test_pods_are_counted_by_their_priority(registry):
    chosen = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    registry.create({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "high"}, "value": 9,
    })  # fmt: skip
    in_force(registry, quota(pods="1", more={"scopeSelector": {"matchExpressions": [chosen]}}))
    registry.create(pod("a"))
    registry.create(pod("b", priorityClassName="high"))
    assert used(registry) == {"pods": "1"}
    assert "exceeded quota: few" in refused(registry, pod("c", priorityClassName="high"))


def test_pods_that_look_into_other_namespaces_are_counted(registry):
    chosen = {"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"}
    in_force(registry, quota(pods="0", more={"scopeSelector": {"matchExpressions": [chosen]}}))
    registry.create(pod("a"))
    term = {"topologyKey": "kubernetes.io/hostname", "namespaceSelector": {}}
    rules = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    abroad = pod("b", affinity={"podAntiAffinity": rules})
    assert "exceeded quota: few" in refused(registry, abroad)


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def test_services_are_counted_by_their_type_which_may_change(registry):
    in_force(registry, quota(services="2", services_nodeports="1", services_loadbalancers="1"))
    stored = registry.create(service("a"))
    assert used(registry) == {
        "services": "1", "services.nodeports": "0", "services.loadbalancers": "0",
    }  # fmt: skip
    registry.update({**stored, "spec": {**stored["spec"], "type": "NodePort"}})
    assert used(registry)["services.nodeports"] == "1"
    assert refused(registry, service("b", type="LoadBalancer")) == (
        'services "b" is forbidden: exceeded quota: few, requested: services.nodeports=1, '
        "used: services.nodeports=1, limited: services.nodeports=1"
    )
    registry.create(service("b", type="LoadBalancer", allocateLoadBalancerNodePorts=False))
    assert used(registry)["services.loadbalancers"] == "1"


def test_claims_are_counted_by_size_and_class(registry):
    gold = "gold.storageclass.storage.k8s.io/requests.storage"
    obj = quota(persistentvolumeclaims="9", requests_storage="3Gi")
    obj["spec"]["hard"][gold] = "1Gi"
    in_force(registry, obj)

    def claim(name: str, **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                **spec,
            },
        }

    registry.create(claim("a"))
    registry.create(claim("b", storageClassName="gold"))
    assert used(registry) == {
        "persistentvolumeclaims": "2", "requests.storage": "2Gi", gold: "1Gi",
    }  # fmt: skip
    assert f"requested: {gold}=1Gi, used: {gold}=1Gi" in refused(
        registry, claim("c", storageClassName="gold")
    )


def test_everything_else_is_counted_by_its_name(registry):
    obj = quota(configmaps="1")
    obj["spec"]["hard"] |= {"count/configmaps": "5", "count/deployments.apps": "0"}
    in_force(registry, obj)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    registry.create(config)
    assert used(registry)["count/configmaps"] == used(registry)["configmaps"] == "1"
    labels = {"matchLabels": {"app": "web"}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod("x")["spec"]}
    web = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": labels, "template": template},
    }
    assert refused(registry, web) == (
        'deployments.apps "web" is forbidden: exceeded quota: few, requested: '
        "count/deployments.apps=1, used: count/deployments.apps=0, "
        "limited: count/deployments.apps=0"
    )


def test_other_namespaces_are_not_limited(registry):
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
    in_force(registry, quota(pods="0"))
    registry.create({**pod("a"), "metadata": {"name": "a", "namespace": "other"}})


CASES = [
    (quota(foo="1"), '[spec.hard[foo]: Invalid value: "foo": must be a standard resource'),
    (quota(pods="1.5"), 'spec.hard[pods]: Invalid value: "1.5": must be an integer'),
    (quota(pods="-1"), 'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0'),
    (
        quota("few", "BestEffort", "NotBestEffort", pods="1"),
        'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes',
    ),
    (quota("few", "Odd", pods="1"), 'spec.scopes: Invalid value: ["Odd"]: unsupported scope'),
    (
        quota("few", "BestEffort", cpu="1"),
        'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
    ),
    (
        quota(
            pods="1",
            more={
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]
                }
            },
        ),
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value "
        "when `operator` is 'In' or 'NotIn' for scope selector",
    ),
    (
        quota(
            pods="1",
            more={
                "scopeSelector": {
                    "matchExpressions": [
                        {"scopeName": "Terminating", "operator": "In", "values": ["x"]}
                    ]
                }
            },
        ),
        "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exist' when",
    ),
]


@pytest.mark.parametrize(("obj", "expected"), CASES)
def test_what_no_quota_may_say(registry, obj, expected):
    assert complaints(registry, obj).startswith(expected)


def test_what_a_quota_is_for_stays(registry):
    stored = registry.create(quota("few", "BestEffort", pods="1"))
    with pytest.raises(Invalid) as caught:
        registry.update({**stored, "spec": {**stored["spec"], "scopes": ["NotBestEffort"]}})
    assert "spec.scopes: Invalid value" in caught.value.message
    assert caught.value.message.endswith("field is immutable")
