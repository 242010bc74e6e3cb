"""Waking whoever sleeps on this store: a datagram beside the SQLite file, NOTIFY on PostgreSQL.

A wake-up that is lost costs a little time and nothing else: everybody looks by himself now and then.

Beside the SQLite file the daemon can be asked how it is as well: its rows cannot tell that it cannot write any.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.store.engine import is_sqlite

log = logging.getLogger(__name__)

CHANNEL = "tocsin"


#: The datagram that asks; every other one wakes.
_ASK = b"how are you"
#: The longest answer, in octets: a thousand routes and watchers.
_LARGEST = 1024 * 1024


def _socket_path(engine: Engine) -> str:
    assert engine.url.database is not None
    return str(Path(engine.url.database).resolve()) + ".wake"


@contextlib.contextmanager
def _address(engine: Engine) -> Iterator[str]:
    """Where the daemon listens, short enough for sun_path (108 octets): by the directory's descriptor if need be."""
    path = _socket_path(engine)
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}" if len(os.fsencode(path)) > 100 else path
    finally:
        os.close(directory)


def kick(engine: Engine) -> None:
    """Wake every daemon on this store; never fails."""
    if is_sqlite(engine):
        with contextlib.suppress(OSError), _address(engine) as address, _datagram_socket() as sender:
            sender.setblocking(False)
            sender.sendto(b"", address)
        return
    with contextlib.suppress(SQLAlchemyError), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as one:
        one.exec_driver_sql(f"NOTIFY {CHANNEL}")


def ask(engine: Engine, seconds: float = 1.0) -> bytes | None:
    """What the daemon on this SQLite file tells of itself; None where there is none, or it does not answer in time."""
    if not is_sqlite(engine):
        return None
    with contextlib.suppress(OSError), _address(engine) as address, _datagram_socket() as asker:
        asker.settimeout(seconds)
        asker.bind("")  # Linux gives it an address in the abstract name space, unix(7)
        asker.sendto(_ASK, address)
        return asker.recv(_LARGEST)
    return None


def _datagram_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


class Waker:
    """Calls `woken` on the event loop whenever another process kicks; `tell` makes the answer to who asks."""

    def __init__(self, engine: Engine, woken: Callable[[], None], tell: Callable[[], bytes] = bytes) -> None:
        self._engine = engine
        self._woken = woken
        self._tell = tell

    async def run(self) -> None:
        """Listen until cancelled; a listening post that breaks is set up again."""
        while True:
            try:
                await (self._datagrams() if is_sqlite(self._engine) else self._notifications())
            except (OSError, psycopg.Error) as error:
                log.debug("no wake-ups for now: %s", error, extra={"action": "waker_lost"})
            await asyncio.sleep(2)

    async def _datagrams(self) -> None:
        path = _socket_path(self._engine)
        with _address(self._engine) as address, _datagram_socket() as post:
            post.setblocking(False)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            post.bind(address)
            loop, heard = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(post, heard.set)
            try:
                while True:
                    await heard.wait()
                    heard.clear()
                    if self._hear(post):
                        self._woken()
            finally:
                loop.remove_reader(post)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def _hear(self, post: socket.socket) -> bool:
        """Answer whoever asks; whether somebody kicked."""
        kicked = False
        while True:
            try:
                said, sender = post.recvfrom(len(_ASK) + 1)
            except BlockingIOError:
                return kicked
            if said != _ASK:
                kicked = True
            elif sender:
                with contextlib.suppress(OSError):  # it is gone, or does not read
                    post.sendto(self._tell(), sender)

    async def _notifications(self) -> None:
        url = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._woken()  # what was said while nobody listened
            async for _ in connection.notifies():
                self._woken()
