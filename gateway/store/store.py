"""The one seam between the house and its database.

`await store.run(work)` runs a plain function in a worker thread, in a transaction of its own; `await store.read(work)`
likewise on a snapshot. A work takes the connection, decides in plain code, and has no other effect: it may be run
again. `await store.do(verb, argument)` is for the hot verbs, which work on sets: what has gathered while the last set
was committing goes into the next, and shares its statements and its commit. A database error rolls a whole set back,
and each member is then run in a transaction of its own, so that one cannot spoil the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.store import hot
from gateway.store.carrier import Both, Verb
from gateway.store.engine import begin_set, commit_set, is_sqlite, reads, roll_back_set
from gateway.store.errors import StoreError, StoreLostError, WaitsError, explain, is_lost, is_the_stores, may_rerun
from gateway.store.identifiers import Identifiers
from gateway.store.memory import Memory
from gateway.store.sets import Lane, Observe, Ride
from gateway.store.writer import Writer

T = TypeVar("T")
Work = Callable[[Connection], T]

log = logging.getLogger(__name__)

#: Seconds between the beginnings of two sets on SQLite: what a message may wait for others, where others come.
PACE = 0.005
#: How often a work is run again after a deadlock before its caller hears of it.
_RERUNS = 5


class Store:
    """The database behind one daemon or one command. `verbs` are run in their order within a set."""

    def __init__(
        self,
        engine: Engine,
        verbs: Mapping[str, Verb] | None = None,
        *,
        both: Mapping[tuple[str, str], Both] | None = None,
        identifiers: Identifiers | None = None,
        threads: int = 6,
    ) -> None:
        """`both` are verbs that are rather run as one, where members of both are in a set, one after the other."""
        self.engine = engine
        self.identifiers = identifiers or Identifiers()
        self._reads = reads(engine)
        # SQLite has one writer: one thread, and one connection that stays open. PostgreSQL has as many as it likes.
        self._one_writer = is_sqlite(engine)
        self._kept: Writer | None = None
        self._memory = Memory()
        self._readers_own: dict[int, Connection] = {}
        self._alone = threading.RLock()
        self._writers = ThreadPoolExecutor(1 if self._one_writer else threads, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(2 if self._one_writer else threads, thread_name_prefix="store-read")
        self._threads = [self._writers, self._readers]
        self._lanes = self._make_lanes(verbs or {}, both or {})
        self._closed = False

    def _make_lanes(self, verbs: Mapping[str, Verb], both: Mapping[tuple[str, str], Both]) -> dict[str, Lane]:
        """On SQLite all verbs share their sets, for there is one writer.

        On PostgreSQL each verb has sets of its own: two verbs in one transaction would lock rows of each other's tables
        in an order that no sorting within a verb can keep, and several daemons would run into deadlocks.
        """
        if self._one_writer:
            return dict.fromkeys(verbs, Lane(self._run_set, verbs, self._writers, PACE, both, self._run_set_here))
        lanes = {}
        for name, verb in verbs.items():
            thread = ThreadPoolExecutor(1, thread_name_prefix=f"store-{name}")
            self._threads.append(thread)
            lanes[name] = Lane(self.run_now, {name: verb}, thread)
        return lanes

    # The plain seam ---------------------------------------------------------------------------------------------------

    async def run(self, work: Work[T]) -> T:
        """What `work` returns, after its transaction is committed. Raises `StoreError` when it cannot be."""
        return await self._on(self._writers, self.run_now, work)

    async def read(self, work: Work[T]) -> T:
        """What `work` returns on a snapshot, in which it cannot write."""
        return await self._on(self._readers, self.read_now, work)

    async def _on(self, threads: Executor, way: Callable[[Work[T]], T], work: Work[T]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(threads, way, work)

    def run_now(self, work: Work[T]) -> T:
        """`run` for the command line: in this thread."""
        return _until_done(lambda: self._transaction(work))

    def _run_set(self, work: Work[T]) -> T:
        """Likewise, for the one writer's sets: what one knew, the next need not ask."""
        with self._alone:
            return _until_done(lambda: self._set(work))

    def _run_set_here(self, work: Work[T]) -> T:
        """Likewise, in the event loop's own thread: `WaitsError`, and nothing done, where somebody else writes."""
        if self._kept is None or not self._alone.acquire(blocking=False):
            raise WaitsError("somebody else writes")
        try:
            return self._set(work, hurry=True)
        finally:
            self._alone.release()

    def _set(self, work: Work[T], *, hurry: bool = False) -> T:
        """A work of the one writer, begun and committed on the driver's own connection."""
        connection = self._kept
        if connection is None:
            connection = self._kept = self._connect_writer()
        try:
            begin_set(connection, hurry=hurry)
            connection.facts = self._memory.known(connection)
            result = work(connection)
            commit_set(connection)
        except WaitsError:  # nothing has begun
            raise
        except BaseException as error:
            self._memory.forget()
            self._undo_set(connection, error)
            raise
        finally:
            connection.facts = None
        return result

    def _undo_set(self, connection: Writer, error: BaseException) -> None:
        sound = not isinstance(error, SQLAlchemyError | StoreError)  # a refusal, or a defect of the work
        try:
            roll_back_set(connection)
        except Exception:
            log.debug("a set could not be undone", exc_info=True, extra={"action": "store_drop_failed"})
            sound = False
        if not sound:
            self._drop(connection)

    def read_now(self, work: Work[T]) -> T:
        """`read` for the command line: in this thread."""

        def once() -> T:
            with self._reading() as connection:
                return work(connection)

        return _until_done(once)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection that only looks. On SQLite each thread keeps one: to open it costs more than a look."""
        connection = self._readers_own.pop(threading.get_ident(), None)
        if connection is None:
            connection = self.engine.connect().execution_options(**self._reads)
        try:
            yield connection
            connection.rollback()
        except BaseException:
            connection.close()
            raise
        if self._one_writer and not self._closed:
            self._readers_own[threading.get_ident()] = connection
        else:
            connection.close()

    def _transaction(self, work: Work[T]) -> T:
        with self._connection() as connection:
            self._memory.forget()
            # Said, not left to the first statement: after a begin that was refused, SQLAlchemy would begin nothing.
            connection.begin()
            result = work(connection)
            _commit(connection)
            return result

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A connection; whatever happens to it, the next work begins on a sound one."""
        with self._alone if self._one_writer else contextlib.nullcontext():
            connection: Connection
            if self._one_writer:
                connection = self._kept = self._kept or self._connect_writer()
            else:
                connection = self.engine.connect()
            try:
                yield connection
            except (SQLAlchemyError, StoreError):
                self._drop(connection)
                raise
            except BaseException:  # a refusal, or a defect of the work: the connection itself is sound
                try:
                    connection.rollback()
                except SQLAlchemyError:
                    self._drop(connection)
                raise
            finally:
                if connection is not self._kept:
                    connection.close()

    def _connect_writer(self) -> Writer:
        connection = Writer(self.engine)
        hot.execute(connection, "PRAGMA busy_timeout=0")  # `engine` waits for other writers, where it may
        return connection

    def _drop(self, connection: Connection) -> None:
        """Undo and let go of the connection, whatever state it is in."""
        for step in (connection.rollback, connection.invalidate, connection.close):
            try:
                step()
            except Exception:
                log.debug("%s failed", step.__name__, exc_info=True, extra={"action": "store_drop_failed"})
        if connection is self._kept:
            self._kept = None
        self._memory.forget()

    # The sets ---------------------------------------------------------------------------------------------------------

    async def do(self, verb: str, argument: Any, *, patience: float = 0.0) -> Any:
        """The result of one member of the next set, after the set is committed.

        With `patience` it waits that many seconds for others of its verb to share a set with (`Lane.do`).
        """
        return await self.ask(verb, argument, patience=patience)

    def ask(self, verb: str, argument: Any, *, patience: float = 0.0) -> asyncio.Future[Any]:
        """As `do`, for those who need no task of their own to wait in."""
        if self._closed:
            raise StoreError("the store is closed")
        return self._lanes[verb].do(verb, argument, patience)

    def ride(self, verb: str, other: str, ride: Ride) -> bool:
        """Let members of `other` go along with sets that have members of `verb`, into the same commit.

        `ride` is asked on the event loop, just before such a set begins. Whether that can be: only where both verbs
        share their sets.
        """
        together = self._lanes[verb] is self._lanes[other]
        if together:
            self._lanes[verb].ride(verb, other, ride)
        return together

    def observe(self, observe: Observe) -> None:
        """Have every set told to this one."""
        for lane in self._lanes.values():
            lane.observe = observe

    def hurry(self, hurried: Callable[[], bool]) -> None:
        """Have sets never keep the event loop waiting while this is so."""
        for lane in self._lanes.values():
            lane.hurried = hurried

    # The end ----------------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Commit what has gathered, then close everything."""
        self._closed = True
        for lane in self._lanes.values():
            await lane.finish()
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Close everything at once."""
        self._closed = True
        for threads in self._threads:
            threads.shutdown(wait=True)
        with self._alone:
            if self._kept is not None:
                self._kept.close()
                self._kept = None
        while self._readers_own:
            self._readers_own.popitem()[1].close()
        self.engine.dispose()


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        if is_lost(error):
            raise StoreLostError("the connection to the database was lost while committing") from error
        raise


def _until_done(attempt: Callable[[], T]) -> T:
    """What the attempt returns; it is made again where the database only asks for that, or lost it on the way."""
    lost = False
    for again in range(_RERUNS, -1, -1):
        try:
            return attempt()
        except DBAPIError as error:
            # A pooled connection may have died long ago, with a server that is back: one more try on a fresh one.
            stale, lost = error.connection_invalidated and not lost, lost or error.connection_invalidated
            if not again or not (may_rerun(error) or stale):
                raise StoreError(explain(error)) from error
        except SQLAlchemyError as error:
            if not is_the_stores(error):
                raise
            raise StoreError(explain(error)) from error
    raise AssertionError("unreachable")
