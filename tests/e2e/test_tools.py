"""What people run in pods, and what must work there however well a pod is kept in.

Each row is a pod, what is run in it, and what its reader must see. They run on a disposable machine
(escapes/disposable.py), whose own addresses, files and devices may be anything.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from e2e import manifests
from e2e.escapes.disposable import Disposable, disposable

pytestmark = pytest.mark.root

LAB = (
    manifests.lab("tools")
    + """\
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: web, image: nginx}]
"""
    + manifests.service()
)
POD = """
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{{name: v, emptyDir: {{}}}}]
  containers:
  - name: c
    image: {image}
    command: [sleep, infinity]
    securityContext: {security}
    volumeMounts: [{{name: v, mountPath: /data}}]
"""
SECURITY = {
    "box": "{}",
    "user": "{runAsUser: 1000, runAsGroup: 1000}",
    "admin": "{capabilities: {add: [NET_ADMIN]}}",
    "tracer": "{capabilities: {add: [SYS_PTRACE]}}",
    "bare": "{capabilities: {drop: [ALL]}}",
}
LISTEN = "nc -l -p {0} >/tmp/got & sleep 0.5; echo hello | nc -N 127.0.0.1 {0}; wait; cat /tmp/got"


@dataclass(frozen=True)
class Row:
    """`seen` is a pattern that the output matches somewhere; the exit code is 0."""

    name: str
    pod: str
    command: str
    seen: str = ""


ROWS = [
    Row("ping", "box", "ping -c1 -W2 $WEB", "1 received"),
    Row("ping-as-user", "user", "ping -c1 -W2 $WEB", "1 received"),
    Row("ping-by-name", "box", "ping -c1 -W2 -q localhost", "1 received"),
    Row("tcpdump", "box", "(sleep 1; ping -c2 -W2 $WEB >/dev/null) & "
        "timeout 8 tcpdump -ni eth0 -c1 icmp 2>&1", "1 packet captured"),
    Row("tcpdump-any", "box", "(sleep 1; ping -c2 -W2 $WEB >/dev/null) & "
        "timeout 8 tcpdump -ni any -c1 icmp 2>&1", "1 packet captured"),
    Row("raw-socket", "box", "python3 -c 'import socket; "
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print(\"raw\")'", "raw"),
    Row("listen-80", "box", LISTEN.format(80), "hello"),
    Row("listen-80-as-user", "user", LISTEN.format(80), "hello"),
    Row("listen-8080-as-user", "user", LISTEN.format(8080), "hello"),
    Row("iptables-list", "admin", "iptables -L -n", "Chain INPUT"),
    Row("iptables-add", "admin",
        "iptables -A INPUT -p tcp --dport 9 -j DROP && iptables -S INPUT", "--dport 9 -j DROP"),
    Row("iptables-nat", "admin", "iptables -t nat -A OUTPUT -p tcp --dport 81 -j DNAT "
        "--to-destination $WEB:80 && curl -s -m3 http://$WEB:81", "nginx"),
    Row("ip-address", "admin", "ip addr add 192.0.2.9/32 dev eth0 && ip -br addr", "192.0.2.9/32"),
    Row("ip-route", "admin",
        "ip route add blackhole 198.51.100.0/24 && ip route", "blackhole 198.51.100.0/24"),
    Row("ip-link", "admin", "ip link set dev eth0 mtu 1300 && ip link show eth0", "mtu 1300"),
    Row("ip-link-add", "admin", "ip link add br9 type bridge && ip -br link", "br9"),
    Row("ip-neighbours", "box", "ip neigh; ip -s link show eth0", "RX:"),
    Row("network-settings", "admin",
        "echo 1 >/proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward || "
        "echo read-only", "^(1|read-only)$"),
    Row("curl", "box", "curl -s -m3 http://web", "nginx"),
    Row("curl-as-user", "user", "curl -s -m3 http://web.default.svc.cluster.local", "nginx"),
    Row("dig", "box", "dig +short web.default.svc.cluster.local", r"^10\.\d+\.\d+\.\d+$"),
    Row("getent", "user", "getent hosts web", r"^10\."),
    Row("ss", "box", "nc -l -p 7777 & sleep 0.3; ss -ltnp; kill $!", ":7777 .*nc"),
    Row("strace", "tracer", "strace -f -e trace=openat cat /etc/hostname 2>&1",
        'openat.*"/etc/hostname"'),
    Row("strace-attach", "tracer", "sleep 3 & sleep 0.5; "
        "strace -p $! 2>&1 | head -3", "nanosleep|restart"),
    Row("su", "box", "su nobody -s /bin/sh -c id", "uid=65534"),
    Row("setpriv", "box", "setpriv --reuid=1000 --regid=1000 --clear-groups id -u", "^1000$"),
    Row("chroot", "box", "chroot / id -u", "^0$"),
    Row("chown", "box", "touch /tmp/mine && chown 1000:1000 /tmp/mine && stat -c %u:%g /tmp/mine",
        "^1000:1000$"),
    Row("chown-in-volume", "box",
        "touch /data/mine && chown 33 /data/mine && stat -c %u /data/mine", "^33$"),
    Row("volume-as-user", "user", "echo x >/data/file && stat -c %u /data/file", "^1000$"),
    Row("root-in-a-pod", "box", "id -u; cat /proc/self/comm; whoami", "^0$(.|\n)*^root$"),
    Row("write-places", "box", "for each in /tmp /run /dev/shm /root /home /var/tmp /var/log "
        "/var/lib; do echo x >$each/file && cat $each/file || exit 1; done", "^(x\n){8}$"),
    Row("write-places-as-user", "user",
        "for each in /tmp /dev/shm /var/tmp; do echo x >$each/mine || exit 1; done; echo all",
        "^all$"),
    Row("nothing-to-change", "box", "echo x >>/usr/bin/env 2>&1 || echo no", "^no$"),
    Row("a-root-of-its-own", "box", "touch /usr/bin/x && echo made", "^made$"),
    Row("devices", "box", "echo x >/dev/null && head -c4 /dev/urandom | wc -c && "
        "head -c2 /dev/zero | od -An -tx1 && ls -l /dev/fd/0", "^4$"),
    Row("standard-streams", "user", "echo out >/dev/stdout; echo err >/dev/stderr", "^out$"),
    Row("fifo", "box", "mkfifo /tmp/fifo && (echo through >/tmp/fifo &) && cat /tmp/fifo",
        "^through$"),
    Row("dpkg", "box", "dpkg --print-architecture; ls /usr/share/doc | wc -l", r"^\d{2,}$"),
    Row("apt", "box", "apt-get --version", r"^apt \d"),
    Row("python", "box", "python3 -c 'import ssl, json, socket; print(socket.gethostname())'",
        "^box$"),
    Row("threads", "box", "python3 -c 'import threading; t = threading.Thread(target=print, "
        "args=(\"thread\",)); t.start(); t.join()'", "^thread$"),
    Row("ps", "box", "ps -e -o pid,comm", r"^ +1 sleep$"),
    Row("only-its-own-processes", "box", "ps -e | grep -c -v PID", "^[1-9]$"),
    Row("kill", "box", "sleep 100 & kill $!; wait $!; echo $?", "^143$"),
    Row("nice", "user", "nice -n 5 nice", f"^{min(os.nice(0) + 5, 19)}$"),
    Row("hostname", "box", "hostname; hostname -i", r"^box\n10\.244\."),
    Row("free", "box", "free -m; df -h / >/dev/null; uptime", "Mem:"),
    Row("proc-sys-readable", "user", "cat /proc/sys/kernel/pid_max /proc/cpuinfo | head -2",
        "processor"),
    Row("sys-readable", "user", "cat /sys/class/net/eth0/mtu", r"^\d+$"),
    Row("no-capabilities", "bare", "grep CapEff /proc/self/status; curl -s -m3 http://$WEB",
        "CapEff:\t0{16}(.|\n)*nginx"),
    Row("fork-and-wait", "box", "for i in 1 2 3; do (echo $i) & done; wait; echo done", "^done$"),
    Row("file-locks", "user", "flock /tmp/lock echo locked", "^locked$"),
    Row("shared-memory", "user", "python3 -c 'from multiprocessing import shared_memory as s; "
        "m = s.SharedMemory(create=True, size=99); print(m.size); m.unlink()'", r"^\d+$"),
    Row("tar", "box", "cd /tmp && echo x >t && chown 5:5 t && tar cf a.tar t && rm t && "
        "tar xf a.tar && stat -c %u t", "^5$"),
]  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disposable]:
    pods = "".join(
        POD.format(name=name, security=security, image="nicolaka/netshoot")
        for name, security in SECURITY.items()
    )
    with disposable(tmp_path_factory.mktemp("tools")) as here:
        here.netlab("up", here.write("/srv/lab.yaml", LAB + pods))
        yield here


@pytest.fixture(scope="module")
def web(here: Disposable) -> str:
    return here.netlab("get", "pod", "web", "-o", "jsonpath={.status.podIP}").stdout.strip()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_works_in_a_pod(row: Row, here: Disposable, web: str) -> None:
    script = f"WEB={web}\n{row.command}"
    done = here.netlab("exec", row.pod, "--", "sh", "-c", script, timeout=30)
    assert re.search(row.seen, done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_a_shell_has_job_control(here: Disposable) -> None:
    said = typed(here, "box", "sleep 71 &", "jobs", "fg", "\x03", "echo code $?", "tty", "exit")
    assert "job control" not in said
    assert re.search(r"\[1\] ?\+ +Running +sleep 71", said), said
    assert "code 130" in said, said
    assert re.search("/dev/(pts/0|console)", said), said


def test_the_terminal_of_a_pod_can_be_opened(here: Disposable) -> None:
    said = typed(here, "user", "echo through-the-terminal >/dev/tty", "stty size", "exit")
    assert "through-the-terminal" in said.replace("echo through-the-terminal", ""), said


def typed(here: Disposable, pod: str, *lines: str) -> str:
    """What a terminal shows in which these lines are typed into a shell in a pod."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    argv = [sys.executable, "-m", "netlab", "exec", "-it", pod, "--", "sh"]
    client = subprocess.Popen(
        here.entering(*argv, terminal=True), env=here.environment,
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = until_quiet(ours, 10.0)
        for line in lines:
            os.write(ours, line.encode() + b"\n" * (line != "\x03"))
            shown += until_quiet(ours, 1.0)
        client.wait(10)
        return shown.decode(errors="replace")
    finally:
        client.kill()
        client.wait()
        os.close(ours)


def until_quiet(terminal: int, patience: float) -> bytes:
    """What comes until nothing has come for a while; waits so long for the first of it."""
    shown, wait, deadline = b"", patience, time.monotonic() + 10
    while time.monotonic() < deadline and select.select([terminal], [], [], wait)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # nobody has it open any more
            break
        wait = 0.4
    return shown
