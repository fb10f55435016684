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
]
