"""Who comes in over the network, as whom, and what he may: the gate with all that stands behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from bootstrapped import initial_objects

from netlab.api.accounts import Accounts
from netlab.api.server import build_app
from netlab.api.tokens import TokenKey
from netlab.client.kubelets import LocalKubelets
from netlab.objects import policy
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = {
    "apiVersion": "netlab/v1",
    "kind": "Lab",
    "metadata": {"name": "test"},
    "spec": {"nodes": 1},
}
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"
TOKEN = "/api/v1/namespaces/default/serviceaccounts/{}/token"


class Door:
    """A server that knows its clients by their tokens."""

    def __init__(
        self,
        registry: Registry,
        accounts: Accounts,
        http: aiohttp.ClientSession,
        clock: list[float],
    ) -> None:
        self.registry = registry
        self.accounts = accounts
        self.http = http
        self.clock = clock

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "", **headers: str
    ) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, path, json=body, headers={**given, **named}) as answer:
            text = await answer.text()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def account(self, name: str, *rules: Any, cluster: bool = True) -> str:
        """A token of a ServiceAccount of its own, which has these rules in all namespaces."""
        core = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        self.registry.create(core)
        subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
        if rules:
            group = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
            kind = "Cluster" if cluster else ""
            self.registry.create({**group, "kind": f"{kind}Role", "rules": list(rules)})
            reference = {"kind": f"{kind}Role", "name": name}
            self.registry.create(
                {**group, "kind": f"{kind}RoleBinding", "roleRef": reference, "subjects": [subject]}
            )
        return self.token(name)

    def token(self, name: str, **spec: Any) -> str:
        request = self.accounts.issue("default", name, {"spec": spec})
        return str(request["status"]["token"])


def rule(resources: str, verbs: str, group: str = "") -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    lab = lab_from_object(LAB)
    registry = Registry(Store(None), lab)
    for obj in (*initial_objects(lab), *policy.objects()):
        registry.create(obj)
    key = TokenKey(tmp_path / "tls" / "sa.key")
    clock = [1000.0]
    accounts = Accounts(registry, key, "cluster.local", lambda: clock[0])
    app = build_app(registry, LocalKubelets(), accounts=accounts)
    async with (
        TestServer(app, handler_cancellation=True) as server,
        aiohttp.ClientSession(base_url=server.make_url("/")) as http,
    ):
        yield Door(registry, accounts, http, clock)


# -- who -----------------------------------------------------------------------------------


async def test_a_stranger_sees_what_everybody_may_see(door: Door) -> None:
    code, status = await door.ask("GET", "/")
    assert (code, status["reason"], status["message"]) == (
        403, "Forbidden", 'forbidden: User "system:anonymous" cannot get path "/"',
    )  # fmt: skip
    for path in ("/version", "/healthz", "/livez", "/readyz"):
        assert (await door.ask("GET", path))[0] == 200
    for path in ("/apis", "/openapi/v2", "/api/v1", PODS, "/no/such/path", "/apis/g/v1/things"):
        assert (await door.ask("GET", path))[0] == 403


@pytest.mark.parametrize("token", ["x", "a.b.c", "ü", "." * 20000])
async def test_a_token_that_is_none_is_401(door: Door, token: str) -> None:
    code, status = await door.ask("GET", "/version", token=token.encode().decode("latin-1")[:4000])
    assert (code, status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_a_token_is_its_account_s(door: Door) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    code, review = await door.ask("POST", path, {}, token=door.account("a"))
    assert code == 201
    info = review["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:a"
    assert info["uid"] == door.registry.get("ServiceAccount", "default", "a")["metadata"]["uid"]
    assert info["groups"] == [
        "system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated",
    ]  # fmt: skip


async def test_a_token_ends_with_its_time_and_with_its_account(door: Door) -> None:
    token, kept = door.account("a"), door.account("b")
    assert (await door.ask("GET", "/apis", token=token))[0] == 200
    door.registry.delete("ServiceAccount", "default", "a")
    assert (await door.ask("GET", "/apis", token=token))[0] == 401
    door.registry.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}
    )  # another one
    assert (await door.ask("GET", "/apis", token=token))[0] == 401
    door.clock[0] += 3599
    assert (await door.ask("GET", "/apis", token=kept))[0] == 200
    door.clock[0] += 1
    assert (await door.ask("GET", "/apis", token=kept))[0] == 401


async def test_a_bound_token_ends_with_its_pod(door: Door) -> None:
    door.account("a")
    spec = {"containers": [{"name": "c", "image": "i"}], "serviceAccountName": "a"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    uid = door.registry.create(pod)["metadata"]["uid"]
    token = door.token("a", boundObjectRef={"kind": "Pod", "name": "p", "uid": uid})
    assert (await door.ask("GET", "/apis", token=token))[0] == 200
    door.registry.delete("Pod", "default", "p", grace_period=0)
    assert (await door.ask("GET", "/apis", token=token))[0] == 401
    door.registry.create(pod)
    assert (await door.ask("GET", "/apis", token=token))[0] == 401


async def test_a_token_for_others_is_none_for_us(door: Door) -> None:
    door.account("a")
    token = door.token("a", audiences=["vault"])
    assert (await door.ask("GET", "/apis", token=token))[0] == 401


# -- what ----------------------------------------------------------------------------------


async def test_a_pod_may_do_nothing_until_a_role_is_given_to_it(door: Door) -> None:
    token = door.account("a")
    code, status = await door.ask("GET", PODS, token=token)
    assert (code, status["details"]) == (403, {"kind": "pods"})
    assert status["message"] == (
        'pods is forbidden: User "system:serviceaccount:default:a" cannot list resource "pods" '
        'in API group "" in the namespace "default"'
    )
    allowed = door.account("b", rule("pods", "list"), cluster=False)
    assert (await door.ask("GET", PODS, token=allowed))[0] == 200
    for path in ("/api/v1/pods", f"{PODS}?watch=1", f"{PODS}/p", f"{PODS}/p/log",
                 "/api/v1/namespaces/kube-system/pods"):  # fmt: skip
        assert (await door.ask("GET", path, token=allowed))[0] == 403
    assert (await door.ask("POST", f"{PODS}/p/exec", token=allowed))[0] == 403
    assert (await door.ask("DELETE", PODS, token=allowed))[0] == 403


async def test_the_lab_s_own_paths_are_its_administrator_s(door: Door) -> None:
    for token in ("", door.account("a")):
        assert (await door.ask("GET", "/netlab/settled", token=token))[0] == 403


async def test_what_there_is_not_is_forbidden_before_it_is_not_found(door: Door) -> None:
    token = door.account("a", rule("things", "get", "example.com"))
    path = "/apis/example.com/v1/{}"
    assert (await door.ask("GET", path.format("things/x"), token=token))[0] == 404
    assert (await door.ask("GET", path.format("others/x"), token=token))[0] == 403


# -- for others ----------------------------------------------------------------------------


async def test_who_may_acts_for_another(door: Door) -> None:
    token = door.account("a", rule("users", "impersonate"))
    whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    code, review = await door.ask("POST", whoami, {}, token=token, Impersonate_User="jane")
    assert (code, review["status"]["userInfo"]["username"]) == (201, "jane")
    code, status = await door.ask(
        "POST", whoami, {}, token=token, Impersonate_User="jane", Impersonate_Group="system:masters"
    )
    assert code == 403
    assert (
        'cannot impersonate resource "groups" in API group "" at the cluster' in status["message"]
    )
    account = "system:serviceaccount:default:a"
    code, status = await door.ask("POST", whoami, {}, token=token, Impersonate_User=account)
    assert 'cannot impersonate resource "serviceaccounts"' in status["message"]
    assert (await door.ask("GET", "/version", Impersonate_User="jane"))[0] == 403
    assert (await door.ask("GET", "/version", token=token, Impersonate_Group="x"))[0] == 400


# -- giving away ---------------------------------------------------------------------------

WRITES = rule("roles rolebindings clusterrolebindings clusterroles", "*", RBAC.split("/")[2])
NAMESPACED = f"{RBAC}/namespaces/default"


def role(*rules: Any, name: str = "new") -> dict[str, Any]:
    return {"metadata": {"name": name}, "rules": list(rules)}


def binding(kind: str, name: str, to: str = "b") -> dict[str, Any]:
    subject = {"kind": "ServiceAccount", "name": to, "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    return {"metadata": {"name": "new"}, "roleRef": reference, "subjects": [subject]}


async def test_nobody_gives_away_what_he_has_not(door: Door) -> None:
    writes = {**WRITES, "verbs": ["create", "update", "patch", "get"]}
    token = door.account("a", writes, rule("pods", "get list"))
    code, status = await door.ask(
        "POST", f"{NAMESPACED}/roles", role(rule("secrets", "get")), token
    )
    assert (code, status["reason"]) == (403, "Forbidden")
    assert status["message"].startswith(
        'roles.rbac.authorization.k8s.io "new" is forbidden: user '
        '"system:serviceaccount:default:a" (groups=["system:serviceaccounts" '
    )
    assert status["message"].endswith(
        "is attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
    )
    code, _ = await door.ask("POST", f"{NAMESPACED}/roles", role(rule("pods", "get")), token)
    assert code == 201
    more = {"rules": [rule("pods", "*")]}
    patch = {"Content-Type": "application/merge-patch+json"}
    code, _ = await door.ask("PATCH", f"{NAMESPACED}/roles/new", more, token, **patch)
    assert code == 403
    kept = door.registry.get("Role", "default", "new")
    assert kept["rules"] == [rule("pods", "get")]
    code, _ = await door.ask("PUT", f"{NAMESPACED}/roles/new", {**kept, **more}, token)
    assert code == 403
    aggregating = {**role(), "aggregationRule": {"clusterRoleSelectors": [{}]}}
    code, _ = await door.ask("POST", f"{RBAC}/clusterroles", aggregating, token)
    assert code == 403


async def test_nobody_adds_a_role_to_others_that_says_more_than_he_has(door: Door) -> None:
    token = door.account("a", {**WRITES, "verbs": ["patch"]}, rule("pods", "get"))
    patch = {"Content-Type": "application/merge-patch+json"}
    labelled = {"metadata": {"labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}}
    path = f"{RBAC}/clusterroles/cluster-admin"
    code, status = await door.ask("PATCH", path, labelled, token, **patch)
    assert (code, status["reason"]) == (403, "Forbidden")
    labels = door.registry.get("ClusterRole", "", "cluster-admin")["metadata"]["labels"]
    assert labels == {"kubernetes.io/bootstrapping": "rbac-defaults"}
    held = {"metadata": {"finalizers": ["example.com/held"]}}  # as what collects garbage does
    assert (await door.ask("PATCH", path, held, token, **patch))[0] == 200
    role_ = role(rule("pods", "get"), name="own")
    door.registry.create(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", **role_}
    )
    code, _ = await door.ask("PATCH", f"{RBAC}/clusterroles/own", labelled, token, **patch)
    assert code == 200


async def test_nobody_binds_what_he_has_not(door: Door) -> None:
    writes = {**WRITES, "verbs": ["create"]}
    token = door.account("a", writes, rule("pods", "get list"))
    path = f"{NAMESPACED}/rolebindings"
    assert (await door.ask("POST", path, binding("ClusterRole", "cluster-admin"), token))[0] == 403
    code, status = await door.ask("POST", path, binding("ClusterRole", "lost"), token)
    assert (code, status["reason"]) == (404, "NotFound")
    assert (await door.ask("POST", path, binding("ClusterRole", "a"), token))[0] == 201


async def test_escalate_and_bind_are_verbs_of_their_own(door: Door) -> None:
    token = door.account("a", WRITES)
    code, _ = await door.ask("POST", f"{NAMESPACED}/roles", role(rule("secrets", "get")), token)
    assert code == 201
    bound = binding("ClusterRole", "cluster-admin")
    code, _ = await door.ask("POST", f"{RBAC}/clusterrolebindings", bound, token)
    assert code == 201


async def test_who_may_change_but_not_make_makes_nothing_by_applying(door: Door) -> None:
    patches, makes = rule("configmaps", "patch"), rule("configmaps", "patch create")
    path = "/api/v1/namespaces/default/configmaps/new?fieldManager=me"
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}
    apply = {"Content-Type": "application/apply-patch+yaml"}
    token, other = door.account("a", patches), door.account("b", makes)
    code, status = await door.ask("PATCH", path, config, token, **apply)
    assert (code, status["message"]) == (
        403,
        'configmaps "new" is forbidden: User "system:serviceaccount:default:a" cannot create '
        'resource "configmaps" in API group "" in the namespace "default"',
    )
    assert (await door.ask("PATCH", path, config, other, **apply))[0] == 201
    assert (await door.ask("PATCH", path, config, token, **apply))[0] == 200


# -- tokens and reviews --------------------------------------------------------------------


async def test_tokens_are_issued_to_who_may_ask(door: Door) -> None:
    plain, may = door.account("a"), door.account("b", rule("serviceaccounts/token", "create"))
    assert (await door.ask("POST", TOKEN.format("a"), {}, token=plain))[0] == 403
    code, request = await door.ask("POST", TOKEN.format("a"), {}, token=may)
    assert code == 201
    assert request["spec"]["expirationSeconds"] == 3600
    assert (await door.ask("GET", "/apis", token=request["status"]["token"]))[0] == 200
    code, status = await door.ask("POST", TOKEN.format("lost"), {}, token=may)
    assert (code, status["message"]) == (404, 'serviceaccounts "lost" not found')


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**33}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"boundObjectRef": {"kind": "Pod", "name": "x"}}, 404, 'pods "x" not found'),
        ({"boundObjectRef": {"kind": "Service", "name": "x"}}, 400, "cannot bind token to object"),
        ({"audiences": "x"}, 400, "must be a list"),
    ],
)
async def test_what_no_token_can_be(door: Door, spec: Any, code: int, words: str) -> None:
    may = door.account("b", rule("serviceaccounts/token", "create"))
    found, status = await door.ask("POST", TOKEN.format("b"), {"spec": spec}, token=may)
    assert found == code
    assert words in status["message"]


async def test_reviews_of_others(door: Door) -> None:
    delegator = rule("subjectaccessreviews", "create", "authorization.k8s.io")
    reviewer = rule("tokenreviews", "create", "authentication.k8s.io")
    token = door.account("a", delegator, reviewer, rule("pods", "get"))
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    asked = {"verb": "get", "resource": "pods", "namespace": "default"}
    user = "system:serviceaccount:default:a"
    spec = {"user": user, "resourceAttributes": asked}
    code, review = await door.ask("POST", path, {"spec": spec}, token)
    assert (code, review["status"]["allowed"]) == (201, True)
    assert review["status"]["reason"].startswith('RBAC: allowed by ClusterRoleBinding "a" of')
    spec = {"user": "jane", "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
    assert (await door.ask("POST", path, {"spec": spec}, token))[1]["status"] == {"allowed": False}
    for wrong in ({}, {"user": "jane"}, {"resourceAttributes": asked}):
        assert (await door.ask("POST", path, {"spec": wrong}, token))[0] == 400
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    code, review = await door.ask("POST", path, {"spec": {"token": token}}, token)
    assert review["status"]["authenticated"] is True
    assert review["status"]["user"]["username"] == user
    code, review = await door.ask("POST", path, {"spec": {"token": "x"}}, token)
    assert review["status"] == {"user": {}, "error": "[invalid bearer token]"}


async def test_what_one_may_is_listed(door: Door) -> None:
    token = door.account("a", rule("pods", "list"), cluster=False)
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    code, review = await door.ask("POST", path, {"spec": {"namespace": "default"}}, token)
    assert code == 201
    assert rule("pods", "list") in review["status"]["resourceRules"]
    code, review = await door.ask("POST", path, {"spec": {"namespace": "kube-system"}}, token)
    assert rule("pods", "list") not in review["status"]["resourceRules"]
