"""Fixtures of the gateway's tests: a way to lose PostgreSQL's answer to COMMIT."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Lossy:
    """Stands between us and PostgreSQL, and cuts the connection at the next COMMIT: before it is heard, or after."""

    COMMIT = b"COMMIT\0"  # not that of BEGIN ISOLATION LEVEL READ COMMITTED

    def __init__(self, folder: Path, server: str) -> None:
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._lose: str | None = None
        self._at = self.COMMIT
        self._swallow: socket.socket | None = None
        self.lost = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def lose(self, when: str, at: bytes = COMMIT) -> None:
        """Cut the connection of the next COMMIT (or `at`): `before` the server hears of it, or `after` it is done."""
        self._at, self._lose = at, when

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._open):
            _close(one)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect(f"{self._server}/.s.PGSQL.5432")
                self._open += [ours, theirs]
                for way in (self._up, self._down):
                    self._threads.append(threading.Thread(target=way, args=(ours, theirs), daemon=True))
                    self._threads[-1].start()

    def _up(self, ours: socket.socket, theirs: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := ours.recv(65536):
                if self._lose is not None and self._at in data:
                    when, self._lose = self._lose, None
                    self.lost += 1
                    with contextlib.suppress(OSError):
                        ours.shutdown(socket.SHUT_RD)
                    if when == "after":
                        self._swallow = theirs
                        theirs.sendall(data)
                    else:
                        _close(ours)
                        _close(theirs)
                    return
                theirs.sendall(data)
        _close(theirs)

    def _down(self, ours: socket.socket, theirs: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := theirs.recv(65536):
                if self._swallow is theirs:  # the server has answered, so it is done; nobody hears of it
                    break
                ours.sendall(data)
        _close(ours)
        _close(theirs)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@pytest.fixture
def lossy(postgresql_database: str, cluster: Any) -> Iterator[tuple[str, Lossy]]:
    """The URL of a fresh PostgreSQL store, by way of something that can lose a COMMIT; and that."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-lossy-"))
    between = Lossy(folder, str(cluster.folder))
    yield postgresql_database.replace(str(cluster.folder), str(folder)), between
    between.close()
    shutil.rmtree(folder)
