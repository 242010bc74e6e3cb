"""The HTTP server: its sockets, its connections and their bounds, and how it comes down.

uvicorn's own server wants the process: its signals, its loop, its lifespan. Here its protocol serves in the house's
loop, and the house decides when it begins and ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from daemon.console.protocol import Connection, Phase
from daemon.console.swift import Begin, SwiftConnection
from daemon.sockets import Inherited, Sockets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may ask for. Sizes are octets, times seconds.

    `surplus` is what may come of a body that is not wanted any more; `writing` how long a peer may leave an answer
    unread; `idle` how long a connection waits for its next request.
    """

    connections: int = 1000
    head: int = 32 * 1024
    headers: int = 100
    surplus: int = 32 * 1024 * 1024
    reading_head: float = 20.0
    reading_body: float = 60.0
    writing: float = 60.0
    idle: float = 75.0


class Server:
    """Every connection to the console's address."""

    def __init__(self, app: Any, limits: Limits | None = None, refused: Callable[[int], None] = lambda _: None) -> None:
        """`refused` is told the status of each answer that no application gave."""
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what strangers send is no news
        self.limits = limits or Limits()
        #: The application's short way, if it has one.
        self.begin: Begin | None = getattr(app, "begin", None)
        self.refused = refused
        self.config = uvicorn.Config(
            app,
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(self.limits.idle) or 1,
        )
        self.config.load()
        self.state = ServerState()
        #: The header fields of every answer, as they go over the wire.
        self.lines = b""
        self._sockets = Sockets()
        self._connections: set[Connection] = set()
        self._draining = False
        self._quiet = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None

    async def open(self, address: str, inherited: Inherited | None = None) -> list[str]:
        """Listen at `host:port`, `unix:/path` or `systemd:name`; the addresses that are bound. Errors as `Sockets`."""
        self._date()
        self._ticking = asyncio.create_task(self._tick(), name="console clock")
        return await self._sockets.open(lambda: SwiftConnection(self), address, inherited)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection. Where there are too many, the one that is idle longest makes room."""
        self._connections.add(connection)
        if self._draining:
            return False
        if len(self._connections) <= self.limits.connections:
            return True
        idle = [one for one in self._connections if one.phase is Phase.IDLE and one is not connection]
        if idle:
            min(idle, key=lambda one: one.since).transport.abort()
            return True
        log.warning("too many connections to the console", extra={"action": "too_many_connections", "peer": "http"})
        return False

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        if self._draining and not self._connections:
            self._quiet.set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._date()
            now = asyncio.get_running_loop().time()
            for connection in list(self._connections):
                connection.look(now)

    def _date(self) -> None:
        date = formatdate(time.time(), usegmt=True).encode()
        self.state.default_headers = [(b"date", date)]
        self.lines = b"date: %b\r\n" % date

    async def drain(self, seconds: float) -> None:
        """Take no more requests; those that are being answered have this long."""
        self._draining = True
        self._sockets.close()
        for connection in list(self._connections):
            connection.shutdown()
        if self._connections:
            try:
                async with asyncio.timeout(seconds):
                    await self._quiet.wait()
            except TimeoutError:
                log.warning("%d requests were not answered in time", self.connections, extra={"action": "requests_cut"})
        for connection in list(self._connections):
            connection.transport.abort()
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
