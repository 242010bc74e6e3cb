"""The hot verbs work on sets: what has gathered while one set commits goes into the next and shares its commit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.store.errors import StoreError, StoreLostError, is_unavailable

#: A hot verb: the connection and the arguments of a set in, one result for each out, in order. A result that is an
#: exception is raised to whoever asked; it must have written nothing.
Verb = Callable[[Connection, Sequence[Any]], Sequence[Any]]
#: Carries out a work in a transaction of its own: `Store.run_now`.
Run = Callable[[Callable[[Connection], list[Any]]], list[Any]]

log = logging.getLogger(__name__)

#: The most members of one set, so that no commit grows without bound.
MOST = 500
#: How long the members of a set that failed are run one by one before the rest is refused, in seconds.
PATIENCE = 10.0


@dataclass(slots=True)
class Member:
    """One argument of a verb, and where its result goes."""

    verb: str
    argument: Any
    done: asyncio.Future[Any]


#: Is told of every set after its commit, on the event loop: its members, their results, and how many seconds it took.
Observe = Callable[[Sequence[Member], Sequence[Any], float], None]


class Lane:
    """Verbs that share their sets, run in their order within a set, one set after the other."""

    def __init__(self, run: Run, verbs: Mapping[str, Verb], threads: Executor) -> None:
        """Sets are carried out by `run` on `threads`."""
        self._run = run
        self._verbs = dict(verbs)
        self._order = {name: place for place, name in enumerate(verbs)}
        self._threads = threads
        self.observe: Observe = lambda members, results, seconds: None
        self._gathered: list[Member] = []
        self._committer: asyncio.Task[None] | None = None

    async def do(self, verb: str, argument: Any) -> Any:
        """The result of one member of the next set, after the set is committed."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._gathered.append(Member(verb, argument, done))
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_sets(), name="store-sets")
        return await done

    async def finish(self) -> None:
        """Returns when everything that has gathered is committed."""
        if self._committer is not None and not self._committer.done():
            await asyncio.wait([self._committer])

    async def _commit_sets(self) -> None:
        loop = asyncio.get_running_loop()
        while self._gathered:
            members, self._gathered = self._gathered[:MOST], self._gathered[MOST:]
            members.sort(key=lambda member: self._order[member.verb])
            began = time.perf_counter()
            try:
                results = await loop.run_in_executor(self._threads, self._commit_set, members)
            except BaseException as error:  # the end, for a set has no errors of its own: nobody may be left waiting
                stopped = StoreLostError(f"the store stopped while committing ({type(error).__name__})")
                _answer(members + self._gathered, [stopped] * (len(members) + len(self._gathered)))
                self._gathered = []
                raise
            _answer(members, results)
            self.observe(members, results, time.perf_counter() - began)

    def _commit_set(self, members: list[Member]) -> list[Any]:
        try:
            return self._run(lambda connection: self._carry_out(connection, members))
        except StoreError as error:
            hopeless = isinstance(error, StoreLostError) or is_unavailable(error.__cause__)
            if len(members) == 1 or hopeless:
                return [error] * len(members)
            log.warning("a set of %d failed, each is run alone: %s", len(members), error, extra={"action": "set_split"})
        except Exception as error:
            # A defect in a verb: the others of the set must not suffer from it.
            if len(members) == 1:
                log.exception("a verb failed", extra={"action": "verb_failed", "verb": members[0].verb})
                return [error]
            log.error("a set of %d failed, each is run alone", len(members), extra={"action": "set_split"})
        return self._one_by_one(members)

    def _one_by_one(self, members: list[Member]) -> list[Any]:
        """Each in a transaction of its own, until it is clear that the store is to blame, not one of them."""
        results: list[Any] = []
        give_up = time.monotonic() + PATIENCE
        for member in members:
            result = self._commit_set([member])[0]
            results.append(result)
            if isinstance(result, StoreError) and (is_unavailable(result.__cause__) or time.monotonic() > give_up):
                break
        return results + [StoreError(str(results[-1])) for _ in members[len(results) :]]

    def _carry_out(self, connection: Connection, members: list[Member]) -> list[Any]:
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


def _answer(members: Sequence[Member], results: Sequence[Any]) -> None:
    for member, result in zip(members, results, strict=True):
        if member.done.done():  # whoever asked has gone
            continue
        if isinstance(result, BaseException):
            member.done.set_exception(result)
        else:
            member.done.set_result(result)
