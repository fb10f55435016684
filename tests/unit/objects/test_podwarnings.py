import pytest

from netlab.objects import strategies
from netlab.objects.podwarnings import dropped, warnings


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


IMAGE = {"name": "v", "image": {"reference": "quay.io/crio/artifact:v2"}}
LEFT_OUT = "left out, with its mounts: the feature gate ImageVolume is off"


def with_image_volume():
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}]
    containers = [
        {"name": "a", "image": "i", "volumeMounts": mounts},
        {"name": "b", "image": "i", "volumeMounts": mounts[:1]},
    ]
    init = [{"name": "c", "image": "i", "volumeMounts": mounts[:1]}]
    return {"containers": containers, "initContainers": init, "volumes": [IMAGE, {"name": "w"}]}


def test_image_volumes_are_left_out_and_told_of():
    made = {"kind": "Pod", "metadata": {"name": "p"}, "spec": with_image_volume()}
    assert dropped(made) == [f"spec.volumes[0].image: {LEFT_OUT}"]
    strategies.of(made).default(made)
    spec = made["spec"]
    assert spec["volumes"] == [{"name": "w", "emptyDir": {}}]
    mounted = [one.get("volumeMounts") for one in (*spec["containers"], *spec["initContainers"])]
    assert mounted == [[{"name": "w", "mountPath": "/w"}], None, None]
    assert dropped(made) == warnings(made) == []


def test_so_are_those_of_templates():
    template = {"metadata": {}, "spec": {**with_image_volume(), "volumes": [IMAGE]}}
    made = {"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": template}}
    assert dropped(made) == [f"spec.template.spec.volumes[0].image: {LEFT_OUT}"]
    strategies.of(made).default(made)
    assert "volumes" not in made["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    "obj",
    [
        {"kind": "Pod", "spec": {"volumes": 1}},
        {"kind": "Pod", "spec": {"volumes": {"image": 1}}},
        {"kind": "Deployment", "spec": {"template": 1}},
        {"kind": "Deployment", "spec": []},
        {"kind": "Service", "spec": {"volumes": [IMAGE]}},
    ],
)
def test_of_nonsense_nothing_is_said(obj):
    assert dropped(obj) == []
