"""The objects that `create` makes of a command line, and how they are shown before they exist."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.cli import main as entry
from netlab.cli.main import parse, split_command
from netlab.cli.objects import (
    create_configmap_,
    create_cronjob_,
    create_deployment_,
    create_job_,
    create_secret_,
    create_service_,
)
from netlab.cli.verbs import VERBS, resolve
from netlab.errors import UsageError
from netlab.objects import strategies, validation
from netlab.objects.meta import Object

Capture = pytest.CaptureFixture[str]


def parsed(line: str) -> argparse.Namespace:
    words, command = split_command(line.split())
    verb, rest = resolve(VERBS[words[0]], words[1:])
    return parse(verb, rest, command)


def sound(make: Callable[[argparse.Namespace], Object], line: str) -> dict[str, Any]:
    """The object, of which a server would approve."""
    made = make(parsed(line))
    whole = copy.deepcopy(made)
    strategies.apply_defaults(whole)
    assert validation.validate(whole) == []
    return made


def deployment(line: str) -> dict[str, Any]:
    return sound(create_deployment_.deployment_object, f"create deployment {line}")


def service(line: str) -> dict[str, Any]:
    return sound(create_service_.service_object, f"create service {line}")


def test_deployment() -> None:
    made = deployment("web --image=team/echo:v1 -r 3 --port=80 -n shop -- sleep 5")
    assert made["metadata"] == {"name": "web", "namespace": "shop", "labels": {"app": "web"}}
    assert made["spec"]["replicas"] == 3
    assert made["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert made["spec"]["template"]["spec"]["containers"] == [
        {
            "name": "echo",
            "image": "team/echo:v1",
            "command": ["sleep", "5"],
            "ports": [{"containerPort": 80}],
        }
    ]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("localhost:5000/a/b:1", "b"),
        ("a/b@sha256:00", "b"),
        ("busy_box:1@sha256:0", "busy-box"),
    ],
)
def test_containers_are_called_like_their_images(image: str, name: str) -> None:
    assert create_deployment_.container_name(image) == name


def test_deployment_of_two_images_takes_no_command() -> None:
    made = deployment("web --image=a --image=b")
    assert [c["name"] for c in made["spec"]["template"]["spec"]["containers"]] == ["a", "b"]
    with pytest.raises(UsageError, match="cannot specify multiple --image options and command"):
        deployment("web --image=a --image=b -- sleep 5")


def test_service_ports() -> None:
    made = service("nodeport web --tcp=80 --tcp=81:8080,82:http")
    assert made["spec"]["type"] == "NodePort"
    assert made["spec"]["selector"] == {"app": "web"}
    found = [(p["name"], p["port"], p["targetPort"]) for p in made["spec"]["ports"]]
    assert found == [("80", 80, 80), ("81-8080", 81, 8080), ("82-http", 82, "http")]
    one = service("nodeport web --tcp=80 --node-port=30080")["spec"]["ports"]
    assert [p["nodePort"] for p in one] == [30080]


def test_service_without_ports() -> None:
    assert service("clusterip db --clusterip=None")["spec"]["clusterIP"] == "None"
    outside = service("externalname s --external-name=a.example")
    assert outside["spec"]["externalName"] == "a.example"
    assert "ports" not in outside["spec"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("clusterip x", "at least one tcp port"),
        ("loadbalancer x", "at least one tcp port"),
        ("externalname x", "is missing"),
        ("clusterip x --tcp=0", "'0' is no port"),
        ("clusterip x --tcp=80:", "'' is no port"),
        ("clusterip x --tcp=80:70000", "'70000' is no port"),
        ("clusterip x --tcp=80 --node-port=30080", "--node-port is for `create service nodeport`"),
        ("nodeport x --tcp=80 --clusterip=None", "--clusterip is for `create service clusterip`"),
    ],
)
def test_services_that_make_no_sense(line: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        service(line)
    assert message in error.value.message


def config_map(line: str) -> dict[str, Any]:
    return sound(create_configmap_.config_map, f"create configmap c {line}")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "d").mkdir()
    for name, content in {
        "text": b"hello\n", "raw": b"\xff\xfe", "d/one": b"1", "d/two": b"2",
        "d/not a key": b"3", "env": b"A=1\n# no\n\n  B=x y\nHOME_OF_TEST\nUNSET_IN_TEST\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("HOME_OF_TEST", "here")
    monkeypatch.delenv("UNSET_IN_TEST", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_config_map_from_everything(files: Path) -> None:
    made = config_map("--from-literal=a=b=c --from-file=text --from-file=k=text --from-file=raw "
                      "--from-file=d")  # fmt: skip
    assert made["data"] == {
        "a": "b=c", "text": "hello\n", "k": "hello\n", "one": "1", "two": "2",
    }  # fmt: skip
    assert made["binaryData"] == {"raw": "//4="}


def test_config_map_from_an_env_file(files: Path) -> None:
    made = config_map("--from-env-file=env")
    assert made["data"] == {"A": "1", "B": "x y", "HOME_OF_TEST": "here"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--from-literal=a", "invalid literal source a, expected key=value"),
        ("--from-literal=a=1 --from-literal=a=2", 'cannot add key "a", another key'),
        ("--from-literal=../x=1", '"../x" is not a valid key name for a ConfigMap'),
        ("--from-file==text", "not of the form KEY=FILE"),
        ("--from-file=k=d", "cannot give a key name for a directory"),
        ("--from-env-file=env --from-literal=a=1", "from-env-file cannot be combined"),
    ],
)
def test_values_that_make_no_sense(files: Path, line: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        config_map(line)
    assert message in error.value.message


def test_secret() -> None:
    made = sound(create_secret_.secret, "create secret generic s --from-literal=a=1 --type=x.y/z")
    assert (made["data"], made["type"]) == ({"a": "MQ=="}, "x.y/z")


DRY = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  creationTimestamp: null
  labels:
    app: x
  name: x
spec:
  replicas: 1
  selector:
    matchLabels:
      app: x
  strategy: {}
  template:
    metadata:
      creationTimestamp: null
      labels:
        app: x
    spec:
      containers:
      - image: nginx
        name: nginx
        resources: {}
status: {}
"""


