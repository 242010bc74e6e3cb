"""Sets in the loop's own thread: small ones, while few come and the disk is quick; the writer's has the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.store import carrier
from gateway.store.carrier import FEW, MANY_A_SECOND
from gateway.store.errors import StoreError, StoreLostError, WaitsError
from gateway.store.sets import Lane

Sets = list[list[tuple[str, Any]]]
HERE, THERE = "here", "there"


class Writer:
    """Carries sets out, in the loop's thread and in its own, and remembers where each was; no database."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(1)
        self.where: list[str] = []
        self.carried: Sets = []
        #: What `here` raises, before it has begun or after the verbs.
        self.fails: BaseException | None = None
        self.fails_late: BaseException | None = None
        #: How long a set takes, in seconds of the clock below.
        self.takes = 0.0
        self.clock = 1000.0

    def verb(self, name: str) -> Callable[[Any, Sequence[Any]], Sequence[Any]]:
        def carry_out(_: Any, arguments: Sequence[Any]) -> Sequence[Any]:
            self.carried[-1] += [(name, argument) for argument in arguments]
            return arguments

        return carry_out

    def run(self, work: Callable[[Any], list[Any]]) -> list[Any]:
        assert threading.current_thread() is not threading.main_thread()
        return self._carry(work, THERE)

    def here(self, work: Callable[[Any], list[Any]]) -> list[Any]:
        assert threading.current_thread() is threading.main_thread()
        if self.fails is not None:
            raise self.fails
        return self._carry(work, HERE)

    def _carry(self, work: Callable[[Any], list[Any]], where: str) -> list[Any]:
        self.carried.append([])
        try:
            results = work(None)
            if where == HERE and self.fails_late is not None:
                raise self.fails_late
        except BaseException:
            self.carried.pop()  # rolled back
            raise
        self.clock += self.takes
        self.where.append(where)
        return results

    def lane(self, *names: str, **options: Any) -> Lane:
        verbs = {name: self.verb(name) for name in names or ("ask",)}
        return Lane(self.run, verbs, self.threads, here=self.here, **options)


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """With a clock of its own for what sets take."""
    one = Writer()
    monkeypatch.setattr(time, "perf_counter", lambda: one.clock)
    yield one
    one.threads.shutdown()


async def ask(lane: Lane, count: int = 1, verb: str = "ask") -> list[Any]:
    """So many at once, in one set; what they got."""
    return await asyncio.gather(*(lane.do(verb, n) for n in range(count)), return_exceptions=True)


async def test_small_sets_are_carried_out_here(writer: Writer) -> None:
    lane = writer.lane()
    assert [await ask(lane, count) for count in (1, FEW)] == [[0], list(range(FEW))]
    assert writer.where == [HERE, HERE]
    assert [len(one) for one in writer.carried] == [1, FEW]


async def test_large_sets_go_to_the_writer(writer: Writer) -> None:
    lane = writer.lane()
    assert await ask(lane, FEW + 1) == list(range(FEW + 1))
    assert writer.where == [THERE]


async def test_without_a_way_here_every_set_goes_to_the_writer(writer: Writer) -> None:
    lane = Lane(writer.run, {"ask": writer.verb("ask")}, writer.threads)
    assert await ask(lane) == [0]
    assert writer.where == [THERE]


