"""Threads that visit mail servers, shared out so that a server that hangs keeps few of them.

Jobs of one host go in their order, as many at once as the host has earned: one at first, twice as many after each that
went well, one again after a failure. Hosts take turns.
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


class Crew:
    """The pool. `submit` may be called from any thread; threads are started as they are needed."""

    def __init__(self, threads: int = THREADS, at_one: int = AT_ONE) -> None:
        self._most, self._at_one = threads, at_one
        self._changed = threading.Condition()
        self._hosts: dict[str, _Host] = {}
        self._turns: deque[str] = deque()
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
            self._turns.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(seconds / max(1, len(self._threads)))

    def _ready(self, name: str, host: _Host) -> None:
        """Give a host its turn where it has a job, and may have one more running."""
        if not host.jobs or host.running >= host.most or name in self._turns:
            return
        self._turns.append(name)
        if self._free >= len(self._turns):
            self._changed.notify()
        elif len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name="watch", daemon=True)
            self._threads.append(thread)
            thread.start()
        else:
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._free += 1
                while not self._turns and not self._closed:
                    self._changed.wait()
                self._free -= 1
                if self._closed:
                    return
                name = self._turns.popleft()
                host = self._hosts[name]
                job = host.jobs.popleft()
                host.running += 1
                self._ready(name, host)
            well = False
            try:
                well = job()
            except Exception:
                log.exception("a visit ended by a defect", extra={"action": "visit_defect"})
            with self._changed:
                host.running -= 1
                host.most = min(self._at_one, host.most * 2) if well else 1
                self._ready(name, host)
                if not host.jobs and not host.running and host.most == 1:
                    self._hosts.pop(name, None)
