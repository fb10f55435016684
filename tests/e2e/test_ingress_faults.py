"""Ingresses that are wrong, and a controller that is hurt: nobody else's requests are."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import needs
import pytest
from e2e.ingresses import HTTPS, NODE, Outside, controller, ingress, rule
from e2e.kubectls import Shell, shell
from e2e.labs import eventually as within

from netlab.kernel import cgroups, netns, process

pytestmark = pytest.mark.root


def eventually(holds: Callable[[], object]) -> None:
    """Wait until it holds; a busy machine takes its time."""
    within(holds, 60.0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A lab with a controller, an application and an Ingress that is as it should be."""
    needs.program("nginx")
    with shell(tmp_path_factory.mktemp("faults"), controller(), "ingress") as lab:
        lab("kubectl create deployment echo --image=sysnet4admin/echo-hname --replicas=3")
        lab("kubectl expose deployment echo --port=80")
        lab("kubectl wait deployment --all --for=condition=Available")
        apply(lab, ingress("good", rule("good.example", "/")))
        yield lab


@pytest.fixture
def outside(lab: Shell) -> Iterator[Outside]:
    outside = Outside(lab)
    address = "kubectl get ingress good -o jsonpath='{.status.loadBalancer}'"
    eventually(lambda: "172.16." in lab(address))  # which it has once it is in force
    yield outside
    lab("kubectl delete ingress --all")
    apply(lab, ingress("good", rule("good.example", "/")))


def apply(lab: Shell, *texts: str) -> None:
    lab("kubectl apply -f -", input="\n---\n".join(texts))


def told(lab: Shell, name: str, *words: str) -> None:
    """What an Ingress is told has all of these."""
    eventually(lambda: all(each in lab(f"kubectl describe ingress {name}") for each in words))


# -- what is wrong with an Ingress ---------------------------------------------------------


def test_services_and_ports_that_are_not_there(lab: Shell, outside: Outside) -> None:
    lab("kubectl create service clusterip empty --tcp=80")
    apply(
        lab,
        ingress(
            "lost",
            rule("a.example", "/", service="nosuch"),
            rule("b.example", "/", port=81),
            rule("c.example", "/", service="empty"),
        ),
    )
    told(lab, "lost", "ServiceNotFound", '"default/nosuch"', 'no port "81" (it has 80)')
    assert [outside.code(f"{host}.example/") for host in "abc"] == [503, 503, 503]
    lab("kubectl expose deployment echo --name=nosuch --port=80")
    eventually(lambda: outside.code("a.example/") == 200)
    lab("kubectl delete service nosuch empty")


NAMED = """
apiVersion: v1
kind: Service
metadata: {name: named}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: named-1, labels: {kubernetes.io/service-name: named}}
addressType: FQDN
ports: [{name: "", port: 80}]
endpoints: [{addresses: [nosuch.example.com]}]
"""


def test_an_endpoint_that_is_a_name_is_never_reached(lab: Shell, outside: Outside) -> None:
    apply(lab, NAMED, ingress("named", rule("named.example", "/", service="named")))
    eventually(lambda: outside.code("named.example/") == 502)
    assert "nginx refuses" not in lab.here.status()
    lab("kubectl delete service named")
    lab("kubectl delete endpointslice named-1")


def test_a_secret_that_is_no_certificate(lab: Shell, outside: Outside) -> None:
    lab("kubectl create secret generic broken --from-literal=tls.crt=x --from-literal=tls.key=y")
    for name in ("broken", "nosuch"):
        tls = f"--rule={name}.example/*=echo:80,tls={name}"
        lab(f"kubectl create ingress {name} --class=nginx {tls}")
        told(lab, name, "CertificateInvalid", "Using default certificate")
        answer = outside.curl(f"{name}.example/", "-vk", port=HTTPS)
        assert "Kubernetes Ingress Controller Fake Certificate" in answer.stderr
        assert answer.stdout.startswith("echo-")
    lab("kubectl delete secret broken")


