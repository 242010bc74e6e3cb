"""Sets of the hot verbs: who waits for whom, who goes along, and the pace they keep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.store.sets import ENOUGH, STRETCH, Lane

Carried = list[list[tuple[str, Any]]]
_LONG = 0.2


@pytest.fixture
def carried() -> Carried:
    """The sets so far: verb and argument of each member."""
    return []


@pytest.fixture
def make(carried: Carried) -> Iterator[Callable[..., Lane]]:
    """Makes a lane whose verbs `answer` and `ask` give back what they are asked, in this order; no database."""
    threads = ThreadPoolExecutor(1)

    def verb(name: str) -> Callable[[Any, Sequence[Any]], Sequence[Any]]:
        def carry_out(_: Any, arguments: Sequence[Any]) -> Sequence[Any]:
            carried[-1] += [(name, argument) for argument in arguments]
            return arguments

        return carry_out

    def run(work: Callable[[Connection], list[Any]]) -> list[Any]:
        carried.append([])
        return work(None)  # type: ignore[arg-type]

    yield lambda pace=0.0: Lane(run, {name: verb(name) for name in ("answer", "ask")}, threads, pace)
    threads.shutdown()


async def test_who_comes_alone_waits_for_nobody(make: Callable[..., Lane], carried: Carried) -> None:
    lane = make(pace=30.0)
    assert await asyncio.wait_for(lane.do("ask", 1), 5) == 1
    assert carried == [[("ask", 1)]]


async def test_sets_keep_a_pace(make: Callable[..., Lane], carried: Carried) -> None:
    lane, loop = make(pace=_LONG), asyncio.get_running_loop()
    began = loop.time()
    await lane.do("ask", 1)
    later = [lane.do("ask", n) for n in (2, 3)]
    await asyncio.gather(*later)
    assert loop.time() - began >= _LONG * 0.9
    assert carried == [[("ask", 1)], [("ask", 2), ("ask", 3)]]


async def test_many_do_not_wait_for_the_pace(make: Callable[..., Lane], carried: Carried) -> None:
    lane = make(pace=30.0)
    await lane.do("ask", 0)
    await asyncio.wait_for(asyncio.gather(*(lane.do("ask", n) for n in range(ENOUGH))), 5)
    assert len(carried) == 2


async def test_the_patient_share_a_set(make: Callable[..., Lane], carried: Carried) -> None:
    lane = make()
    first = lane.do("answer", 1, patience=_LONG)
    await asyncio.sleep(0)
    await asyncio.gather(first, lane.do("answer", 2, patience=_LONG))
    assert carried == [[("answer", 1), ("answer", 2)]]


async def test_the_patient_do_not_go_along_before_their_time(make: Callable[..., Lane], carried: Carried) -> None:
    lane = make()
    patient = lane.do("answer", 1, patience=_LONG)
    await lane.do("ask", 2)
    assert carried == [[("ask", 2)]]
    assert not patient.done()
    await patient
    assert carried == [[("ask", 2)], [("answer", 1)]]


async def test_patience_ends_though_others_keep_coming(make: Callable[..., Lane], carried: Carried) -> None:
    lane, loop, patience = make(), asyncio.get_running_loop(), 0.05
    began = loop.time()
    first = lane.do("answer", 0, patience=patience)
    others: list[asyncio.Future[Any]] = []
    while not first.done():
        others.append(lane.do("answer", 1, patience=patience))
        if len(others) == ENOUGH - 5:  # so many would be a set by themselves
            break
        await asyncio.wait([first], timeout=patience / 3)
    await first
    assert loop.time() - began < patience * (STRETCH + 6)
    assert len(carried[0]) > STRETCH
    await asyncio.gather(*others)


async def test_others_go_along_with_the_verb_they_belong_to(make: Callable[..., Lane], carried: Carried) -> None:
    lane = make()
    told: list[Any] = []
    lane.ride("ask", "answer", lambda arguments: [(sum(arguments), told.append)])
    await asyncio.gather(lane.do("ask", 1), lane.do("ask", 2))
    await lane.do("answer", 9)
    assert carried == [[("answer", 3), ("ask", 1), ("ask", 2)], [("answer", 9)]]
    assert told == [3]


async def test_the_end_waits_for_the_patient_and_does_not_let_them_wait(
    make: Callable[..., Lane], carried: Carried
) -> None:
    lane = make(pace=30.0)
    await lane.do("ask", 0)
    waiting = [lane.do("ask", 1), lane.do("answer", 2, patience=30.0)]
    await asyncio.wait_for(lane.finish(), 5)
    assert [one.result() for one in waiting] == [1, 2]
    assert carried[1:] == [[("answer", 2), ("ask", 1)]]


async def test_who_sends_one_after_the_other_is_not_held_up_by_the_pace_for_long(make: Callable[..., Lane]) -> None:
    """Nobody comes while he waits, so waiting is given up: two hundred would take ten seconds at the pace."""
    lane, loop = make(pace=0.05), asyncio.get_running_loop()
    began = loop.time()
    for n in range(200):
        await lane.do("ask", n)
    assert loop.time() - began < 200 * 0.05 / 2
