"""An Ingress in front of Services, answered by a real nginx: what a tutorial's reader sees."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator

import needs
import pytest
from e2e.ingresses import HTTPS, Outside, certificate, controller, ingress, rule
from e2e.kubectls import Shell, shell
from e2e.labs import TOPOLOGIES, machine
from e2e.labs import eventually as within

pytestmark = pytest.mark.root


def eventually(holds: Callable[[], object]) -> None:
    """Wait until it holds; a busy machine takes its time."""
    within(holds, 60.0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A lab with a controller and two applications; no Ingress."""
    needs.program("nginx")
    with shell(tmp_path_factory.mktemp("ingress"), controller(), "ingress") as lab:
        lab("kubectl create deployment echo --image=registry.k8s.io/echoserver:1.10 --replicas=2")
        lab("kubectl expose deployment echo --port=80 --target-port=8080")
        lab("kubectl create deployment name --image=sysnet4admin/echo-hname --replicas=3")
        lab("kubectl expose deployment name --port=80")
        lab("kubectl wait deployment --all --for=condition=Available")
        yield lab


@pytest.fixture
def outside(lab: Shell) -> Iterator[Outside]:
    yield Outside(lab)
    lab("kubectl delete ingress --all")


def settled(lab: Shell) -> None:
    """All that was written is in force: then an Ingress has its address."""
    every = (
        "kubectl get ingress -o jsonpath='{range .items[*]}{.status.loadBalancer}{\"\\n\"}{end}'"
    )
    eventually(lambda: all("172.16." in line for line in lab(every).splitlines()))
    lab.here.status()


def apply(lab: Shell, *texts: str) -> None:
    lab("kubectl apply -f -", input="\n---\n".join(texts))


# -- the tutorial --------------------------------------------------------------------------

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
        backend:
          serviceName: ip-svc
          servicePort: 80
      - path: /your-directory
        backend:
          serviceName: your-svc
          servicePort: 80
