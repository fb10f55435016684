"""What a controller's flags say."""

import pytest
from ingresses import compiled

from netlab.ingress.options import Options, options


def test_nothing_said_is_ingress_nginx_default():
    assert options(["/nginx-ingress-controller"], "v1.15.1") == Options()


def test_flags_in_all_their_forms():
    found = options(
        [
            "/nginx-ingress-controller",
            "--controller-class=example.com/x",
            "--ingress-class",
            "x",
            "--watch-ingress-without-class",
            "--publish-status-address=192.0.2.1, lb.example",
            "--http-port=8080",
            "-v=2",
            "--update-status=false",
        ]
    )
    assert found == Options(
        ingress_class="x",
        controller_class="example.com/x",
        without_class=True,
        publish_addresses=("192.0.2.1", "lb.example"),
        http_port=8080,
        updates_status=False,
    )


@pytest.mark.parametrize(
    ("tag", "strict", "old"),
    [
        ("v1.15.1", True, False),
        ("v1.12.0-beta.0", True, False),
        ("v1.11.5", False, False),
        ("0.30.0", False, True),
        ("nginx-0.30.0", False, True),
        ("latest", True, False),
    ],
)
def test_versions_differ(tag, strict, old):
    found = options([], tag)
    assert (found.strict_paths, found.before_version_1) == (strict, old)


CLASSLESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
spec:
  rules:
  - http:
      paths:
      - path: /a(/|$)(.*)
        pathType: Prefix
        backend: {service: {name: web, port: {number: 80}}}
"""


def test_an_old_controller_takes_who_names_no_class_and_any_path():
    assert [one["metadata"]["name"] for one in compiled(CLASSLESS, tag="0.30.0").served] == ["a"]
    assert compiled(CLASSLESS).served == ()
    strict = compiled(CLASSLESS, ["--watch-ingress-without-class"])
    assert (strict.served, strict.problems[0].reason) == ((), "Rejected")
