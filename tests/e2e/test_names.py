"""Which names resolve in a lab, and which do not: its own, the internet's, a real server's."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dnslib import QTYPE, RCODE, RR, TXT, A, DNSRecord
from e2e.labs import Machine, eventually, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: named}
spec:
  nodes: 1
  external:
    names: {api.example.org: [203.0.113.5], shop.example: []}
    upstream: UPSTREAM
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: busybox, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: db.partner.io}
"""
UNREADY = """
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: peers}}
---
apiVersion: v1
kind: Pod
metadata: {name: db-1, labels: {app: peers}}
spec:
  hostname: db-1
  subdomain: peers
  containers:
  - {name: c, image: nginx, readinessProbe: {httpGet: {path: /none, port: 80}}}
"""
POD = "named.default.client"
INTERNET = "198.51.100.1"
WAITING = """
apiVersion: v1
kind: Pod
metadata: {name: waits}
spec:
  initContainers:
  - {name: i, image: busybox, command: [sh, -c, "until nslookup web.prod; do sleep 0.1; done"]}
  containers: [{name: c, image: nginx}]
"""
PROD = """
apiVersion: v1
kind: Namespace
metadata: {name: prod}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.99, ports: [{port: 80}]}
"""


class RealServer:
    """A name server on the machine's loopback that knows one name, and is silent about another."""

    def __init__(self) -> None:
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self.port = self._udp.getsockname()[1]
        self._tcp = socket.create_server(("127.0.0.1", self.port))
        for serve in (self._datagrams, self._connections):
            threading.Thread(target=serve, daemon=True).start()

    def _datagrams(self) -> None:
        while True:
            packet, address = self._udp.recvfrom(4096)
            reply = self._reply(packet)
            if reply is not None and len(reply.pack()) > 512:
                reply.rr, reply.header.tc = [], 1
            if reply is not None:
                self._udp.sendto(reply.pack(), address)

    def _connections(self) -> None:
        while True:
            connection, _ = self._tcp.accept()
            with connection, connection.makefile("rb") as stream:
                packet = stream.read(int.from_bytes(stream.read(2), "big"))
                reply = self._reply(packet)
                assert reply is not None
                connection.sendall(len(reply.pack()).to_bytes(2, "big") + reply.pack())

    def _reply(self, packet: bytes) -> DNSRecord | None:
        query = DNSRecord.parse(packet)
        reply = query.reply()
        match str(query.q.qname), query.q.qtype:
            case "real.test.", QTYPE.A:
                reply.add_answer(RR("real.test", QTYPE.A, ttl=5, rdata=A("192.0.2.9")))
            case "real.test.", QTYPE.TXT:
                texts = TXT([bytes([65 + n]) * 200 for n in range(4)])
                reply.add_answer(RR("real.test", QTYPE.TXT, ttl=5, rdata=texts))
            case "silent.test.", _:
                return None
            case _:
                reply.header.rcode = RCODE.NXDOMAIN
        return reply


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A lab whose internet asks nobody."""
    with machine(tmp_path_factory.mktemp("named")) as here:
        here.netlab("up", here.lab_file(LAB.replace("    upstream: UPSTREAM\n", "")), timeout=120)
        here.netlab("apply", "-f", here.lab_file(UNREADY, "unready.yaml"))
        yield here


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A lab whose internet asks a real server."""
    server = RealServer()
    with machine(tmp_path_factory.mktemp("asking")) as here:
        text = LAB.partition("---")[0].replace("UPSTREAM", f"127.0.0.1:{server.port}")
        here.netlab("up", here.lab_file(text.replace("named", "asking")), timeout=120)
        yield here


@pytest.mark.parametrize(
    "name",
    [
        "web.prod",
        "kubernetes.defualt",
        "db-1.peers",
        "db-1.peers.default.svc.cluster.local",
        "foo.bar.baz",
        "nope",
    ],
)
def test_what_nobody_has_does_not_exist(lab: Machine, name: str) -> None:
    for kind in ("A", "AAAA"):
        reply = lab.ask(POD, name, kind)
        assert (reply.header.rcode, reply.rr) == (RCODE.NXDOMAIN, [])
    done = lab.netlab("exec", "client", "--", "getent", "hosts", name, code=2)
    assert done.stdout == ""


def test_names_of_the_internet(lab: Machine) -> None:
    for name in ("example.com", "www.google.com", "db.partner.io", "shop.example"):
        assert lab.resolve(POD, name) == {INTERNET}
        assert lab.resolve("named.client", name, server="172.16.110.1") == {INTERNET}
    assert lab.resolve(POD, "api.example.org") == {"203.0.113.5"}
    reply = lab.ask(POD, "example.com", "AAAA")
    assert (reply.header.rcode, reply.rr) == (RCODE.NOERROR, [])


