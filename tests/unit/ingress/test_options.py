"""What a controller's flags say."""

import pytest
from ingresses import compiled

from netlab.ingress.flags import Unusable
from netlab.ingress.options import Options, options
from netlab.objects.selectors import parse


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
            "--election-ttl=1m30s",
            "--watch-namespace-selector=team in (a,b)",
        ]
    )
    assert found == Options(
        ingress_class="x",
        controller_class="example.com/x",
        without_class=True,
        publish_addresses=("192.0.2.1", "lb.example"),
        http_port=8080,
        updates_status=False,
        election_ttl=90.0,
        namespace_selector=parse("team in (a,b)"),
    )


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (["--nosuch"], "unknown flag: --nosuch", 2),
        (["--https-port=x"], 'invalid argument "x" for "--https-port" flag: strconv.Parse', 2),
        (["--update-status=2"], 'invalid argument "2" for "--update-status" flag', 2),
        (["--publish-service=a/b", "--publish-status-address=x"], "mutually exclusive", 255),
        (["--watch-namespace=a", "--watch-namespace-selector=b"], "mutually exclusive", 255),
        (["--watch-namespace-selector=a b"], "failed to parse --watch-namespace-selector=a b", 255),
        (["--election-ttl=x"], 'flag: time: invalid duration "x"', 2),
        (["--election-ttl=30"], 'flag: time: missing unit in duration "30"', 2),
    ],
)
def test_with_some_no_controller_starts(words, text, code):
    with pytest.raises(Unusable, match=r".*") as raised:
        options(words)
    assert text in str(raised.value) and raised.value.code == code


def test_what_is_not_done_is_told():
    words = ["--enable-ssl-passthrough", "--enable-metrics", "--profiling=false"]
    assert options(words).undone == (
        "flag --enable-metrics has no effect: there are no metrics",
        "flag --enable-ssl-passthrough has no effect: TLS ends at the controller",
    )
    off = ["--enable-metrics=false", "--enable-annotation-validation=true"]
    assert options(off).undone == ()
    old = options(["--sort-backends=true"], "0.30.0")
    assert "--sort-backends has no effect" in old.undone[0]


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


CATCH_ALL = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a}
spec:
  ingressClassName: nginx
  defaultBackend: {service: {name: web, port: {number: 80}}}
"""


def test_what_takes_all_may_be_left_out():
    assert len(compiled(CATCH_ALL).served) == 1
    assert compiled(CATCH_ALL, ["--disable-catch-all"]).served == ()
