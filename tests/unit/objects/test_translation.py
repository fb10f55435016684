"""Ingresses as textbooks print them, in the version of today."""

import pytest

from netlab.errors import InputError
from netlab.manifest import loads

TUTORIAL = """
apiVersion: networking.k8s.io/v1beta1
kind: Ingress
metadata:
  name: ingress-nginx
  annotations:
    nginx.ingress.kubernetes.io/rewrite-target: /
spec:
  rules:
  - http:
      paths:
      - path:
        backend:
          serviceName: hname-svc-default
          servicePort: 80
      - path: /ip
        pathType: Prefix
        backend: {serviceName: ip-svc, servicePort: http}
"""


def paths(found):
    return found.objects[0]["spec"]["rules"][0]["http"]["paths"]


def test_the_tutorials_ingress_is_taken_for_what_it_means():
    found = loads(TUTORIAL, name="ingress.yaml")
    assert found.objects[0]["apiVersion"] == "networking.k8s.io/v1"
    assert paths(found) == [
        {
            "path": "/",
            "pathType": "ImplementationSpecific",
            "backend": {"service": {"name": "hname-svc-default", "port": {"number": 80}}},
        },
        {
            "path": "/ip",
            "pathType": "Prefix",
            "backend": {"service": {"name": "ip-svc", "port": {"name": "http"}}},
        },
    ]
    (said,) = found.translated
    assert said.startswith(
        "ingress.yaml:2: Ingress ingress-nginx is of networking.k8s.io/v1beta1, which Kubernetes "
        "1.22 gave up: taken as networking.k8s.io/v1, serviceName and servicePort as service:"
    )


def test_what_is_of_today_is_left_alone():
    text = TUTORIAL.replace("v1beta1", "v1").replace("path:\n", "path: /\n")
    with pytest.raises(InputError) as caught:
        loads(text)
    assert 'unknown field "serviceName"' in str(caught.value)


def test_a_default_backend_and_a_class():
    found = loads(
        """
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: a}
spec: {backend: {serviceName: web, servicePort: 80}}
---
apiVersion: networking.k8s.io/v1beta1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
"""
    )
    service = {"name": "web", "port": {"number": 80}}
    assert found.objects[0]["spec"] == {"defaultBackend": {"service": service}}
    assert found.objects[1]["apiVersion"] == "networking.k8s.io/v1"
    assert len(found.translated) == 2


@pytest.mark.parametrize(
    ("written", "line", "words"),
    [
        ("hname_svc", 14, "backend.service.name: Invalid value"),
        ("web // from outside", 14, "hint: // begins no comment in YAML: write # instead"),
        (f"web // {'long ' * 20}", 14, "hint: // begins no comment in YAML: write # instead"),
        ("[a]", 14, "backend.service.name: must be a string"),
        ("web\n          other: 1", 15, 'unknown field "other"'),
    ],
)
def test_mistakes_are_at_the_lines_where_they_were_written(written, line, words):
    with pytest.raises(InputError) as caught:
        loads(TUTORIAL.replace("hname-svc-default", written), name="f.yaml")
    assert f"f.yaml:{line}: spec.rules[0].http.paths[0]" in str(caught.value)
    assert words in str(caught.value)