"""


def test_the_tutorial_as_it_is_typed(lab: Shell, outside: Outside) -> None:
    lab("kubectl create deployment in-hname-pod --image=sysnet4admin/echo-hname")
    lab("kubectl create deployment in-ip-pod --image=sysnet4admin/echo-ip")
    (lab.directory / "ingress.yaml").write_text(TUTORIAL)
    refused = lab.run("kubectl apply -f ingress.yaml")
    assert refused.returncode == 1
    assert 'no matches for kind "Ingress" in version "networking.k8s.io/v1beta1"' in refused.stdout
    done = lab.here.netlab("apply", "-f", lab.directory / "ingress.yaml")
    assert "ingress.networking.k8s.io/ingress-nginx created" in done.stdout
    assert "taken as networking.k8s.io/v1" in done.stderr
    lab("kubectl expose deployment in-hname-pod --name=hname-svc-default --port=80,443")
    lab("kubectl expose deployment in-ip-pod --name=ip-svc --port=80,443")
    lab("kubectl wait deployment --all --for=condition=Available")
    eventually(lambda: outside.body("172.16.110.20/").startswith("in-hname-pod-"))
    eventually(lambda: "ip_dest: 10.244." in outside.body("172.16.110.20/ip"))
    assert outside.code("172.16.110.20/your-directory") == 503
    described = lab("kubectl describe ingress ingress-nginx")
    assert "Scheduled for sync" in described
    assert 'Service "default/your-svc": no such Service' in described
    row = lab("kubectl get ingress --no-headers").split()
    assert row[:5] == ["ingress-nginx", "nginx", "*", "172.16.110.20", "80"] or row[3] in (
        "172.16.110.21"
    )
    lab("kubectl delete deployment in-hname-pod in-ip-pod")
    lab("kubectl delete service hname-svc-default ip-svc")


def test_the_topology_answers_by_path_through_every_node(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    needs.program("nginx")
    with machine(tmp_path_factory.mktemp("topology")) as here:
        here.netlab("up", TOPOLOGIES / "ingress.yaml")
        for node in ("172.16.110.10", "172.16.110.20", "172.16.110.21"):
            names = {here.curl("ingress.client", f"{node}:30100/") for _ in range(4)}
            assert len(names) == 2 and all(name.startswith("in-hname-pod-") for name in names)
            assert "ip_dest: 10.244." in here.curl("ingress.client", f"{node}:30100/ip")
        here.netlab("check", TOPOLOGIES / "ingress.yaml")


# -- hosts and paths -----------------------------------------------------------------------


def test_hosts_and_path_types(lab: Shell, outside: Outside) -> None:
    apply(
        lab,
        ingress("a", rule("a.example", "=/exact", "/prefix", "~/any"), rule("*.wild.example", "/")),
        ingress("b", rule("b.example", "/", service="name")),
    )
    settled(lab)
    answers = {
        path: outside.code(f"a.example{path}")
        for path in ("/", "/exact", "/exact/", "/prefix", "/prefix/x", "/prefixed", "/anything")
    }
    assert answers == {
        "/": 404, "/exact": 200, "/exact/": 404, "/prefix": 200, "/prefix/x": 200,
        "/prefixed": 404, "/anything": 200,
    }  # fmt: skip
    assert outside.code("x.wild.example/") == 200
    assert outside.code("x.y.wild.example/") == outside.code("wild.example/") == 404
    assert outside.body("b.example/").startswith("name-")
    assert outside.code("nobody.example/") == 404


def test_rewriting_with_and_without_groups(lab: Shell, outside: Outside) -> None:
    apply(
        lab,
        ingress("plain", rule("plain.example", "/app"), rewrite_target="/new"),
        ingress("groups", rule("groups.example", "~/app(/|$)(.*)"), rewrite_target="/$2"),
        ingress("regex", rule("regex.example", "~/a/[0-9]+$"), use_regex="true"),
    )
    settled(lab)
    assert "real path=/new\n" in outside.body("plain.example/app/old?x=1").replace("?x=1", "")
    assert "real path=/b/c?d=e" in outside.body("groups.example/app/b/c?d=e")
    assert "real path=/\n" in outside.body("groups.example/app")
    assert [outside.code(f"regex.example/a/{each}") for each in ("17", "x")] == [200, 404]


def test_a_default_backend_takes_what_is_nobodys(lab: Shell, outside: Outside) -> None:
    assert outside.code("nobody.example/x") == 404
    lab(
        "kubectl create ingress general --class=nginx --default-backend=name:80",
    )
    settled(lab)
    assert outside.body("nobody.example/x").startswith("name-") or (
        outside.code("nobody.example/") == 200
    )


def test_what_the_backend_hears(lab: Shell, outside: Outside) -> None:
    apply(lab, ingress("a", rule("a.example", "/")))
    settled(lab)
    body = outside.body(
        "a.example/x",
        "-H",
        "X-Forwarded-For: 1.2.3.4",
        "-H",
        "X-Request-ID: abc",
        "-H",
        "Proxy: evil",
    )
    heard = dict(re.findall(r"^\s+([a-z-]+)=(.*)$", body, re.MULTILINE))
    assert heard["host"] == "a.example:30100"
    assert heard["x-forwarded-host"] == "a.example:30100"
    assert (heard["x-forwarded-proto"], heard["x-forwarded-port"]) == ("http", "80")
    assert heard["x-scheme"] == heard["x-forwarded-scheme"] == "http"
    assert heard["x-request-id"] == "abc"
    assert heard["x-real-ip"] == heard["x-forwarded-for"] != "1.2.3.4"
    assert heard["x-original-forwarded-for"] == "1.2.3.4"
    assert "proxy" not in heard


# -- TLS -----------------------------------------------------------------------------------


def test_tls_by_the_name_that_is_asked_for(lab: Shell, outside: Outside) -> None:
    for name in ("one", "two"):
        certificate(lab.directory, name, f"{name}.example")
        lab(f"kubectl create secret tls {name} --cert={name}.crt --key={name}.key")
        rules = f"--rule={name}.example/*=echo:80,tls={name}"
        lab(f"kubectl create ingress {name} --class=nginx {rules}")
    settled(lab)
    for name in ("one", "two"):
        ca = str(lab.directory / f"{name}.crt")
        body = outside.body(f"{name}.example/", "--cacert", ca, port=HTTPS)
        assert "x-forwarded-proto=https" in body and "x-forwarded-port=443" in body
    fake = outside.curl("three.example/", "-vk", port=HTTPS).stderr
    assert "Kubernetes Ingress Controller Fake Certificate" in fake
    redirect = outside.headers("one.example/x/")
    assert redirect["status"].startswith("HTTP/1.1 308 ")
    assert redirect["location"] == "https://one.example/x"
    secure = outside.headers("one.example/", "-k", "--http1.1", port=HTTPS)
    assert secure["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    lab("kubectl annotate ingress one nginx.ingress.kubernetes.io/ssl-redirect=false")
    eventually(lambda: outside.code("one.example/") == 200)
    row = lab("kubectl get ingress two --no-headers")
    assert " 80, 443 " in row
    certificate(lab.directory, "two", "two.example")
    lab(
        "kubectl create secret tls two --cert=two.crt --key=two.key --dry-run=client -o yaml"
        " | kubectl apply -f - 2>/dev/null"
    )
    ca = str(lab.directory / "two.crt")
    eventually(lambda: outside.code("two.example/", "--cacert", ca, port=HTTPS) == 200)
    lab("kubectl delete secret one two")


def test_redirects(lab: Shell, outside: Outside) -> None:
    apply(
        lab,
        ingress("forced", rule("forced.example", "/"), force_ssl_redirect="true"),
        ingress("gone", rule("gone.example", "/"), permanent_redirect="https://example.com/new"),
        ingress("root", rule("root.example", "/"), app_root="/app"),
        ingress("www", rule("site.example", "/"), from_to_www_redirect="true"),
    )
    settled(lab)
    seen = {
        url: (headers["status"].split()[1], headers["location"])
        for url in ("forced.example/a", "gone.example/", "root.example/", "www.site.example/b")
        if (headers := outside.headers(url))
    }
    assert seen == {
        "forced.example/a": ("308", "https://forced.example/a"),
        "gone.example/": ("301", "https://example.com/new"),
        "root.example/": ("302", "http://root.example:30100/app"),
        "www.site.example/b": ("308", "http://site.example/b"),
    }
    assert outside.code("root.example/app") == 200


# -- who answers ---------------------------------------------------------------------------


def test_more_pods_take_some_sessions_over_unless_these_are_persistent(
    lab: Shell, outside: Outside
) -> None:
    lab("kubectl create deployment crowd --image=sysnet4admin/echo-hname --replicas=2 --port=80")
    lab("kubectl expose deployment crowd")
    lab("kubectl wait deployment crowd --for=condition=Available")
    served = {}
    for mode in ("balanced", "persistent"):
        sticky = ingress(mode, rule(f"{mode}.example", "/", service="crowd"), affinity="cookie",
                         affinity_mode=mode)  # fmt: skip
        lab("kubectl apply -f -", input=sticky)
        eventually(lambda: outside.code(f"{mode}.example/") == 200)  # noqa: B023
        settled(lab)  # no worker of nginx goes by what was before
        served[mode] = sessions(outside, f"{mode}.example/", 24)
        assert len(set(served[mode].values())) == 2
    lab("kubectl scale deployment crowd --replicas=4")
    lab("kubectl rollout status deployment crowd")
    eventually(lambda: len({outside.body("balanced.example/") for _ in range(16)}) == 4)
    after = {
        mode: {jar: outside.body(f"{mode}.example/", "-b", jar) for jar in found}
        for mode, found in served.items()
    }
    assert after["persistent"] == served["persistent"]
    moved = {jar for jar, who in after["balanced"].items() if who != served["balanced"][jar]}
    assert 0 < len(moved) < len(after["balanced"])
    assert {after["balanced"][jar] for jar in moved}.isdisjoint(served["balanced"].values())
    lab("kubectl delete ingress balanced persistent")
    lab("kubectl delete deployment,service crowd")


def sessions(outside: Outside, url: str, count: int) -> dict[str, str]:
    """Who answered so many clients that come for the first time, by the cookies that they got."""
    answers = [outside.curl(url, "-i").stdout for _ in range(count)]
    cookies = [re.findall(r"(?mi)^set-cookie: ([^;]+);", answer)[0] for answer in answers]
    return {
        cookie: f"{answer.splitlines()[-1]}\n"
        for cookie, answer in zip(cookies, answers, strict=True)
    }


def test_a_cookie_brings_back_to_the_same_pod(lab: Shell, outside: Outside) -> None:
    apply(
        lab,
        ingress("sticky", rule("a.example", "/", service="name"), affinity="cookie",
                session_cookie_name="route"),
    )  # fmt: skip
    settled(lab)
    assert len({outside.body("a.example/") for _ in range(6)}) == 3
    jar = str(lab.directory / "jar")
    first = outside.body("a.example/", "-c", jar)
    cookie = outside.headers("a.example/")["set-cookie"]
    assert re.fullmatch(r"route=[0-9a-f]{32}; Path=/; HttpOnly", cookie)
    assert {outside.body("a.example/", "-b", jar) for _ in range(6)} == {first}
    assert "set-cookie" not in outside.headers("a.example/", "-b", jar)
    lab(f"kubectl delete pod {first.strip()}")
    eventually(lambda: outside.body("a.example/", "-b", jar) not in ("", first))
    settled(lab)
    assert len({outside.body("a.example/", "-b", jar) for _ in range(6)}) == 1
    assert "set-cookie" not in outside.headers("a.example/", "-b", jar)


def test_a_canary_takes_its_part(lab: Shell, outside: Outside) -> None:
    apply(
        lab,
        ingress("main", rule("a.example", "/", service="name")),
        ingress("canary", rule("a.example", "/"), canary="true", canary_by_header="X-Canary",
                canary_weight="50"),
    )  # fmt: skip
    settled(lab)

    def count(*flags: str) -> Counter[bool]:
        bodies = [outside.body("a.example/", *flags) for _ in range(20)]
        return Counter(body.startswith("name-") for body in bodies)

    assert count("-H", "X-Canary: always") == {False: 20}
    assert count("-H", "X-Canary: never") == {True: 20}
    assert set(count()) == {True, False}  # fails by chance once in 500,000 runs


def test_named_ports_and_names_outside(lab: Shell, outside: Outside) -> None:
    lab("kubectl create service externalname web --external-name=example.com")
    ports = "[{name: http, port: 81, targetPort: 8080}]"
    named = "{apiVersion: v1, kind: Service, metadata: {name: named}, spec: {selector: {app: echo}"
    apply(lab, f"{named}, ports: {ports}}}}}")
    apply(
        lab,
        ingress("named", rule("a.example", "/", service="named", port="http")),
        ingress("outside", rule("b.example", "/", service="web"), upstream_vhost="example.com"),
    )
    settled(lab)
    assert "real path=/x" in outside.body("a.example/x")
    assert outside.code("b.example/") == 200
    lab("kubectl delete service web named")


def test_who_is_let_in(lab: Shell, outside: Outside) -> None:
    lab("kubectl create secret generic passwords --from-literal='auth=foo:{PLAIN}bar'")
    apply(
        lab,
        ingress("guarded", rule("a.example", "/"), auth_type="basic", auth_secret="passwords"),
        ingress("closed", rule("b.example", "/"), whitelist_source_range="192.0.2.0/24"),
        ingress("cors", rule("c.example", "/"), enable_cors="true",
                cors_allow_origin="https://a.example"),
    )  # fmt: skip
    settled(lab)
    assert [outside.code("a.example/"), outside.code("a.example/", "-u", "foo:bar")] == [401, 200]
    assert outside.code("b.example/") == 403
    origin = "access-control-allow-origin"
    welcome = outside.headers("c.example/", "-H", "Origin: https://a.example")
    assert welcome[origin] == "https://a.example"
    assert origin not in outside.headers("c.example/", "-H", "Origin: https://evil.example")
    asked = outside.headers("c.example/", "-X", "OPTIONS", "-H", "Origin: https://a.example")
    assert asked["status"].split()[1] == "204"
    lab("kubectl delete secret passwords")


# -- what the controller says --------------------------------------------------------------


def test_its_log_and_its_settings(lab: Shell, outside: Outside) -> None:
    apply(lab, ingress("a", rule("a.example", "/")))
    lab(
        "kubectl create configmap -n ingress-nginx ingress-nginx-controller"
        " --from-literal=use-forwarded-headers=true --from-literal=no-such=x"
    )
    forged = ("-H", "X-Forwarded-For: 1.2.3.4")
    believed = "\tx-forwarded-for=1.2.3.4"
    eventually(lambda: believed in outside.body("a.example/seen", *forged))
    line = r'1\.2\.3\.4 - - .* "GET /seen HTTP/1.1" 200 .* \[default-echo-80\]'
    log = "kubectl logs -n ingress-nginx deploy/ingress-nginx-controller --tail=20"
    eventually(lambda: re.search(line, lab(log)))
    told = "key no-such is not known to this controller"
    eventually(lambda: told in lab("kubectl get events -n ingress-nginx"))
    lab("kubectl delete configmap -n ingress-nginx ingress-nginx-controller")


def test_a_published_service_gives_the_address(lab: Shell, outside: Outside) -> None:
    kind = [{"op": "replace", "path": "/spec/type", "value": "LoadBalancer"}]
    said = "--publish-service=$(POD_NAMESPACE)/ingress-nginx-controller"
    own = "--election-id=another"  # the Lease of the replica before has to run out
    where = "/spec/template/spec/containers/0/args/-"
    arguments = [{"op": "add", "path": where, "value": value} for value in (said, own)]
    for what, patch in (("service", kind), ("deployment", arguments)):
        name = f"{what} ingress-nginx-controller -n ingress-nginx"
        lab(f"kubectl patch {name} --type=json -p '{json.dumps(patch)}'")
    lab("kubectl rollout status -n ingress-nginx deployment/ingress-nginx-controller")
    apply(lab, ingress("a", rule("a.example", "/")))
    ip = "kubectl get ingress a -o jsonpath='{.status.loadBalancer.ingress[0].ip}'"
    pool = re.compile(r"172\.16\.110\.2\d\d")  # the nodes' own are .10 and .20
    eventually(lambda: pool.fullmatch(lab(ip)))
    words = ("curl", "-sS", "-H", "Host: a.example", f"http://{lab(ip)}/x")
    assert "real path=/x" in lab.here.run_in("ingress.client", *words).stdout