def test_each_name_of_the_internet_has_a_page(lab: Machine) -> None:
    for name in ("example.com", "db.partner.io", "shop.example", "api.example.org"):
        page = lab.netlab("exec", "client", "--", "curl", "-sS", "--max-time", "5", name)
        assert page.stdout.startswith(f"you reached {name} on the lab's internet\n")


def test_they_are_found_through_the_search_domains(lab: Machine) -> None:
    for name in ("example.com", "kubernetes.default", "outside"):
        lab.netlab("exec", "client", "--", "getent", "hosts", name)


def test_the_internet_knows_what_services_point_to_for_as_long_as_they_do(lab: Machine) -> None:
    name = "moving.default.svc.cluster.local"
    make = ("create", "service", "externalname", "moving", "--external-name", "one.partner.io")
    lab.netlab(*make)
    eventually(lambda: lab.resolve(POD, name) == {"one.partner.io.", INTERNET}, 2)
    patch = json.dumps({"spec": {"externalName": "two.partner.io"}})
    lab.netlab("patch", "service", "moving", "-p", patch)
    eventually(lambda: lab.resolve(POD, name) == {"two.partner.io.", INTERNET}, 2)
    assert lab.ask("named.client", "one.partner.io", server="172.16.110.1").rr == []
    lab.netlab("delete", "service", "moving")
    eventually(lambda: lab.ask(POD, name).header.rcode == RCODE.NXDOMAIN, 2)


def test_who_waits_for_a_name_waits_until_it_is_there(lab: Machine) -> None:
    def phase() -> str:
        shown = lab.netlab("get", "pod", "waits", "-o", "jsonpath={.status.phase}")
        return shown.stdout

    lab.netlab("apply", "-f", lab.lab_file(WAITING, "waiting.yaml"))
    eventually(lambda: "NXDOMAIN" in lab.netlab("logs", "waits", "-c", "i").stdout, 10)
    assert phase() == "Pending"
    assert "Init:0/1" in lab.netlab("get", "pod", "waits").stdout
    status = " ".join(lab.netlab("status", code=1).stdout.split())
    assert "pod default/waits: init container i has not ended yet" in status
    lab.netlab("apply", "-f", lab.lab_file(PROD, "prod.yaml"))
    eventually(lambda: phase() == "Running", 10)
    assert "10.96.0.99" in lab.netlab("logs", "waits", "-c", "i").stdout


def test_a_service_is_found_at_once_after_it_was_not(lab: Machine) -> None:
    name = "fresh.default.svc.cluster.local"
    assert lab.ask(POD, name).header.rcode == RCODE.NXDOMAIN
    lab.netlab("create", "service", "clusterip", "fresh", "--tcp=80")
    eventually(lambda: lab.resolve(POD, name), 1)


def test_other_names_are_a_real_servers_to_know(asking: Machine) -> None:
    client, server = "asking.client", "172.16.110.1"
    assert asking.resolve(client, "real.test", server=server) == {"192.0.2.9"}
    assert asking.resolve(client, "api.example.org", server=server) == {"203.0.113.5"}
    unknown = asking.ask(client, "foo.bar.baz", server=server)
    assert unknown.header.rcode == RCODE.NXDOMAIN
    assert asking.resolve("asking.master001", "real.test") == {"192.0.2.9"}


def test_what_is_too_long_for_udp_comes_over_tcp(asking: Machine) -> None:
    node = "asking.master001"
    assert asking.ask(node, "real.test", "TXT").header.tc == 1
    dig = asking.run_in(node, "dig", "+short", "@10.96.0.10", "real.test", "TXT").stdout
    assert "A" * 200 in dig
    assert "D" * 200 in dig


def test_a_silent_server_is_a_failure(asking: Machine) -> None:
    with_patience = ("dig", "+time=8", "+tries=1", "@172.16.110.1", "silent.test")
    done = asking.run_in("asking.client", *with_patience, timeout=20)
    assert "status: SERVFAIL" in done.stdout


def test_a_server_that_is_none_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    with machine(tmp_path) as here:
        file = here.lab_file(LAB.replace("UPSTREAM", "dns.example.com"))
        done = here.netlab("up", file, code=2)
    line = (
        LAB.replace("UPSTREAM", "dns.example.com")
        .split("\n")
        .index("    upstream: dns.example.com")
    )
    assert f"lab.yaml:{line + 1}: spec.external.upstream: Invalid value" in done.stderr
    assert "hint: write 192.0.2.53" in done.stderr
