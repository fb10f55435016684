from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.workload import catalogue as room
from netlab.workload.behaviour import (
    Behaviour,
    behaviour,
    brought,
    entered,
    expand,
    parse_flags,
    served_pod,
    sites_of,
)
from netlab.workload.catalogue import CatalogueError, ImagePort, ImageProgram, catalogue, read
from netlab.workload.documents import pages, succeeding
from netlab.workload.http1 import RequestParser
from netlab.workload.site import Site

HELLO = "gcr.io/google-samples/hello-app:1.0"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"


def all_ports(programs: Any = None) -> list[tuple[ImageProgram, ImagePort]]:
    found = []
    for program in programs or catalogue().programs:
        found += [(program, port) for port in program.listen]
        found += all_ports(program.subcommands.values()) if program.subcommands else []
    return found


def does(
    image: str, installed: bool = True, env: dict[str, str] | None = None, **more: Any
) -> Behaviour:
    container = {"name": "main", "image": image, **more}
    return behaviour(container, env, is_installed=lambda _: installed)


def ports(found: Behaviour) -> list[tuple[int, str]]:
    return [(listener.port, listener.protocol) for listener in found.listeners]


def page(image: str, target: str = "/", headers: str = "", **more: Any) -> tuple[int, str]:
    """Status and body that the pod web-0 answers."""
    pod = {
        "metadata": {"name": "web-0", "namespace": "shop", "uid": "u"},
        "spec": {"nodeName": "worker001", "containers": [{"name": "c", "image": image, **more}]},
    }
    served = served_pod(pod, "/netns", ("10.244.1.7", "fd00::7"))
    assert served is not None
    container = served.containers[0]
    listener = container.listeners[0]
    site = Site(
        sites_of([served])[listener.site], {**container.variables, "port": str(listener.port)}
    )
    text = f"GET {target} HTTP/1.1\r\nHost: web:8080\r\n{headers}\r\n"
    (request,) = RequestParser().feed(text.encode())
    request.client, request.local = ("10.244.2.9", 40312), ("10.244.1.7", 80)
    answer = site.answer(request)
    sent, _ = answer.render(request, close=False)
    return answer.status, sent.decode().partition("\r\n\r\n")[2]


# -- the file itself -----------------------------------------------------------------------------


def test_what_is_read_is_what_is_written() -> None:
    written = Path(room.__file__).with_name("catalogue.yaml")
    found = json.loads(written.with_suffix(".json").read_text())
    assert found == yaml.safe_load(written.read_text()), "scripts/generate-catalogue"


def test_every_text_of_the_catalogue_compiles() -> None:
    known = "hostname pod namespace node ip ips image repository tag container port"
    variables = dict.fromkeys(known.split(), "v")
    for program, port in all_ports():
        if port.serve == "http":
            Site(catalogue().sites[port.site], {**variables, **program.variables})


def test_every_site_is_used_and_the_last_program_takes_everything() -> None:
    used = {port.site for _, port in all_ports()} | {"default", "default-udp"}
    assert used == set(catalogue().sites)
    assert catalogue().programs[-1].match == ("*",)


@pytest.mark.parametrize(
    "text",
    [
        "- {match: [a], kind: servant}",
        "- {match: [a], lissten: []}",
        "- {match: [a], listen: [{port: 80, serve: http, site: nowhere}]}",
        "- {match: [a], listen: [{port: 80, serve: gopher, site: s}]}",
        "- {match: [a], listen: [{port: 80, serve: http, site: s, flags: x}]}",
    ],
)
def test_a_catalogue_that_contradicts_itself_is_refused(text: str) -> None:
    file = f"registries: {{}}\ntools: {{}}\nsites: {{s: {{}}}}\nprograms:\n{text}\n"
    with pytest.raises(CatalogueError, match=r"^a: "):
        read(yaml.safe_load(file))