def test_two_that_want_the_same_path(lab: Shell, outside: Outside) -> None:
    lab("kubectl expose deployment echo --name=other --port=80")
    apply(lab, ingress("younger", rule("good.example", "/", "/own", service="empty")))
    told(lab, "younger", "PathConflict", 'host "good.example" and path "/" is already defined')
    assert outside.code("good.example/") == 200
    assert outside.code("good.example/own") == 503
    lab("kubectl delete service other")


def test_a_host_that_is_no_name(lab: Shell) -> None:
    text = ingress("odd", rule("no_name", "/"))
    refused = lab.run("kubectl create -f -", input=text)
    assert refused.returncode == 1
    words = 'The Ingress "odd" is invalid: spec.rules[0].host: Invalid value: "no_name"'
    assert words in refused.stdout


def test_what_nginx_refuses_is_never_in_force(lab: Shell, outside: Outside) -> None:
    apply(lab, ingress("regex", rule("regex.example", "~/a[0-9]"), use_regex="true"))
    eventually(lambda: outside.code("regex.example/a1") == 200)
    apply(
        lab,
        ingress("regex", rule("regex.example", "~/a[0-9"), use_regex="true"),
        ingress("next", rule("next.example", "/")),
    )
    told(lab, "regex", "ConfigurationRefused", "it goes on as it was before")
    eventually(lambda: outside.code("next.example/") == 200)
    assert [outside.code(f"regex.example/{each}") for each in ("a1", "b1")] == [200, 404]
    status = lab.here.netlab("status", code=1).stdout
    assert "ingress default/regex: nginx refuses it" in status
    lab("kubectl scale deployment echo --replicas=4")
    eventually(lambda: len({outside.body("next.example/") for _ in range(8)}) == 4)
    apply(lab, ingress("regex", rule("regex.example", "~/b[0-9]"), use_regex="true"))
    eventually(lambda: outside.code("regex.example/b1") == 200)
    assert "nginx refuses" not in lab.here.status()


EVIL = '/x" { return 200; } location /evil { return 200 "evil"; } #'


def test_nobody_writes_into_the_configuration(lab: Shell, outside: Outside) -> None:
    apply(
        lab,
        ingress("path", rule("a.example", f"~{EVIL}", "~/x; } location /evil { return 200; }")),
        ingress("regex", rule("b.example", f"~{EVIL}"), use_regex="true"),
        ingress("lines", rule("c.example", "~/a\n} location /evil {")),
        ingress(
            "said",
            rule("d.example", "/"),
            rewrite_target=f"/{EVIL}",
            configuration_snippet="return 200;",
            server_snippet="location /evil { return 200; }",
            upstream_vhost='a"; return 200; #',
            permanent_redirect="http://a; } location /evil {",
            proxy_body_size="1m; root /etc",
            app_root='/" { } #',
            no_such_thing="x",
        ),
    )
    told(lab, "said", "configuration-snippet is refused", "server-snippet is refused", "no-such")
    told(lab, "lines", "Rejected", "has a control character")
    eventually(lambda: outside.code("d.example/") == 200)
    for host in "abc":
        assert outside.code(f"{host}.example/evil") == 404
    assert "echo-" in outside.body("d.example/")
    assert outside.code("good.example/") == 200


# -- a controller that is hurt -------------------------------------------------------------


