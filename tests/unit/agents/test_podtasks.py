"""What the lab does itself for a container: kube-webhook-certgen, in a pod that ends."""

import asyncio
import base64
import subprocess
from types import SimpleNamespace

import pytest

from netlab.agents import certgen as certgen_module
from netlab.agents import podtasks
from netlab.agents.account_api import ROLES
from netlab.agents.podrun import container_log
from netlab.agents.podtasks import PodTasks
from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.workload import crilog
from netlab.workload.task import TaskFailed

IMAGE = "registry.k8s.io/ingress-nginx/kube-webhook-certgen:v1.6.9"
CREATE = ("create", "--host=gate,gate.n.svc", "--namespace=n", "--secret-name=gate-tls")
PATCH = (
    "patch", "--webhook-name=gate", "--namespace=n", "--secret-name=gate-tls",
    "--patch-mutating=false", "--patch-failure-policy=Fail",
)  # fmt: skip


@pytest.fixture
def registry():
    registry = Registry(
        Store(None), lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 2}})
    )
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    return registry


@pytest.fixture
async def informers(registry):
    informers = Informers(InProcessApi(registry))
    for kind in ROLES:
        _ = informers[kind]
    await informers.start()
    yield informers
    await informers.stop()


@pytest.fixture
def tasks(informers, lifecycle):
    return PodTasks(informers, lifecycle)


@pytest.fixture
def allowed(registry):
    """The account of the pods may do what upstream's manifest lets it do."""
    secrets = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"]}
    hooks = [f"{word}webhookconfigurations" for word in ("validating", "mutating")]
    group = "admissionregistration.k8s.io"
    patching = {"apiGroups": [group], "resources": hooks, "verbs": ["get", "update"]}
    bind(registry, "Role", secrets)
    bind(registry, "ClusterRole", patching)


def bind(registry, kind, rule):
    api, subject = "rbac.authorization.k8s.io", {"kind": "ServiceAccount", "name": "default"}
    metadata = {"name": "gate"} | ({"namespace": "n"} if kind == "Role" else {})
    head = {"apiVersion": f"{api}/v1", "metadata": metadata}
    registry.create({**head, "kind": kind, "rules": [rule]})
    registry.create({
        **head, "kind": f"{kind}Binding", "subjects": [{**subject, "namespace": "n"}],
        "roleRef": {"apiGroup": api, "kind": kind, "name": "gate"},
    })  # fmt: skip


@pytest.fixture
def done(tasks, pod_run, allowed):
    """Does what a container's words ask for; (exit code, what it said)."""

    async def do(*argv, **spec):
        run = pod_run({"name": "c", "image": IMAGE}, **{"restartPolicy": "Never", **spec})
        code = await tasks.start(run, "c", "certgen", argv)
        log = b"".join(entry.data for entry in crilog.read(container_log(run, "c"))).decode()
        return code, log

    return do


def webhook(registry, kind="ValidatingWebhookConfiguration"):
    return registry.create({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": "gate"},
        "webhooks": [
            {
                "name": f"{one}.gate.example.com", "admissionReviewVersions": ["v1"],
                "sideEffects": "None", "failurePolicy": "Ignore",
                "clientConfig": {"service": {"name": "gate", "namespace": "n"}},
            }
            for one in ("a", "b")
        ],
    })  # fmt: skip


def hooks(registry):
    return registry.get("ValidatingWebhookConfiguration", "", "gate")["webhooks"]


