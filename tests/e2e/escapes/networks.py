"""Attempts by the network and by what processes share without files."""

from __future__ import annotations

from e2e.escapes.attempt import Attempt, adding

_CONNECT = """
client = socket.socket({family})
client.settimeout(2)
client.connect({address})
print(client.recv(100).decode())
"""


def _seen_outside(command: str) -> str:
    """Exits with 0 if a command does in the machine's network or in a node's, not only in pods'."""
    spaces = "$(ls -d /run/labs/run/*/netns/* 2>/dev/null | grep -v '[.]default[.]')"
    nodes = f"for each in {spaces}; do nsenter --net=$each {command} && exit 0; done"
    return f"exec 2>/dev/null; {command} && exit 0; {nodes}; exit 1"


ATTEMPTS = [
    Attempt("abstract-socket", _CONNECT.format(
        family="socket.AF_UNIX", address=r"'\0netlab-machine'")),
    Attempt("loopback", _CONNECT.format(family="socket.AF_INET", address="('127.0.0.1', 4242)")),
    Attempt("loopback-by-gateway", """
for line in open("/proc/net/route").read().splitlines()[1:]:
    gateway = socket.inet_ntoa(struct.pack("<I", int(line.split()[2], 16)))
    for address in (gateway, "127.0.0.1", "10.10.11.10", "10.10.11.11", "172.16.110.10"):
        try:
            with socket.create_connection((address, 4242), 0.5) as client:
                print(client.recv(100).decode())
        except OSError as error:
            print(address, error)
if len(open("/proc/net/route").readlines()) < 2:  # a sandbox without a network of its own
    print(socket.create_connection(("127.0.0.1", 4242)).recv(100).decode())
"""),
    Attempt("sockets-of-others", """
for line in open("/proc/net/unix").read().splitlines():
    if line.endswith(".sock"):
        got_out()
"""),
    Attempt("rules-of-the-machine", """
import subprocess
out = subprocess.run(["iptables", "-N", "MADE-BY-A-POD"], capture_output=True, text=True)
print(out.stderr)
""", adding("NET_ADMIN"), look=_seen_outside("iptables -S MADE-BY-A-POD")),
    Attempt("links-of-the-machine", """
import subprocess
argv = ["ip", "link", "add", "bypod", "type", "bridge"]
print(subprocess.run(argv, capture_output=True, text=True).stderr)
""", adding("NET_ADMIN"), look=_seen_outside("ip link show bypod")),
    Attempt("settings-of-the-network", """
open("/proc/sys/net/ipv4/ip_forward", "w").write("1")
""", adding("NET_ADMIN"), look="test $(cat /proc/sys/net/ipv4/ip_forward) = 1"),
    Attempt("leave-the-network", """
own = os.stat("/proc/self/ns/net").st_ino
import glob
for path in glob.glob("/proc/*/ns/net") + glob.glob("/run/**/netns/*", recursive=True):
    try:
        if os.stat(path).st_ino != own:
            checked(libc.setns(os.open(path, os.O_RDONLY), 0x40000000))
            got_out()
    except OSError as error:
        print(path, error)
""", adding("NET_ADMIN"), unguarded=("net",)),
    Attempt("shared-memory", """
libc.shmat.restype = ctypes.c_void_p
place = libc.shmat(checked(libc.shmget(0x4E4C, 4096, 0)), None, 0)
print(ctypes.string_at(place, 64))
"""),
    Attempt("message-queue", """
queue = call(240, b"netlab-machine", os.O_RDONLY | os.O_NONBLOCK, 0, None)
buffer = ctypes.create_string_buffer(8192)
call(243, queue, buffer, 8192, None, None)
print(buffer.value)
"""),
]  # fmt: skip
