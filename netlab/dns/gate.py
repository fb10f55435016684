"""Who may have something done now, of many who wait: in turns, by the address that asks.

A semaphore lets those in first who came first: of sixteen places one who asks a hundred times holds
all, and the next one waits behind his hundred. Here nobody holds more than half of them, and of
those who wait each has his turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Lets so many through at once."""

    def __init__(self, at_once: int) -> None:
        self._places = at_once
        self._each = max(1, at_once // 2)
        self._inside = Counter[str]()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """Who waits, in the order of their turns."""

    @asynccontextmanager
    async def passed(self, address: str) -> AsyncIterator[None]:
        """Inside, as soon as it is this address's turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        self._let_in()
        try:
            await turn
            yield
        finally:
            self._leave(address, turn)

    def _leave(self, address: str, turn: asyncio.Future[None]) -> None:
        """Of who was inside, or was given up while he waited."""
        queue = self._waiting.get(address)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[address]
            return
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]
        self._let_in()

    def _let_in(self) -> None:
        while self._inside.total() < self._places:
            address = next((one for one in self._waiting if self._inside[one] < self._each), None)
            if address is None:
                return
            queue = self._waiting.pop(address)
            turn = queue.popleft()
            if queue:
                self._waiting[address] = queue  # behind all others
            self._inside[address] += 1
            if not turn.done():
                turn.set_result(None)
