"""Waking whoever sleeps on this store: a datagram beside the SQLite file, NOTIFY on PostgreSQL.

A wake-up that is lost costs a little time and nothing else: everybody looks by himself now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.store.engine import is_sqlite

log = logging.getLogger(__name__)

CHANNEL = "tocsin"


def _socket_path(engine: Engine) -> str:
    assert engine.url.database is not None
    return str(Path(engine.url.database).resolve()) + ".wake"


def _as_address(path: str, directory: int) -> str:
    """A path short enough for sun_path (108 octets): by the directory's descriptor."""
    return f"/proc/self/fd/{directory}/{os.path.basename(path)}" if len(os.fsencode(path)) > 100 else path


def kick(engine: Engine) -> None:
    """Wake every daemon on this store; never fails."""
    if is_sqlite(engine):
        path = _socket_path(engine)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
            try:
                sender.setblocking(False)
                sender.sendto(b"", _as_address(path, directory))
            finally:
                os.close(directory)
        return
    with contextlib.suppress(SQLAlchemyError), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as one:
        one.exec_driver_sql(f"NOTIFY {CHANNEL}")


class Waker:
    """Calls `woken` on the event loop whenever another process kicks, until it is closed."""

    def __init__(self, engine: Engine, woken: Callable[[], None]) -> None:
        self._engine = engine
        self._woken = woken

    async def run(self) -> None:
        """Listen until cancelled; a listening post that breaks is set up again."""
        while True:
            try:
                await (self._datagrams() if is_sqlite(self._engine) else self._notifications())
            except (OSError, psycopg.Error) as error:
                log.debug("no wake-ups for now: %s", error, extra={"action": "waker_lost"})
            await asyncio.sleep(2)

    async def _datagrams(self) -> None:
        loop = asyncio.get_running_loop()
        path = _socket_path(self._engine)
        directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as post:
                post.setblocking(False)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
                post.bind(_as_address(path, directory))
                try:
                    while True:
                        await loop.sock_recv(post, 16)
                        _drain(post)
                        self._woken()
                finally:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
        finally:
            os.close(directory)

    async def _notifications(self) -> None:
        url = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._woken()  # what was said while nobody listened
            async for _ in connection.notifies():
                self._woken()


def _drain(post: socket.socket) -> None:
    while True:
        try:
            post.recv(16)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                return
            raise