@pytest.mark.parametrize(
    ("pattern", "reference", "fits"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("*", "", True),
        ("*/a", "x/y/a", True),
        ("*/a", "a", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*/a/*/b", "x/a/y/b", True),
        ("*/a/*/b", "x/a/b", False),
        ("*ab*ab*", "xabyabz", True),
        ("*ab*ab*", "xaby", False),
        ("*b*ab", "ab", False),
        ("x.*", "xy", False),
    ],
)
def test_a_star_stands_for_anything(pattern: str, reference: str, fits: bool) -> None:
    images = read({"registries": {}, "tools": {}, "sites": {}, "unknown": {}, "programs": [
        {"match": [pattern], "variables": {"n": "1"}}, {"match": ["*"]},
    ]})  # fmt: skip
    assert bool(images.lookup(reference).variables) is fits


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("nginx", "nginx", "latest"),
        ("nginx:1.27", "nginx", "1.27"),
        ("docker.io/library/nginx:1.27-alpine", "nginx", "1.27-alpine"),
        ("library/nginx", "nginx", "latest"),
        ("docker.io/traefik/whoami", "traefik/whoami", "latest"),
        ("localhost:5000/team/app", "localhost:5000/team/app", "latest"),
        ("localhost:5000/team/app:2", "localhost:5000/team/app", "2"),
        ("nginx@sha256:abc", "nginx", "latest"),
        ("nginx:1.27@sha256:abc", "nginx", "1.27"),
        ("k8s.gcr.io/echoserver:1.4", "registry.k8s.io/echoserver", "1.4"),
        ("gcr.io/google_containers/serve_hostname", "registry.k8s.io/serve_hostname", "latest"),
    ],
)
def test_image_references(reference: str, repository: str, tag: str) -> None:
    image = catalogue().image(reference)
    assert (image.repository, image.tag) == (repository, tag)


# -- what the servers of tutorials say ------------------------------------------------------------


def test_the_hostname_page_has_one_line_to_grep_for() -> None:
    status, body = page("alicek106/rr-test:echo-hostname")
    line = "        <p>Hello,  web-0</p>     </blockquote>"
    assert status == 200
    assert [text for text in body.split("\n") if "Hello" in text] == [line]
    assert [text for text in body.split("\n") if "web-0" in text] == [line]


@pytest.mark.parametrize(
    ("image", "target", "body"),
    [
        ("ethos93/go-httpd", "/", "This version is v1 and hostname is web-0\n"),
        ("ethos93/go-httpd:v1", "/", "This version is v1 and hostname is web-0\n"),
        ("ethos93/go-httpd:v2", "/", "This version is v2 and hostname is web-0\n"),
        ("minjulee226/myweb", "/", "Hello World!\nweb-0\n"),
        ("luksa/kubia", "/", "You've hit web-0\n"),
        ("sysnet4admin/echo-hname", "/", "web-0\n"),
        (
            "gcr.io/google-samples/hello-app:1.0", "/",
            "Hello, world!\nVersion: 1.0.0\nHostname: web-0\n",
        ),
        (
            "us-docker.pkg.dev/google-samples/containers/gke/hello-app:2.0", "/x",
            "Hello, world!\nVersion: 2.0.0\nHostname: web-0\n",
        ),
        (
            "gcr.io/google-samples/kubernetes-bootcamp:v1", "/",
            "Hello Kubernetes bootcamp! | Running on: web-0 | v=1\n",
        ),
        ("hashicorp/http-echo", "/", "hello-world\n"),
        ("httpd", "/", "<html><body><h1>It works!</h1></body></html>\n"),
        ("netlab/internet", "/p", "you reached web:8080 on the lab's internet\n"
                                  "GET /p, your address here: 10.244.2.9\n"),
    ],
)  # fmt: skip
def test_what_servers_say(image: str, target: str, body: str) -> None:
    assert page(image, target) == (200, body)


def test_servers_of_texts_that_are_given_to_them() -> None:
    assert page("registry.k8s.io/serve_hostname", "/any") == (200, "web-0")
    said = page("hashicorp/http-echo", args=["-text=hello from v2", "-listen=:80"])
    assert said == (200, "hello from v2\n")
    assert page("hashicorp/http-echo", args=["-text", "apple"]) == (200, "apple\n")
    assert page("httpd", "/missing")[0] == 404


def test_whoami_and_echo_servers_say_what_they_saw() -> None:
    _, body = page("traefik/whoami", "/a?b=c", "X-Real-Ip: 1.2.3.4\r\n")
    assert body.splitlines() == [
        "Hostname: web-0", "IP: 127.0.0.1", "IP: 10.244.1.7", "RemoteAddr: 10.244.2.9:40312",
        "GET /a?b=c HTTP/1.1", "Host: web:8080", "X-Real-Ip: 1.2.3.4",
    ]  # fmt: skip
    _, body = page("registry.k8s.io/echoserver:1.10")
    assert "\nHostname: web-0\n" in body
    assert "\tclient_address=10.244.2.9\n" in body
    assert "\thost=web:8080\n" in body
    _, body = page("k8s.gcr.io/echoserver:1.4", "/x?y=1")
    assert "client_address=10.244.2.9\n" in body
    assert "query=y=1\n" in body
    _, body = page("kicbase/echo-server:1.0")
    assert body.startswith("Request served by web-0\n\nGET / HTTP/1.1\n\nHost: web:8080\n")


def test_other_images_answer_on_the_ports_they_declare() -> None:
    declared = [
        {"containerPort": 8000},
        {"containerPort": 8000, "protocol": "TCP", "name": "again"},
        {"containerPort": 53, "protocol": "UDP"},
        {"containerPort": 7777, "protocol": "SCTP"},
    ]
    found = does("registry.example.com/team/shop:3", ports=declared)
    assert ports(found) == [(8000, "TCP"), (53, "UDP")]
    _, body = page("registry.example.com/team/shop:3", ports=declared)
    assert body == (
        "GET / answered by pod web-0 (shop) on node worker001\n"
        "image:  registry.example.com/team/shop:3 (netlab's stand-in)\n"
        "pod:    10.244.1.7, port 8000\n"
        "client: 10.244.2.9:40312\n"
    )
    assert does("unheard/of") == Behaviour("server")


@pytest.mark.parametrize(
    ("image", "declared", "spoken"),
    [
        ("minjulee226/myweb", [8080], {8080: "http", 8443: "https"}),
        ("minjulee226/myweb", [8080, 8443], {8080: "http", 8443: "https"}),
        ("nginx", [80], {80: "http"}),
        ("nginx", [80, 443], {80: "http", 443: "https"}),
        ("ethos93/go-httpd", [8080, 8443], {8080: "http", 8443: "https"}),
        ("team/shop", [8080, 8443], {8080: "http", 8443: "https"}),
        ("redis", [6379, 8443], {6379: "tcp"}),
    ],
)
def test_https_is_spoken_where_it_is_said(
    image: str, declared: list[int], spoken: dict[int, str]
) -> None:
    found = does(image, ports=[{"containerPort": port} for port in declared])
    assert {each.port: each.serve for each in found.listeners} == spoken


@pytest.mark.parametrize(
    ("name", "serve"),
    [("https", "https"), ("web-https", "https"), ("https-alt", "https"), ("httpsomething", "http")],
)
def test_a_port_called_https_speaks_it(name: str, serve: str) -> None:
    found = does("team/shop", ports=[{"containerPort": 9000, "name": name}])
    assert [each.serve for each in found.listeners] == [serve]


# -- command, args, ports ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "more", "argv"),
    [
        ("busybox", {}, ("sh",)),
        ("alicek106/ubuntu:curl", {}, ("bash",)),
        ("alicek106/ubuntu:curl", {"args": ["curl", "10.1.0.40"]}, ("curl", "10.1.0.40")),
        ("curlimages/curl", {"args": ["-s", "web"]}, ("curl", "-s", "web")),
        ("curlimages/curl", {"command": ["sleep", "60"]}, ("sleep", "60")),
        (
            "radial/busyboxplus:curl",
            {"command": ["/bin/sh", "-c", "while true; do echo hi; sleep 10; done"]},
            ("/bin/sh", "-c", "while true; do echo hi; sleep 10; done"),
        ),
        ("nginx", {"command": ["sh", "-c"], "args": ["date"]}, ("sh", "-c", "date")),
        ("nginx", {"args": ["bash"]}, ("bash",)),
        ("any/thing", {"args": ["sleep", "1"]}, ("sleep", "1")),
    ],
)
def test_what_runs_as_a_process(image: str, more: dict[str, Any], argv: tuple[str, ...]) -> None:
    assert does(image, **more) == Behaviour("process", argv)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"args": ["netexec", "--http-port=80"]}, ("netexec", "--http-port=80")),
        ({"command": ["/agnhost", "netexec"]}, ("netexec",)),
        ({"command": ["/agnhost"], "args": ["porter"]}, ("porter",)),
        ({"args": ["--help"]}, ("--help",)),
        ({"args": ["sh"]}, ("sh",)),
    ],
)
def test_agnhost_is_a_program_of_its_pod(more: dict[str, Any], words: tuple[str, ...]) -> None:
    assert does(AGNHOST, **more) == Behaviour("process", ("/agnhost", *words), announces=True)
    assert catalogue().lookup(AGNHOST).brings == "agnhost"


def test_agnhost_runs_other_commands_as_they_are_and_pauses() -> None:
    assert does(AGNHOST, command=["sh", "-c"], args=["date"]).argv == ("sh", "-c", "date")
    for more in ({}, {"args": ["pause"]}, {"command": ["/agnhost", "pause"]}):
        assert does(AGNHOST, **more) == Behaviour("idle", says="Paused")


@pytest.mark.parametrize(
    ("image", "more", "expected"),
    [
        ("nginx", {}, [(80, "TCP")]),
        ("nginx:1.27-alpine", {"ports": [{"containerPort": 8080}]}, [(80, "TCP")]),
        ("nginx", {"command": ["/usr/sbin/nginx", "-g", "daemon off;"]}, [(80, "TCP")]),
        ("nginx", {"args": ["nginx", "-g", "daemon off;"]}, [(80, "TCP")]),
        ("redis:7", {"args": ["--port", "7000"]}, [(7000, "TCP")]),
        ("redis:7", {"command": ["redis-server"]}, [(6379, "TCP")]),
        ("postgres", {}, [(5432, "TCP")]),
        ("hashicorp/http-echo", {"args": ["-text=x", "-listen=:80"]}, [(80, "TCP")]),
        (HELLO, {"env": {"PORT": "9000"}}, [(9000, "TCP")]),
        (HELLO, {"env": {"PORT": "tcp://1.2.3.4"}}, [(8080, "TCP")]),
        ("praqma/network-multitool", {}, [(80, "TCP"), (443, "TCP")]),
    ],
)  # fmt: skip
def test_what_is_served_where(
    image: str, more: dict[str, Any], expected: list[tuple[int, str]]
) -> None:
    found = does(image, **more)
    assert (found.kind, ports(found)) == ("server", expected)


def test_what_only_waits_and_what_the_agent_starts() -> None:
    for found in (does("registry.k8s.io/pause:3.9"), does(AGNHOST)):
        assert found.kind == "idle"
    assert does("netlab/dnsmasq") == Behaviour("program", program="dnsmasq")


@pytest.mark.parametrize("more", [{}, {"command": ["/kube-webhook-certgen"]}])
def test_what_the_lab_does_itself(more: dict[str, Any]) -> None:
    image = "registry.k8s.io/ingress-nginx/kube-webhook-certgen:v1.6.9"
    found = does(image, args=["create", "--host=a"], **more)
    assert found == Behaviour("task", ("create", "--host=a"), task="certgen")


def test_args_of_an_unknown_image_are_its_own_unless_they_are_a_command_here() -> None:
    assert does("any/thing", installed=False, args=["serve", "--fast"]).kind == "server"
    assert does("any/thing", installed=True, args=["--fast"]).kind == "server"


def test_variables_are_put_into_command_and_args() -> None:
    env = {"WHO": "world", "N": "3"}
    words = ("$(WHO)$(N)", "$(NOBODY)", "$$(WHO)", "$WHO", "$(")
    assert expand(words, env) == ("world3", "$(NOBODY)", "$(WHO)", "$WHO", "$(")
    assert does("busybox", env=env, args=["echo", "$(WHO)"]).argv == ("echo", "world")


def test_flags_are_read_as_go_programs_read_them() -> None:
    words = ["--a=1", "-b", "2", "--tcp", "--udp", "rest", "--", "-c=x=y"]
    assert parse_flags(words) == {"a": "1", "b": "2", "tcp": "true", "udp": "rest", "c": "x=y"}


def test_a_server_beside_others_is_served_as_well() -> None:
    """A sidecar is among the init containers."""
    spec = {
        "initContainers": [{"name": "side", "image": "redis", "restartPolicy": "Always"}],
        "containers": [{"name": "web", "image": "nginx"}],
    }
    pod = {"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": spec}
    served = served_pod(pod, "/netns", ())
    assert served is not None
    assert [container.name for container in served.containers] == ["side", "web"]


def test_a_pod_of_processes_alone_is_not_served() -> None:
    containers = [{"name": "a", "image": "busybox"}]
    pod = {
        "metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"containers": containers},
    }
    assert served_pod(pod, "/netns", ()) is None
    containers.append({"name": "b", "image": "nginx"})
    served = served_pod(pod, "/netns", ())
    assert served is not None
    assert [container.name for container in served.containers] == ["b"]
    assert type(served).from_json(served.to_json()) == served


# -- what Kubernetes' own tests run --------------------------------------------------------------

E2E = "registry.k8s.io/e2e-test-images"

UPSTREAM = {
    f"{E2E}/agnhost:2.53": "idle",
    f"{E2E}/busybox:1.36.1-1": "process",
    f"{E2E}/echoserver:2.6": 8080,
    f"{E2E}/httpd:2.4.38-4": 80,
    f"{E2E}/httpd:2.4.39-4": 80,
    f"{E2E}/ipc-utils:1.3": "process",
    f"{E2E}/jessie-dnsutils:1.7": "process",
    f"{E2E}/kitten:1.7": 80,
    f"{E2E}/nautilus:1.7": 80,
    f"{E2E}/nginx:1.14-4": 80,
    f"{E2E}/nginx:1.15-4": 80,
    f"{E2E}/nonewprivs:1.3": "process",
    f"{E2E}/nonroot:1.4": "process",
    f"{E2E}/perl:5.26": "process",
    f"{E2E}/redis:5.0.5-3": 6379,
    f"{E2E}/regression-issue-74839:1.2": "process",
    f"{E2E}/resource-consumer:1.13": 8080,
    "registry.k8s.io/build-image/distroless-iptables:v0.7.6": "process",
    "registry.k8s.io/etcd:3.5.21-0": 2379,
    "registry.k8s.io/pause:3.10": "idle",
}
"""What each does when nothing else is said: kind, or the port that it answers on. From upstream's
test/utils/image/manifest.go; those of storage drivers, GPUs, Windows and the aggregator, which no
test of the network runs, answer on their containerPorts, as any other image does."""

NOWHERE = (
    "invalid.registry.k8s.io/invalid/alpine:3.1",
    "gcr.io/authenticated-image-pulling/alpine:3.7",
    "gcr.io/k8s-authenticated-test/agnhost:2.6",
    "gcr.io/google_samples/gb-redisslave:nonexistent",
    "webserver:404",
    "foo:non-existent",
)
"""What they ask for because it is not there, or not to be had."""


@pytest.mark.parametrize("image", UPSTREAM)
def test_images_of_upstreams_tests_have_a_stand_in(image: str) -> None:
    assert catalogue().lookup(image).match != ("*",)
    assert catalogue().lacking(image) is None
    found = does(image)
    shown = found.listeners[0].port if found.kind == "server" else found.kind
    assert shown == UPSTREAM[image]


@pytest.mark.parametrize("image", NOWHERE)
def test_images_that_upstreams_tests_look_for_in_vain_are_lacking(image: str) -> None:
    assert catalogue().lacking(image)


def test_the_update_demo_tells_its_picture() -> None:
    assert '"image":"nautilus.jpg"' in page(f"{E2E}/nautilus:1.7", "/data.json")[1]
    assert '"image":"kitten.jpg"' in page(f"{E2E}/kitten:1.7", "/data.json")[1]


# -- documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "path", "argv"),
    [
        ("nginx", "/usr/share/nginx/html", ("--root=/usr/share/nginx/html", "--bare", "80")),
        ("nginx", "/usr/share/nginx/html/", ("--root=/usr/share/nginx/html", "--bare", "80")),
        ("nginx", "/usr/share/nginx", ("--root=/usr/share/nginx/html", "--bare", "80")),
        ("nginx", "/usr/share/nginx/html/index.html", ("--root=/usr/share/nginx/html", "80")),
        (
            "httpd",
            "/usr/local/apache2/htdocs",
            ("--root=/usr/local/apache2/htdocs", "--bare", "--lists", "80"),
        ),
    ],
)
def test_a_server_with_files_of_its_own_is_a_process(
    image: str, path: str, argv: tuple[str, ...]
) -> None:
    mounts = [{"name": "v", "mountPath": path}]
    found = does(image, volumeMounts=mounts)
    assert (found.kind, found.argv[0], found.announces) == ("process", "/web-server", True)
    assert found.argv[2:] == argv
    assert brought({"name": "c", "image": image, "volumeMounts": mounts}) == "web-server"


@pytest.mark.parametrize("path", ["/usr/share/nginx/html2", "/data"])
def test_a_server_with_other_mounts_stays_built_in(path: str) -> None:
    mounts = [{"name": "v", "mountPath": path}]
    assert does("nginx", volumeMounts=mounts).kind == "server"


def becomes(image: str, **more: Any) -> Behaviour | None:
    return entered({"name": "c", "image": image, **more}, is_installed=lambda _: True)


def test_a_server_that_has_files_is_a_process_once_somebody_goes_in() -> None:
    found = becomes("nginx:1.27")
    assert found is not None
    root = "--root=/usr/share/nginx/html"
    assert found.argv == ("/web-server", "--site=nginx", root, "80")
    assert succeeding(found.argv) == ("/web-server", "--succeeds", "--site=nginx", root, "80")
    httpd = becomes("registry.k8s.io/e2e-test-images/httpd:2.4.38-4")
    assert httpd is not None
    assert "--lists" in httpd.argv
    tls = {"ports": [{"containerPort": 443}]}
    mounted = {"volumeMounts": [{"name": "v", "mountPath": "/usr/share/nginx/html"}]}
    for image, more in {"redis": {}, AGNHOST: {}, "alpine": {}, "nginx:1": tls}.items():
        assert becomes(image, **more) is None
    assert becomes("nginx", **mounted) is None, "it is one from the beginning"
    assert becomes("nginx", command=["sleep", "1"]) is None
    assert entered({"name": "c", "image": "nginx"}, is_installed=lambda _: False) is None


def test_the_pages_of_a_site_are_files_of_its_image() -> None:
    found = pages({"name": "c", "image": "nginx"})
    html = "/usr/share/nginx/html"
    assert found.keys() == {f"{html}/index.html", f"{html}/50x.html"}
    assert "Welcome to nginx!" in found[f"{html}/index.html"]
    assert list(pages({"name": "c", "image": "httpd"})) == ["/usr/local/apache2/htdocs/index.html"]
    assert list(pages({"name": "c", "image": "caddy"})) == ["/usr/share/caddy/index.html"]
    assert pages({"name": "c", "image": "alpine"}) == {}
