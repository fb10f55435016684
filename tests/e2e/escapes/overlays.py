"""Attempts by what lies over the machine's directories, for containers to write to."""

from __future__ import annotations

from e2e.escapes.attempt import Attempt
from e2e.escapes.furniture import SECRETS

ATTEMPTS = [
    Attempt(
        "write-below-usr",
        "open('/usr/share/through', 'w').write('x')",
        look="test -e /usr/share/through",
        unguarded=("writable",),
    ),
    Attempt(
        "replace-machine-file",
        """
open("/etc/new", "w").write("x")
os.rename("/etc/new", "/etc/issue")
""",
        look="grep -qx x /etc/issue",
        unguarded=("writable",),
    ),
    # What steers an overlay: where a directory's lower part is, and that it has none.
    Attempt(
        "overlay-attributes",
        """
os.makedirs("/etc/steered", exist_ok=True)
for name, value in (("redirect", b"/../../srv"), ("opaque", b"y"), ("metacopy", b"")):
    os.setxattr("/etc/steered", f"trusted.overlay.{name}", value)
    got_out()
""",
        unguarded=("writable",),
    ),
    # The upper part, wherever it is mounted from, and a way up from there.
    Attempt(
        "overlay-parts",
        """
lines = open("/proc/self/mountinfo").read().splitlines()
options = [option for line in lines for option in line.split()[-1].split(",")]
parts = [option.partition("=")[2] for option in options if option.startswith(("upper", "work"))]
for part in (*parts, "/proc/1/root"):
    show(part + "/srv/marker", *(part + "/.." * n + "/srv/marker" for n in range(8)))
""",
    ),
    Attempt(
        "overlay-copy-of-a-secret",
        f"""
for number, secret in enumerate({list(SECRETS)!r}):
    try:
        os.link(secret, f"/etc/linked-{{number}}")
        os.chmod(f"/etc/linked-{{number}}", 0o644)
    except OSError as error:
        print(error)
    show(f"/etc/linked-{{number}}")
""",
        unguarded=("writable",),
    ),
    # A file is copied up as it is renamed, by somebody who may read it.
    Attempt(
        "overlay-rename-of-a-secret",
        f"""
for number, secret in enumerate({list(SECRETS)!r}):
    own = f"{{os.path.dirname(secret)}}/renamed-{{number}}"
    for flag in (0, 1 << 1):  # or exchanged with a file of ours
        try:
            if flag:
                open(own, "w").close()
            checked(libc.renameat2(-100, secret.encode(), -100, own.encode(), flag))
            for path in (own, secret):
                for change in (lambda: os.chown(path, 0, 0), lambda: os.chmod(path, 0o644)):
                    try:
                        change()
                    except OSError as error:
                        print(error)
                show(path)
            libc.renameat2(-100, own.encode(), -100, secret.encode(), flag)  # others try it as well
        except OSError as error:
            print(error)
""",
        unguarded=("writable",),
    ),
    Attempt(
        "remove-machine-file",
        "os.rename('/etc/issue.net', '/etc/issue.gone')",
        look="! test -e /etc/issue.net",
        unguarded=("writable",),
    ),
    # What an overlay takes for a file that is gone: a node of a device that there is not.
    Attempt(
        "whiteout-of-a-machine-file",
        """
os.makedirs("/usr/share/opaque", exist_ok=True)
for name in (b"user.overlay.opaque", b"user.overlay.whiteout", b"user.overlay.redirect"):
    try:
        os.setxattr("/usr/share/opaque", name, b"y")
    except OSError as error:
        print(error)
os.mknod("/usr/share/marked", 0o20000, 0)
""",
        look="test -c /usr/share/marked",
        wants="mknod /tmp/node-0 c 0 0 && rm /tmp/node-0",
        unguarded=("writable",),
    ),
    # From the root that is laid over to what lies below and above it, by any name it has.
    Attempt(
        "overlay-by-its-names",
        """
for pid in ("self", "1", "thread-self", str(os.getppid())):
    for way in ("root", "cwd", "task/1/root", "fd/0/..", "map_files/.."):
        for up in range(6):
            above = f"/proc/{pid}/{way}{'/..' * up}"
            show(f"{above}/srv/marker", f"{above}/upper")
for name in os.listdir("/proc/self/fd"):
    show(f"/proc/self/fd/{name}/../srv/marker", f"/proc/self/fd/{name}/../../srv/marker")
""",
    ),
]
