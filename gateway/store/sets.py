"""When sets begin: the hot verbs work on sets, and what has gathered while one commits shares the next one's commit."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from gateway.store.carrier import Both, Carrier, Member, Run, Verb
from gateway.store.errors import StoreLostError

#: The most members of one set, so that no commit grows without bound.
MOST = 500
#: So many that wait are a set by themselves, and it begins at once.
ENOUGH = 40
#: With more members a second than this, the loop sleeps between two sets.
LIVELY = 800.0
#: How many must come while one waits for the pace, on average, for it to be kept; else so many sets do not.
_WORTH, _UNPACED = 0.05, 300
#: How much longer than its patience the first of a group waits, while others come.
STRETCH = 5
#: Who is due within this many seconds goes along with a set that begins for others.
SOON = 0.001


#: Further arguments for a set that is about to begin, given those it has of another verb; and for each whom to tell.
#: He is told first, before the next set begins: the result, or the exception in its place.
Ride = Callable[[Sequence[Any]], Sequence[tuple[Any, Callable[[Any], None]]]]


#: Is told of every set after its commit, on the event loop: its members, their results, and how many seconds it took.
Observe = Callable[[Sequence[Member], Sequence[Any], float], None]


@dataclass(slots=True)
class _Patient:
    """Members of one verb that let others come first: begun when none has come for `patience`, or the first waited
    `STRETCH` times as long. `first` and `last` are when those came, in the loop's seconds."""

    patience: float = 0.0
    members: list[Member] = field(default_factory=list)
    first: float = 0.0
    last: float = 0.0

    def due(self) -> float:
        """When they may begin; there are some."""
        return min(self.first + STRETCH * self.patience, self.last + self.patience)

    def is_due(self, now: float) -> bool:
        """Whether they may go into a set that begins now."""
        return bool(self.members) and (self.due() <= now + SOON or len(self.members) >= ENOUGH)


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
        self.carrier = Carrier(run, verbs, both or {}, here)
        self._order = {name: place for place, name in enumerate(verbs)}
        self._threads = threads
        self._pace = pace
        self.observe: Observe = lambda members, results, seconds: None
        #: Whether somebody waits for what may come any moment: then the loop does not sleep.
        self.hurried: Callable[[], bool] = lambda: False
        self._gathered: list[Member] = []
        self._patient = {name: _Patient() for name in verbs}
        self._rides: dict[tuple[str, str], Ride] = {}
        self._busy = False
        self._began = 0.0
        self._next = 0.0  # when a set may begin, in the loop's seconds
        self._first: int | None = None  # how many there were when one began to wait for the pace
        self._gain = 1.0  # how many come meanwhile, on average
        self._unpaced = 0  # how many sets more need not keep the pace
        self._timer: asyncio.Handle | None = None
        self._due = math.inf  # when that is called, 0: as soon as can be
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
            group, now = self._patient[verb], loop.time()
            if not group.members:
                group.first = now
            group.patience, group.last = patience, now
            group.members.append(member)
            sooner = self._due > now + patience
        else:
            self._gathered.append(member)
            sooner = self._due > self._next or self._is_pressed()
        if sooner and self._due:
            self._arm(loop)
        return done

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a set when one is due, but none before its time."""
        if self._busy:
            return
        now = loop.time()
        due = 0.0 if self._idle else min(self._gathered_due(), self._patient_due())
        if self._gathered and self._first is None and not self._idle and self._gathered_due() > now:
            self._first = len(self._gathered)
        if due >= self._due:
            return
        if due > now:
            self._call(loop.call_at(due, self._begin, loop), due)
        else:  # not at once: what else is asked for in this turn of the loop goes along
            self._call(loop.call_soon(self._begin, loop), 0.0)

    def _call(self, handle: asyncio.Handle, due: float) -> None:
        """This is what leads to the next set, and nothing else."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = handle, due

    def _is_pressed(self) -> bool:
        """Whether the pace is not kept: many wait, or nobody comes while one waits."""
        return bool(self._unpaced) or len(self._gathered) >= ENOUGH

    def _gathered_due(self) -> float:
        """When those may begin who are not patient, in the loop's seconds."""
        if not self._gathered:
            return math.inf
        return 0.0 if self._is_pressed() else self._next

    def _patient_due(self) -> float:
        """When the first of the patient may begin, in the loop's seconds."""
        due = math.inf
        for group in self._patient.values():
            if group.members:
                due = min(due, group.due())
        return due if self.carrier.is_calm or self._is_pressed() else max(due, self._next)

    async def finish(self) -> None:
        """Returns when everything that has gathered is committed."""
        loop = asyncio.get_running_loop()
        if self._waits() or self._busy:
            self._idle = self._idle or loop.create_future()
            self._arm(loop)
            await self._idle

    def _waits(self) -> bool:
        return bool(self._gathered) or any(group.members for group in self._patient.values())

    # A set ------------------------------------------------------------------------------------------------------------

    def _take(self, now: float) -> list[Member]:
        """Who goes into the set that begins now."""
        members: list[Member] = []
        alone = self.carrier.is_calm and not self._idle
        if not alone or self._gathered_due() <= now + SOON / 2:
            members, self._gathered = self._gathered[:MOST], self._gathered[MOST:]
            if members and alone:
                return members  # the patient come right after, or before their time, in time that is nobody's
        for group in self._patient.values():
            if group.is_due(now) or (self._idle and group.members):
                members += group.members
                group.members = []
        return members

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Carry out the next set, or send it to the writer."""
        self._timer, self._due = None, math.inf
        if self._busy:
            return
        now = loop.time()
        waiting = len(self._gathered)
        members = self._take(now)
        if not members:
            self._first = None
            if self._waits():
                self._arm(loop)
            return
        self._learn(len(members))
        for (verb, other), ride in self._rides.items():
            some = [member.argument for member in members if member.verb == verb]
            if some:
                members += [Member(other, argument, None, rider) for argument, rider in ride(some)]
        order = self._order
        members.sort(key=lambda member: order[member.verb])
        self._busy, self._began = True, time.perf_counter()
        if len(self._gathered) < waiting or not self.carrier.is_calm:
            self._next = now + self._pace
        results = self.carrier.carry_here(members, now)
        if results is not None:
            self._carried(loop, members, results)
            return
        try:
            self._threads.submit(self.carrier.carry, loop, members, self._carried, self._ended)
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

    def _carried(self, loop: asyncio.AbstractEventLoop, members: list[Member], results: Sequence[Any]) -> None:
        self._busy = False
        seconds = time.perf_counter() - self._began
        self.carrier.took(seconds, loop.time())
        for member, result in zip(members, results, strict=True):
            if member.rider is not None:
                member.rider(result)
        _answer(members, results)
        self.observe(members, results, seconds)
        self._go_on(loop)

    def _ended(self, loop: asyncio.AbstractEventLoop, members: list[Member], error: BaseException) -> None:
        members, self._gathered = members + self._gathered, []
        for group in self._patient.values():
            members, group.members = members + group.members, []
        stopped = StoreLostError(f"the store stopped while committing ({type(error).__name__})")
        self._carried(loop, members, [stopped] * len(members))

    # Between two sets -------------------------------------------------------------------------------------------------

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """After a set, what leads to the next."""
        if self._is_lively() and not self._idle:
            # Whoever was just answered, and whoever waits for him, goes on first.
            self._call(loop.call_soon(self._rest, loop), 0.0)
        elif self._waits():
            self._arm(loop)
        elif self._idle is not None:
            self._idle.set_result(None)
            self._idle = None

    def _is_lively(self) -> bool:
        return self.carrier.is_calm and self.carrier.flow > LIVELY and not self._unpaced and not self.hurried()

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        if any(group.is_due(now) for group in self._patient.values()):
            self._call(loop.call_soon(self._begin, loop), 0.0)
        else:
            self._call(loop.call_soon(self._sleep, loop), 0.0)

    def _sleep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Where much goes on, let the whole loop sleep until the next set may begin.

        What comes meanwhile is dealt with in one go, just before that set: to wake up for each of it costs more than
        to deal with it, and nothing of it could be committed any sooner.
        """
        # Not `loop.time()`, which is of the beginning of this turn of the loop; it is the same clock.
        left = min(self._next - time.monotonic(), self._pace)
        if left > 0 and not self._idle and len(self._gathered) < ENOUGH:
            self._first = max(1, len(self._gathered))
            time.sleep(left)
        self._call(loop.call_soon(self._look_around, loop), 0.0)

    def _look_around(self, loop: asyncio.AbstractEventLoop) -> None:
        """What has come is read by now, and dealt with in this turn of the loop."""
        self._call(loop.call_soon(self._begin, loop), 0.0)


def _answer(members: Sequence[Member], results: Sequence[Any]) -> None:
    for member, result in zip(members, results, strict=True):
        if member.done is None or member.done.done():  # whoever asked has gone
            continue
        if isinstance(result, BaseException):
            member.done.set_exception(result)
        else:
            member.done.set_result(result)
