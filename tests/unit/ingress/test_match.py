"""Which server and location nginx gives a request to."""

from __future__ import annotations

import ingresses
import pytest

from netlab.ingress.match import location_for, server_for

INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: default%s}
spec:
  ingressClassName: nginx
  rules:
  - host: shop.example.org
    http: &paths
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /cart, pathType: Prefix, backend: {service: {name: cart, port: {number: 80}}}}
      - {path: /cart/pay, pathType: Exact, backend: {service: {name: pay, port: {number: 80}}}}
  - host: "*.example.org"
    http: *paths
"""


def found(text: str, host: str, path: str) -> tuple[str, str, str]:
    server = server_for(ingresses.compiled(text).configuration, host)
    location = location_for(server, path) if server else None
    return (
        (server.host, location.ingress_path, location.match) if server and location else ("",) * 3
    )


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("shop.example.org", "/", ("shop.example.org", "/", "prefix")),
        ("SHOP.example.org", "/cartoon", ("shop.example.org", "/", "prefix")),
        ("shop.example.org", "/cart", ("shop.example.org", "/cart", "exact")),
        ("shop.example.org", "/cart/x?y=/cart/pay", ("shop.example.org", "/cart", "prefix")),
        ("shop.example.org", "/cart/pay", ("shop.example.org", "/cart/pay", "exact")),
        ("else.example.org", "/cart/", ("*.example.org", "/cart", "prefix")),
        ("a.b.example.org", "/cart", ("_", "", "prefix")),
    ],
)
def test_by_host_and_path(host: str, path: str, expected: tuple[str, str, str]) -> None:
    assert found(INGRESS % "", host, path) == expected


def test_where_paths_are_regular_expressions_the_first_that_matches_has_it() -> None:
    said = ', annotations: {nginx.ingress.kubernetes.io/use-regex: "true"}'
    text = (INGRESS % said).replace(
        "/cart, pathType: Prefix", "'/C[a-z]+t', pathType: ImplementationSpecific"
    )
    assert found(text, "shop.example.org", "/cart/pay")[1:] == ("/cart/pay", "regex")
    assert found(text, "shop.example.org", "/CaRt")[1:] == ("/C[a-z]+t", "regex")
    assert found(text, "shop.example.org", "/x")[1:] == ("/", "regex")
