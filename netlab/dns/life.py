"""Waiting for the end of a process that may not be our child."""

from __future__ import annotations

import asyncio
import os


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
