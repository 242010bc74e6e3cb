"""The event loop sleeps between sets where much goes on, and what comes meanwhile goes into the next set together."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.store import carrier, sets
from gateway.store.sets import Lane

PACE = 0.02


class World:
    """A lane without a database; how long it slept, and what comes while it does."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(1)
        self.sets: list[list[Any]] = []
        self.slept: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.lane = Lane(self.run, {"ask": self.verb, "tell": self.verb}, self.threads, PACE, here=self.run)

    def run(self, work: Callable[[Any], list[Any]]) -> list[Any]:
        self.sets.append([])
        return work(None)

    def verb(self, _: Any, arguments: Any) -> Any:
        self.sets[-1] += arguments
        return arguments

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        end = time.monotonic() + seconds
        self.meanwhile()
        while time.monotonic() < end:
            pass


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Where two members a second are much."""
    one = World()
    monkeypatch.setattr(sets, "LIVELY", 1.5)
    monkeypatch.setattr(sets.time, "sleep", one.sleep)
    yield one
    one.threads.shutdown()


async def begin(world: World) -> None:
    """One set of two: from now on much goes on."""
    await asyncio.gather(world.lane.do("ask", "a"), world.lane.do("ask", "b"))


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_sleeps_until_the_next_set_may_begin(world: World) -> None:
    await begin(world)
    await turns()
    (slept,) = world.slept
    assert 0 < slept <= PACE


async def test_what_comes_meanwhile_shares_the_next_set(world: World) -> None:
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[Any]] = []
    pairs = [socket.socketpair() for _ in range(3)]
    for n, (ours, _) in enumerate(pairs):
        loop.add_reader(ours, lambda n=n, ours=ours: (ours.recv(1), answers.append(world.lane.do("ask", n))))  # type: ignore[misc]

    def come() -> None:
        world.meanwhile = lambda: None
        for _, theirs in pairs:
            theirs.send(b"x")

    world.meanwhile = come
    await begin(world)
    while len(answers) < 3:  # noqa: ASYNC110 - turns of the loop
        await asyncio.sleep(0)
    assert sorted(await asyncio.gather(*answers)) == [0, 1, 2]
    assert [sorted(map(str, one)) for one in world.sets] == [["a", "b"], ["0", "1", "2"]]
    for ours, theirs in pairs:
        loop.remove_reader(ours)
        ours.close()
        theirs.close()


async def test_who_was_answered_goes_on_before_it_sleeps(world: World) -> None:
    went_on: list[int] = []

    async def one() -> None:
        await world.lane.do("ask", 1)
        went_on.append(len(world.slept))

    await asyncio.gather(one(), one())
    await turns()
    assert went_on == [0, 0]
    assert len(world.slept) == 1


async def test_it_does_not_sleep_where_little_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "LIVELY", 10.0)
    await begin(world)
    await turns()
    assert world.slept == []


async def test_it_does_not_sleep_while_somebody_waits_for_what_may_come(world: World) -> None:
    world.lane.hurried = lambda: True
    await begin(world)
    await turns()
    assert world.slept == []


async def test_it_does_not_sleep_where_too_much_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier, "MANY_A_SECOND", 1.5)
    await begin(world)
    await turns()
    assert world.slept == []


async def test_the_patient_are_served_in_the_time_it_would_have_slept(world: World) -> None:
    told = world.lane.do("tell", "c", patience=0.0005)
    await begin(world)
    assert await asyncio.wait_for(told, 5) == "c"
    assert world.sets == [["a", "b"], ["c"]]


async def test_what_waits_for_the_pace_does_not_go_along_with_the_patient(world: World) -> None:
    world.lane.hurried = lambda: True  # nothing but the clock
    await begin(world)
    began = time.monotonic()
    told, asked = world.lane.do("tell", "c", patience=0.0005), world.lane.do("ask", "d")
    await asyncio.gather(told, asked)
    assert world.sets == [["a", "b"], ["c"], ["d"]]
    assert time.monotonic() - began > PACE / 2


async def test_the_end_does_not_wait_for_its_sleep(world: World) -> None:
    await begin(world)
    last = world.lane.do("ask", "c")
    await world.lane.finish()
    assert last.done()
    assert world.sets[-1] == ["c"]
