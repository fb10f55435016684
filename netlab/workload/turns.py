"""The connections of many pods in one loop, in turns: a busy pod makes no other one wait for long.

An epoll of our own, which asyncio's loop watches as one file, tells what is ready. That stands in
a queue of its pod; pods take turns, a step each, and after a few steps what is new is asked for.
asyncio's own loop goes through all that is ready first, and its transports take three passes of
it for each connection: on one that brings one request that is most of the work.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

_STEPS = 4
"""So many between two looks at what is new."""

_ACCEPTED = 4
"""So many new connections are a step."""

_EVENTS = 256
_CHUNK = 64 << 10
_HIGH, _LOW = 64 << 10, 16 << 10
_PAUSE_SECONDS = 1.0
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_READING = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_WRITING = select.EPOLLOUT | select.EPOLLET


class Ready(Protocol):
    """What an event may be for. `share` is its pod's queue, `events` those that have come."""

    share: Share
    events: int

    def step(self) -> None:
        """Do what is to be done now."""


Share = deque[Ready]
"""What is ready of one pod's, in its order."""


class Turns:
    """Whose turn it is. Made, and used, within a running loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._known: dict[int, Ready] = {}
        self._waiting = deque[Share]()
        self._is_due = False
        self.loop.add_reader(self._epoll.fileno(), self._turn)

    def watch(self, descriptor: int, ready: Ready, events: int) -> None:
        """Give what is ready its turn when one of the events comes."""
        self._known[descriptor] = ready
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Await others; those that hold already come once more."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """No longer. To be said before it is closed: others may have the same file open."""
        if self._known.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def _turn(self) -> None:
        self._look()
        for _ in range(_STEPS):
            if not self._waiting:
                return
            share = self._waiting.popleft()
            ready = share.popleft()
            if share:
                self._waiting.append(share)
            try:
                ready.step()
            except Exception as error:  # one connection's, whatever it is, is no other's
                self.loop.call_exception_handler(
                    {"message": "a connection failed", "exception": error}
                )
        if self._waiting and not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_due = False
        self._turn()

    def _look(self) -> None:
        for descriptor, events in self._epoll.poll(0, _EVENTS):
            ready = self._known.get(descriptor)
            if ready is not None:
                self.queue(ready, events)

    def queue(self, ready: Ready, events: int) -> None:
        """Give it another turn: of its pod's, behind all others that are ready."""
        if not ready.events:
            if not ready.share:
                self._waiting.append(ready.share)
            ready.share.append(ready)
        ready.events |= events


class Listening:
    """A socket that listens, for one pod: `factory` makes a protocol for each who connects."""

    def __init__(
        self, opened: socket.socket, factory: Callable[[], Any], turns: Turns, share: Share
    ) -> None:
        self.share = share
        self.events = 0
        self._socket: socket.socket | None = opened
        self._factory = factory
        self._turns = turns
        if opened.family != socket.AF_UNIX:  # who is accepted inherits it
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        turns.watch(opened.fileno(), self, select.EPOLLIN)

    def step(self) -> None:
        """Take some of those who wait."""
        self.events = 0
        for _ in range(_ACCEPTED):
            if self._socket is None:
                return
            try:
                accepted, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause()
                return
            Connected(accepted, peer, self._turns, self.share).begin(self._factory())

    def _pause(self) -> None:
        """Nothing can be opened any more; who waits goes on waiting."""
        assert self._socket is not None
        self._turns.forget(self._socket.fileno())
        self._turns.loop.call_later(_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._socket is not None:
            self._turns.watch(self._socket.fileno(), self, select.EPOLLIN)

    def close(self) -> None:
        """Listen no more. Idempotent."""
        if self._socket is not None:
            self._turns.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None


class Connected(asyncio.Transport):
    """Who has connected, as an asyncio protocol sees him."""

    def __init__(self, accepted: socket.socket, peer: Any, turns: Turns, share: Share) -> None:
        super().__init__()
        self.share = share
        self.events = 0
        self._socket = accepted
        self._peer = peer
        self._turns = turns
        self._unsent = bytearray()
        self._watched: int | None = None
        self._is_paused = self._is_closing = self._is_over = self._is_full = False

    def begin(self, protocol: Any) -> None:
        """Hand it to its protocol; the request has often come with it."""
        self._protocol = protocol
        try:
            protocol.connection_made(self)
            self._read()
        except BaseException:
            self.abort()
            raise
        self._await()

    def step(self) -> None:
        """Send what could not be sent, read what has come."""
        events, self.events = self.events, 0
        if self._is_over:
            return
        try:
            if self._unsent:
                self._send()
            while self._read() and events & _GONE:
                pass
        except BaseException:
            self.abort()
            raise
        self._await()

    def _read(self) -> bool:
        """Whether something was read, so that there may be more."""
        if self._is_closing or self._is_paused:
            return False
        try:
            data = self._socket.recv(_CHUNK, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._end(error)
            return False
        if data:
            self._protocol.data_received(data)
            if len(data) == _CHUNK and self._watched is not None:
                self._turns.queue(self, select.EPOLLIN)  # no event tells of what was there before
        elif not self._protocol.eof_received():
            self.close()
        return bool(data)

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._unsent, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        del self._unsent[:sent]
        if self._is_full and len(self._unsent) <= _LOW:
            self._is_full = False
            self._protocol.resume_writing()
        if self._is_closing and not self._unsent:
            self._end(None)

    def _await(self) -> None:
        """Watch for what is waited for now."""
        if self._is_over:
            return
        wanted = 0 if self._is_closing or self._is_paused else _READING
        wanted |= _WRITING if self._unsent else 0
        if wanted == self._watched:
            return
        descriptor = self._socket.fileno()
        if self._watched is None:
            self._turns.watch(descriptor, self, wanted)
        else:
            self._turns.change(descriptor, wanted)
        self._watched = wanted

    def _end(self, error: Exception | None) -> None:
        if self._is_over:
            return
        self._is_over = self._is_closing = True
        if self._watched is not None:
            self._turns.forget(self._socket.fileno())
        self._socket.close()
        self._protocol.connection_lost(error)

    # -- as asyncio has it ---------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Both ends, and the socket."""
        match name:
            case "peername":
                return self._peer
            case "sockname":
                return self._socket.getsockname()
            case "socket":
                return self._socket
        return default

    def get_protocol(self) -> Any:
        """Whose it is."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it is closed, or will be once all is sent."""
        return self._is_closing

    def is_reading(self) -> bool:
        """Whether what comes is read."""
        return not self._is_paused and not self._is_closing

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._is_paused = True
        self._await()

    def resume_reading(self) -> None:
        """Read again, what has come meanwhile as well."""
        self._is_paused = False
        self._await()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it, as far as there is room, and the rest later."""
        if self._is_over or not data:
            return
        if not self._unsent:
            try:
                sent = self._socket.send(data, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._end(error)
                return
            if sent == len(data):
                return
            data = data[sent:]
        self._unsent += data
        if not self._is_full and len(self._unsent) > _HIGH:
            self._is_full = True
            self._protocol.pause_writing()
        self._await()

    def get_write_buffer_size(self) -> int:
        """Bytes yet to be sent."""
        return len(self._unsent)

    def close(self) -> None:
        """Read no more; over once all is sent."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._unsent:
            self._await()
        else:
            self._end(None)

    def abort(self) -> None:
        """Over at once."""
        self._end(None)
