"""What a disposable machine has that no pod may read, harm or talk to. Runs in it, until killed.

Everything secret holds the token (from the environment). The first line of output is JSON: the
facts that an attempt may know without being told the token.
"""

from __future__ import annotations

import ctypes
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

TOKEN = os.environ.get("TOKEN", "")
SECRETS = {
    "/srv/marker": 0o644,
    "/etc/hidden": 0o600,
    "/etc/app/secret": 0o600,
    "/etc/app/deep/er/secret": 0o600,
    "/etc/group-only": 0o640,
    "/opt/app/secret": 0o600,
    "/opt/closed/secret": 0o644,  # its directory is closed to others
    "/usr/local/share/app/secret": 0o600,
    "/var/cache/app/secret": 0o600,
    "/var/local/secret": 0o600,
    "/var/lib/app/secret": 0o644,
    "/var/log/app.log": 0o644,
    "/root/secret": 0o644,
    "/home/user/secret": 0o644,
    "/tmp/secret": 0o644,
    "/run/secret": 0o644,
    "/run/netlab/other/kubeconfig": 0o644,
    "/dev/shm/secret": 0o644,
}
VICTIMS = ("kill-outside", "ptrace-outside")
KEY_SPEC_SESSION_KEYRING, KEY_SPEC_USER_KEYRING = -3, -4
KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_SETPERM, KEYCTL_LINK, KEYCTL_SET_TIMEOUT = 1, 5, 8, 15
libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{os.strerror(ctypes.get_errno())} ({number})")
    return int(result)


def files() -> None:
    for name, mode in SECRETS.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{TOKEN}\n")
        path.chmod(mode)
    Path("/opt/closed").chmod(0o700)
    with Path("/etc/shadow").open("a") as shadow:
        shadow.write(f"victim:{TOKEN}:19000:0:99999:7:::\n")
    for directory in ("/opt/open", "/srv/written"):
        Path(directory).mkdir()
        Path(directory).chmod(0o777)
    Path("/opt/open/file").touch()
    Path("/opt/open/file").chmod(0o666)


def programs() -> None:
    """A program with the set-user-id bit, and one with a capability as file attribute."""
    Path("/opt/tools").mkdir()
    for name in ("suid", "capable"):
        Path("/opt/tools", name).write_bytes(Path("/bin/cat").read_bytes())
        Path("/opt/tools", name).chmod(0o4755 if name == "suid" else 0o755)
    subprocess.run(
        ["setcap", "cap_dac_read_search,cap_sys_admin=ep", "/opt/tools/capable"], check=True
    )


def answer(server: socket.socket) -> None:
    while True:
        client, _ = server.accept()
        with client:
            client.sendall(TOKEN.encode())


def sockets() -> None:
    addresses: list[tuple[int, object]] = [
        (socket.AF_UNIX, "\0netlab-machine"),
        (socket.AF_UNIX, "/run/machine.sock"),
        (socket.AF_INET, ("127.0.0.1", 4242)),
    ]
    for family, address in addresses:
        server = socket.socket(family)
        server.bind(address)
        server.listen()
        threading.Thread(target=answer, args=(server,), daemon=True).start()
    Path("/run/machine.sock").chmod(0o666)


def shared_memory() -> None:
    libc.shmat.restype = ctypes.c_void_p
    identity = libc.shmget(0x4E4C, 4096, 0o1666)
    ctypes.memmove(libc.shmat(identity, None, 0), TOKEN.encode(), len(TOKEN))
    queue = call(240, b"netlab-machine", os.O_CREAT | os.O_RDWR, 0o666, None)
    for _ in range(5):
        call(242, queue, TOKEN.encode(), len(TOKEN), 0, None)


def keyring() -> str:
    """A key of root's, which the kernel forgets in ten minutes.

    Whoever logs in has the keyring of root's in that of the session; a container's has nothing.
    """
    call(250, KEYCTL_JOIN_SESSION_KEYRING, None)
    call(250, KEYCTL_LINK, KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING)
    name = f"netlab-{os.getpid()}-{os.urandom(4).hex()}"
    key = call(248, b"user", name.encode(), TOKEN.encode(), len(TOKEN), KEY_SPEC_USER_KEYRING)
    call(250, KEYCTL_SETPERM, key, 0x3F3F0000)
    call(250, KEYCTL_SET_TIMEOUT, key, 600)
    return name


def disk() -> str:
    """A block device whose first bytes are the token; it is freed when we are gone."""
    image = Path("/srv/disk")
    image.write_bytes(TOKEN.encode().ljust(65536))
    control = os.open("/dev/loop-control", os.O_RDWR)
    number = call(16, control, 0x4C82)
    os.close(control)
    device = f"/dev/loop{number}"
    if not Path(device).exists():
        os.mknod(device, 0o660 | 0o060000, os.makedev(7, number))
    loop = os.open(device, os.O_RDWR)
    backing = os.open(image, os.O_RDWR)
    call(16, loop, 0x4C00, backing)
    # LO_FLAGS_AUTOCLEAR: it lasts as long as this descriptor, which stays open
    information = bytearray(232)
    struct.pack_into("I", information, 52, 4)
    call(16, loop, 0x4C04, bytes(information))
    return str(number)


def handle(path: str) -> str:
    """What open_by_handle_at(2) calls a file: type and bytes, in hex."""
    buffer = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 8 + 128)
    mount = ctypes.c_int()
    call(303, -100, path.encode(), buffer, ctypes.byref(mount), 0)
    size = struct.unpack_from("I", buffer.raw)[0]
    return buffer.raw[: 8 + size].hex()


def terminal() -> None:
    """A terminal on which somebody works: what is written to it is kept in a file."""
    ours, theirs = pty.openpty()
    Path(os.ttyname(theirs)).chmod(0o620)
    screen = os.open("/srv/screen", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def keep() -> None:
        while True:
            os.write(screen, os.read(ours, 4096))

    threading.Thread(target=keep, daemon=True).start()


def victims() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whose victim is killed shall be gone
    for name in VICTIMS:
        argv = [f"victim-{name}", "1000000"]
        started = subprocess.Popen(argv, executable="/bin/sleep", stdin=subprocess.DEVNULL)
        Path(f"/srv/victim-{name}.pid").write_text(str(started.pid))


def main() -> None:
    files()
    programs()
    sockets()
    shared_memory()
    terminal()
    # Volumes of the unguarded sandbox lie on the file system of what they must not reach.
    Path("/srv/disks").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/srv/disks"], check=True)
    Path("/srv/disks/marker").write_text(TOKEN)
    facts = {"KEY": keyring(), "LOOP": disk(), "HANDLE": handle("/srv/disks/marker")}
    victims()
    print(json.dumps(facts), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
