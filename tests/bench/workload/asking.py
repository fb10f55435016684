"""Asks a web server again and again, on a connection each: `asking.py ADDRESS PORT SECONDS AT_ONCE`
prints connections a second and microseconds of our own CPU for each; with `--every MS` one at a
time, that far apart, how long each took, in microseconds. A program of few lines: it is to be
faster than who answers.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\nUser-Agent: bench\r\nConnection: close\r\n\r\n"
WAITING = select.EPOLLIN | select.EPOLLRDHUP


def many(where: tuple[str, int], seconds: float, at_once: int) -> None:
    """So many at once, a new one for each that is over."""
    epoll, open_ = select.epoll(), dict[int, socket.socket]()

    def begin() -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(where)
        open_[sock.fileno()] = sock
        epoll.register(sock.fileno(), select.EPOLLOUT)

    for _ in range(at_once):
        begin()
    count, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds:
        for descriptor, event in epoll.poll():
            sock = open_[descriptor]
            if event & select.EPOLLOUT:
                sock.send(REQUEST)
                epoll.modify(descriptor, WAITING)
            elif answered(sock):
                del open_[descriptor]
                sock.close()
                count += 1
                begin()
    took, spent = time.perf_counter() - began, time.process_time() - used
    print(json.dumps([count / took, spent / count * 1e6]))


def answered(sock: socket.socket) -> bool:
    """Whether all has come: the server closes."""
    while True:
        try:
            if not sock.recv(65536):
                return True
        except BlockingIOError:
            return False


def one_by_one(where: tuple[str, int], seconds: float, every: float) -> None:
    """One at a time, from the first packet to the last."""
    taken, end = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        with socket.create_connection(where, 5) as sock:
            sock.sendall(REQUEST)
            while sock.recv(65536):
                pass
        taken.append((time.perf_counter() - began) * 1e6)
        time.sleep(max(0.0, every - (time.perf_counter() - began)))
    print(json.dumps(taken))


if __name__ == "__main__":
    address, port, seconds, *rest = sys.argv[1:]
    if rest[0] == "--every":
        one_by_one((address, int(port)), float(seconds), float(rest[1]) / 1000)
    else:
        many((address, int(port)), float(seconds), int(rest[0]))
