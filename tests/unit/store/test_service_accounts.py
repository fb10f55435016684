"""As whom pods run, and what they are given for it."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import ApiError
from netlab.store.service_accounts import MOUNT_PATH, admit

POD = {"metadata": {"name": "p", "namespace": "n"}}


def admitted(account: Any = None, *, mounts: Any = (), **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "volumeMounts": [*mounts]}
    pod = {**POD, "spec": {"containers": [container], **spec}}

    def lookup(kind: str, namespace: str, name: str) -> Any:
        assert (kind, namespace) == ("ServiceAccount", "n")
        return account

    admit(pod, lookup)
    found: dict[str, Any] = pod["spec"]
    return found


def has_access(spec: dict[str, Any]) -> bool:
    mounted = [one["name"] for one in spec["containers"][0]["volumeMounts"]]
    volumes = [one["name"] for one in spec.get("volumes", []) if "projected" in one]
    return bool(volumes) and volumes[0] in mounted


def test_a_pod_runs_as_default_and_has_its_token() -> None:
    spec = admitted()
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken", "configMap", "downwardAPI",
    ]  # fmt: skip
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}
    ]


@pytest.mark.parametrize(
    ("of_account", "of_pod", "has"),
    [
        (None, None, True),
        (False, None, False),
        (True, None, True),
        (None, False, False),
        (False, True, True),
        (True, False, False),
    ],
)
def test_who_wants_no_token_has_none(
    of_account: bool | None, of_pod: bool | None, has: bool
) -> None:
    account = {} if of_account is None else {"automountServiceAccountToken": of_account}
    spec = {} if of_pod is None else {"automountServiceAccountToken": of_pod}
    assert has_access(admitted(account, **spec)) is has


def test_what_is_mounted_there_stays() -> None:
    mount = {"name": "own", "mountPath": MOUNT_PATH + "/"}
    spec = admitted(mounts=[mount], volumes=[{"name": "own", "emptyDir": {}}])
    assert spec["volumes"] == [{"name": "own", "emptyDir": {}}]
    assert spec["containers"][0]["volumeMounts"] == [mount]


def test_an_account_lends_its_secrets_for_images() -> None:
    account = {"imagePullSecrets": [{"name": "registry"}]}
    assert admitted(account)["imagePullSecrets"] == [{"name": "registry"}]
    own = admitted(account, imagePullSecrets=[{"name": "own"}])
    assert own["imagePullSecrets"] == [{"name": "own"}]


def test_a_pod_may_run_as_nobody_who_is_not_there() -> None:
    with pytest.raises(ApiError) as caught:
        admitted(serviceAccountName="builder")
    assert caught.value.code == 403
    assert caught.value.message == (
        'pods "p" is forbidden: error looking up service account n/builder: '
        'serviceaccount "builder" not found'
    )
    assert admitted({}, serviceAccountName="builder")["serviceAccount"] == "builder"
    assert admitted({}, serviceAccount="builder")["serviceAccountName"] == "builder"
