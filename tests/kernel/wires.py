"""A node between strangers, its own pods and another node's, with servers that tell who asked.

  outside (a stranger, 198.51.100.240; another, 192.0.2.66)
   | eth0 192.168.77.10        lo 127.0.0.1
  node                         cni0 10.244.0.1 -- pods 10.244.0.10, 10.244.0.11
   | eth1
far (pods of another node, 10.244.1.10, 10.244.1.11); by eth2: yonder, 10.244.1.20, a client
"""

import contextlib
import errno
import os
import socket
import threading
import time

from msgspec import Struct

from netlab.kernel import netns, sysctl
from netlab.kernel.run import run

NODE, STRANGER, OTHER = "192.168.77.10", "198.51.100.240", "192.0.2.66"
NEAR, FAR = ("10.244.0.10", "10.244.0.11"), ("10.244.1.10", "10.244.1.11")
YONDER = "10.244.1.20"
LOCAL = frozenset({NODE, "192.168.78.10", "192.168.79.10", "10.244.0.1"})
PORTS = (8080, 8081)

WHERE = {
    NODE: "node", "127.0.0.1": "node", STRANGER: "outside", OTHER: "outside",
    NEAR[0]: "near0", NEAR[1]: "near1", YONDER: "yonder",
}  # fmt: skip
"""Who may send packets, and the namespace that has the address."""

COMES_IN_BY = {"outside": "eth0", "yonder": "eth2", "near0": "cni0", "near1": "cni0"}

PATIENCE = 3.0
"""Seconds to wait for an answer that must come."""

SILENCE = 0.1
"""Seconds without an answer that prove there is none: on one machine they come in one."""

LINKS = """\
link set lo up
link add cni0 type bridge
addr add 10.244.0.1/24 dev cni0
link set cni0 up
link add eth0 type veth peer name eth0 netns {outside}
addr add 192.168.77.10/24 dev eth0
link set eth0 up
link add eth1 type veth peer name eth0 netns {far}
addr add 192.168.78.10/24 dev eth1
link set eth1 up
link add eth2 type veth peer name eth0 netns {yonder}
addr add 192.168.79.10/24 dev eth2
link set eth2 up
route add 10.244.1.0/24 via 192.168.78.20
route add 10.244.1.20/32 via 192.168.79.20
route add default via 192.168.77.1
"""
POD = """\
link add {name} type veth peer name eth0 netns {fd}
link set {name} master cni0 up
link set {name} type bridge_slave hairpin on
"""
ENDS = {
    "outside": ("192.168.77.1/24", "192.168.77.10", (STRANGER, OTHER)),
    "far": ("192.168.78.20/24", "192.168.78.10", FAR),
    "yonder": ("192.168.79.20/24", "192.168.79.10", (YONDER,)),
    "near0": (f"{NEAR[0]}/24", "10.244.0.1", ()),
    "near1": (f"{NEAR[1]}/24", "10.244.0.1", ()),
}
"""Each namespace's address on its link, its gateway, its other addresses."""


class Try(Struct, frozen=True):
    """A packet to send; `must_answer` when somebody is expected to."""

    source: str
    destination: str
    port: int
    protocol: str
    must_answer: bool = False


