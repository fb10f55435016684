from typing import Any

import pytest

from netlab.workload.unknown import warnings


def pod(**container: Any) -> dict[str, Any]:
    return {"kind": "Pod", "spec": {"containers": [{"name": "c", **container}]}}


PORTS = [{"containerPort": 80}, {"containerPort": 443}]


@pytest.mark.parametrize(
    ("container", "line"),
    [
        (
            {"image": "ngnix:1.27", "ports": PORTS},
            'image "ngnix:1.27" (container c) is not known: it answers on its containerPorts, '
            "80, 443; did you mean nginx?",
        ),
        (
            {"image": "registry.example.com/team/thing"},
            'image "registry.example.com/team/thing" (container c) is not known: '
            "it answers on its containerPorts, of which it has none",
        ),
        ({"image": "nicolaka/netshot"}, "did you mean nicolaka/netshoot?"),
    ],
)
def test_what_will_hardly_do_what_was_meant_gets_a_line(
    container: dict[str, Any], line: str
) -> None:
    (found,) = warnings(pod(**container))
    assert found.endswith(line)
    template = {"kind": "Deployment", "spec": {"template": pod(**container)}}
    assert warnings(template) == [found]


@pytest.mark.parametrize(
    "container",
    [
        {"image": "nginx"},
        {"image": "docker.io/library/nginx:1.27"},
        {"image": "example.com/team/echo:1", "ports": PORTS},
        {"image": "ngnix", "command": ["sleep", "1"]},
        {},
    ],
)
def test_what_is_known_or_says_what_it_does_gets_none(container: dict[str, Any]) -> None:
    assert warnings(pod(**container)) == []


def test_other_kinds_have_no_images() -> None:
    assert warnings({"kind": "Service", "spec": {"ports": []}}) == []
    assert warnings({"kind": "ConfigMap"}) == []
