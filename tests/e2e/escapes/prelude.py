# What the scripts of attempts begin with. They run in a pod, so they are sent there as text.
# ruff: noqa: F401, PTH110, PTH123, PTH208, SIM115
import ctypes
import os
import socket
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def call(number, *arguments):
    return checked(libc.syscall(number, *arguments))


def mount(source, target, kind, flags=0, data=None):
    words = [word and word.encode() for word in (source, target, kind)]
    checked(libc.mount(*words, flags, data))


successes = []


def found(secret):
    print(secret, flush=True)
    successes.append(secret)


def got_out():
    found("got out")


def show(*paths):
    for path in paths:
        try:
            with open(path, "rb") as file:
                print(path, file.read(4000).decode(errors="replace"), flush=True)
        except OSError as error:
            print(error, flush=True)


def status(pid="self"):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def patience(seconds):
    # Where nothing guards, it is a matter of time alone: so take it, until it has succeeded.
    return seconds if status()["Seccomp"] == "2" else 15 * seconds


def wait_for(path, seconds):
    until = time.time() + patience(seconds)
    while time.time() < until and not os.path.exists(path):
        time.sleep(0.05)


def newcomers(seconds):
    """Processes that were not there before, each until it is gone, as fast as can be."""
    known, until = set(processes()), time.time() + patience(seconds)
    while time.time() < until and not successes:
        for pid in processes():
            if pid not in known and not successes:
                yield pid


def victim(name):
    for pid in processes():
        if open(f"/proc/{pid}/cmdline", "rb").read().startswith(f"victim-{name}\0".encode()):
            return pid
    raise ProcessLookupError("there is no victim to be seen")


def ended(error_type, error, _):
    print(error_type.__name__, error, flush=True)


sys.excepthook = ended
print("trying", flush=True)
