"""What is wrong with Ingresses and IngressClasses, in Kubernetes' words."""

import pytest

from netlab.objects.strategies import apply_defaults
from netlab.objects.validation import creation_problems, validate

BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
PATH = {"path": "/", "pathType": "Prefix", "backend": BACKEND}


def ingress(annotations=None, **spec):
    obj = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "annotations": annotations or {}},
        "spec": spec,
    }
    apply_defaults(obj)
    return obj


def ruled(host=None, **entry):
    rule = {"http": {"paths": [{**PATH, **entry}]}}
    return ingress(rules=[{**rule, **({"host": host} if host else {})}])


def class_(**spec):
    obj = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "nginx"},
        "spec": spec,
    }
    apply_defaults(obj)
    return obj


def backend(**fields):
    return ruled(backend=fields)


HTTP = "spec.rules[0].http"
ENTRY = f"{HTTP}.paths[0]"


@pytest.mark.parametrize(
    "obj",
    [
        ruled(),
        ruled("*.example.com"),
        ruled(path="/a/(.*)", pathType="ImplementationSpecific"),
        ruled(path="", pathType="ImplementationSpecific"),
        ruled(backend={"resource": {"kind": "Bucket", "name": "icons"}}),
        ingress(defaultBackend=BACKEND),
        ingress(rules=[{"host": "example.com"}]),
        ingress(
            {"kubernetes.io/ingress.class": "nginx"},
            ingressClassName="nginx",
            defaultBackend=BACKEND,
        ),
        class_(controller="k8s.io/ingress-nginx"),
        class_(controller="a.b/c", parameters={"kind": "K", "name": "n"}),
    ],
)
def test_sound_ones(obj):
    assert validate(obj) == []


@pytest.mark.parametrize(
    ("obj", "field", "words"),
    [
        (ingress(), "spec", "either `defaultBackend` or `rules` must be specified"),
        (ruled("a_b"), "spec.rules[0].host", 'Invalid value: "a_b": a lowercase RFC 1123'),
        (ruled("Example.com"), "spec.rules[0].host", "a lowercase RFC 1123 subdomain"),
        (ruled("10.0.0.1"), "spec.rules[0].host", "must be a DNS name, not an IP address"),
        (ruled("*"), "spec.rules[0].host", "a wildcard DNS-1123 subdomain must start with '*.'"),
        (ruled("a.*.com"), "spec.rules[0].host", "a wildcard DNS-1123 subdomain"),
        (ruled(pathType=None), f"{ENTRY}.pathType", "Required value: pathType must be specified"),
        (
            ruled(pathType="Regex"),
            f"{ENTRY}.pathType",
            'supported values: "Exact", "ImplementationSpecific", "Prefix"',
        ),
        (ruled(path=""), f"{ENTRY}.path", 'Invalid value: "": must be an absolute path'),
        (ruled(path="a"), f"{ENTRY}.path", 'Invalid value: "a": must be an absolute path'),
        (ruled(path="/a//b"), f"{ENTRY}.path", "must not contain '//'"),
        (ruled(path="/a/../b"), f"{ENTRY}.path", "must not contain '/../'"),
        (ruled(path="/a%2Fb"), f"{ENTRY}.path", "must not contain '%2F'"),
        (ruled(path="/a/.."), f"{ENTRY}.path", "cannot end with '/..'"),
        (
            ruled(path="a", pathType="ImplementationSpecific"),
            f"{ENTRY}.path",
            "must be an absolute path",
        ),
        (backend(), f"{ENTRY}.backend", "resource or service backend is required"),
        (
            backend(**BACKEND, resource={"kind": "Bucket", "name": "icons"}),
            f"{ENTRY}.backend",
            "cannot set both resource and service backends",
        ),
        (
            backend(service={"name": "web"}),
            f"{ENTRY}.backend",
            "Required value: port name or number is required",
        ),
        (
            backend(service={"name": "web", "port": {"name": "http", "number": 80}}),
            f"{ENTRY}.backend",
            "cannot set both port name & port number",
        ),
        (
            backend(service={"name": "Web", "port": {"number": 80}}),
            f"{ENTRY}.backend.service.name",
            "a DNS-1035 label",
        ),
        (
            backend(service={"name": "web", "port": {"number": 70000}}),
            f"{ENTRY}.backend.service.port.number",
            "must be between 1 and 65535, inclusive",
        ),
        (backend(resource={"kind": "a/b", "name": "c"}), f"{ENTRY}.backend.resource.kind", "may"),
        (ingress(rules=[{"http": {"paths": []}}]), f"{HTTP}.paths", "Required value"),
        (
            ingress(defaultBackend={"service": {"name": "web"}}),
            "spec.defaultBackend",
            "port name or number is required",
        ),
        (
            ingress(defaultBackend=BACKEND, tls=[{"hosts": ["a_b"]}]),
            "spec.tls[0].hosts[0]",
            "RFC 1123 subdomain",
        ),
        (
            ingress(defaultBackend=BACKEND, tls=[{"secretName": "a b"}]),
            "spec.tls[0].secretName",
            "RFC 1123 subdomain",
        ),
        (
            ingress({"kubernetes.io/ingress.class": "a"}, ingressClassName="b", rules=[{}]),
            "annotations.kubernetes.io/ingress.class",
            "must match `ingressClassName` when both are specified",
        ),
        (class_(), "spec.controller", "Required value"),
        (class_(controller="nginx"), "spec.controller", "must be a domain-prefixed path"),
        (class_(controller="a_b/c"), "spec.controller", "RFC 1123 subdomain"),
        (class_(controller=f"a/{'b' * 250}"), "spec.controller", "Too long"),
        (
            class_(controller="a/b", parameters={"kind": "K", "name": "n", "scope": "Namespace"}),
            "spec.parameters.namespace",
            "`parameters.scope` is set to 'Namespace'",
        ),
        (
            class_(controller="a/b", parameters={"kind": "K", "name": "n", "namespace": "x"}),
            "spec.parameters.namespace",
            "Forbidden: `parameters.scope` is set to 'Cluster'",
        ),
        (
            class_(controller="a/b", parameters={"kind": "K", "name": "n", "scope": "x"}),
            "spec.parameters.scope",
            "Unsupported value",
        ),
    ],
)
def test_mistakes(obj, field, words):
    said = {one.field: one.message for one in [*validate(obj), *creation_problems(obj)]}
    assert field in said, said
    assert words in said[field]
