"""One thread that waits for all idle connections at once, and for the time of those that are visited by the clock.

It reads what servers say in IDLE without blocking, and calls a watch back when there may be new mail, when the
connection has ended, or when its time has come. Whatever it calls must return at once.
"""

from __future__ import annotations

import contextlib
import heapq
import imaplib
import logging
import os
import re
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from daemon.watching.wire import Wire

log = logging.getLogger(__name__)

_NEWS = re.compile(rb"\* \d+ EXISTS\b", re.IGNORECASE)
_BYE = re.compile(rb"\* BYE\b", re.IGNORECASE)


class Woken(Protocol):
    """Who waits."""

    def wake(self, why: str) -> None:
        """`news`: there may be new mail; `ended`: the connection has ended; `time`: what was asked for has come."""


class Idler:
    """The waiting room. All methods but `run` may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._read, selectors.EVENT_READ, None)
        self._lock = threading.Lock()
        self._times: list[tuple[float, int, Woken]] = []
        self._number = 0
        self._current: dict[int, int] = {}  # of each who waits by the clock: the number of the entry that counts
        self._idle: dict[int, tuple[Wire, Woken]] = {}
        self._thread = threading.Thread(target=self._run, name="idle", daemon=True)
        self._closed = False

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop waiting; nobody is called any more."""
        self._closed = True
        self._poke()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._selector.close()
        os.close(self._read)
        os.close(self._write)

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return len(self._idle)

    def at(self, when: float, who: Woken) -> None:
        """Wake this one at a time of the clock, unless it is woken, or asks for another time, before."""
        with self._lock:
            self._number += 1
            self._current[id(who)] = self._number
            heapq.heappush(self._times, (when, self._number, who))
            first = self._times[0][2] is who
        if first:
            self._poke()

    def watch(self, wire: Wire, who: Woken) -> None:
        """Wake this one, once, when its connection has news, or ends."""
        with self._lock:
            self._idle[wire.sock.fileno()] = (wire, who)
            self._selector.register(wire.sock, selectors.EVENT_READ, who)

    def leave(self, wire: Wire | None, who: Woken) -> bool:
        """Wake this one no more. Whether it was still waiting: else it has been woken, or is just being so."""
        with self._lock:
            timed = self._current.pop(id(who), None) is not None
            return self._unwatch(wire) or (timed and wire is None)

    def _unwatch(self, wire: Wire | None) -> bool:
        if wire is None:
            return False
        number = wire.sock.fileno()
        if number < 0 or self._idle.pop(number, None) is None:
            return False
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(wire.sock)
        return True

    def _poke(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"\0")

    # The thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select(self._pause()):
                if key.data is None:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._read, 4096)
                else:
                    self._hear(key.fd)
            self._ring()

    def _pause(self) -> float | None:
        with self._lock:
            return max(0.0, self._times[0][0] - self._clock()) if self._times else None

    def _hear(self, number: int) -> None:
        # Under the lock, so that nobody closes the socket, and another takes its number, while it is read.
        with self._lock:
            wire, who = self._idle.get(number, (None, None))
            if wire is None or who is None:
                return
            try:
                why = meaning(wire.drain())
            except (imaplib.IMAP4.error, OSError, ValueError):
                why = "ended"
        if why:
            self._call(wire, who, why)

    def _ring(self) -> None:
        now = self._clock()
        due: list[Any] = []
        with self._lock:
            while self._times and self._times[0][0] <= now:
                _, number, who = heapq.heappop(self._times)
                if self._current.get(id(who)) == number:
                    due.append(who)
        for who in due:
            self._call(getattr(who, "wire", None), who, "time")

    def _call(self, wire: Wire | None, who: Woken, why: str) -> None:
        with self._lock:
            if self._current.pop(id(who), None) is None and not (wire is not None and wire.sock.fileno() in self._idle):
                return  # it left meanwhile
            self._unwatch(wire)
        try:
            who.wake(why)
        except Exception:
            log.exception("a watch could not be woken", extra={"action": "wake_defect"})


def meaning(lines: list[bytes]) -> str:
    """What the lines of an idle connection ask for: nothing, mostly (flags that change, `* OK Still here`)."""
    if any(_BYE.match(line) for line in lines):
        return "ended"
    return "news" if any(_NEWS.match(line) for line in lines) else ""
