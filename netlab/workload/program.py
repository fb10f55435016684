"""A program that a lab runs: started or adopted, watched, asked, started again when it ends.

It is a process of its own and outlives us: the next controller finds it, and leaves it running if
it does what would be started now. `confined_program` is what the machine has (dnsmasq),
`controlled_program` what is ours and told what to do over a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from netlab.errors import in_words, is_foreseen
from netlab.kernel import process
from netlab.retry import Retry
from netlab.tasks import cancel, in_thread

log = logging.getLogger(__name__)

RETRY = Retry(0.05, 5.0)
"""Of one that could not be started again."""

CALM = 1.0
"""Seconds that it has to run until it is believed that it will: else it is started again later."""

_END_SECONDS = 0.5

KILLED = 128 + signal.SIGKILL
"""The exit code of one that was killed, or of which nobody knows: it was not ours to await."""

Listener = Callable[[], Awaitable[None]]


class Program(ABC):
    """One program, `name` in messages; what it says goes to its `log`.

    `error` is why it could not be started again the last time; `last_signal` has it end once it has
    done what it has begun; `before_restart`, which is told its
    exit code, is awaited when it has ended: who wants it to stay so lets that wait for ever.
    """

    def __init__(self, name: str, log: Path, retry: Retry = RETRY) -> None:
        self.name = name
        self.log = log
        self.error: str | None = None
        self.last_signal = signal.SIGTERM
        self.before_restart: Callable[[int], Awaitable[None]] = self._pause
        self._retry = retry
        self._up = asyncio.Event()
        self._failures = 0
        self._since = 0.0
        self._pid: int | None = None
        self._pidfd: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._listeners: list[Listener] = []

    @abstractmethod
    async def begin(self) -> None:
        """`hold` the one that runs, if it does what would be started now, or a new one.

        Returns once it answers. What was begun in vain is ended.
        """

    async def clear(self) -> None:
        """It has ended: let nothing that it had started go on."""
        process.reap()

    @abstractmethod
    async def asked(self) -> None:
        """Ask whether it is well, and wait a while for the answer.

        `OSError` or `NetlabError` while nobody is there to answer, `TimeoutError` when none comes.
        """

    @property
    def pid(self) -> int | None:
        """Its process, or that before this one if it has just ended."""
        return self._pid

    @property
    def is_up(self) -> bool:
        """Whether it has answered, and has not ended since."""
        return self._up.is_set()

    async def keep(self) -> None:
        """Adopt or start it; from now on it is started again whenever it ends."""
        await cancel(self._watch)
        await self.ensure()
        self._watch = asyncio.create_task(self._keep(), name=self.name)

    async def ensure(self) -> None:
        """Adopt or start it; once, for who does not want it kept."""
        try:
            await self.begin()
        except BaseException:
            self._let_go()
            raise
        self.error = None
        self._since = time.monotonic()
        self._up.set()

    async def detach(self) -> None:
        """Watch it no longer and leave it running. Idempotent."""
        await cancel(self._watch)
        self._watch = None
        self._let_go()

    async def stop(self) -> None:
        """End it. Idempotent."""
        pid = self._pid if self._pidfd is not None else None
        await self.detach()
        if pid is not None:
            await in_thread(process.end, [pid], _END_SECONDS)
        self._pid = None

    async def end(self, grace: float) -> None:
        """End the one that runs, after `grace` seconds by force: it is as if it had died."""
        if self._pidfd is not None:
            await finish(os.dup(self._pidfd), self.last_signal, grace, force=True)

    async def answers(self) -> None:
        """Return once it has answered a question, at once while it is being started.

        Raises when nobody is there to answer.
        """
        while self.is_up:
            with contextlib.suppress(TimeoutError):
                await self.asked()
                break

    def on_restart(self, listener: Listener) -> None:
        """Call `listener` whenever it was started again, and knows of nothing yet."""
        self._listeners.append(listener)

    def hold(self, pid: int) -> None:
        """This is its process; `ProcessLookupError` if it has ended. For `begin`."""
        self._let_go()
        self._pidfd = os.pidfd_open(pid)
        self._pid = pid

    def _let_go(self) -> None:
        self._up.clear()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    async def _keep(self) -> None:
        while True:
            assert self._pidfd is not None
            await ended(os.dup(self._pidfd))
            code = _exit_code(self._pidfd)
            self._let_go()
            if time.monotonic() - self._since > CALM:
                self._failures = 0
            log.warning("%s ended (%d); starting it again", self.name, code)
            await self._tell(self.clear)
            await self._tell(partial(self.before_restart, code))
            self._failures += 1
            await self._start_again()
            await asyncio.gather(*(self._tell(listener) for listener in self._listeners))

    async def _pause(self, _: int) -> None:
        if self._failures:
            await asyncio.sleep(self._retry.delay(self._failures))

    async def _start_again(self) -> None:
        while not self.is_up:
            try:
                await self.ensure()
            except Exception as error:
                self.error = str(error) if is_foreseen(error) else in_words(error)
                delay = self._retry.after(error, self._failures)
                self._failures += 1
                text = f"{self.name}: {error}; trying again in {delay:.2f} s"
                log.error(text, exc_info=not is_foreseen(error))
                await asyncio.sleep(delay)

    async def _tell(self, listener: Listener) -> None:
        try:
            await listener()
        except Exception as error:  # it may have ended again, which will be seen
            log.error("%s: %s", self.name, error, exc_info=not is_foreseen(error))


def _exit_code(pidfd: int) -> int:
    """As a shell has it, of a child that has ended; it stays to be reaped."""
    try:
        ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return KILLED
    if ended is None:
        return KILLED
    return ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status


async def finish(pidfd: int, request: signal.Signals, grace: float, *, force: bool = False) -> None:
    """Ask the process behind a descriptor, which is closed then, to end; return when it has, or
    `grace` seconds are over, which it survives unless by `force`."""
    try:
        signal.pidfd_send_signal(pidfd, request)
        async with asyncio.timeout(grace):
            await ended(os.dup(pidfd))
    except ProcessLookupError:
        pass
    except TimeoutError:
        if force:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        os.close(pidfd)


async def ended(pidfd: int) -> None:
    """Return once the process behind a descriptor, which is closed then, has ended."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_reader(pidfd, end.set)
    try:
        await end.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
