"""The daemon inside the test's own process, where a test wants to hold its clock or its database."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from daemon.assemble import House, open_store, utc_now
from daemon.config import load
from gateway.store.store import Store
from tests.peers.daemon_process import toml


@contextlib.asynccontextmanager
async def house(
    path: Path,
    config: dict[str, Any],
    *,
    now: Callable[[], datetime] = utc_now,
    opened: Callable[[Store], None] = lambda _: None,
    sockets: Mapping[str, list[socket.socket]] | None = None,
) -> AsyncIterator[House]:
    """A house of this configuration, serving; it drains at the end. `opened` gets the store before anybody uses it."""
    path.write_text(toml(config))  # noqa: ASYNC240 - once, before anything runs
    read = load(path)
    store = open_store(read)
    opened(store)
    one = House(read, store, now=now, sockets=sockets)
    running = asyncio.create_task(one.run())
    ready = asyncio.create_task(one.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    ready.cancel()
    if running.done():
        running.result()
    try:
        yield one
    finally:
        one.stop()
        await asyncio.wait_for(running, 30)
