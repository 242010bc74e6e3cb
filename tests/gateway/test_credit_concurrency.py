"""Credit under many hands at once, over months' ends, changes of zone and plan: the books are right at every moment."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from gateway import accounts, claims, credit, settlement, unknown, verbs
from gateway.failure import RefusedError
from gateway.message import OPEN
from gateway.store import schema
from gateway.store.engine import parse_url
from gateway.store.store import Store
from gateway.transports.base import Result

HAND = Path(__file__).parent / "hand.py"
SEGMENT = schema.segment
ZONES = ("Europe/Brussels", "Pacific/Kiritimati", "America/New_York", "Asia/Kathmandu", "UTC")
NUMBERS = ("+32475000001", "+32475000002", "+32475000003", "+447700900001", "+447700900002")


class Life:
    """Several desks on one store, at each of which somebody does something at random."""

    def __init__(self, desks: list[Any], seed: int) -> None:
        self.desks = desks
        self.random = random.Random(seed)
        self.now: datetime = desks[0].now
        self.names = {
            desks[0].account(name, monthly=30, bought=40, zone=ZONES[n]): name for n, name in enumerate("abc")
        }
        self.done: Counter[str] = Counter()

    @property
    def store(self) -> Store:
        store: Store = self.random.choice(self.desks).store
        return store

    async def pass_time(self) -> None:
        for hours in (0, 1, 5, 24, 24 * 9) * 8:
            await asyncio.sleep(0.02)
            self.now += timedelta(hours=hours)

    async def submit(self) -> None:
        for _ in range(40):
            chosen = self.random
            desk, now = chosen.choice(self.desks), self.now
            at = now + timedelta(days=chosen.choice([1, 20, 35])) if chosen.random() < 0.3 else None
            drafts = [
                desk.draft(
                    chosen.choice(list(self.names)),
                    *chosen.sample(NUMBERS, chosen.randint(1, 3)),
                    text="x" * chosen.choice([10, 200, 400]),
                    key=chosen.choice([None, b"%d" % chosen.randint(0, 30)]),
                    at=at,
                    validity=timedelta(days=chosen.choice([1, 3])),
                    now=now,
                )
                for _ in range(chosen.randint(1, 6))
            ]
            for answer in await desk.submit(*drafts):
                if isinstance(answer, Exception) and not isinstance(answer, RefusedError):
                    raise answer
                self.done["refused" if isinstance(answer, RefusedError) else "taken"] += 1

    async def dispatch(self, node: int) -> None:
        for _ in range(60):
            chosen = self.random
            desk, now = chosen.choice(self.desks), self.now
            claimed = await desk.claim(chosen.randint(1, 8), route=chosen.choice(["one", "two"]), node=node, now=now)
            if not claimed:
                await asyncio.sleep(0.01)
            results = chosen.choices(list(Result), weights=[6, 1, 1, 2, 1, 1], k=len(claimed))
            for result in Result:
                mine = [one for one, its in zip(claimed, results, strict=True) if its == result]
                if mine:
                    await desk.settle(mine, result, node=node, now=self.now)
                    self.done[result] += len(mine)
                    if chosen.random() < 0.2:  # said again, or something else said of it
                        await desk.settle(mine, chosen.choice([result, Result.PERMANENT]), node=node, now=self.now)

    async def keep_house(self) -> None:
        for _ in range(40):
            now = self.now
            await self.store.run(lambda connection, now=now: claims.promote(connection, now))  # type: ignore[misc]
            await self.store.run(lambda connection, now=now: settlement.expire(connection, now))  # type: ignore[misc]
            await self.store.run(lambda connection, now=now: unknown.resend(connection, now, ["one"]))  # type: ignore[misc]
            await asyncio.sleep(0.01)

    async def manage(self) -> None:
        for _ in range(25):
            now, name = self.now, self.random.choice("abc")
            account = next(key for key, value in self.names.items() if value == name)
            work = self.random.choice([self._buy, self._change, self._cancel, self._resolve])
            try:
                await self.store.run(lambda connection: work(connection, account, name, now))  # noqa: B023
                self.done[work.__name__] += 1
            except RefusedError:
                self.done["refused by hand"] += 1
            await asyncio.sleep(0.01)

    def _buy(self, connection: Connection, account: int, _name: str, now: datetime) -> None:
        credit.buy(connection, account, self.random.choice([50, 50, 10, -5]), reason="by hand", now=now)

    def _change(self, connection: Connection, _account: int, name: str, now: datetime) -> None:
        plan = self.random.choice(["plan-of-a", "none", "plan-of-b"])
        accounts.change(connection, name, now=now, plan=plan, settings={"zone": self.random.choice(ZONES)})

    def _cancel(self, connection: Connection, account: int, _name: str, now: datetime) -> None:
        mine = select(SEGMENT.c.id).where(SEGMENT.c.account_id == account).order_by(func.random()).limit(10)
        settlement.cancel(connection, connection.execute(mine).scalars().all(), now, "by hand")

    def _resolve(self, connection: Connection, account: int, _name: str, now: datetime) -> None:
        lost = select(SEGMENT.c.id).where(claims.UNKNOWN, SEGMENT.c.account_id == account).limit(5)
        word = self.random.choice(["accepted", "failed", "resend"])
        unknown.resolve(connection, connection.execute(lost).scalars().all(), word, now)

    async def audit(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(self.random.choice(self.desks).audit)

    async def end(self) -> None:
        """Long after: whatever is still open ends."""
        self.now += timedelta(days=400)
        await self.store.run(lambda connection: unknown.strand(connection, self.now, {}, alive=[]))
        lost = select(SEGMENT.c.id).where(claims.UNKNOWN)
        await self.store.run(
            lambda connection: unknown.resolve(connection, connection.execute(lost).scalars().all(), "failed", self.now)
        )
        while await self.store.run(lambda connection: settlement.expire(connection, self.now)):
            pass


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_many_do_at_once_the_books_are_right(
    desk: Any, desk_on: Any, open_store: Callable[[], Store], seed: int
) -> None:
    await desk.store.run(lambda connection: accounts.add_plan(connection, "none", 0))
    life = Life([desk, desk_on(open_store()), desk_on(open_store())], seed)
    await asyncio.gather(
        life.pass_time(),
        *(life.submit() for _ in range(3)),
        *(life.dispatch(node) for node in (1, 2, 3)),
        life.keep_house(),
        life.manage(),
        life.audit(),
    )
    desk.audit()
    await life.end()
    assert not {state.value for state in OPEN} & set(desk.states())
    desk.audit()
    for account in life.names:
        credit_now = await desk.store.run(lambda connection, one=account: credit.show(connection, one, life.now))
        assert credit_now["allotment"]["reserved"] == credit_now["provision"]["reserved"] == 0
    assert min(life.done[what] for what in ("taken", "refused", *Result)) > 0


def test_several_processes_over_a_months_end(desk: Any, store: Store) -> None:
    everybody = [
        desk.account(name, monthly=40, bought=120, zone=zone) for name, zone in zip("abc", ZONES, strict=False)
    ]
    url = store.engine.url.render_as_string(hide_password=False)
    hands = [
        subprocess.Popen(
            [sys.executable, str(HAND), url, str(node), *map(str, everybody)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for node in (1, 2, 3)
    ]
    for hand in hands:
        assert hand.stdout is not None
        assert hand.stdout.readline() == "ready\n"
    for hand in hands:
        assert hand.stdin is not None
        hand.stdin.close()  # now all of them begin
    counts = []
    for hand in hands:
        assert hand.stdout is not None
        with hand.stdout:
            counts.append([int(word) for word in hand.stdout.read().split()])
        assert hand.wait(30) == 0
    taken, refused, accepted = (sum(column) for column in zip(*counts, strict=True))
    assert taken == len(desk.rows(schema.message))
    assert min(taken, refused, accepted) > 50
    assert desk.states().count("accepted") == accepted
    assert len(desk.rows(schema.period)) >= 2 * len(everybody)
    desk.audit()


@pytest.mark.peer("postgresql")
async def test_nodes_that_do_everything_at_once_do_not_run_into_deadlocks(
    postgresql_database: str, open_store: Callable[..., Store], desk_on: Any, cluster: Any
) -> None:
    """They would be run again, but each costs a second."""
    desks = [desk_on(open_store(postgresql_database)) for _ in range(3)]
    everybody = [desks[0].account(name, bought=5000) for name in "abcdef"]
    chosen = random.Random(3)

    for account in everybody:
        await desks[0].send(account, *(f"+32475{n:06}" for n in range(40)))

    async def work(node: int) -> None:
        mine = desks[node]
        claimed = await mine.claim(1, node=node)
        for _ in range(80):
            claimed, *_ = await asyncio.gather(
                mine.claim(2, node=node),
                mine.settle(claimed, Result.ACCEPTED, node=node),
                *(mine.store.do(verbs.SUBMIT, mine.draft(account)) for account in chosen.sample(everybody, 2)),
            )

    await asyncio.gather(*(work(node) for node in range(3)))
    desks[0].audit()
    name = parse_url(postgresql_database).database
    for one in desks:
        one.store.close()
    gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = %s"
    deadline = time.monotonic() + 30
    while not cluster.execute(gone, name)[0][0] and time.monotonic() < deadline:  # a session counts as it ends
        time.sleep(0.01)  # noqa: ASYNC251 - nothing else is on this loop
    ((deadlocks,),) = cluster.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = %s", name)
    assert deadlocks == 0
