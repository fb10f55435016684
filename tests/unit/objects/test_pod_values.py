"""Nothing of a pod's spec may become a path, a line or an option that it is not."""

import pytest

from netlab.objects import names, strategies
from netlab.objects.strategies import apply_defaults
from netlab.objects.validation import validate

CONTAINER = {"name": "c", "image": "i"}
LABEL = "a lowercase RFC 1123 label must consist of"
SUBDOMAIN = "a lowercase RFC 1123 subdomain must consist of"
ID = "must be between 0 and 2147483647, inclusive"
PLACE = "must not be '/', nor /proc or /sys or below them"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"
NUL = "must not contain a NUL character"
DEPTH = "must not have more than 64 components"
DEEP = "/".join("d" * 65)
MAKERS = {"Deployment": {}, "ReplicaSet": {}, "StatefulSet": {"serviceName": "s"}, "DaemonSet": {}}


def said(obj):
    apply_defaults(obj)
    return first_words(validate(obj))


def first_words(problems):
    """By its field, what is said of it first."""
    return {one.field: one.message for one in reversed(problems)}


def pod(container=None, **spec):
    spec = {"containers": [{**CONTAINER, **(container or {})}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def mounted(volumes=("v",), **mount):
    mount = {"name": "v", "mountPath": "/v", **mount}
    return pod({"volumeMounts": [mount]}, volumes=[{"name": name} for name in volumes])


def volume(**source):
    return pod(volumes=[{"name": "v", **source}])


def context(**fields):
    return pod({"securityContext": fields})


def refused(obj, field, words):
    found = said(obj)
    assert list(found) == [field], found
    assert words in found[field]


ITEM = {"key": "k", "path": "p"}
REF = {"fieldRef": {"fieldPath": "metadata.name"}}
VOLUME = "spec.volumes[0]"

VOLUMES = [
    (pod(volumes=[{"name": "../../srv"}]), f"{VOLUME}.name", LABEL),
    (pod(volumes=[{"name": "a/b"}]), f"{VOLUME}.name", LABEL),
    (pod(volumes=[{"name": ""}]), f"{VOLUME}.name", "Required value"),
    (pod(volumes=[{"name": "v"}] * 2), "spec.volumes[1].name", 'Duplicate value: "v"'),
    (volume(emptyDir={}, hostPath={"path": "/a"}), f"{VOLUME}.hostPath",
     "Forbidden: may not specify more than 1 volume type"),
    (volume(emptyDir={"medium": "tmpfs"}), f"{VOLUME}.emptyDir.medium", "Unsupported value"),
    (volume(emptyDir={"sizeLimit": "-1Mi"}), f"{VOLUME}.emptyDir.sizeLimit", "valid resource"),
    (volume(emptyDir={"sizeLimit": "much"}), f"{VOLUME}.emptyDir.sizeLimit", "quantities must"),
    (volume(hostPath={"path": ""}), f"{VOLUME}.hostPath.path", "Required value"),
    (volume(hostPath={"path": "/a/../../b"}), f"{VOLUME}.hostPath.path", "must not contain '..'"),
    (volume(hostPath={"path": "/a", "type": "Dir"}), f"{VOLUME}.hostPath.type",
     'supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File"'),
    (volume(hostPath={"path": "/" + "a" * 256}), f"{VOLUME}.hostPath.path", "more than 255 bytes"),
    (volume(persistentVolumeClaim={"claimName": "../x"}),
     f"{VOLUME}.persistentVolumeClaim.claimName", SUBDOMAIN),
    (volume(persistentVolumeClaim={"claimName": ""}),
     f"{VOLUME}.persistentVolumeClaim.claimName", "Required value"),
    (volume(configMap={}), f"{VOLUME}.configMap.name", "Required value"),
    (volume(configMap={"name": "a/b"}), f"{VOLUME}.configMap.name", SUBDOMAIN),
    (volume(secret={"secretName": ".."}), f"{VOLUME}.secret.secretName", SUBDOMAIN),
    (volume(secret={"secretName": "s", "defaultMode": 0o1000}), f"{VOLUME}.secret.defaultMode",
     MODE),
    (volume(secret={"secretName": "s", "items": [{**ITEM, "path": "../p"}]}),
     f"{VOLUME}.secret.items[0].path", "must not contain '..'"),
    (volume(secret={"secretName": "s", "items": [{**ITEM, "path": "/p"}]}),
     f"{VOLUME}.secret.items[0].path", "must be a relative path"),
    (volume(secret={"secretName": "s", "items": [{**ITEM, "path": "..data"}]}),
     f"{VOLUME}.secret.items[0].path", "must not start with '..'"),
    (volume(secret={"secretName": "s", "items": [{**ITEM, "path": "a//.."}]}),
     f"{VOLUME}.secret.items[0].path", "must not contain '..'"),
    (volume(secret={"secretName": "s", "items": [{**ITEM, "path": "./."}]}),
     f"{VOLUME}.secret.items[0].path", "must name a file"),
    (volume(configMap={"name": "c", "items": [{**ITEM, "key": "../k"}]}),
     f"{VOLUME}.configMap.items[0].key", "a valid config key must consist of"),
    (volume(configMap={"name": "c", "items": [{**ITEM, "mode": -1}]}),
     f"{VOLUME}.configMap.items[0].mode", MODE),
    (volume(projected={"sources": [{"secret": {
        "name": "s", "items": [{**ITEM, "path": "../p"}]}}]}),
     f"{VOLUME}.projected.sources[0].secret.items[0].path", "must not contain '..'"),
    (volume(projected={"sources": [{"serviceAccountToken": {"path": "/t"}}]}),
     f"{VOLUME}.projected.sources[0].serviceAccountToken.path", "must be a relative path"),
    (volume(projected={"sources": [{"secret": {"name": "s"}, "configMap": {"name": "c"}}]}),
     f"{VOLUME}.projected.sources[0].configMap", "may not specify more than 1 volume type"),
    (volume(downwardAPI={"items": [{"path": "../n", **REF}]}),
     f"{VOLUME}.downwardAPI.items[0].path", "must not contain '..'"),
    (volume(downwardAPI={"items": [{"path": "n", "fieldRef": {"fieldPath": "spec.nodeName"}}]}),
     f"{VOLUME}.downwardAPI.items[0].fieldRef.fieldPath", 'Unsupported value: "spec.nodeName"'),
    (volume(downwardAPI={"items": [{"path": DEEP, **REF}]}),
     f"{VOLUME}.downwardAPI.items[0].path", DEPTH),
    (volume(configMap={"name": "c", "items": [{**ITEM, "path": DEEP}]}),
     f"{VOLUME}.configMap.items[0].path", DEPTH),
    (volume(projected={"sources": [{"serviceAccountToken": {"path": DEEP}}]}),
     f"{VOLUME}.projected.sources[0].serviceAccountToken.path", DEPTH),
    (volume(hostPath={"path": f"/{DEEP}"}), f"{VOLUME}.hostPath.path", DEPTH),
    (volume(downwardAPI={"items": [{"path": "n"}]}), f"{VOLUME}.downwardAPI.items[0]",
     "one of fieldRef and resourceFieldRef is required"),
    (volume(downwardAPI={"items": [{"path": "n", "resourceFieldRef": {
        "containerName": "other", "resource": "limits.cpu"}}]}),
     f"{VOLUME}.downwardAPI.items[0].resourceFieldRef.containerName", 'Not found: "other"'),
]  # fmt: skip

MOUNT = "spec.containers[0].volumeMounts[0]"
MOUNTS = [
    (mounted(name="w"), f"{MOUNT}.name", 'Not found: "w"'),
    (mounted(mountPath=""), f"{MOUNT}.mountPath", "Required value"),
    (mounted(mountPath="/a:b"), f"{MOUNT}.mountPath", "must not contain ':'"),
    (mounted(mountPath="/"), f"{MOUNT}.mountPath", PLACE),
    (mounted(mountPath="//"), f"{MOUNT}.mountPath", PLACE),
    (mounted(mountPath="."), f"{MOUNT}.mountPath", PLACE),
    (mounted(mountPath="/proc"), f"{MOUNT}.mountPath", PLACE),
    (mounted(mountPath="//proc/./sys/"), f"{MOUNT}.mountPath", PLACE),
    (mounted(mountPath="proc"), f"{MOUNT}.mountPath", PLACE),
    (mounted(mountPath="/sys/fs/cgroup"), f"{MOUNT}.mountPath", PLACE),
    (mounted(mountPath="/usr/../proc"), f"{MOUNT}.mountPath", "must not contain '..'"),
    (mounted(mountPath="/v\0"), f"{MOUNT}.mountPath", NUL),
    (mounted(mountPath=f"/{DEEP}"), f"{MOUNT}.mountPath", DEPTH),
    (mounted(subPath=DEEP), f"{MOUNT}.subPath", DEPTH),
    (mounted(subPath="../x"), f"{MOUNT}.subPath", "must not contain '..'"),
    (mounted(subPath="/x"), f"{MOUNT}.subPath", "must be a relative path"),
    (mounted(subPathExpr="/$(A)"), f"{MOUNT}.subPathExpr", "must be a relative path"),
    (mounted(mountPropagation="Both"), f"{MOUNT}.mountPropagation", "Unsupported value"),
    (pod({"volumeMounts": [{"name": "v", "mountPath": "/v"}] * 2}, volumes=[{"name": "v"}]),
     "spec.containers[0].volumeMounts[1].mountPath", 'Invalid value: "/v": must be unique'),
]  # fmt: skip


def many(count, **fields):
    return [{"name": f"n{number}", **fields} for number in range(count)]


def mounts(count):
    found = [{"name": "v", "mountPath": f"/v/{number}"} for number in range(count)]
    return pod({"volumeMounts": found}, volumes=[{"name": "v", "emptyDir": {}}])


def items(count):
    return [{**ITEM, "path": str(number)} for number in range(count)]


SOURCES = [{"secret": {"name": "s"}}]
TOO_MANY = [
    (pod(volumes=many(257, emptyDir={})), "spec.volumes", 256),
    (mounts(257), "spec.containers[0].volumeMounts", 256),
    (pod(containers=many(129, image="i")), "spec.containers", 128),
    (pod(initContainers=many(128, image="i")), "spec.containers", 128),
    (pod({"env": many(1001, value="")}), "spec.containers[0].env", 1000),
    (pod({"envFrom": [{"secretRef": {"name": "s"}}] * 257}), "spec.containers[0].envFrom", 256),
    (pod({"ports": [{"containerPort": 1}] * 257}), "spec.containers[0].ports", 256),
    (volume(secret={"secretName": "s", "items": items(1001)}), f"{VOLUME}.secret.items", 1000),
    (volume(downwardAPI={"items": [{**REF, "path": "p"}] * 1001}),
     f"{VOLUME}.downwardAPI.items", 1000),
    (volume(projected={"sources": SOURCES * 257}), f"{VOLUME}.projected.sources", 256),
]  # fmt: skip


@pytest.mark.parametrize(("obj", "field", "limit"), TOO_MANY)
def test_what_costs_work_is_bounded(obj, field, limit):
    refused(obj, field, f"must have at most {limit} items")


WHO = "spec.containers[0].securityContext"
CONTEXTS = [
    (context(runAsUser=-1), f"{WHO}.runAsUser", f"Invalid value: -1: {ID}"),
    (context(runAsGroup=2**31), f"{WHO}.runAsGroup", ID),
    (pod(securityContext={"runAsUser": -1}), "spec.securityContext.runAsUser", ID),
    (pod(securityContext={"fsGroup": -1}), "spec.securityContext.fsGroup", ID),
    (pod(securityContext={"supplementalGroups": [0, -1]}),
     "spec.securityContext.supplementalGroups[1]", ID),
    (pod(securityContext={"sysctls": [{"name": "net/../x", "value": ""}]}),
     "spec.securityContext.sysctls[0].name", "must have at most 253 characters and match regex"),
    (context(privileged=True, allowPrivilegeEscalation=False), WHO,
     "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
    (context(capabilities={"add": ["CAP_SYS_ADMIN"]}, allowPrivilegeEscalation=False), WHO,
     "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"),
    (context(procMount="Bare"), f"{WHO}.procMount", 'supported values: "Default", "Unmasked"'),
    (context(seccompProfile={"type": "None"}), f"{WHO}.seccompProfile.type", "Unsupported value"),
    (context(seccompProfile={"type": "Localhost"}), f"{WHO}.seccompProfile.localhostProfile",
     "must be set when seccomp type is Localhost"),
    (context(seccompProfile={"type": "Localhost", "localhostProfile": "../p"}),
     f"{WHO}.seccompProfile.localhostProfile", "must not contain '..'"),
]  # fmt: skip

WORDS = [
    (pod({"name": "../c"}), "spec.containers[0].name", LABEL),
    (pod({"name": ""}), "spec.containers[0].name", "Required value"),
    (pod(initContainers=[CONTAINER]), "spec.initContainers[0].name", 'Duplicate value: "c"'),
    (pod({"image": ""}), "spec.containers[0].image", "Required value"),
    (pod({"workingDir": "-"}), "spec.containers[0].workingDir", "must be an absolute path"),
    (pod({"workingDir": "/a\0"}), "spec.containers[0].workingDir", NUL),
    (pod({"command": ["sh", "a\0b"]}), "spec.containers[0].command[1]", NUL),
    (pod({"args": ["\0"]}), "spec.containers[0].args[0]", NUL),
    (pod({"ports": [{"name": "a\n", "containerPort": 1}]}), "spec.containers[0].ports[0].name",
     "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
    (pod({"env": [{"name": "A", "value": "\0"}]}), "spec.containers[0].env[0].value", NUL),
    (pod({"env": [{"name": "A=B", "value": ""}]}), "spec.containers[0].env[0].name",
     "a valid environment variable name must consist"),
    (pod({"env": [{"name": "", "value": ""}]}), "spec.containers[0].env[0].name", "Required"),
    (pod({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.containers"}}}]}),
     "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath",
     "error converting fieldPath: field label not supported: spec.containers"),
    (pod({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec['a']"}}}]}),
     "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath", "does not support subscript"),
    (pod({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits"}}}]}),
     "spec.containers[0].env[0].valueFrom.resourceFieldRef.resource", "Unsupported value"),
    (pod({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "../k"}}}]}),
     "spec.containers[0].env[0].valueFrom.secretKeyRef.key", "a valid config key must consist of"),
    (pod({"env": [{"name": "A", "valueFrom": {}}]}), "spec.containers[0].env[0].valueFrom",
     "must specify one of: `fieldRef`, `resourceFieldRef`"),
    (pod({"envFrom": [{"prefix": "A=", "secretRef": {"name": "s"}}]}),
     "spec.containers[0].envFrom[0].prefix", "a valid environment variable name must consist"),
    (pod({"envFrom": [{"configMapRef": {"name": "a/b"}}]}),
     "spec.containers[0].envFrom[0].configMapRef.name", SUBDOMAIN),
    (pod({"envFrom": [{}]}), "spec.containers[0].envFrom[0]", "must specify one of"),
    (pod({"livenessProbe": {"exec": {"command": ["a\0"]}}}),
     "spec.containers[0].livenessProbe.exec.command[0]", NUL),
    (pod({"livenessProbe": {"exec": {}}}), "spec.containers[0].livenessProbe.exec.command",
     "Required value"),
    (pod({"lifecycle": {"preStop": {"exec": {"command": ["a\0"]}}}}),
     "spec.containers[0].lifecycle.preStop.exec.command[0]", NUL),
    (pod({"lifecycle": {"postStart": {}}}), "spec.containers[0].lifecycle.postStart",
     "must specify a handler type"),
    (pod({"readinessProbe": {"httpGet": {"port": 80, "httpHeaders": [
        {"name": "A: b\r\nC", "value": ""}]}}}),
     "spec.containers[0].readinessProbe.httpGet.httpHeaders[0].name", "a valid HTTP header must"),
    (pod({"readinessProbe": {"httpGet": {"port": 80, "httpHeaders": [
        {"name": "A", "value": "b\r\nC: d"}]}}}),
     "spec.containers[0].readinessProbe.httpGet.httpHeaders[0].value", "must be one line"),
    (pod({"readinessProbe": {"tcpSocket": {"port": "a b"}}}),
     "spec.containers[0].readinessProbe.tcpSocket.port", "must contain only alpha-numeric"),
]  # fmt: skip

OF_PODS = [
    (pod(nodeName="../n"), "spec.nodeName", SUBDOMAIN),
    (pod(hostname="a\nb"), "spec.hostname", LABEL),
    (pod(subdomain="a.b"), "spec.subdomain", "must not contain dots"),
    (pod(serviceAccountName="a b"), "spec.serviceAccountName", SUBDOMAIN),
    (pod(hostAliases=[{"ip": "1.2.3.4\n8.8.8.8", "hostnames": ["a"]}]), "spec.hostAliases[0].ip",
     "must be a valid IP address"),
    (pod(hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b\n1.1.1.1 c"]}]),
     "spec.hostAliases[0].hostnames[1]", SUBDOMAIN),
    (pod(dnsConfig={"nameservers": ["1.1.1.1\noptions x"]}), "spec.dnsConfig.nameservers[0]",
     "must be a valid IP address"),
    (pod(dnsConfig={"searches": ["a", "b\nnameserver 1.1.1.1"]}), "spec.dnsConfig.searches[1]",
     SUBDOMAIN),
    (pod(dnsConfig={"searches": ["a"] * 33}), "spec.dnsConfig.searches",
     "must not have more than 32 search paths"),
    (pod(dnsConfig={"options": [{"value": "1"}]}), "spec.dnsConfig.options[0]",
     "must not be empty"),
    (pod(dnsConfig={"options": [{"name": "ndots\nnameserver 1.1.1.1"}]}),
     "spec.dnsConfig.options[0].name", "must be a word"),
    (pod(dnsConfig={"options": [{"name": "ndots", "value": "2 debug"}]}),
     "spec.dnsConfig.options[0].value", "must be a word"),
    (pod(activeDeadlineSeconds=2**31), "spec.activeDeadlineSeconds", "2147483647, inclusive"),
]  # fmt: skip
ALL = [*VOLUMES, *MOUNTS, *CONTEXTS, *WORDS, *OF_PODS]


@pytest.mark.parametrize(("obj", "field", "words"), ALL, ids=[one[1] for one in ALL])
def test_what_a_pod_may_not_say(obj, field, words):
    refused(obj, field, words)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    ("obj", "field", "words"), [VOLUMES[0], MOUNTS[3], CONTEXTS[0], WORDS[6], OF_PODS[5]]
)
def test_nor_may_a_template(kind, obj, field, words):
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": obj["spec"]}
    spec = {"selector": {"matchLabels": labels}, "template": template, **MAKERS[kind]}
    maker = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "m"}, "spec": spec}
    refused(maker, f"spec.template.{field}", words)


GPU = "example.com/gpu"
PROBE = {"tcpSocket": {"port": 80}}
ONLY_SIDECARS = "may not be set for init containers without restartPolicy=Always"
TERMS = "requiredDuringSchedulingIgnoredDuringExecution"


def resources(**amounts):
    return pod({"resources": amounts})


def init(**container):
    return pod(initContainers=[{"name": "i", "image": "b", **container}])


@pytest.mark.parametrize(
    ("obj", "field", "words"),
    [
        (resources(limits={"cpu": "-1"}), "spec.containers[0].resources.limits[cpu]",
         'Invalid value: "-1": must be greater than or equal to 0'),
        (resources(requests={"cpu": "2"}, limits={"cpu": "1"}),
         "spec.containers[0].resources.requests",
         'Invalid value: "2": must be less than or equal to cpu limit of 1'),
        (resources(requests={GPU: "1"}), "spec.containers[0].resources.limits",
         "Required value: Limit must be set for non overcommitable resources"),
        (resources(requests={GPU: "1"}, limits={GPU: "2"}),
         "spec.containers[0].resources.requests", f"must be equal to {GPU} limit of 2"),
        (resources(requests={GPU: "1500m"}, limits={GPU: "1500m"}),
         f"spec.containers[0].resources.requests[{GPU}]", "must be an integer"),
        (resources(limits={"pods": "1"}), "spec.containers[0].resources.limits[pods]",
         "must be a standard resource for containers"),
        (resources(limits={"foo": "1"}), "spec.containers[0].resources.limits[foo]",
         "must be a standard resource"),
        (pod({"livenessProbe": {**PROBE, "successThreshold": 2}}),
         "spec.containers[0].livenessProbe.successThreshold", "Invalid value: 2: must be 1"),
        (pod({"readinessProbe": {**PROBE, "terminationGracePeriodSeconds": 3}}),
         "spec.containers[0].readinessProbe.terminationGracePeriodSeconds",
         "must not be set for readinessProbes"),
        (pod({"restartPolicy": "Always"}), "spec.containers[0].restartPolicy",
         "Forbidden: may not be set for non-init containers"),
        (init(restartPolicy="Never"), "spec.initContainers[0].restartPolicy",
         'Unsupported value: "Never": supported values: "Always"'),
        *((init(**{field: value}), f"spec.initContainers[0].{field}", ONLY_SIDECARS)
          for field, value in (("livenessProbe", PROBE), ("readinessProbe", PROBE),
                               ("startupProbe", PROBE),
                               ("lifecycle", {"preStop": {"sleep": {"seconds": 1}}}))),
        (pod({"ports": [{"containerPort": 80, "hostPort": 81}]}, hostNetwork=True),
         "spec.containers[0].ports[0].hostPort", "Invalid value: 81: must match `containerPort`"),
        (pod(affinity={"nodeAffinity": {TERMS: {"nodeSelectorTerms": []}}}),
         f"spec.affinity.nodeAffinity.{TERMS}.nodeSelectorTerms",
         "Required value: must have at least one node selector term"),
        (pod(readinessGates=[{"conditionType": "a b"}]), "spec.readinessGates[0].conditionType",
         "name part must consist"),
        (pod(securityContext={"fsGroupChangePolicy": "X"}),
         "spec.securityContext.fsGroupChangePolicy", 'Unsupported value: "X"'),
        (pod(securityContext={"sysctls": [{"name": "a.b", "value": "1"}] * 2}),
         "spec.securityContext.sysctls[1].name", 'Duplicate value: "a.b"'),
    ],
)  # fmt: skip
def test_what_a_pod_may_not_say_beside(obj, field, words):
    assert words in said(obj)[field]


def test_what_it_may_say_of_resources_and_sidecars():
    for obj in (
        resources(requests={"cpu": "1", GPU: "2"}, limits={"cpu": "1000m", GPU: "2"}),
        resources(limits={"hugepages-2Mi": "4Mi", "memory": "1Gi", "ephemeral-storage": "1Gi"}),
        init(restartPolicy="Always", readinessProbe=PROBE),
        pod({"ports": [{"containerPort": 80, "hostPort": 80}]}, hostNetwork=True),
        pod({"livenessProbe": {**PROBE, "successThreshold": 1}}),
    ):
        assert said(obj) == {}


@pytest.mark.parametrize(
    ("kind", "data", "missing"),
    [
        ("tls", {"tls.crt": ""}, ["tls.key"]),
        ("tls", {"tls.crt": "eA==", "tls.key": "eA=="}, []),
        ("ssh-auth", {}, ["ssh-privatekey"]),
        ("basic-auth", {}, ["username", "password"]),
        ("basic-auth", {"username": "eA=="}, []),
        ("dockercfg", {}, [".dockercfg"]),
        ("dockerconfigjson", {".dockerconfigjson": "e30="}, []),
    ],
)
def test_what_a_secret_of_a_type_must_have(kind, data, missing):
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
           "type": f"kubernetes.io/{kind}", "data": data}  # fmt: skip
    assert said(obj) == {f"data[{key}]": "Required value" for key in missing}


def test_secrets_of_registries_and_accounts():
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
           "type": "kubernetes.io/dockerconfigjson",
           "data": {".dockerconfigjson": "eA=="}}  # fmt: skip
    (words,) = said(obj).values()
    assert words.startswith('Invalid value: "<secret contents redacted>": ')
    obj["type"] = "kubernetes.io/service-account-token"
    field = "metadata.annotations[kubernetes.io/service-account.name]"
    assert said(obj) == {field: "Required value"}


def test_a_port_s_name_has_each_of_its_faults_told():
    faults = list(names.port_name_faults("A--very-long-name-"))
    assert faults == [
        "must be no more than 15 characters",
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        "must not contain consecutive hyphens",
        "must not begin or end with a hyphen",
    ]
    assert list(names.port_name_faults("80")) == ["must contain at least one letter (a-z)"]


def test_without_a_selector_a_template_is_not_selected():
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
           "spec": {"template": template}}  # fmt: skip
    words = 'Invalid value: {"a":"b"}: `selector` does not match template `labels`'
    assert said(obj) == {"spec.selector": "Required value",
                         "spec.template.metadata.labels": words}  # fmt: skip


@pytest.mark.parametrize(
    "obj",
    [
        mounted(mountPath="/var/lib/a b/", subPath="a/b.c"),
        mounted(mountPath="relative"),
        mounted(mountPath="/process"),
        volume(hostPath={"path": "/", "type": "Directory"}),
        volume(emptyDir={"medium": "Memory", "sizeLimit": "64Mi"}),
        volume(secret={"secretName": "a.b", "items": [{"key": "k", "path": "a/..b/c"}]}),
        volume(nfs={"server": "s", "path": "/"}),
        volume(downwardAPI={"items": [
            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
            {"path": "a", "fieldRef": {"fieldPath": "metadata.annotations['a.b/C']"}},
            {"path": "m", "resourceFieldRef": {"containerName": "c", "resource": "limits.memory"}},
        ]}),
        volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}},
                                      {"configMap": {"name": "kube-root-ca.crt"}}]}),
        pod(dnsConfig={"searches": [".", "_tcp.a.", "b.c"], "options": [{"name": "edns0"}]}),
        pod(hostAliases=[{"ip": "::1", "hostnames": ["foo.local"]}]),
        context(runAsUser=0, privileged=True, capabilities={"add": ["ALL", "NO_SUCH_THING"]}),
        pod({"command": ["sh", "-c", "a\nb"], "workingDir": "/a b", "lifecycle": {
            "preStop": {"sleep": {"seconds": 1}}}}),
        pod({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
                     {"name": "B", "valueFrom": {"fieldRef": {
                         "fieldPath": "metadata.labels['app']"}}}]}),
        pod({"livenessProbe": {"httpGet": {"port": "web", "httpHeaders": [
            {"name": "X-A", "value": "b c"}]}}}),
    ],
)  # fmt: skip
def test_what_it_may_say(obj):
    assert said(obj) == {}


def test_a_pod_with_gates_says_that_it_waits_for_them():
    obj = pod(schedulingGates=[{"name": "a.test/b"}])
    apply_defaults(obj)
    strategies.of(obj).prepare_create(obj)
    (condition,) = obj["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "PodScheduled", "False", "SchedulingGated",
    )  # fmt: skip
    assert condition["message"] == "Scheduling is blocked due to non-empty scheduling gates"
    free = pod()
    strategies.of(free).prepare_create(free)
    assert "conditions" not in free["status"]


def test_gates_are_taken_away_and_never_added():
    old = pod(schedulingGates=[{"name": "a.test/b"}, {"name": "c"}])
    fewer, other = (pod(schedulingGates=gates) for gates in ([], [{"name": "d"}]))
    update = strategies.of(old).validate_update
    assert list(update(fewer, old)) == []
    (problem,) = update(other, old)
    assert (problem.field, problem.message) == (
        "spec.schedulingGates",
        "Forbidden: only deletion is allowed, but found new scheduling gate 'd'",
    )
