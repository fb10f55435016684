"""Attempts on what the kernel has once for all: settings, its log, its keys, its programs.

They ask whether they may, and leave everything as it is: writing would harm more than a pod.
"""

from __future__ import annotations

from e2e.escapes.attempt import Attempt, adding, as_user


def _writing(name: str, path: str) -> Attempt:
    """Opens a setting and writes to it what is in it already."""
    script = f"""
file = os.open({path!r}, os.O_RDWR)
before = os.read(file, 4096)
os.lseek(file, 0, 0)
os.write(file, before)
got_out()
"""
    return Attempt(name, script)


NEW_USER = 0x10000000

ATTEMPTS = [
    _writing("core-pattern", "/proc/sys/kernel/core_pattern"),
    _writing("proc-sys-vm", "/proc/sys/vm/swappiness"),
    _writing("proc-sys-fs", "/proc/sys/fs/file-max"),
    _writing("proc-irq", "/proc/irq/default_smp_affinity"),
    _writing("sys-kernel", "/sys/kernel/rcu_expedited"),
    Attempt("sys-anything", """
for root, directories, files in os.walk("/sys/kernel"):
    for name in files:
        try:
            os.close(os.open(os.path.join(root, name), os.O_WRONLY))
        except OSError:
            continue
        got_out()
        sys.exit()
"""),
    Attempt("hostname", "socket.sethostname('named-by-a-pod')",
            look="test $(hostname) = named-by-a-pod"),
    Attempt("domain-name-setting", "open('/proc/sys/kernel/domainname', 'w').write('set-by-a-pod')",
            look="test $(cat /proc/sys/kernel/domainname) = set-by-a-pod"),
    Attempt("proc-keys", """
for path in ("/proc/keys", "/proc/timer_list", "/proc/sched_debug"):
    if os.path.exists(path) and open(path).read():
        got_out()
"""),
    Attempt("kernel-log", """
size = checked(libc.klogctl(10, None, 0))
buffer = ctypes.create_string_buffer(size)
if checked(libc.klogctl(3, buffer, size)):
    got_out()
"""),
    Attempt("kernel-log-device", """
if os.read(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK), 8192):
    got_out()
"""),
    Attempt("keyring", """
key = call(250, 10, -4, b"user", b"@KEY@", 0)
buffer = ctypes.create_string_buffer(100)
call(250, 11, key, buffer, 100)
print(buffer.value.decode())
"""),
    Attempt("keyring-request", """
key = call(249, b"user", b"@KEY@", None, 0)
buffer = ctypes.create_string_buffer(100)
call(250, 11, key, buffer, 100)
print(buffer.value.decode())
"""),
    Attempt("bpf", """
call(321, 0, struct.pack("IIIII", 1, 4, 4, 1, 0) + bytes(100), 72)
got_out()
"""),
    Attempt("perf-events", """
call(298, struct.pack("IIQ", 1, 112, 0) + bytes(96), 0, -1, -1, 0)
got_out()
"""),
    Attempt("userfaultfd", "call(323, 1)\ngot_out()"),
    Attempt("userfaultfd-as-user", "call(323, 1)\ngot_out()", as_user(1000)),
    Attempt("io-uring", "call(425, 4, ctypes.create_string_buffer(200))\ngot_out()"),
    Attempt("fanotify", "call(300, 0, 0)\ngot_out()"),
    Attempt("accounting", "call(163, None)\ngot_out()"),
    Attempt("clock", """
call(305, 0, struct.pack("I", 0x100) + bytes(300))  # adds 0 seconds
got_out()
"""),
    Attempt("clock-sys-time", """
call(305, 0, struct.pack("I", 0x100) + bytes(300))
got_out()
""", adding("SYS_TIME"), refusable=True),
    Attempt("nice", "os.nice(-5)\ngot_out()"),
    Attempt("real-time", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))\ngot_out()",
            wants="chrt --fifo 1 true"),
    Attempt("vsock", "socket.socket(40, socket.SOCK_STREAM)\ngot_out()"),
    Attempt("obsolete-personality", "checked(libc.personality(0x0400000))\ngot_out()"),
    Attempt("user-namespace", f"checked(libc.unshare({NEW_USER}))\ngot_out()",
            unguarded=("pivot",)),
    Attempt("user-namespace-as-user", f"checked(libc.unshare({NEW_USER}))\ngot_out()",
            as_user(1000), unguarded=("pivot",)),
    Attempt("user-namespace-clone", f"""
if not call(56, {NEW_USER} | 17, 0, 0, 0, 0):
    got_out()
    os._exit(0)
""", unguarded=("pivot",)),
    Attempt("user-namespace-clone3", f"""
if not call(435, struct.pack("QQQQQQQQ", {NEW_USER}, 0, 0, 0, 17, 0, 0, 0), 64):
    got_out()
    os._exit(0)
""", unguarded=("pivot",)),
    Attempt("network-namespace", "checked(libc.unshare(0x40000000))\ngot_out()"),
    Attempt("mount-namespace", "checked(libc.unshare(0x20000))\ngot_out()"),
    Attempt("capabilities-granted", """
allowed = sum(1 << number for number in (
    0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 18, 19, 27, 29, 31))
if int(status()["CapBnd"], 16) & ~allowed or int(status()["CapEff"], 16) & ~allowed:
    got_out()
""", {"securityContext": {"privileged": True, "capabilities": {"add": ["ALL"]}}}, refusable=True),
    Attempt("capabilities-by-default", """
allowed = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31))
if int(status()["CapBnd"], 16) & ~allowed or int(status()["CapEff"], 16) & ~allowed:
    got_out()
"""),
    Attempt("no-filter", "if status()['Seccomp'] != '2': got_out()"),
    Attempt("new-privileges", "if status()['NoNewPrivs'] != '1': got_out()"),
    # Root in a pod is nobody outside.
    Attempt("same-root", """
if open("/proc/self/uid_map").read().split() == ["0", "0", "4294967295"]:
    got_out()
"""),
]  # fmt: skip