async def test_a_secret_with_a_certificate_that_its_ca_has_signed(registry, done, tmp_path):
    code, log = await done(*CREATE)
    assert (code, "creating new secret" in log) == (0, True)
    data = registry.get("Secret", "n", "gate-tls")["data"]
    assert set(data) == {"ca", "cert", "key"}
    for name, value in data.items():
        (tmp_path / name).write_bytes(base64.b64decode(value))
    checked = subprocess.run(
        ["openssl", "verify", "-CAfile", "ca", "-verify_hostname", "gate.n.svc", "-purpose",
         "sslserver", "cert"], cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    of_key = ["openssl", "pkey", "-in", "key", "-pubout"]
    of_cert = ["openssl", "x509", "-in", "cert", "-noout", "-pubkey"]
    one, other = (subprocess.check_output(line, cwd=tmp_path) for line in (of_key, of_cert))
    assert one == other


async def test_a_secret_that_is_there_stays(registry, done):
    await done(*CREATE)
    before = registry.get("Secret", "n", "gate-tls")
    code, log = await done(*CREATE)
    assert (code, "already exists" in log) == (0, True)
    assert registry.get("Secret", "n", "gate-tls") == before


async def test_keys_may_be_named(registry, done):
    await done(*CREATE, "--cert-name=tls.crt", "--key-name", "tls.key")
    assert set(registry.get("Secret", "n", "gate-tls")["data"]) == {"ca", "tls.crt", "tls.key"}


async def test_the_ca_is_written_into_each_webhook(registry, done):
    await done(*CREATE)
    webhook(registry)
    assert (await done(*PATCH))[0] == 0
    authority = registry.get("Secret", "n", "gate-tls")["data"]["ca"]
    for one in hooks(registry):
        assert one["clientConfig"]["caBundle"] == authority
        assert one["failurePolicy"] == "Fail"


async def test_what_the_rest_of_the_manifest_brings_is_waited_for(registry, done):
    patching = asyncio.create_task(done(*PATCH))
    await asyncio.sleep(0.1)
    await done(*CREATE)
    await asyncio.sleep(0.1)
    webhook(registry)
    assert (await patching)[0] == 0
    assert hooks(registry)[0]["clientConfig"]["caBundle"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (PATCH, 'secrets "gate-tls" not found'),
        (("patch",), 'required flag(s) "namespace" not set'),
        (("destroy",), 'unknown command "destroy"'),
        ((), 'unknown command ""'),
        ((*CREATE[:1], "--host=a,\nb", *CREATE[2:]), "is no name of a host"),
        (
            (*CREATE[:2], "--namespace=nowhere", CREATE[3]),
            'cannot get resource "secrets" in API group "" in the namespace "nowhere"',
        ),
    ],
)
async def test_what_cannot_be_done_is_said_and_ends_with_code_1(done, monkeypatch, argv, said):
    monkeypatch.setattr(certgen_module, "PATIENCE", 0.1)
    code, log = await done(*argv)
    assert (code, said in log) == (1, True)


async def test_only_what_the_pod_s_account_may_do_is_done(tasks, pod_run, registry, recorder):
    bind(registry, "Role", {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]})
    run = pod_run({"name": "c", "image": IMAGE}, restartPolicy="Never")
    assert await tasks.start(run, "c", "certgen", CREATE) == 1
    *_, last = [entry.data for entry in crilog.read(container_log(run, "c"))]
    assert last == (
        b'secrets is forbidden: User "system:serviceaccount:n:default" cannot create resource '
        b'"secrets" in API group "" in the namespace "n"\n'
    )
    other = pod_run({"name": "c", "image": IMAGE}, restartPolicy="Never", serviceAccountName="x")
    assert await tasks.start(other, "c", "certgen", CREATE) == 1
    *_, last = [entry.data for entry in crilog.read(container_log(other, "c"))]
    assert last.startswith(b'secrets "gate-tls" is forbidden: User "system:serviceaccount:n:x"')


async def test_a_task_is_tried_again_as_its_pod_asks(tasks, pod_run, recorder, monkeypatch):
    tried = []

    async def second_time_lucky(api, deed, say):
        tried.append((deed.account, deed.pod))
        say(f"try {len(tried)}")
        if len(tried) == 1:
            raise TaskFailed("no luck")

    monkeypatch.setattr(podtasks, "TASKS", {"luck": SimpleNamespace(get=lambda: second_time_lucky)})
    run = pod_run({"name": "c"}, restartPolicy="OnFailure", serviceAccountName="lucky")
    assert await tasks.start(run, "c", "luck", ()) == 0
    assert tried == [("lucky", "n/p")] * 2
    state = run.state("c")
    assert (state.restarts, state.exit_code) == (1, 0)
    former = run.directory / "containers" / "c" / "0.log"
    assert [entry.data for entry in crilog.read(former)] == [b"try 1\n", b"no luck\n"]
    assert recorder.told.count("Started: Started container c") == 2


async def test_a_pod_that_ends_leaves_off(tasks, pod_run, monkeypatch):
    async def for_ever(api, deed, say):
        await asyncio.Event().wait()

    monkeypatch.setattr(podtasks, "TASKS", {"for ever": SimpleNamespace(get=lambda: for_ever)})
    run = pod_run({"name": "c"})
    task = tasks.start(run, "c", "for ever", ())
    await asyncio.sleep(0)
    await tasks.stop(run)
    assert task.cancelled()
