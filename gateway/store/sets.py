"""The hot verbs work on sets: what has gathered while one set commits goes into the next and shares its commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection

from gateway.store.errors import StoreError, StoreLostError, is_unavailable

#: A hot verb: the connection and the arguments of a set in, one result for each out, in order. A result that is an
#: exception is raised to whoever asked; it must have written nothing.
Verb = Callable[[Connection, Sequence[Any]], Sequence[Any]]
#: Two verbs of one set as one: the arguments of both in, the results of both out.
Both = Callable[[Connection, Sequence[Any], Sequence[Any]], tuple[Sequence[Any], Sequence[Any]]]
#: Carries out a work in a transaction of its own: `Store.run_now`.
Run = Callable[[Callable[[Connection], list[Any]]], list[Any]]

log = logging.getLogger(__name__)

#: The most members of one set, so that no commit grows without bound.
MOST = 500
#: How long the members of a set that failed are run one by one before the rest is refused, in seconds.
PATIENCE = 10.0
#: So many that wait are a set by themselves, and it begins at once.
ENOUGH = 40
#: With more members a second than this, the loop sleeps between two sets.
LIVELY = 800.0
#: Sets of so few members are carried out in the loop's own thread, while so few come in a second that another thread
#: is no help, and as long as sets take less than `QUICK` seconds on average. After one of `TOO_LONG` seconds none are
#: for `WARY` seconds: what waits for a disk is not to wait here.
FEW, MANY_A_SECOND, QUICK, TOO_LONG, WARY = 64, 2500.0, 0.008, 0.05, 2.0
#: How many must come while one waits for the pace, on average, for it to be kept; else so many sets do not.
_WORTH, _UNPACED = 0.05, 300
#: How much longer than its patience the first of a group waits, while others come.
STRETCH = 5
#: Who is due within this many seconds goes along with a set that begins for others.
SOON = 0.001


#: Further arguments for a set that is about to begin, given those it has of another verb; and for each whom to tell.
#: He is told first, before the next set begins: the result, or the exception in its place.
Ride = Callable[[Sequence[Any]], Sequence[tuple[Any, Callable[[Any], None]]]]


@dataclass(slots=True)
class Member:
    """One wish of a set, and who waits for its result."""

    verb: str
    argument: Any
    done: asyncio.Future[Any] | None
    rider: Callable[[Any], None] | None = None


#: Is told of every set after its commit, on the event loop: its members, their results, and how many seconds it took.
Observe = Callable[[Sequence[Member], Sequence[Any], float], None]


@dataclass(slots=True)
class _Patient:
    """Members of one verb that let others come first: begun when none has come for `patience`, or the first waited
    `STRETCH` times as long."""

    patience: float
    members: list[Member] = field(default_factory=list)
    first: float = 0.0
    last: float = 0.0

    def due(self) -> float:
        return min(self.first + STRETCH * self.patience, self.last + self.patience) if self.members else math.inf


class Lane:
    """Verbs that share their sets, run in their order within a set, one set after the other.

    A set costs much before its first member, so sets keep a pace: one begins `pace` seconds after the last began at
    the soonest, unless many wait. Who comes alone waits for nothing. Where nobody comes while one waits, as behind
    somebody who sends one after the other, waiting is given up for a while.
    """

    def __init__(
        self,
        run: Run,
        verbs: Mapping[str, Verb],
        threads: Executor,
        pace: float = 0.0,
        both: Mapping[tuple[str, str], Both] | None = None,
        here: Run | None = None,
    ) -> None:
        """Sets are carried out by `run` on `threads`, small ones by `here` in the loop's own thread, where that can be
        and does not take long; `both` are pairs of verbs that are run as one."""
        self._run = run
        self._verbs = dict(verbs)
        self._order = {name: place for place, name in enumerate(verbs)}
        self._both = dict(both or {})
        self._here = here
        self._took = 0.0  # what a set takes, on average, in seconds
        self._flow, self._flow_at = 0.0, 0.0  # members of late, older ones counted less and less; when that was so
        self._elsewhere_until = 0.0  # until when no set is carried out here, in the loop's seconds
        self._threads = threads
        self._pace = pace
        self.observe: Observe = lambda members, results, seconds: None
        #: Whether somebody waits for what may come any moment: then the loop does not sleep.
        self.hurried: Callable[[], bool] = lambda: False
        self._gathered: list[Member] = []
        self._patient: dict[str, _Patient] = {}
        self._rides: dict[tuple[str, str], Ride] = {}
        self._busy = False
        self._began = 0.0
        self._next = 0.0  # when a set may begin, in the loop's seconds
        self._first: int | None = None  # how many there were when one began to wait for the pace
        self._gain = 1.0  # how many come meanwhile, on average
        self._slept = False  # the loop has slept, and has not looked around since
        self._unpaced = 0  # how many sets more need not keep the pace
        self._timer: asyncio.Handle | None = None
        self._due = math.inf
        self._idle: asyncio.Future[None] | None = None

    def ride(self, verb: str, other: str, ride: Ride) -> None:
        """Ask `ride` for members of `other` before every set that has members of `verb`."""
        self._rides[verb, other] = ride

    def do(self, verb: str, argument: Any, patience: float = 0.0) -> asyncio.Future[Any]:
        """The result of one member of the next set, after the set is committed.

        A member with patience waits that many seconds for another of its verb, and so does the next, up to `STRETCH`
        times as long for the first of them.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        member = Member(verb, argument, done)
        if patience:
            group = self._patient.setdefault(verb, _Patient(patience))
            group.patience, group.last = patience, loop.time()
            if not group.members:
                group.first = group.last
            group.members.append(member)
        else:
            self._gathered.append(member)
        self._arm(loop)
        return done

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a set when one is due, but none before its time."""
        if self._busy:
            return
        due, patient = self._gathered_due(), min((one.due() for one in self._patient.values()), default=math.inf)
        due = min(due, patient if self._is_calm() or self._is_pressed() else max(patient, self._next))
        if self._idle:
            due = 0.0
        elif self._gathered and due > loop.time() and self._first is None:
            self._first = len(self._gathered)
        if due >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        # Not at once: what else is asked for in this turn of the loop goes along.
        later = due > loop.time()
        self._timer = loop.call_at(due, self._begin, loop) if later else loop.call_soon(self._begin, loop)

    def _is_pressed(self) -> bool:
        """Whether the pace is not kept: many wait, or nobody comes while one waits."""
        return bool(self._unpaced) or len(self._gathered) >= ENOUGH

    def _gathered_due(self) -> float:
        """When those may begin who are not patient, in the loop's seconds."""
        if not self._gathered:
            return math.inf
        return 0.0 if self._is_pressed() else self._next

    def _is_calm(self) -> bool:
        """Whether so little is to be done that another thread, and larger sets, would be no help."""
        return self._here is not None and self._flow <= MANY_A_SECOND

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        """Where much goes on, let the whole loop sleep until the next set may begin.

        What comes meanwhile is dealt with in one go, just before that set: to wake up for each of it costs more than
        to deal with it, and nothing of it could be committed any sooner.
        """
        if self._is_calm() and self._flow > LIVELY and not self.hurried():
            # Whoever was just answered, and whoever waits for him, goes on first.
            loop.call_soon(loop.call_soon, self._sleep, loop)

    def _sleep(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._busy and not self._idle and len(self._gathered) < ENOUGH:
            # Not `loop.time()`, which is of the beginning of this turn of the loop; it is the same clock.
            time.sleep(min(max(self._next - time.monotonic(), 0.0), self._pace))
            self._slept = True

    def _look_around(self, loop: asyncio.AbstractEventLoop) -> None:
        """What has come is read by now, and dealt with in this turn of the loop."""
        self._timer = loop.call_soon(self._begin, loop)

    async def finish(self) -> None:
        """Returns when everything that has gathered is committed."""
        loop = asyncio.get_running_loop()
        if self._waits() or self._busy:
            self._idle = self._idle or loop.create_future()
            self._arm(loop)
            await self._idle

    def _waits(self) -> bool:
        return bool(self._gathered) or any(one.members for one in self._patient.values())

    def _take(self, now: float) -> list[Member]:
        """Who goes into the set that begins now."""
        members: list[Member] = []
        alone = self._is_calm() and not self._idle
        if not alone or self._gathered_due() <= now + SOON / 2:
            members, self._gathered = self._gathered[:MOST], self._gathered[MOST:]
            if members and alone:
                return members  # the patient come right after, or before their time, in time that is nobody's
        for group in self._patient.values():
            if group.members and (self._idle or group.due() <= now + SOON or len(group.members) >= ENOUGH):
                members += group.members
                group.members = []
        return members

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Carry out the next set, or send it to the writer."""
        if self._slept:  # first the loop is to read what has come, and to deal with it
            self._slept = False
            self._timer = loop.call_soon(self._look_around, loop)
            return
        self._timer, self._due = None, math.inf
        if self._busy:
            return
        now = loop.time()
        waiting = len(self._gathered)
        members = self._take(now)
        if not members:
            if self._waits():
                self._arm(loop)
            return
        self._learn(len(members))
        for (verb, other), ride in self._rides.items():
            some = [member.argument for member in members if member.verb == verb]
            members += [Member(other, argument, None, rider) for argument, rider in (ride(some) if some else ())]
        members.sort(key=lambda member: self._order[member.verb])
        self._busy, self._began = True, time.perf_counter()
        if len(self._gathered) < waiting or not self._is_calm():
            self._next = now + self._pace
        results = self._carry_here(members, now)
        if results is not None:
            self._carried(loop, members, results)
            return
        try:
            self._threads.submit(self._carry, loop, members)
        except RuntimeError as error:  # the threads are shut down
            self._ended(loop, members, error)

    def _learn(self, members: int) -> None:
        """Whether keeping the pace is worth it."""
        if self._unpaced:
            self._unpaced -= 1
        elif self._first is not None:
            self._gain += (members - self._first - self._gain) / 12
            if self._gain < _WORTH:
                self._gain, self._unpaced = 1.0, _UNPACED
        self._first = None

    def _carry_here(self, members: list[Member], now: float) -> list[Any] | None:
        """The results of a set, committed in this very thread; None, and nothing done, where it is better done in the
        writer's: because it is large or many come, sets take long now, somebody else writes, or something is wrong."""
        self._flow = self._flow * math.exp(self._flow_at - now) + len(members)
        self._flow_at = now
        if self._here is None or not self._is_calm() or len(members) > FEW:
            return None
        if self._took > QUICK or now < self._elsewhere_until:
            return None
        try:
            return self._here(lambda connection: self._carry_out(connection, members))
        except Exception as error:
            log.debug("a set goes to the writer: %s", error, extra={"action": "set_passed_on"})
            return None

    def _carry(self, loop: asyncio.AbstractEventLoop, members: list[Member]) -> None:
        """In the writer's thread: commit, and hand the results back."""
        try:
            results, error = self._commit_set(members), None
        except BaseException as stopped:  # a set has no errors of its own: nobody may be left waiting
            results, error = [], stopped
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if error is None:
                loop.call_soon_threadsafe(self._carried, loop, members, results)
            else:
                loop.call_soon_threadsafe(self._ended, loop, members, error)

    def _carried(self, loop: asyncio.AbstractEventLoop, members: list[Member], results: Sequence[Any]) -> None:
        self._busy = False
        seconds = time.perf_counter() - self._began
        self._took += (seconds - self._took) / 8
        if seconds > TOO_LONG:
            self._elsewhere_until = loop.time() + WARY
        for member, result in zip(members, results, strict=True):
            if member.rider is not None:
                member.rider(result)
        if self._waits():
            self._arm(loop)
        elif self._idle is not None:
            self._idle.set_result(None)
            self._idle = None
        _answer(members, results)
        self.observe(members, results, seconds)
        self._rest(loop)

    def _ended(self, loop: asyncio.AbstractEventLoop, members: list[Member], error: BaseException) -> None:
        members, self._gathered = members + self._gathered, []
        for group in self._patient.values():
            members, group.members = members + group.members, []
        stopped = StoreLostError(f"the store stopped while committing ({type(error).__name__})")
        self._carried(loop, members, [stopped] * len(members))

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
        parts = [(verb, [one.argument for one in some]) for verb, some in groupby(members, key=attrgetter("verb"))]
        results: list[Any] = []
        while parts:
            verb, arguments = parts.pop(0)
            both = self._both.get((verb, parts[0][0])) if parts else None
            if both is not None:
                others = parts.pop(0)[1]
                answers, more = both(connection, arguments, others)
            else:
                others = []
                answers, more = self._verbs[verb](connection, arguments), []
            if (len(answers), len(more)) != (len(arguments), len(others)):
                wanted = len(arguments) + len(others)
                raise AssertionError(f"{verb} gave {len(answers) + len(more)} answers to {wanted} arguments")
            results += [*answers, *more]
        return results


def _answer(members: Sequence[Member], results: Sequence[Any]) -> None:
    for member, result in zip(members, results, strict=True):
        if member.done is None or member.done.done():  # whoever asked has gone
            continue
        if isinstance(result, BaseException):
            member.done.set_exception(result)
        else:
            member.done.set_result(result)
