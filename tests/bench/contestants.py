"""Who is measured: each gateway in each of its ways, started fresh for every run, with a centre of its own."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kannel
import ours
from centre import centre
from measure import Course, Crash, Run

sys.path.insert(0, str(Path(__file__).parents[2]))
from gateway.message import OPEN, State
from tests.conftest import Cluster, postgresql_binaries
from tests.peers.ledgers import Books


@dataclass(frozen=True)
class Contestant:
    """One line of the table: who it is, and how to start it at a centre's port."""

    name: str
    by: str
    open: Callable[[int], Any]
    receipts: bool = True
    share: float = 1.0  # of the messages at full speed: those that only stand beside the comparison take less time

    @contextlib.contextmanager
    def course(self) -> Iterator[Course]:
        """A fresh gateway and its centre."""
        with centre() as sink, self.open(sink.port) as gateway:
            port = gateway.smtp if self.by == "smtp" else 0
            yield Course(gateway, sink, self.by, receipts=self.receipts, port=port)

    def run(self, messages: int, rate: float, seconds: float) -> Run:
        """One run from an empty store."""
        with self.course() as course:
            return course.run(int(messages * self.share), rate, seconds)


def of_kannel(name: str, *, share: float = 1.0, **options: Any) -> Contestant:
    """Kannel with these options of `kannel.Kannel`."""
    receipts = bool(options.get("receipts", True))
    return Contestant(name, "kannel", lambda smpp: kannel.kannel(smpp, **options), receipts, share)


def of_tocsin(name: str, by: str = "tocsin", *, share: float = 1.0, **options: Any) -> Contestant:
    """Tocsin with these options of `ours.Tocsin`, on SQLite."""
    receipts = bool(options.get("receipts", True))
    return Contestant(name, by, lambda smpp: ours.tocsin(smpp, **options), receipts, share)


@dataclass
class OnPostgresql:
    """Clusters for the runs of Tocsin on PostgreSQL: as durable as in service, private, gone afterwards."""

    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _cluster: Cluster | None = None

    @contextlib.contextmanager
    def open(self, smpp: int) -> Iterator[ours.Tocsin]:
        """Tocsin on a new database. The server's processes are not counted as the gateway's."""
        binaries = postgresql_binaries()
        assert binaries is not None
        if self._cluster is None:
            folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-pg-")))
            folder.chmod(0o755)  # the server runs as another user
            own = folder / "postgresql"
            own.mkdir()
            self._cluster = Cluster(own, binaries, durable=True)
            self.stack.callback(self._cluster.close)
            self._cluster.start()
        name = self._cluster.create()
        try:
            with ours.tocsin(smpp, store=self._cluster.url(name)) as one:
                yield one
        finally:
            self._cluster.drop(name)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a kill left, and what the books say of it."""

    crash: Crash
    unknown: int = 0
    faults: tuple[str, ...] = ()


def crash_of_kannel(messages: int, store: str) -> Aftermath:
    """Kannel killed in the middle of so many messages."""
    with of_kannel("", store=store).course() as course:
        return Aftermath(course.crash(messages, course.stands_still()))


def crash_of_tocsin(messages: int, on_unknown: str) -> Aftermath:
    """Tocsin killed in the middle of so many messages; what it does not know it parks, or resends."""
    with of_tocsin("", on_unknown=on_unknown).course() as course:
        assert isinstance(course.gateway, ours.Tocsin)
        books = Books(course.gateway.url)
        still = course.stands_still()
        may_stay = {State.UNKNOWN} if on_unknown == "park" else set()

        def settled() -> bool:
            return still() and not any(books.states()[state] for state in OPEN - may_stay)

        crash = course.crash(messages, settled)
        return Aftermath(crash, books.states()[State.UNKNOWN], tuple(books.faults_of_credit()))
