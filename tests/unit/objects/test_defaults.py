from copy import deepcopy

import pytest

from netlab.objects.strategies import apply_defaults


def filled(kind, spec=None, **fields):
    obj = {"kind": kind, "metadata": {"name": "x"}, **fields}
    if spec is not None:
        obj["spec"] = spec
    apply_defaults(obj)
    again = deepcopy(obj)
    apply_defaults(again)
    assert again == obj
    return obj


def container(**fields):
    return {"name": "a", "image": "nginx:1.27", **fields}


def test_a_service_is_a_cluster_ip_over_tcp_to_the_same_port():
    spec = filled("Service", {"ports": [{"port": 80}, {"port": 53, "targetPort": "dns"}]})["spec"]
    assert spec == {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ports": [
            {"port": 80, "targetPort": 80, "protocol": "TCP"},
            {"port": 53, "targetPort": "dns", "protocol": "TCP"},
        ],
    }


def test_a_replication_controller_selects_and_bears_the_labels_of_its_template():
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    found = filled("ReplicationController", {"template": template})
    assert found["spec"]["selector"] == found["metadata"]["labels"] == {"app": "web"}
    assert found["spec"]["replicas"] == 1
    kept = filled("ReplicationController", {"template": template, "selector": {"a": "b"}})
    assert kept["spec"]["selector"] == {"a": "b"}


def test_services_open_to_the_outside():
    spec = filled("Service", {"type": "NodePort", "ports": [{"port": 80}]})["spec"]
    assert spec["externalTrafficPolicy"] == "Cluster"
    assert "allocateLoadBalancerNodePorts" not in spec
    spec = filled("Service", {"type": "LoadBalancer", "ports": []})["spec"]
    assert spec["allocateLoadBalancerNodePorts"] is True


def test_an_external_name_has_no_traffic_policy():
    spec = filled("Service", {"type": "ExternalName", "externalName": "a.b"})["spec"]
    assert "internalTrafficPolicy" not in spec


def test_client_ip_affinity_lasts_three_hours():
    spec = filled("Service", {"sessionAffinity": "ClientIP"})["spec"]
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_a_pod():
    spec = filled("Pod", {"containers": [container(ports=[{"containerPort": 80}])]})["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["schedulerName"] == "default-scheduler"
    assert spec["enableServiceLinks"] is True
    one = spec["containers"][0]
    assert one["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert one["terminationMessagePath"] == "/dev/termination-log"
    assert one["resources"] == {}


def test_what_is_written_stays_also_when_it_is_zero_or_false():
    written = {
        "containers": [container()],
        "terminationGracePeriodSeconds": 0,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
    }
    spec = filled("Pod", dict(written))["spec"]
    assert {name: spec[name] for name in written} == written
    deployment = filled("Deployment", {"replicas": 0, "revisionHistoryLimit": 0})["spec"]
    assert (deployment["replicas"], deployment["revisionHistoryLimit"]) == (0, 0)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("nginx:latest@sha256:abc", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image, policy):
    spec = filled("Pod", {"containers": [{"name": "a", "image": image}]})["spec"]
    assert spec["containers"][0]["imagePullPolicy"] == policy


def test_limits_become_requests_in_pods_but_not_in_templates():
    limited = container(resources={"limits": {"cpu": "1"}})
    spec = filled("Pod", {"containers": [deepcopy(limited)]})["spec"]
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    template = {"spec": {"containers": [deepcopy(limited)]}}
    spec = filled("Deployment", {"template": template})["spec"]
    assert "requests" not in spec["template"]["spec"]["containers"][0]["resources"]


def test_probes():
    probe = {"httpGet": {"port": 80}}
    spec = filled("Pod", {"containers": [container(readinessProbe=probe)]})["spec"]
    assert spec["containers"][0]["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def test_volumes():
    volumes = [{"name": "a"}, {"name": "b", "configMap": {"name": "c"}}]
    spec = filled("Pod", {"containers": [container()], "volumes": volumes})["spec"]
    assert spec["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "configMap": {"name": "c", "defaultMode": 420}},
    ]


def test_host_network_opens_the_same_port_on_the_host():
    ports = [{"containerPort": 80}]
    spec = filled("Pod", {"hostNetwork": True, "containers": [container(ports=ports)]})["spec"]
    assert spec["containers"][0]["ports"][0]["hostPort"] == 80


def test_a_deployment_rolls_by_quarters():
    template = {"spec": {"containers": [container()]}}
    spec = filled("Deployment", {"template": template, "strategy": {}})["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    assert spec["template"]["spec"]["restartPolicy"] == "Always"


def test_recreating_deployments_do_not_roll():
    spec = filled("Deployment", {"strategy": {"type": "Recreate"}})["spec"]
    assert spec["strategy"] == {"type": "Recreate"}


def test_stateful_and_daemon_sets():
    spec = filled("StatefulSet", {})["spec"]
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    spec = filled("DaemonSet", {})["spec"]
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_slices_and_endpoints_speak_tcp():
    assert filled("EndpointSlice", ports=[{"port": 80}])["ports"] == [
        {"port": 80, "protocol": "TCP", "name": ""}
    ]
    subsets = [{"ports": [{"port": 80}]}]
    assert filled("Endpoints", subsets=subsets)["subsets"][0]["ports"][0]["protocol"] == "TCP"


def test_a_secrets_plain_text_is_encoded_over_its_data():
    secret = filled("Secret", stringData={"a": "hello"}, data={"a": "eA==", "b": "eA=="})
    assert secret["type"] == "Opaque"
    assert secret["data"] == {"a": "aGVsbG8=", "b": "eA=="}
    assert "stringData" not in secret


def test_other_kinds_are_left_alone():
    assert filled("ConfigMap", data={}) == {
        "kind": "ConfigMap",
        "metadata": {"name": "x"},
        "data": {},
    }
