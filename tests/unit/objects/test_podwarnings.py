import pytest

from netlab.objects.podwarnings import warnings


def pod(*contexts, **spec):
    containers = [
        {"name": name, "image": "i", "securityContext": context}
        for name, context in zip("abc", contexts, strict=False)
    ]
    return {"kind": "Pod", "spec": {"containers": containers, **spec}}


UNCONFINED = {"seccompProfile": {"type": "Unconfined"}}


@pytest.mark.parametrize(
    ("obj", "line"),
    [
        (pod({"privileged": True}),
         'privileged (container "a" sets securityContext.privileged=true): it gives the '
         "capabilities that stay within a pod, and nothing of the machine"),
        (pod({"privileged": True}, {}, {"privileged": True}),
         'privileged (containers "a", "c" set securityContext.privileged=true): it gives the '
         "capabilities that stay within a pod, and nothing of the machine"),
        (pod({"allowPrivilegeEscalation": True}),
         'allowPrivilegeEscalation (container "a" sets '
         "securityContext.allowPrivilegeEscalation=true): no process of a pod can gain privileges"),
        (pod({"capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN", "CAP_BPF"]}},
             {"capabilities": {"add": ["ALL"]}}),
         'capabilities (containers "a", "b" add "SYS_ADMIN", "CAP_BPF", "ALL" in '
         "securityContext.capabilities.add): a pod has those alone that stay within it"),
        (pod({}, hostPID=True),
         "host namespaces (hostPID=true): each container sees its own processes alone"),
        (pod({}, hostIPC=True),
         "host namespaces (hostIPC=true): the pod shares no memory with the machine"),
        (pod({"procMount": "Unmasked"}),
         'procMount (container "a" sets securityContext.procMount="Unmasked"): '
         "what of /proc is the machine's stays hidden or read-only"),
        (pod({}, UNCONFINED, securityContext=UNCONFINED),
         'seccompProfile (pod and container "b" set '
         'securityContext.seccompProfile.type="Unconfined"): '
         "what would reach the machine stays forbidden"),
        (pod({}, volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
         "hostPath volumes (volume \"v\"): a directory on the lab's own empty disk of the node, "
         "with nothing of the machine"),
        (pod({}, securityContext={"sysctls": [{"name": "kernel.a", "value": "1"}]}),
         'sysctls (pod sets "kernel.a" in securityContext.sysctls): the lab\'s own stay'),
        (pod({}, volumes=[{"name": "v", "nfs": {"server": "s", "path": "/"}}]),
         'volume types (volume "v" uses nfs): a lab has nobody who serves such volumes, so the '
         "pod waits, as where the driver or server is not there"),
        (pod({}, volumes=[{"name": "v", "image": {"reference": "i"}}]),
         'volume types (volume "v" uses image): it is empty'),
        ({"kind": "Pod", "spec": {"containers": [
            {"name": "a", "image": "i", "readinessProbe": {"grpc": {"port": 1}}},
            {"name": "b", "image": "i", "livenessProbe": {"tcpSocket": {"port": 1}}}]}},
         'grpc probes (container "a" asks by grpc): nobody asks, so a readiness or startup probe '
         "never succeeds, and a liveness probe never fails"),
    ],
)  # fmt: skip
def test_what_is_warned_of(obj, line):
    assert warnings(obj) == [line]
    template = {"kind": "StatefulSet", "spec": {"template": {"spec": obj["spec"]}}}
    assert warnings(template) == [line]


def test_init_containers_count():
    spec = {"initContainers": [{"name": "i", "securityContext": {"privileged": True}}]}
    assert 'container "i" sets' in warnings({"kind": "Pod", "spec": spec})[0]


@pytest.mark.parametrize(
    "obj",
    [
        pod({"privileged": False, "allowPrivilegeEscalation": False, "procMount": "Default",
             "capabilities": {"add": ["NET_ADMIN", "CAP_SYS_PTRACE"], "drop": ["ALL"]},
             "seccompProfile": {"type": "RuntimeDefault"}}),
        pod({}, hostNetwork=True, hostPID=False, volumes=[{"name": "v", "emptyDir": {}}]),
        {"kind": "ConfigMap", "data": {"a": "b"}},
        {"kind": "Service", "spec": {"ports": []}},
        {"kind": "Namespace"},
    ],
)  # fmt: skip
def test_what_a_lab_gives_is_not_warned_of(obj):
    assert warnings(obj) == []


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Pod", ["spec"]),
        ("Deployment", ["spec", "template", "spec"]),
        ("CronJob", ["spec", "jobTemplate", "spec", "template", "spec"]),
    ],
)
def test_volumes_that_kubernetes_has_no_more_are_named_by_their_path(kind, path):
    volumes = [{"name": "a", "emptyDir": {}}, {"name": "b", "gitRepo": {"repository": "r"}}]
    obj = {"volumes": volumes}
    for part in reversed(path):
        obj = {part: obj}
    first, second = warnings({"kind": kind, **obj})
    where = ".".join([*path, "volumes[1].gitRepo"])
    assert first == f"{where}: deprecated in v1.11, and disabled by default in v1.33+"
    assert second.startswith('volume types (volume "b" uses gitRepo): a lab has nobody')
