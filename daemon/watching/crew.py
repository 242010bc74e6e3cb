"""Threads that visit mail servers, shared out so that a server that hangs keeps few of them.

Jobs of one host go in their order, as many at once as the host has earned: one at first, twice as many after each that
went well, one again after a failure. Hosts take turns. Hosts whose last visit failed, or that were never visited, have
half of the threads between them: however many of them hang, the others go on.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

#: Threads in all, and the most at one host.
THREADS, AT_ONE = 48, 12

#: Whether the host was well.
Job = Callable[[], bool]


@dataclass(slots=True)
class _Host:
    jobs: deque[Job] = field(default_factory=deque)
    running: int = 0
    most: int = 1
    proven: bool = False
    waits: bool = False  # for its turn


class Crew:
    """The pool. `submit` may be called from any thread; threads are started as they are needed."""

    def __init__(self, threads: int = THREADS, at_one: int = AT_ONE) -> None:
        self._most, self._at_one = threads, at_one
        self._changed = threading.Condition()
        self._hosts: dict[str, _Host] = {}
        self._proven: deque[str] = deque()  # whose turn it is
        self._doubtful: deque[str] = deque()
        self._doubts = 0  # threads at hosts that were doubtful when their visit began
        self._threads: list[threading.Thread] = []
        self._free = 0
        self._closed = False

    def submit(self, host: str, job: Job) -> None:
        """Run this in a thread when it is its turn; after `close`, not at all."""
        with self._changed:
            if self._closed:
                return
            found = self._hosts.setdefault(host, _Host())
            found.jobs.append(job)
            self._ready(host, found)

    def waiting(self) -> int:
        """How many jobs wait for a thread."""
        with self._changed:
            return sum(len(host.jobs) for host in self._hosts.values())

    def close(self, seconds: float) -> None:
        """Begin nothing more, and wait this long for what runs."""
        with self._changed:
            self._closed = True
            self._hosts.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(seconds / max(1, len(self._threads)))

    def _ready(self, name: str, host: _Host) -> None:
        """Give a host its turn where it has a job, and may have one more running."""
        if not host.jobs or host.running >= host.most or host.waits:
            return
        host.waits = True
        (self._proven if host.proven else self._doubtful).append(name)
        self._call()

    def _call(self) -> None:
        """Wake a thread, or start one, where there is a turn to be had."""
        turns = len(self._proven) + min(len(self._doubtful), self._room())
        if not turns:
            return
        if self._free < turns and len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name="watch", daemon=True)
            self._threads.append(thread)
            thread.start()
        else:
            self._changed.notify()

    def _room(self) -> int:
        """How many more threads may go to doubtful hosts."""
        return max(1, self._most // 2) - self._doubts

    def _turn(self) -> str | None:
        if self._doubtful and self._room() > 0 and (not self._proven or self._doubts == 0):
            return self._doubtful.popleft()
        if self._proven:
            return self._proven.popleft()
        return None

    def _work(self) -> None:
        while True:
            with self._changed:
                self._free += 1
                while not self._closed and (name := self._turn()) is None:
                    self._changed.wait()
                self._free -= 1
                if self._closed or name is None:
                    return
                host = self._hosts[name]
                doubtful = not host.proven
                self._doubts += doubtful
                host.waits = False
                job = host.jobs.popleft()
                host.running += 1
                self._ready(name, host)
            well = self._do(job)
            with self._changed:
                self._doubts -= doubtful
                self._done(name, host, well)

    def _do(self, job: Job) -> bool:
        try:
            return job()
        except Exception:
            log.exception("a visit ended by a defect", extra={"action": "visit_defect"})
            return False

    def _done(self, name: str, host: _Host, well: bool) -> None:
        host.running -= 1
        host.most = min(self._at_one, host.most * 2) if well else 1
        host.proven = well
        self._ready(name, host)
        if not (host.jobs or host.running or well):
            self._hosts.pop(name, None)
        self._call()
