"""The one seam between the house and its database.

`await store.run(work)` runs a plain function in a worker thread, in a transaction of its own; `await store.read(work)`
likewise on a snapshot. A work takes the connection, decides in plain code, and has no other effect: it may be run
again. `await store.do(verb, argument)` is for the hot verbs, which work on sets: what has gathered while the last set
was committing goes into the next, and shares its statements and its commit. A database error rolls a whole set back,
and each member is then run in a transaction of its own, so that one cannot spoil the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gateway.store.engine import StoreError, StoreLostError, explain, is_lost, is_sqlite, may_rerun
from gateway.store.identifiers import Identifiers

T = TypeVar("T")
Work = Callable[[Connection], T]
#: A hot verb: the connection and the arguments of a set in, one result for each out, in order. A result that is an
#: exception is raised to whoever asked; it must have written nothing.
Verb = Callable[[Connection, Sequence[Any]], Sequence[Any]]

log = logging.getLogger(__name__)

#: How often a work is run again after a deadlock before its caller hears of it.
_RERUNS = 5
#: The most members of one set, so that no commit grows without bound.
_SET = 500


@dataclass(slots=True)
class _Member:
    verb: str
    argument: Any
    done: asyncio.Future[Any]


class Store:
    """The database behind one daemon or one command. `verbs` are run in their order within a set."""

    def __init__(
        self,
        engine: Engine,
        verbs: Mapping[str, Verb] | None = None,
        *,
        identifiers: Identifiers | None = None,
        threads: int = 6,
    ) -> None:
        self.engine = engine
        self.identifiers = identifiers or Identifiers()
        self._verbs = dict(verbs or {})
        self._order = {name: place for place, name in enumerate(self._verbs)}
        # SQLite has one writer: one thread, and one connection that stays open. PostgreSQL has as many as it likes.
        self._one_writer = is_sqlite(engine)
        self._writers = ThreadPoolExecutor(1 if self._one_writer else threads, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(2 if self._one_writer else threads, thread_name_prefix="store-read")
        self._set_thread = self._writers if self._one_writer else ThreadPoolExecutor(1, thread_name_prefix="store-set")
        self._kept: Connection | None = None
        self._gathered: list[_Member] = []
        self._committer: asyncio.Task[None] | None = None
        self._closed = False

    # The plain seam ---------------------------------------------------------------------------------------------------

    async def run(self, work: Work[T]) -> T:
        """What `work` returns, after its transaction is committed. Raises `StoreError` when it cannot be."""
        return await asyncio.get_running_loop().run_in_executor(self._writers, self.run_now, work)

    async def read(self, work: Work[T]) -> T:
        """What `work` returns on a snapshot; it must not write."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, work)

    def run_now(self, work: Work[T]) -> T:
        """`run` for the command line: in this thread."""
        for again in range(_RERUNS, -1, -1):
            try:
                return self._transaction(work)
            except DBAPIError as error:
                if may_rerun(error) and again:
                    continue
                raise StoreError(explain(error)) from error
            except SQLAlchemyError as error:
                raise StoreError(explain(error)) from error
        raise AssertionError("unreachable")

    def read_now(self, work: Work[T]) -> T:
        """`read` for the command line: in this thread."""
        try:
            with self.engine.connect().execution_options(tocsin_reads=True) as connection:
                result = work(connection)
                connection.rollback()
                return result
        except SQLAlchemyError as error:
            raise StoreError(explain(error)) from error

    def _transaction(self, work: Work[T]) -> T:
        connection = self._connection()
        try:
            result = work(connection)
        except (SQLAlchemyError, StoreError):
            self._drop(connection)
            raise
        except BaseException:  # a refusal, or a defect of the work: the connection itself is sound
            connection.rollback()
            if connection is not self._kept:
                connection.close()
            raise
        try:
            connection.commit()
        except DBAPIError as error:
            self._drop(connection)
            if is_lost(error):
                raise StoreLostError("the connection to the database was lost while committing") from error
            raise
        except BaseException:
            self._drop(connection)
            raise
        if connection is not self._kept:
            connection.close()
        return result

    def _connection(self) -> Connection:
        if not self._one_writer:
            return self.engine.connect()
        if self._kept is None:
            self._kept = self.engine.connect()
        return self._kept

    def _drop(self, connection: Connection) -> None:
        """Undo and let go of the connection: whatever state it is in, the next work begins on a sound one."""
        try:
            connection.rollback()
        except Exception:
            log.debug("rollback failed", exc_info=True, extra={"action": "store_rollback_failed"})
        try:
            connection.invalidate()
            connection.close()
        except Exception:
            log.debug("closing failed", exc_info=True, extra={"action": "store_close_failed"})
        if connection is self._kept:
            self._kept = None

    # The sets ---------------------------------------------------------------------------------------------------------

    async def do(self, verb: str, argument: Any) -> Any:
        """The result of one member of the next set, after the set is committed."""
        if self._closed:
            raise StoreError("the store is closed")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._gathered.append(_Member(verb, argument, done))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_sets(), name="store-sets")
        return await done

    async def _commit_sets(self) -> None:
        loop = asyncio.get_running_loop()
        while self._gathered:
            members, self._gathered = self._gathered[:_SET], self._gathered[_SET:]
            members.sort(key=lambda member: self._order[member.verb])
            try:
                results = await loop.run_in_executor(self._set_thread, self._commit_set, members)
            except BaseException as error:  # a defect, or the end: nobody may be left waiting
                for member in members:
                    if not member.done.done():
                        member.done.set_exception(StoreError(f"the store stopped: {type(error).__name__}"))
                raise
            for member, result in zip(members, results, strict=True):
                if member.done.done():
                    continue
                if isinstance(result, BaseException):
                    member.done.set_exception(result)
                else:
                    member.done.set_result(result)

    def _commit_set(self, members: list[_Member]) -> list[Any]:
        try:
            return self.run_now(lambda connection: self._carry_out(connection, members))
        except StoreLostError as error:
            return [error] * len(members)
        except StoreError as error:
            cause = error.__cause__
            if len(members) == 1 or (isinstance(cause, DBAPIError) and is_lost(cause)):
                return [error] * len(members)
            log.warning("a set of %d failed, each is run alone: %s", len(members), error, extra={"action": "set_split"})
        except Exception as error:
            # A defect in a verb: the others of the set must not suffer from it.
            if len(members) == 1:
                log.exception("a verb failed", extra={"action": "verb_failed", "verb": members[0].verb})
                return [error]
            log.error("a set of %d failed, each is run alone", len(members), extra={"action": "set_split"})
        return [result for member in members for result in self._commit_set([member])]

    def _carry_out(self, connection: Connection, members: list[_Member]) -> list[Any]:
        results: list[Any] = []
        start = 0
        while start < len(members):
            verb = members[start].verb
            end = start
            while end < len(members) and members[end].verb == verb:
                end += 1
            answers = self._verbs[verb](connection, [member.argument for member in members[start:end]])
            if len(answers) != end - start:
                raise AssertionError(f"{verb} gave {len(answers)} answers to {end - start} arguments")
            results.extend(answers)
            start = end
        return results

    # The end ----------------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Commit what has gathered, then close everything."""
        if self._committer is not None and not self._committer.done():
            await asyncio.wait([self._committer])
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """Close everything at once."""
        self._closed = True
        for threads in (self._set_thread, self._writers, self._readers):
            threads.shutdown(wait=True)
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self.engine.dispose()