def test_dry_run_writes_what_kubectl_writes(capsys: Capture) -> None:
    """And needs no lab."""
    line = "create deploy x --image=nginx --dry-run=client"
    assert entry.main([*line.split(), "-o", "yaml"]) == 0
    assert capsys.readouterr().out == DRY
    assert entry.main([*line.split(), "-o", "name"]) == 0
    assert capsys.readouterr().out == "deployment.apps/x\n"
    assert entry.main(line.split()) == 0
    assert capsys.readouterr().out == "deployment.apps/x created (dry run)\n"


DRY_JOBS = """\
apiVersion: batch/v1
kind: Job
metadata:
  creationTimestamp: null
  name: x
spec:
  template:
    metadata:
      creationTimestamp: null
    spec:
      containers:
      - command:
        - date
        image: busybox
        name: x
        resources: {}
      restartPolicy: Never
status: {}
apiVersion: batch/v1
kind: CronJob
metadata:
  creationTimestamp: null
  name: x
spec:
  jobTemplate:
    metadata:
      creationTimestamp: null
      name: x
    spec:
      template:
        metadata:
          creationTimestamp: null
        spec:
          containers:
          - image: busybox
            name: x
            resources: {}
          restartPolicy: OnFailure
  schedule: '@daily'
status: {}
"""


def test_jobs_as_kubectl_writes_them(capsys: Capture) -> None:
    dry = ["--dry-run=client", "-oyaml"]
    assert entry.main(["create", "job", "x", "--image=busybox", *dry, "--", "date"]) == 0
    line = "create cj x --image=busybox --schedule=@daily"
    assert entry.main([*line.split(), *dry]) == 0
    assert capsys.readouterr().out == DRY_JOBS
    sound(create_job_.job_object, "create job x --image=busybox -- date")
    sound(create_cronjob_.cron_job_object, line)


def test_a_job_after_a_cron_job() -> None:
    origin: Any = {
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick", "uid": "u"},
        "spec": {
            "schedule": "@daily",
            "jobTemplate": {
                "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
                "spec": {"completions": 3},
            },
        },
    }  # fmt: skip
    made = create_job_.manual(origin, parsed("create job now --from=cronjob/tick"))
    assert made == {
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": "now", "namespace": "default", "labels": {"a": "b"},
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual", "c": "d"},
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "uid": "u",
                "controller": True,
            }],
        },
        "spec": {"completions": 3},
    }  # fmt: skip


def test_what_a_dry_run_writes_can_be_applied(capsys: Capture, tmp_path: Path) -> None:
    from netlab import manifest

    for line in ("create ns x", "run x --image=a", "create svc nodeport x --tcp=80"):
        assert entry.main([*line.split(), "--dry-run=client", "-oyaml"]) == 0
        (made,) = manifest.loads(capsys.readouterr().out).objects
        assert made["metadata"]["name"] == "x"


@pytest.mark.parametrize(
    "line",
    [
        "create --dry-run=server deployment",  # a flag of the part's in front of it
        "create deployment x --image=a --dry-run=maybe",
        "create deployment x --image=a -r=-1",
        "create deployment x y --image=a",
        "create depolyment x --image=a",
        "create job x",
        "create job x --image=a --from=cronjob/y",
        "create job x --from=deploy/y",
        "create cronjob x --image=a --schedule=@daily --restart=Always",
        "create",
        "rollout",
        "rollout staus deploy/x",
        "set",
        "run x --image=a --dry-run=client -it",
    ],
)
def test_mistakes_are_named_with_a_hint(line: str, capsys: Capture) -> None:
    try:
        assert entry.main(line.split()) == 2
    except SystemExit as end:
        assert end.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "\n  hint: " in captured.err


@pytest.mark.parametrize("verb", ["deployment", "job", "cronjob --schedule=@daily"])
def test_a_command_without_dashes_is_refused_as_kubectl_does(verb: str, capsys: Capture) -> None:
    assert entry.main(["create", *verb.split(), "x", "--image=a", "--dry-run", "date"]) == 2
    said = capsys.readouterr().err
    assert "exactly one NAME is required, got 2" in said
    assert f"netlab create {verb.split()[0]} x … -- date" in said


def test_an_optional_value_stands_behind_an_equals_sign() -> None:
    assert parsed("create deployment --dry-run x --image=a").dry_run == "client"
    assert parsed("create deployment --dry-run=server x --image=a").dry_run == "server"
    assert parsed("apply --dry-run -f x").dry_run == "server"
    assert parsed("delete --wait pod x").wait == "true"


def test_words_before_a_part() -> None:
    words = ["-n", "status", "--lab=x", "status", "deploy/web"]
    verb, rest = resolve(VERBS["rollout"], words)
    assert verb.name == "rollout status"
    assert rest == ["-n", "status", "--lab=x", "deploy/web"]
    assert resolve(VERBS["create"], ["-f", "deployment"])[0].name == "create"
