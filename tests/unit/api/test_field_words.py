"""Wrong types are told as Go's decoder tells them: by the innermost struct and its field."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.api.fields import check
from netlab.errors import BadRequest

Json = dict[str, Any]


def deployment(spec: Any = None, container: Any = None) -> Json:
    pod = {"containers": [{"name": "c", "image": "x", **(container or {})}]}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    whole = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **(spec or {})}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": whole}


def service(**port: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"ports": [port]}}


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (deployment({"replicas": "3"}),
         "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (deployment(container={"env": [{"name": "A", "value": 1}]}),
         "number into Go struct field EnvVar.spec.template.spec.containers.env.value "
         "of type string"),
        (deployment(container={"ports": {}}),
         "object into Go struct field Container.spec.template.spec.containers.ports "
         "of type []v1.ContainerPort"),
        (deployment(container={"args": [1]}),
         "number into Go struct field Container.spec.template.spec.containers.args of type string"),
        (service(port=2**31),
         "number 2147483648 into Go struct field ServicePort.spec.ports.port of type int32"),
        (deployment(container={"securityContext": {"runAsUser": -(2**63) - 1}}),
         "number -9223372036854775809 into Go struct field "
         "SecurityContext.spec.template.spec.containers.securityContext.runAsUser of type int64"),
        (service(port="http"),
         "string into Go struct field ServicePort.spec.ports.port of type int32"),
        ({**service(port=80), "metadata": {"labels": {"a": True}}},
         "bool into Go struct field ObjectMeta.metadata.labels of type string"),
        ({**service(port=80), "spec": []},
         "array into Go struct field Service.spec of type v1.ServiceSpec"),
    ],
)  # fmt: skip
def test_wrong_types(obj: Json, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check(obj, "Strict")
    assert caught.value.message.endswith(
        f"cannot be handled as a {obj['kind']}: json: cannot unmarshal {words}"
    )


def test_what_is_no_time_is_told_as_go_tells_it():
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {}, "lastTimestamp": "soon"}
    with pytest.raises(BadRequest) as caught:
        check(event, "Ignore")
    assert str(caught.value) == (
        'Event in version "v1" cannot be handled as a Event: parsing time "soon" as '
        '"2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"'
    )