class Wires:
    """The namespaces joined, a server at every endpoint's address."""

    def __init__(self, directory):
        self.directory = directory
        self.fds = {name: netns.create(directory / name) for name in ("node", *ENDS)}
        self.servers = []
        self._links()
        for name, (address, _, others) in ENDS.items():
            for ip in (address.partition("/")[0], *others):
                if ip in NEAR + FAR:
                    self.servers += [Server(self.fds[name], ip, port) for port in PORTS]

    def _links(self):
        # `ip` takes a namespace by the path of its descriptor.
        paths = {name: f"/proc/{os.getpid()}/fd/{fd}" for name, fd in self.fds.items()}
        pods = "".join(POD.format(name=n, fd=paths[n]) for n in ("near0", "near1"))
        run(["ip", "-batch", "-"], input=LINKS.format(**paths) + pods, netns=self.fds["node"])
        for name, (address, gateway, others) in ENDS.items():
            lines = ["link set lo up", "link set eth0 up", f"addr add {address} dev eth0"]
            lines += [f"route add default via {gateway}"]
            lines += [f"addr add {other}/32 dev lo" for other in others]
            run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", netns=self.fds[name])
        settings = {
            "net.ipv4.ip_forward": "1",
            "net.ipv4.conf.all.route_localnet": "1",
            "net.ipv4.conf.all.rp_filter": "0",
            "net.bridge.bridge-nf-call-iptables": "1",
            "net.ipv4.icmp_ratelimit": "0",  # every refusal must be heard
        }
        sysctl.set(self.fds["node"], settings)

    def close(self):
        for server in self.servers:
            server.close()
        for name, fd in self.fds.items():
            os.close(fd)
            netns.remove(self.directory / name)

    def send(self, tries):
        """What becomes of each try, all at once: (word, endpoint, source seen)."""
        connections = [self._begun(one) for one in tries]
        began = time.monotonic()
        waiting = connections
        while waiting and time.monotonic() < began + PATIENCE:
            waiting = [connection for connection in waiting if not connection.ended()]
            due = any(connection.must_answer for connection in waiting)
            if not due and time.monotonic() > began + SILENCE:
                break
            time.sleep(0.002)
        for connection in connections:
            connection.socket.close()
        return [connection.result or ("timeout", None, None) for connection in connections]

    def _begun(self, one):
        with netns.entered(self.fds[WHERE[one.source]]):
            kind = socket.SOCK_STREAM if one.protocol == "tcp" else socket.SOCK_DGRAM
            return Connection(socket.socket(socket.AF_INET, kind), one)


class Connection:
    """One client, and what came of it."""

    def __init__(self, client, one):
        self.socket, self.must_answer = client, one.must_answer
        self.result, self.asked = None, False
        client.setblocking(False)
        client.bind((one.source, 0))
        self._note(client.connect_ex((one.destination, one.port)))

    def ended(self):
        # A refusal that comes while connect() runs is told by SO_ERROR alone.
        self._note(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        if self.result is None:
            try:
                if not self.asked:
                    self.socket.send(b"?")
                self.asked = True
                seen, ip, port = self.socket.recv(100).decode().split()
                self.result = ("ok", (ip, int(port)), seen)
            except OSError as error:
                self.asked = self.asked or error.errno == errno.EPERM
                self._note(error.errno)
        return self.result is not None

    def _note(self, code):
        # EPERM: dropped on the node that sends it; if rejected, SO_ERROR tells that too.
        if code not in (0, errno.EINPROGRESS, errno.EAGAIN, errno.EPERM):
            word = "refused" if code == errno.ECONNREFUSED else os.strerror(code)
            self.result = (word, None, None)


class Server:
    """TCP and UDP at one address, telling each client its address and which server this is."""

    def __init__(self, fd, ip, port):
        with netns.entered(fd):
            self.tcp = socket.create_server((ip, port), backlog=512)
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((ip, port))
        self.name = f"{ip} {port}"
        self.threads = [threading.Thread(target=run) for run in (self._tcp, self._udp)]
        for thread in self.threads:
            thread.start()

    def _tcp(self):
        with contextlib.suppress(OSError):
            while True:
                connection, peer = self.tcp.accept()
                answer = f"{peer[0]} {self.name}".encode()
                # One whose question is dropped keeps nobody else waiting.
                threading.Thread(
                    target=self._answer, args=(connection, answer), daemon=True
                ).start()

    @staticmethod
    def _answer(connection, answer):
        with connection, contextlib.suppress(OSError):
            connection.recv(10)
            connection.sendall(answer)

    def _udp(self):
        with contextlib.suppress(OSError):
            while True:
                asked, peer = self.udp.recvfrom(10)
                if asked == b"end":
                    return
                self.udp.sendto(f"{peer[0]} {self.name}".encode(), peer)

    def close(self):
        self.tcp.shutdown(socket.SHUT_RDWR)
        self.udp.sendto(b"end", self.udp.getsockname())
        for thread in self.threads:
            thread.join(2)
        self.tcp.close()
        self.udp.close()
