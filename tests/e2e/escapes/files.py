"""Attempts on the machine's files: what only its root may read, what anybody may write, masks."""

from __future__ import annotations

from e2e.escapes.attempt import Attempt, adding, as_user, shell
from e2e.escapes.furniture import SECRETS

# What the unguarded sandbox hides, it hides by a mount on top, which it lets a pod take away.
UNMASK = """
for path in ("/srv", "/tmp", "/run", "/home", "/root", "/var/lib", "/var/log", "/dev/shm"):
    try:
        checked(libc.umount2(path.encode(), 2))
    except OSError as error:
        print(path, error)
"""


def _reading(path: str) -> Attempt:
    name = "read" + path.replace("/", "-").replace(".", "-")
    return Attempt(name, f"{UNMASK}\nshow({path!r}, '/proc/1/root{path}')")


READS = [_reading(path) for path in (*SECRETS, "/etc/shadow")]

ATTEMPTS = [
    *READS,
    # Somebody who is no root at all, but in the group that may read.
    Attempt(
        "read-as-group", "show('/etc/group-only', '/etc/shadow')",
        {"securityContext": {"runAsUser": 1000, "runAsGroup": 0}},
    ),
    Attempt(
        "write-open-file",
        "open('/opt/open/file', 'a').write('write-open-file')",
        as_user(1000),
        look="grep -q write-open-file /opt/open/file",
        unguarded=("writable",),
    ),
    Attempt(
        "write-open-directory",
        "open('/opt/open/from-a-pod', 'w').write('x')",
        look="test -e /opt/open/from-a-pod",
        unguarded=("writable",),
    ),
    Attempt(
        "write-after-remount",
        """
try:
    mount("none", "/", None, 32 | 4096)
except OSError as error:
    print(error)
open("/opt/open/remounted", "w").write("x")
""",
        look="test -e /opt/open/remounted",
    ),
    # The device nodes of a pod are the machine's own, if they are merely bound.
    Attempt(
        "chmod-device",
        "os.chmod('/dev/full', 0o604)",
        look="test $(stat -c %a /dev/full) = 604",
    ),
    Attempt(
        "chown-device",
        "os.chown('/dev/zero', 1234, 1234)",
        look="test $(stat -c %u /dev/zero) != 0",
    ),
    Attempt(
        "chmod-standard-input",
        "os.fchmod(0, 0o606)",
        look="test $(stat -c %a /dev/null) = 606",
    ),
    # It is given to the pod's root, so that this may open it again: and is the machine's.
    Attempt(
        "chown-standard-input",
        "os.fchown(0, 1234, 1234)",
        look="test $(stat -c %u /dev/null) != 0",
    ),
    Attempt(
        "touch-machine-file",
        "os.utime('/etc/hostname', (1, 1))",
        look="test $(stat -c %Y /etc/hostname) = 1",
        unguarded=("writable",),
    ),
    Attempt(
        "leftover-descriptors",
        """
for number in os.listdir("/proc/self/fd"):
    for path in ("srv/marker", "../srv/marker", "../../../../srv/marker", "marker"):
        try:
            print(os.read(os.open(path, os.O_RDONLY, dir_fd=int(number)), 100).decode())
        except OSError:
            pass
""",
    ),
    # CVE-2024-21626: the working directory is a descriptor that the runtime forgot to close.
    Attempt(
        "working-directory-descriptor",
        container={
            "workingDir": "/proc/self/fd/7",
            "command": shell("cat srv/marker ../srv/marker ../../../srv/marker"),
        },
        spec={"containers": [
            {
                "name": f"fd{number}", "image": "busybox", "workingDir": f"/proc/self/fd/{number}",
                "command": shell("cat srv/marker ../srv/marker ../../../../srv/marker"),
            }
            for number in (3, 4, 5, 6, 8, 9, 10)
        ]},
        refusable=True,
    ),
    Attempt(
        "termination-message-link",
        "os.symlink('/srv/marker', '/data/message')",
        {
            "terminationMessagePath": "/data/message",
            "volumeMounts": [{"name": "v", "mountPath": "/data"}],
        },
        {"volumes": [{"name": "v", "emptyDir": {}}]},
    ),
    Attempt(
        "sockets-of-the-machine",
        UNMASK + """
paths = ["/run/machine.sock", "/proc/1/root/run/machine.sock"]
for path in paths:
    try:
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        print(client.recv(100).decode())
    except OSError as error:
        print(path, error)
""",
    ),
    # Every lab has its sockets and keys below one directory.
    Attempt(
        "files-of-the-lab",
        UNMASK + """
for base in ("", "/proc/1/root", "/proc/self/root"):
    for top in ("/run/labs", "/run/netlab"):
        for root, directories, files in os.walk(base + top):
            for name in files:
                if name in ("api.sock", "responder.sock", "kubeconfig"):
                    got_out()
""",
    ),
    Attempt(
        "handle-of-a-file",  # the "shocker": files by number, on any mount of their file system
        """
handle = bytes.fromhex("@HANDLE@")
for path in ("/etc/hosts", "/etc/resolv.conf", "/data", "/"):
    try:
        file = call(304, os.open(path, os.O_RDONLY), handle, os.O_RDONLY)
        print(os.read(file, 100).decode())
    except OSError as error:
        print(path, error)
""",
        {"volumeMounts": [{"name": "v", "mountPath": "/data"}]},
        {"volumes": [{"name": "v", "emptyDir": {}}]},
    ),
    Attempt(
        "set-user-id-program",
        """
import subprocess
out = subprocess.run(["/opt/tools/suid", "/proc/self/status"], capture_output=True, text=True)
if [line for line in out.stdout.splitlines() if line.startswith("Uid:") and "\\t0\\t" in line]:
    got_out()
""",
        as_user(1000),
    ),
    Attempt(
        "file-capabilities",
        """
import subprocess
out = subprocess.run(["/opt/tools/capable", "/proc/self/status"], capture_output=True, text=True)
if [line for line in out.stdout.splitlines() if line.startswith("CapEff:")
        and int(line.split()[1], 16) & (1 << 21 | 1 << 2)]:
    got_out()
""",
        as_user(1000),
    ),
    # For anybody on the machine who comes by and runs it.
    Attempt(
        "set-user-id-for-others",
        """
open("/data/program", "wb").write(open("/bin/cat", "rb").read())
os.chown("/data/program", 0, 0)
os.chmod("/data/program", 0o4755)
""",
        {"volumeMounts": [{"name": "v", "mountPath": "/data"}]},
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        look="find /run/labs /srv/disks -name program -uid 0 -perm -4000 2>/dev/null | grep -q .",
    ),
    Attempt("secret-as-another-user", "os.setresuid(0, 0, 0)\nshow('/etc/app/secret')",
            adding("DAC_OVERRIDE", "DAC_READ_SEARCH"), refusable=True),
]  # fmt: skip