@contextmanager
def asking(lab: Shell, host: str, workers: int = 2) -> Iterator[Counter[str]]:
    """Requests without pause from outside, each by a connection of its own; what they came to."""
    with netns.entered(lab.here.namespace("ingress.client")):
        place = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    answers: Counter[str] = Counter()
    ended = threading.Event()

    def ask() -> None:
        with netns.entered(place):
            while not ended.is_set():
                answers[request(host)] += 1

    threads = [threading.Thread(target=ask) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        os.close(place)


def request(host: str) -> str:
    """The status of one answer, or what went wrong."""
    connection = http.client.HTTPConnection(NODE, 30100, timeout=30)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


def test_churn_costs_nobody_an_answer(lab: Shell, outside: Outside) -> None:
    with asking(lab, "good.example") as answers:
        for turn in range(6):
            apply(lab, ingress("other", rule(f"turn{turn}.example", "/")))
            lab(f"kubectl scale deployment echo --replicas={2 + turn % 3}")
        lab("kubectl rollout restart deployment echo")
        lab("kubectl rollout status deployment echo")
        eventually(lambda: sum(answers.values()) > 1000)
    assert set(answers) == {"200"}, answers


def nginx(lab: Shell) -> tuple[Path, int]:
    """The directory of the controller's program, and its process."""
    found = (lab.here.base / "run" / "ingress" / "pods").glob("*/programs/*/nginx.json")
    identity = next(found, None)
    assert identity is not None
    return identity.parent, json.loads(identity.read_text())["pid"]


def test_it_is_started_again_as_it_was(lab: Shell, outside: Outside) -> None:
    _, pid = nginx(lab)
    workers = process.children(pid)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: nginx(lab)[1] != pid)
    assert not any(map(_command, workers))  # those of one that is killed go on by themselves
    eventually(lambda: outside.code("good.example/") == 200)
    restarts = "kubectl get pod -n ingress-nginx -o jsonpath='{..restartCount}'"
    eventually(lambda: lab(restarts) == "1")
    said = lab("kubectl describe pods -n ingress-nginx")
    assert re.search(r"Last State: +Terminated\n +Reason: +Error\n +Exit Code: +137", said)
    assert re.search(r"Created +\S+ \(x2 ", said)


def test_it_outlives_the_labs_controller(lab: Shell, outside: Outside) -> None:
    _, pid = nginx(lab)
    with asking(lab, "good.example", 1) as answers:
        (owner,) = lab.here.owners
        (controlling,) = (each for each in process.owned(owner) if b"netlab.boot" in _command(each))
        os.kill(controlling, signal.SIGKILL)
        lab.here.netlab("up", lab.here.base / "lab.yaml")
        apply(lab, ingress("later", rule("later.example", "/")))
        eventually(lambda: outside.code("later.example/") == 200)
    assert set(answers) == {"200"}, answers
    assert nginx(lab)[1] == pid
    workers = process.children(pid)
    os.kill(pid, signal.SIGKILL)  # nobody awaits it any more: on some machines, it stays a zombie
    eventually(lambda: nginx(lab)[1] != pid)
    assert not any(map(_command, workers))
    eventually(lambda: outside.code("later.example/") == 200)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_it_may_do_nothing_else(lab: Shell, outside: Outside) -> None:
    _, pid = nginx(lab)
    workers = [each for each in process.children(pid) if Path(f"/proc/{each}/root").exists()]
    assert workers
    for each in (pid, *workers):
        status = Path(f"/proc/{each}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "CapBnd:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        root = Path(f"/proc/{each}/root")
        assert not (root / "etc/passwd").exists() and not (root / "root").exists()


def test_it_is_in_its_pods_group_as_long_as_that_lives(lab: Shell, outside: Outside) -> None:
    needs.control_groups()
    directory, pid = nginx(lab)
    (owner,) = lab.here.owners
    uid = directory.parents[1].name
    family = {pid, *process.children(pid)}
    assert len(family) > 1 and family <= set(cgroups.Groups(owner).members(uid))
    kube_dns = [each for each in process.owned(owner) if b"/dnsmasq\0" in _command(each)]
    groups = [Path(f"/proc/{each}/cgroup").read_text() for each in kube_dns]
    assert sum(f"netlab-{owner}/pod" in group for group in groups) >= 2


def test_it_goes_with_its_addresses(lab: Shell, outside: Outside) -> None:
    address = "kubectl get ingress good -o jsonpath='{.status.loadBalancer}'"
    eventually(lambda: "172.16." in lab(address))
    _, pid = nginx(lab)
    lab("kubectl scale deployment -n ingress-nginx ingress-nginx-controller --replicas=0")
    eventually(lambda: lab(address) == "{}")
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    lab("kubectl scale deployment -n ingress-nginx ingress-nginx-controller --replicas=1")
