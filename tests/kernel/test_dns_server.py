"""The cluster's DNS with a real dnsmasq, asked from inside its namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from netlab.dns import configmaps, upstream
from netlab.dns import server as server_module
from netlab.dns.server import DnsServer
from netlab.dns.upstream import InternetDns
from netlab.kernel import netns, process, userns

pytestmark = pytest.mark.root

DOMAIN = "cluster.local"


@dataclass
class Pod:
    """A namespace with its loopback up, the descriptor of it and a place for files."""

    netns: Path
    directory: Path
    owner: str

    def server(self, *upstreams: str) -> DnsServer:
        return DnsServer(
            self.directory / "dns",
            self.owner,
            server_module.names_keeper(
                self.directory / "c.sock", self.owner, self.directory / "log"
            ),
            DOMAIN,
            upstreams,
            ("10.96.0.0/12", "10.244.0.0/16"),
        )

    def internet(
        self, address: str, names: Mapping[str, Sequence[str]], *asked: tuple[str, int]
    ) -> InternetDns:
        keeper = upstream.names_keeper(
            self.directory / "i.sock", self.owner, self.directory / "log"
        )
        return InternetDns(keeper, [address], names, asked, DOMAIN)

    def socket(self, address: str = "") -> socket.socket:
        with netns.entered(self.netns):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.bind((address, 0))
        sock.connect(("127.0.0.1", 53))
        return sock

    async def ask(self, name: str, qtype: str = "A", seconds: float = 1.0) -> DNSRecord:
        query = DNSRecord.question(name, qtype)
        loop = asyncio.get_running_loop()
        with self.socket() as sock:
            sock.send(query.pack())
            return DNSRecord.parse(await asyncio.wait_for(loop.sock_recv(sock, 4096), seconds))

    async def addresses(self, name: str, qtype: str = "A") -> list[str]:
        return [str(record.rdata) for record in (await self.ask(name, qtype)).rr]


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    owner = str(uuid.uuid4())
    with other_namespace(tmp_path / "netns") as path:
        yield Pod(path, tmp_path, owner)
        process.end(process.owned(owner))


def service(name: str, ip: str, **spec: object) -> dict[str, object]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": ports, **spec},
    }


def slice_(service_name: str, *addresses: str) -> dict[str, object]:
    labels = {"kubernetes.io/service-name": service_name}
    return {
        "metadata": {"namespace": "default", "name": f"{service_name}-x", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
    }


@contextlib.contextmanager
def other_namespace(path: Path) -> Iterator[Path]:
    """A namespace with its loopback up."""
    os.close(netns.create(path))
    try:
        with netns.entered(path):
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield path
    finally:
        netns.remove(path)


@contextlib.asynccontextmanager
async def serving(pod: Pod) -> AsyncIterator[DnsServer]:
    server = pod.server()
    await server.start(pod.netns)
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def server(pod: Pod) -> AsyncIterator[DnsServer]:
    async with serving(pod) as server:
        yield server


async def eventually(
    pod: Pod, name: str, wanted: list[str], seconds: float, qtype: str = "A"
) -> None:
    """Ask until the answer is the wanted one."""
    start = time.monotonic()
    while True:
        got = await pod.addresses(name, qtype)
        if got == wanted:
            return
        assert time.monotonic() - start < seconds, f"{name}: {got} is not {wanted}"
        await asyncio.sleep(0.001)


async def test_every_kind_of_record(server: DnsServer, pod: Pod) -> None:
    server.set_service("default/web", service("web", "10.96.0.7"))
    server.set_service("default/db", service("db", "None"))
    server.set_slice("default/db-x", slice_("db", "10.244.1.5", "10.244.2.6"))
    alias = service("alias", "", type="ExternalName", externalName="web.default.svc." + DOMAIN)
    server.set_service("default/alias", alias)
    server.apply()
    web = f"web.default.svc.{DOMAIN}"
    await eventually(pod, web, ["10.96.0.7"], 2)
    assert await pod.addresses("7.0.96.10.in-addr.arpa", "PTR") == [f"{web}."]
    assert sorted(await pod.addresses(f"db.default.svc.{DOMAIN}")) == [
        "10.244.1.5",
        "10.244.2.6",
    ]
    dashed = f"10-244-1-5.db.default.svc.{DOMAIN}"
    assert await pod.addresses(dashed) == ["10.244.1.5"]
    assert await pod.addresses("5.1.244.10.in-addr.arpa", "PTR") == [f"{dashed}."]
    srv = [f"0 100 80 {web}."]
    await eventually(pod, f"_http._tcp.{web}", srv, 2, "SRV")
    headless = await pod.addresses(f"_http._tcp.db.default.svc.{DOMAIN}", "SRV")
    assert headless == [
        f"0 50 8080 10-244-1-5.db.default.svc.{DOMAIN}.",
        f"0 50 8080 10-244-2-6.db.default.svc.{DOMAIN}.",
    ]
    assert await pod.addresses(f"10-244-9-9.default.pod.{DOMAIN}") == ["10.244.9.9"]
    assert await pod.addresses(f"alias.default.svc.{DOMAIN}") == [f"{web}.", "10.96.0.7"]


async def test_what_does_not_exist_is_said_at_once(server: DnsServer, pod: Pod) -> None:
    server.set_service("default/web", service("web", "10.96.0.7"))
    server.apply()
    await eventually(pod, f"web.default.svc.{DOMAIN}", ["10.96.0.7"], 2)
    nodata = await pod.ask(f"web.default.svc.{DOMAIN}", "AAAA")
    assert (nodata.header.rcode, nodata.rr) == (RCODE.NOERROR, [])
    for name in (f"example.com.default.svc.{DOMAIN}", f"nope.{DOMAIN}"):
        assert (await pod.ask(name)).header.rcode == RCODE.NXDOMAIN
    unknown = await pod.ask("1.2.96.10.in-addr.arpa", "PTR")
    assert unknown.header.rcode == RCODE.NXDOMAIN
    soa = await pod.ask(f"x.y.z.pod.{DOMAIN}")
    assert soa.header.rcode == RCODE.NXDOMAIN
    assert [record.rtype for record in soa.auth] == [QTYPE.SOA]


async def test_a_removed_service_is_gone_and_a_changed_one_has_only_its_new_address(
    server: DnsServer, pod: Pod
) -> None:
    name = f"web.default.svc.{DOMAIN}"
    server.set_service("default/web", service("web", "10.96.0.7"))
    server.apply()
    await eventually(pod, name, ["10.96.0.7"], 2)
    server.set_service("default/web", service("web", "10.96.0.8"))
    server.apply()
    await eventually(pod, name, ["10.96.0.8"], 2)
    server.set_service("default/web", None)
    server.apply()
    await eventually(pod, name, [], 2)
    assert (await pod.ask(name)).header.rcode == RCODE.NXDOMAIN


async def test_an_address_held_twice_keeps_a_ptr_when_one_holder_goes(
    server: DnsServer, pod: Pod
) -> None:
    text = f". {{\n kubernetes {DOMAIN} in-addr.arpa\n}}"  # which keeps no answer
    server.set_forwarding(configmaps.asked("coredns", {"Corefile": text}, DOMAIN, ()))
    for name in ("one", "two"):
        server.set_service(f"default/{name}", service(name, "None"))
        server.set_slice(f"default/{name}-x", slice_(name, "10.244.1.5"))
    server.apply()
    await eventually(pod, f"two.default.svc.{DOMAIN}", ["10.244.1.5"], 2)
    held = await pod.addresses("5.1.244.10.in-addr.arpa", "PTR")
    first = "one" if ".one." in held[0] else "two"
    other = "two" if first == "one" else "one"
    server.set_service(f"default/{first}", None)
    server.apply()
    left = [f"10-244-1-5.{other}.default.svc.{DOMAIN}."]
    await eventually(pod, "5.1.244.10.in-addr.arpa", left, 2, "PTR")


async def test_no_query_is_lost_while_services_come_and_go(server: DnsServer, pod: Pod) -> None:
    """1,000 queries a second for a Service that stays, and one that upstream answers."""
    server.set_service("default/stays", service("stays", "10.96.0.2"))
    server.apply()
    await eventually(pod, f"stays.default.svc.{DOMAIN}", ["10.96.0.2"], 2)
    asking = asyncio.create_task(ask_constantly(pod, 1.2))
    for index in range(200):
        key, ip = f"default/s{index}", f"10.96.1.{index}"
        server.set_service(key, service(f"s{index}", ip))
        if index >= 5:
            server.set_service(f"default/s{index - 5}", None)
        server.apply()
        await eventually(pod, f"s{index}.default.svc.{DOMAIN}", [ip], 5)
        await asyncio.sleep(0.003)
    sent, answered = await asking
    assert sent > 120, "it asked all the time"
    assert answered == sent


async def ask_constantly(pod: Pod, seconds: float) -> tuple[int, int]:
    """Query once a millisecond; how many queries were sent, and how many answered rightly."""
    loop = asyncio.get_running_loop()
    query = DNSRecord.question(f"stays.default.svc.{DOMAIN}").pack()[2:]
    right: set[int] = set()
    with pod.socket() as sock:
        # Answers to what waited come all at once, to a client that is busy asking.
        sock.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)

        def receive() -> None:
            reply = DNSRecord.parse(sock.recv(4096))
            if [str(record.rdata) for record in reply.rr] == ["10.96.0.2"]:
                right.add(reply.header.id)

        loop.add_reader(sock, receive)
        start, sent = loop.time(), 0
        while loop.time() - start < seconds:
            sock.send(sent.to_bytes(2, "big") + query)
            sent += 1
            await asyncio.sleep(max(0.0, start + sent / 1000 - loop.time()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):  # as long as resolvers have patience
                while len(right) < sent:
                    await asyncio.sleep(0.01)
        loop.remove_reader(sock)
    return sent, len(right)


def test_names_resolve_on_when_the_controller_is_dead_and_the_next_one_adopts(pod: Pod) -> None:
    async def first() -> list[int | None]:
        server = pod.server()
        server.set_service("default/web", service("web", "10.96.0.7"))
        server.set_service("default/old", service("old", "10.96.0.9"))
        server.apply()
        await server.start(pod.netns)
        await server.detach()
        return server.pids

    async def second(pids: list[int | None]) -> None:
        assert await pod.addresses(f"web.default.svc.{DOMAIN}") == ["10.96.0.7"]
        assert (await pod.ask(f"web.default.svc.{DOMAIN}", "AAAA")).header.rcode == RCODE.NOERROR
        assert (await pod.ask(f"web.other.svc.{DOMAIN}")).header.rcode == RCODE.NXDOMAIN
        server = pod.server()
        await server.start(pod.netns)
        assert server.pids == pids
        assert await pod.addresses(f"old.default.svc.{DOMAIN}") == ["10.96.0.9"]
        server.set_service("default/web", service("web", "10.96.0.7"))
        server.apply()
        await eventually(pod, f"old.default.svc.{DOMAIN}", [], 2)
        assert await pod.addresses(f"web.default.svc.{DOMAIN}") == ["10.96.0.7"]
        srv = f"_http._tcp.web.default.svc.{DOMAIN}"
        await eventually(pod, srv, [f"0 100 80 web.default.svc.{DOMAIN}."], 2, "SRV")
        await server.stop()
        assert process.owned(pod.owner) == []

    asyncio.run(second(asyncio.run(first())))


@pytest.mark.parametrize("which", range(3))
async def test_none_of_them_is_missed_and_each_is_started_again(
    server: DnsServer, pod: Pod, which: int
) -> None:
    """The one that clients talk to, and both dnsmasqs."""
    server.set_service("default/stays", service("stays", "10.96.0.2"))
    server.apply()
    asking = asyncio.create_task(ask_constantly(pod, 2.0))
    for _ in range(3):
        await asyncio.sleep(0.3)
        pid = server.pids[which]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            while server.pids[which] == pid:
                await asyncio.sleep(0.01)
    sent, answered = await asking
    assert sent > 200, "it asked all the time"
    assert answered == sent


async def test_other_names_come_from_upstream_and_so_does_an_aliases_address(
    pod: Pod, tmp_path: Path
) -> None:
    with other_namespace(tmp_path / "internet") as internet:
        wire(pod.netns, internet)
        await with_upstream(pod, internet)
        process.end(process.owned(pod.owner))


async def with_upstream(pod: Pod, internet: Path) -> None:
    names = {"db.example.com": ("203.0.113.5",), "anything.example": ()}
    outside = pod.internet("172.16.110.1", names)
    await outside.start(internet)
    cluster = pod.server("172.16.110.1")
    external = service("ext", "", type="ExternalName", externalName="db.example.com")
    cluster.set_service("default/ext", external)
    cluster.apply()
    await cluster.start(pod.netns)
    assert await pod.addresses("anything.example") == ["172.16.110.1"]
    assert await pod.addresses("db.example.com") == ["203.0.113.5"]
    assert (await pod.ask("anything.example", "AAAA")).header.rcode == RCODE.NOERROR
    for nobodys in ("no.invalid", "mistyped", "mistyped.default.svc", "7.0.0.127.in-addr.arpa"):
        assert (await pod.ask(nobodys)).header.rcode == RCODE.NXDOMAIN, nobodys
    name = f"ext.default.svc.{DOMAIN}"
    assert await pod.addresses(name) == ["db.example.com.", "203.0.113.5"]
    await cluster.stop()
    await outside.stop()


def wire(pod: Path, internet: Path) -> None:
    """A veth between the two, 172.16.110.2 and .1, and loopback up on both sides."""
    commands = [
        (pod, "ip link add eth0 type veth peer name eth1"),
        (pod, f"ip link set eth1 netns {internet}"),
        (pod, "ip addr add 172.16.110.2/24 dev eth0"),
        (pod, "ip link set eth0 up"),
        (internet, "ip link set lo up"),
        (internet, "ip addr add 172.16.110.1/24 dev eth1"),
        (internet, "ip link set eth1 up"),
    ]
    for descriptor, command in commands:
        with netns.entered(descriptor):
            subprocess.run(command.split(), check=True)


async def test_who_asks_more_than_can_be_answered_waits_by_himself(
    pod: Pod, tmp_path: Path
) -> None:
    """Thousands of names of the internet, which says nothing."""
    with other_namespace(tmp_path / "internet") as internet:
        wire(pod.netns, internet)
        with netns.entered(internet):
            silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with silent:
            silent.bind(("172.16.110.1", 53))
            await with_many_questions(pod)
        process.end(process.owned(pod.owner))


async def with_many_questions(pod: Pod) -> None:
    loop = asyncio.get_running_loop()
    server = pod.server("172.16.110.1")
    server.set_service("default/web", service("web", "10.96.0.7"))
    server.apply()
    await server.start(pod.netns)
    name = f"web.default.svc.{DOMAIN}"
    await eventually(pod, name, ["10.96.0.7"], 5)
    with pod.socket("127.0.0.2") as busy:
        for number in range(4000):
            busy.send(DNSRecord.question(f"n{number}.example.org").pack())
        for _ in range(5):  # 4,000 that get no answer take longer than a busy machine does
            other = await pod.ask(name, seconds=5)
            assert [str(record.rdata) for record in other.rr] == ["10.96.0.7"], "for another"
        said = b""
        async with asyncio.timeout(15):
            while not said:  # as a resolver asks again
                busy.send(DNSRecord.question(name).pack())
                with contextlib.suppress(TimeoutError):
                    said = await asyncio.wait_for(loop.sock_recv(busy, 4096), 1)
        assert [str(record.rdata) for record in DNSRecord.parse(said).rr] == ["10.96.0.7"]
    await server.stop()


async def test_who_floods_the_internets_names_does_not_keep_others_from_them(pod: Pod) -> None:
    """One asks three times as much as is answered in that time; another asks now and then."""
    outside = pod.internet("127.0.0.1", {"db.example.com": ("203.0.113.5",)})
    await outside.start(pod.netns)
    await eventually(pod, "db.example.com", ["203.0.113.5"], 5)
    ended = threading.Event()
    asked = DNSRecord.question("n.example.org").pack()

    def flood() -> None:
        with pod.socket("127.0.0.2") as busy:
            while not ended.is_set():
                for _ in range(20):
                    with contextlib.suppress(BlockingIOError):
                        busy.send(asked)
                time.sleep(0.001)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        got = 0
        for _ in range(30):
            with contextlib.suppress(TimeoutError):
                got += await pod.addresses("db.example.com") == ["203.0.113.5"]
        assert got >= 20, "of 30; without turns 3 to 8"
        reply = await asyncio.to_thread(asked_over_tcp, pod, "db.example.com")
        assert [str(record.rdata) for record in reply.rr] == ["203.0.113.5"]
    finally:
        ended.set()
        flooding.join()
    await outside.stop()


def asked_over_tcp(pod: Pod, name: str) -> DNSRecord:
    query = DNSRecord.question(name).pack()
    with netns.entered(pod.netns):
        sock = socket.create_connection(("127.0.0.1", 53), timeout=10)
    with sock, sock.makefile("rb") as stream:
        sock.sendall(len(query).to_bytes(2, "big") + query)
        return DNSRecord.parse(stream.read(int.from_bytes(stream.read(2), "big")))


REWRITTEN = """
. {
    rewrite name suffix .test. .default.svc.cluster.local. answer auto
    template IN A here {
        answer "{{ .Name }} 60 IN A 192.0.2.7"
    }
    kubernetes cluster.local
    forward . /etc/resolv.conf
}
"""


async def test_a_corefile_s_rules_stand_before_and_no_query_is_lost_for_them(
    server: DnsServer, pod: Pod
) -> None:
    server.set_service("default/web", service("web", "10.96.0.7"))
    server.set_service("default/stays", service("stays", "10.96.0.2"))
    server.apply()
    name = f"web.default.svc.{DOMAIN}"
    await eventually(pod, name, ["10.96.0.7"], 5)
    assert await pod.addresses("web.test") == []
    first = server.pids[0]
    asking = asyncio.create_task(ask_constantly(pod, 3))

    async def go_by(text: str) -> None:
        server.set_forwarding(configmaps.asked("coredns", {"Corefile": text}, DOMAIN, ()))
        server.apply()
        await server.refit()
        while not server.idle:
            await asyncio.sleep(0.01)

    await go_by(REWRITTEN)
    assert await pod.addresses("web.test") == ["10.96.0.7"], "at once"
    assert (await pod.ask("web.test")).rr[0].rname == "web.test."
    assert await pod.addresses("a.here") == ["192.0.2.7"]
    assert await pod.addresses(name) == ["10.96.0.7"]
    packet = DNSRecord.question("web.test").pack()
    reply = await asyncio.to_thread(ask_over_tcp, pod, packet)
    assert [str(each.rdata) for each in DNSRecord.parse(reply).rr] == ["10.96.0.7"]
    second = server.pids[0]
    assert second not in (None, first)
    await go_by(REWRITTEN.replace(".test.", ".other."))
    assert await pod.addresses("web.other") == ["10.96.0.7"]
    assert await pod.addresses("web.test") == []
    await go_by(". {\n forward . /etc/resolv.conf\n}")
    assert await pod.addresses("web.other") == []
    assert server.pids[0] == second, "another file needs no other process"
    sent, right = await asking
    assert sent == right


async def test_tcp_and_truncation_for_many_endpoints(server: DnsServer, pod: Pod) -> None:
    """A headless SRV answer that UDP cannot carry is truncated, and whole over TCP."""
    server.set_service("default/big", service("big", "None"))
    addresses = [f"10.244.3.{i}" for i in range(1, 61)]
    server.set_slice("default/big-x", slice_("big", *addresses))
    server.apply()
    name = f"_http._tcp.big.default.svc.{DOMAIN}"
    async with asyncio.timeout(5):
        while not (await pod.ask(name, "SRV")).header.tc:
            await asyncio.sleep(0.01)
    query = DNSRecord.question(name, "SRV")
    reply = await asyncio.to_thread(ask_over_tcp, pod, query.pack())
    assert len(DNSRecord.parse(reply).rr) == 60


def ask_over_tcp(pod: Pod, packet: bytes) -> bytes:
    with netns.entered(pod.netns):
        sock = socket.create_connection(("127.0.0.1", 53), 2)
    with sock, sock.makefile("rb") as stream:
        sock.sendall(len(packet).to_bytes(2, "big") + packet)
        return stream.read(int.from_bytes(stream.read(2), "big"))


async def test_dnsmasq_has_no_rights_and_sees_its_names_alone(server: DnsServer, pod: Pod) -> None:
    server.set_service("default/web", service("web", "10.96.0.7"))
    server.apply()
    outside = pod.internet("172.16.110.1", {})
    found = set()
    with other_namespace(pod.directory / "elsewhere") as elsewhere:
        await outside.start(elsewhere)
        for pid in (*server.pids, outside.pid):
            assert pid is not None
            assert process.mark_of(pid) == pod.owner
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            status = {key: value.split() for key, _, value in (x.partition(":") for x in lines)}
            assert len({*status["Uid"], *status["Gid"]}) == 1
            found |= {*status["Uid"]}
            assert status["Groups"] == []
            sets = [status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")]
            assert {int(text, 16) for (text,) in sets} == {0}
            assert status["NoNewPrivs"] == ["1"]
            root = Path(f"/proc/{pid}/root")
            for hidden in ("etc/shadow", "run", "home", "proc/self/status", "usr/bin"):
                assert not (root / hidden).exists()
            mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
            assert all("ro" in line.split(" ")[5].split(",") for line in mounts)
        await outside.stop()
    ids = userns.id_range(pod.owner)
    assert ids is not None
    assert found == {str(ids.daemon(number)) for number in (1, 2, 3)}
    front, *dnsmasqs = (Path(f"/proc/{pid}/root") for pid in server.pids)
    assert list(front.iterdir()) == []
    for root in dnsmasqs:
        seen = root / (pod.directory / "dns").relative_to("/")
        assert [path.name for path in seen.iterdir()] == ["published"]
    assert await pod.addresses(f"web.default.svc.{DOMAIN}") == ["10.96.0.7"]


async def test_names_are_found_whatever_the_umask(pod: Pod) -> None:
    former = os.umask(0o077)
    try:
        async with serving(pod) as server:
            server.set_service("default/web", service("web", "10.96.0.7"))
            server.apply()
            await eventually(pod, f"web.default.svc.{DOMAIN}", ["10.96.0.7"], 5)
    finally:
        os.umask(former)