async def test_where_many_come_in_a_second_their_sets_go_to_the_writer_until_fewer_come(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane, loop = writer.lane(), asyncio.get_running_loop()
    now, ahead = loop.time(), 0.0
    monkeypatch.setattr(loop, "time", lambda: now + ahead)  # it stands still
    sets_until = int(MANY_A_SECOND // FEW)
    for _ in range(sets_until + 2):
        await ask(lane, FEW)
    assert writer.where == [HERE] * sets_until + [THERE] * 2
    ahead = 3.0
    await ask(lane, FEW)
    assert writer.where[-1] == HERE


async def test_where_sets_take_long_on_average_they_go_to_the_writer_until_they_are_quick_again(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "TOO_LONG", 1000.0)
    lane = writer.lane()
    writer.takes = 2 * carrier.QUICK
    for _ in range(10):
        await ask(lane)
    slow = writer.where.index(THERE)
    assert 1 < slow < 10
    assert writer.where == [HERE] * slow + [THERE] * (10 - slow)
    writer.takes = 0.0
    for _ in range(10):
        await ask(lane)
    assert writer.where[-1] == HERE


async def test_after_one_set_that_took_very_long_none_is_carried_out_here_for_a_while(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "QUICK", 1000.0)
    lane, loop = writer.lane(), asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    writer.takes = 2 * carrier.TOO_LONG
    await ask(lane)
    writer.takes = 0.0
    await ask(lane)
    assert writer.where == [HERE, THERE]
    ahead = carrier.WARY + 0.1
    await ask(lane)
    assert writer.where == [HERE, THERE, HERE]


@pytest.mark.parametrize("error", [WaitsError("somebody else writes"), StoreError("no"), ZeroDivisionError("ours")])
@pytest.mark.parametrize("late", [False, True], ids=["before anything", "after everything"])
async def test_what_fails_here_is_done_once_by_the_writer(writer: Writer, error: Exception, late: bool) -> None:
    lane = writer.lane()
    told: list[int] = []
    lane.observe = lambda members, results, seconds: told.append(len(members))
    writer.fails, writer.fails_late = (None, error) if late else (error, None)
    assert await ask(lane, 3) == [0, 1, 2]
    assert writer.where == [THERE]
    assert writer.carried == [[("ask", 0), ("ask", 1), ("ask", 2)]]
    assert told == [3]


async def test_what_rides_along_is_asked_for_once_and_told_once_though_its_set_failed_here(writer: Writer) -> None:
    lane = writer.lane("ask", "claim")
    rides: list[Any] = []
    told: list[Any] = []

    def ride(arguments: Sequence[Any]) -> list[tuple[Any, Callable[[Any], None]]]:
        rides.append(list(arguments))
        return [("all", told.append)]

    lane.ride("ask", "claim", ride)
    writer.fails = WaitsError("somebody else writes")
    await ask(lane, 2)
    assert (rides, told) == ([[0, 1]], ["all"])


async def test_a_rider_may_ask_for_more_while_its_set_ends_here(writer: Writer) -> None:
    lane = writer.lane("ask", "claim")
    more: list[asyncio.Future[Any]] = []
    lane.ride("ask", "claim", lambda _: [("first", lambda _: more.append(lane.do("claim", "second")))])
    assert await asyncio.wait_for(lane.do("ask", 1), 5) == 1
    assert await asyncio.wait_for(more[0], 5) == "second"
    assert writer.carried == [[("ask", 1), ("claim", "first")], [("claim", "second")]]


async def test_an_answer_lost_in_the_writer_is_said_not_tried_again(writer: Writer) -> None:
    tries = []

    def run(work: Callable[[Any], list[Any]]) -> list[Any]:
        tries.append(work)
        raise StoreLostError("the connection was lost while committing")

    writer.fails = WaitsError("somebody else writes")
    lane = Lane(run, {"ask": writer.verb("ask")}, writer.threads, here=writer.here)
    answers = await ask(lane, 3)
    assert [type(one) for one in answers] == [StoreLostError] * 3
    assert len(tries) == 1


async def test_the_end_comes_though_the_last_sets_are_carried_out_here(writer: Writer) -> None:
    lane = writer.lane(pace=30.0)
    waiting = [await lane.do("ask", 0), lane.do("ask", 1), lane.do("ask", 2, patience=30.0)]
    await asyncio.wait_for(lane.finish(), 5)
    assert [one.result() for one in waiting[1:]] == [1, 2]
    assert set(writer.where) == {HERE}


# Two as one -----------------------------------------------------------------------------------------------------------


def pair(writer: Writer, answers: int = 0) -> Callable[[Any, Sequence[Any], Sequence[Any]], Any]:
    """Carries out two verbs as one; with so many answers too many."""

    def both(_: Any, some: Sequence[Any], others: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        writer.carried[-1].append(("both", (list(some), list(others))))
        return [f"one {each}" for each in some], [f"two {each}" for each in others] + [None] * answers

    return both


async def test_verbs_that_follow_one_another_are_carried_out_as_one(writer: Writer) -> None:
    lane = writer.lane("submit", "note", "claim", both={("submit", "claim"): pair(writer)})
    asked = [lane.do(*one) for one in (("claim", 1), ("submit", 2), ("claim", 3))]
    assert await asyncio.gather(*asked) == ["two 1", "one 2", "two 3"]
    assert writer.carried == [[("both", ([2], [1, 3]))]]


async def test_what_comes_between_them_keeps_them_apart(writer: Writer) -> None:
    lane = writer.lane("submit", "note", "claim", both={("submit", "claim"): pair(writer)})
    asked = [lane.do(*one) for one in (("claim", 1), ("submit", 2), ("note", 3))]
    assert await asyncio.gather(*asked) == [1, 2, 3]
    assert writer.carried == [[("submit", 2), ("note", 3), ("claim", 1)]]


async def test_either_alone_is_what_it_always_was_and_the_order_matters(writer: Writer) -> None:
    lane = writer.lane("submit", "claim", both={("submit", "claim"): pair(writer), ("claim", "submit"): pair(writer)})
    assert [await lane.do("submit", 1), await lane.do("claim", 2)] == [1, 2]
    await asyncio.gather(lane.do("claim", 3), lane.do("submit", 4))
    assert writer.carried == [[("submit", 1)], [("claim", 2)], [("both", ([4], [3]))]]


async def test_two_pairs_of_one_set_are_two(writer: Writer) -> None:
    both = {("settle", "receive"): pair(writer), ("submit", "claim"): pair(writer)}
    lane = writer.lane("settle", "receive", "submit", "claim", both=both)
    asked = [lane.do(verb, n) for n, verb in enumerate(("claim", "submit", "receive", "settle"))]
    assert await asyncio.gather(*asked) == ["two 0", "one 1", "two 2", "one 3"]
    assert writer.carried == [[("both", ([3], [2])), ("both", ([1], [0]))]]


async def test_two_as_one_that_answer_too_much_are_a_defect_and_commit_nothing(writer: Writer) -> None:
    lane = writer.lane("submit", "claim", both={("submit", "claim"): pair(writer, answers=1)})
    first, second = await asyncio.gather(lane.do("submit", 1), lane.do("claim", 2))
    # Each is then run alone, in the writer's thread, where they are no pair.
    assert (first, second) == (1, 2)
    assert writer.carried == [[("submit", 1)], [("claim", 2)]]
