"""Attempts by mounting, changing roots, and making devices."""

from __future__ import annotations

from e2e.escapes.attempt import Attempt, adding

GROUPS = "find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -writable | grep -q ."
ATTEMPTS = [
    Attempt("mount-tmpfs", 'mount("none", "/mnt", "tmpfs")\ngot_out()'),
    Attempt("mount-proc-anew", 'mount("none", "/mnt", "proc")\ngot_out()'),
    Attempt("mount-bind", 'mount("/", "/mnt", None, 4096)\ngot_out()'),
    Attempt("mount-sys-admin", 'mount("none", "/mnt", "tmpfs")\ngot_out()',
            adding("SYS_ADMIN"), refusable=True),
    Attempt("mount-privileged", 'mount("none", "/mnt", "tmpfs")\ngot_out()',
            {"securityContext": {"privileged": True}}, refusable=True),
    Attempt("mount-all-capabilities", 'mount("none", "/mnt", "tmpfs")\ngot_out()',
            adding("ALL"), refusable=True),
    Attempt("mount-clone", "call(428, -100, b'/', 1)\ngot_out()"),  # open_tree
    Attempt("mount-new-interface", "call(430, b'tmpfs', 0)\ngot_out()"),  # fsopen
    Attempt("mount-set-attributes", """
# mount_setattr: take read-only away from everything
call(442, -100, b"/", 0, struct.pack("QQQQ", 0, 1, 0, 0), 32)
open("/opt/open/attributes", "w").write("x")
""", look="test -e /opt/open/attributes"),
    Attempt("unmount-mask", """
checked(libc.umount2(b"/srv", 2))
show("/srv/marker")
"""),
    Attempt("mount-in-user-namespace", """
# root in a namespace of one's own may mount, and perhaps take away what hides something
checked(libc.unshare(0x10000000 | 0x20000))
got_out()
""", unguarded=("pivot",)),
    Attempt("pivot-root", """
os.makedirs("/tmp/new", exist_ok=True)
mount("/", "/tmp/new", None, 4096 | 16384)
got_out()
"""),
    # A directory held open outside of the new root, and from there up to the top.
    Attempt("chroot-and-up", """
os.makedirs("/tmp/inner", exist_ok=True)
above = os.open("/", os.O_RDONLY)
os.chroot("/tmp/inner")
os.fchdir(above)
for _ in range(64):
    os.chdir("..")
os.chroot(".")
show("/srv/marker", "/proc/1/root/srv/marker")
"""),
    Attempt("root-of-init", "show('/proc/1/root/srv/marker', '/proc/1/cwd/srv/marker')"),
    Attempt("root-by-links", """
show("/proc/self/root/srv/marker", "/../srv/marker", "/../../../../srv/marker",
     "/proc/self/cwd/../srv/marker", "/proc/%d/root/srv/marker" % os.getppid())
"""),
    Attempt("make-disk-node", """
os.mknod("/tmp/disk", 0o60600, os.makedev(7, int("@LOOP@")))
print(open("/tmp/disk", "rb").read(64))
"""),
    Attempt("make-disk-node-mknod", """
os.mknod("/tmp/disk", 0o60600, os.makedev(7, int("@LOOP@")))
print(open("/tmp/disk", "rb").read(64))
""", adding("MKNOD"), refusable=True),
    Attempt("make-disk-node-in-volume", """
os.mknod("/data/disk", 0o60600, os.makedev(7, int("@LOOP@")))
print(open("/data/disk", "rb").read(64))
""", {"volumeMounts": [{"name": "v", "mountPath": "/data"}]},
            {"volumes": [{"name": "v", "emptyDir": {}}]}),
    Attempt("disks-in-dev", """
for root, directories, files in os.walk("/dev"):
    for name in files:
        try:
            mode = os.stat(os.path.join(root, name)).st_mode
            if mode & 0o170000 == 0o060000:
                print(name, open(os.path.join(root, name), "rb").read(64))
        except OSError as error:
            print(error)
"""),
    Attempt("make-kernel-log-node", """
os.mknod("/tmp/kmsg", 0o20600, os.makedev(1, 11))
if os.read(os.open("/tmp/kmsg", os.O_RDONLY | os.O_NONBLOCK), 8192):
    got_out()
"""),
    Attempt("cgroup-mount", """
for kind, options in (("cgroup", b"pids"), ("cgroup2", None)):
    try:
        mount("none", "/mnt", kind, 0, options)
        got_out()
    except OSError as error:
        print(error)
"""),
    Attempt("cgroup-release-agent", """
# to be root of the machine: name a program there that runs when a group has become empty
for root, directories, files in os.walk("/sys/fs/cgroup"):
    for name in ("release_agent", "notify_on_release", "devices.allow", "cgroup.subtree_control"):
        if name in files:
            os.close(os.open(os.path.join(root, name), os.O_WRONLY))
            got_out()
            sys.exit()
""", wants=GROUPS),
    Attempt("cgroup-directory", """
for root, directories, files in os.walk("/sys/fs/cgroup"):
    if "cgroup.procs" in files:
        try:
            os.mkdir(f"{root}/netlab-made-by-a-pod")
        except OSError as error:
            continue
        os.rmdir(f"{root}/netlab-made-by-a-pod")
        got_out()
        sys.exit()
""", wants=GROUPS),
]  # fmt: skip
