"""Attempts on processes: those outside, and those that come in to run something."""

from __future__ import annotations

from e2e.escapes.attempt import PRELUDE, Attempt, adding

CAPS = adding("SYS_PTRACE")
SECONDS = 3

# What a process that comes in shows, while it is not yet like those of the pod.
ROOT = """
show = lambda path: print(open(path).read())
for pid in newcomers(@SECONDS@):
    for path in ("root/srv/marker", "cwd/srv/marker", "root/proc/1/root/srv/marker"):
        try:
            found(open(f"/proc/{pid}/{path}").read())
        except OSError:
            pass
"""
DESCRIPTORS = """
for pid in newcomers(@SECONDS@):
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            for path in ("", "/srv/marker", "/../srv/marker"):
                name = f"/proc/{pid}/fd/{number}{path}"
                if path or os.stat(name).st_mode & 0o170000 == 0o100000:
                    try:
                        text = open(name, errors="replace").read(4096)
                        found(text) if path else print(text, flush=True)
                    except OSError:
                        pass
    except OSError:
        pass
"""
ENVIRONMENT = """
for pid in newcomers(@SECONDS@):
    try:
        if b"NETLAB" in open(f"/proc/{pid}/environ", "rb").read():
            got_out()
    except OSError:
        pass
"""
# CVE-2019-5736: the program that comes in is a file of the machine's, to be written once it ended.
PROGRAM = """
held = {}
def write():
    for file in held.values():
        try:
            os.open(f"/proc/self/fd/{file}", os.O_WRONLY)
            got_out()
            sys.exit()
        except OSError:
            pass
for pid in newcomers(@SECONDS@):
    write()
    try:
        file = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
    except OSError:
        continue
    known = held.setdefault(os.fstat(file).st_ino, file)
    if known != file:
        os.close(file)
until = time.time() + 2  # it cannot be written while it still runs
while time.time() < until:
    write()
    time.sleep(0.005)
"""
# Whoever is stopped while it has more rights than we have lends them to us.
ATTACH = """
own = int(status()["CapEff"], 16)
for pid in newcomers(@SECONDS@):
    if libc.ptrace(0x4206, pid, 0, 0):
        continue
    libc.ptrace(0x4207, pid, 0, 0)
    try:
        if int(status(pid)["CapEff"], 16) & ~own or os.path.exists(f"/proc/{pid}/root/srv/marker"):
            got_out()
    except OSError:
        pass
    libc.kill(pid, 9)
    libc.waitpid(pid, None, 0x40000000)  # or its parent waits for ever, and nobody else comes in
"""
MEMORY = """
own = int(status()["CapEff"], 16)
for pid in newcomers(@SECONDS@):
    try:
        file = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        if int(status(pid)["CapEff"], 16) & ~own or os.path.exists(f"/proc/{pid}/root/srv/marker"):
            got_out()
    except OSError:
        pass
"""
NAMESPACES = """
own = os.stat("/proc/self/ns/mnt").st_ino
for pid in newcomers(@SECONDS@):
    try:
        file = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
        if os.fstat(file).st_ino != own:
            checked(libc.setns(file, 0))
            got_out()
    except OSError:
        pass
"""
# A neighbour's mounts are another's, too: but of the pod, and nobody can go there.
NAMESPACES_OF_OTHERS = """
for pid in newcomers(@SECONDS@):
    try:
        checked(libc.setns(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY), 0))
        got_out()
    except OSError:
        pass
"""


def _entering(name: str, script: str, container: dict[str, object] | None) -> Attempt:
    text = script.replace("@SECONDS@", str(SECONDS))
    return Attempt(name, text, container, entered=True, unguarded=("pid",))


def _hook(kind: str, **more: object) -> Attempt:
    """The container looks on while its hook comes in."""
    hook = {"lifecycle": {kind: {"exec": {"command": ["/bin/true"]}}}}
    text = ROOT.replace("@SECONDS@", str(SECONDS))
    spec = {"terminationGracePeriodSeconds": 2}
    return Attempt(
        f"enter-{kind.lower()}", text, {**CAPS, **hook, **more}, spec, entered=True,
        unguarded=("pid",),
    )  # fmt: skip


def _joining(name: str, script: str) -> Attempt:
    """Others are started beside the container, among processes that all of the pod see."""
    text = script.replace("@SECONDS@", str(SECONDS))
    others = [{"name": f"n{n}", "image": "busybox", "command": ["true"]} for n in range(6)]
    spec = {"shareProcessNamespace": True, "containers": others}
    return Attempt(f"share-{name}", text, CAPS, spec, entered=True, unguarded=("pid",))


DIES = {"exec": {"command": ["/bin/false"]}, "periodSeconds": 1, "failureThreshold": 1}


def _inside(name: str, holds: str, kind: str) -> Attempt:
    """What has come in, by a probe or by a hook, is bound no less than the container's own."""
    check = f"{PRELUDE}\nif {holds}: open('/data/proof', 'w').write('got out')"
    script = {"exec": {"command": ["python3", "-c", check]}}
    entering = {
        "probe": {"readinessProbe": {**script, "periodSeconds": 1}},
        "hook": {"lifecycle": {"postStart": script}},
    }[kind]
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    return Attempt(
        f"{kind}-{name}", "wait_for('/data/proof', 3)\nshow('/data/proof')\nprint()\n" + PROOF,
        {**entering, **mount}, {"volumes": [{"name": "v", "emptyDir": {}}]},
    )  # fmt: skip


PROOF = "if os.path.exists('/data/proof'): got_out()"
BOUNDS = {
    "no-filter": "status()['Seccomp'] != '2'",
    "new-privileges": "status()['NoNewPrivs'] != '1'",
    "capabilities": "int(status()['CapBnd'], 16) & 1 << 21",
    "same-root": "open('/proc/self/uid_map').read().split()[1] == '0'",
    "descriptors": "[n for n in os.listdir('/proc/self/fd') if int(n) > 2 and "
    "os.path.isdir(f'/proc/self/fd/{n}') and "
    "os.readlink(f'/proc/self/fd/{n}') != f'/proc/{os.getpid()}/fd']",
    "mark": "[name for name in os.environ if 'NETLAB' in name]",
}

SHARED_TERMINAL = """
import fcntl, glob
for path in glob.glob("/dev/pts/*") + ["/dev/console", "/dev/tty1", "/dev/ttyS0"]:
    try:
        terminal = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(terminal, b"written by a pod\\n")
    except OSError as error:
        print(path, error)
"""

TELL_PROOF = "wait_for('/data/proof', 3)\nprint(open('/data/proof').read())"

ATTEMPTS = [
    _entering("enter-root", ROOT, CAPS),
    _entering("enter-root-by-default", ROOT, None),
    _entering("enter-descriptors", DESCRIPTORS, CAPS),
    _entering("enter-environment", ENVIRONMENT, CAPS),
    _entering("enter-program", PROGRAM, CAPS),
    _entering("enter-program-by-default", PROGRAM, None),
    _entering("enter-attach", ATTACH, CAPS),
    _entering("enter-memory", MEMORY, CAPS),
    _entering("enter-namespaces", NAMESPACES, CAPS),
    *(
        _joining(name, script)
        for name, script in (
            ("root", ROOT), ("descriptors", DESCRIPTORS), ("environment", ENVIRONMENT),
            ("program", PROGRAM), ("attach", ATTACH), ("memory", MEMORY),
            ("namespaces", NAMESPACES_OF_OTHERS),
        )
    ),
    _hook("postStart"),
    _hook("preStop", livenessProbe={**DIES, "initialDelaySeconds": 1}),
    Attempt("hook-rights", TELL_PROOF, {"lifecycle": {"postStart": {"exec": {"command": [
        "python3", "-c", PRELUDE + """
if int(status()["CapBnd"], 16) & 1 << 21 or os.path.exists("/proc/self/root/../srv/marker"):
    open("/data/proof", "w").write("got out\\n")
"""]}}}, "volumeMounts": [{"name": "v", "mountPath": "/data"}]},
        {"volumes": [{"name": "v", "emptyDir": {}}]}),
    Attempt("see-outside", """
for pid in processes():
    try:
        print(open(f"/proc/{pid}/environ").read())
    except OSError as error:
        print(error)
"""),
    Attempt("kill-outside", "os.kill(victim('kill-outside'), 9)",
            look="! kill -0 $(cat /srv/victim-kill-outside.pid)"),
    Attempt("ptrace-outside", """
pid = victim("ptrace-outside")
checked(libc.ptrace(16, pid, 0, 0))
os.waitpid(pid, 0x40000000)
got_out()
""", CAPS),
    Attempt("signal-by-guess", """
for pid in range(1, 2000):
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        continue
    try:
        if os.stat(f"/proc/{pid}/ns/pid").st_ino != os.stat("/proc/self/ns/pid").st_ino:
            got_out()
        if open(f"/proc/{pid}/cmdline").read().startswith("victim-"):
            got_out()
    except OSError as error:
        print(error)
"""),
    Attempt("join-namespaces", """
for pid in processes():
    try:
        own = os.stat("/proc/self/ns/mnt").st_ino
        if os.stat(f"/proc/{pid}/ns/mnt").st_ino != own:
            checked(libc.setns(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY), 0))
            break
    except OSError as error:
        print(error)
show("/srv/marker")
"""),
    Attempt("join-by-process", """
for pid in processes():
    try:
        if os.stat(f"/proc/{pid}/ns/mnt").st_ino != os.stat("/proc/self/ns/mnt").st_ino:
            checked(libc.setns(os.pidfd_open(pid), 0x20000))
            break
    except OSError as error:
        print(error)
show("/srv/marker")
"""),
    Attempt("mark-of-the-lab", "if [name for name in os.environ if 'NETLAB' in name]: got_out()"),
    Attempt("mark-of-an-entering", TELL_PROOF, {
        "readinessProbe": {"periodSeconds": 1, "exec": {
            "command": ["sh", "-c", "env | grep -q NETLAB && echo got out >/data/proof"]}},
        "volumeMounts": [{"name": "v", "mountPath": "/data"}],
    }, {"volumes": [{"name": "v", "emptyDir": {}}]}),
    *(_inside(name, holds, kind) for name, holds in BOUNDS.items() for kind in ("probe", "hook")),
    Attempt("terminals-of-others", SHARED_TERMINAL, look="grep -q 'by a pod' /srv/screen"),
]  # fmt: skip
