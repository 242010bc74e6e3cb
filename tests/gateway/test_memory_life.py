"""Sets that remember, others that write in between, and sets that fail, in any order: what is known is what is so."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from gateway import accounts, claims, credit, holds, receipts, settlement, unknown, verbs
from gateway.claims import Claim
from gateway.draft import Draft
from gateway.failure import RefusedError
from gateway.message import OPEN, Claimed
from gateway.settlement import Settle
from gateway.store import carrier, memory, schema
from gateway.store.errors import StoreError
from gateway.store.identifiers import Identifiers
from gateway.store.store import Store
from gateway.transports.base import Outcome, Receipt, ReceiptState, Result
from tests.peers.ledgers import Books

SEGMENT = schema.segment
NUMBERS = ("+32475000001", "+32475000002", "+32475000003", "+447700900001", "+447700900002")
ROUTES = ("one", "two")


def untrue(connection: Connection, long_ago: datetime) -> list[str]:
    """What this set believes to know that the rows do not say. So long ago no period ended yet."""
    wrong: list[str] = []

    def compare(what: str, known: Any, row: Any) -> None:
        if known != row:
            wrong.append(f"{what}: {known} is known, {row} is so")

    for account, purse in memory.of(connection, "purse").items():
        fresh = credit.load(connection, [account], long_ago, lock=False)[account]
        compare(f"purse {account}", (*purse.state, purse.monthly), (*fresh.state, fresh.monthly))
        wrong += [f"purse {account} has {entry} to write" for entry in purse.entries]
        for starts, period in purse.periods.items():
            key = (schema.period.c.account_id == account) & (schema.period.c.starts == starts)
            row = connection.execute(select(schema.period).where(key)).one()
            compare(f"period {account} {starts}", (period.ends, period.granted), (row.ends, row.granted))
            compare(f"period {account} {starts}", period.state, (row.used, row.reserved, row.lapsed))
            compare(f"period {account} {starts}", period.written, (row.used, row.reserved, row.lapsed))
    for route, rank in memory.of(connection, "turn").items():
        turn = select(schema.turn.c.rank).where(schema.turn.c.route == route)
        compare(f"turn {route}", rank, connection.execute(turn).scalar() or 0)
    for key, rank in memory.of(connection, "share").items():
        columns = (schema.share.c.route, schema.share.c.account_id, schema.share.c.urgent)
        share = select(schema.share.c.rank).where(*(column == one for column, one in zip(columns, key, strict=True)))
        compare(f"share {key}", rank, connection.execute(share).scalar_one_or_none() if rank >= 0 else rank)
    for rows in memory.of(connection, "hold").values():
        standing = connection.execute(select(schema.hold.c.kind, schema.hold.c.name)).all()
        compare("holds", sorted(map(tuple, rows)), sorted(map(tuple, standing)))
    for found in memory.of(connection, "orphan").values():
        orphans = select(func.count()).where(schema.receipt.c.segment_id.is_(None))
        compare("orphans", found, connection.execute(orphans).scalar_one() > 0)
    for route in memory.of(connection, "empty"):
        ready = select(func.count()).where(claims.QUEUED, SEGMENT.c.rank.is_not(None), SEGMENT.c.route == route)
        compare(f"waiting on {route}", 0, connection.execute(ready).scalar_one())
    for _, end in memory.of(connection, "identifiers").values():
        compare("identifiers", end, connection.execute(select(schema.counter.c.next)).scalar_one())
    return wrong


class Life:
    """One desk whose sets remember, and another process's desk; what each does next is chosen at random."""

    def __init__(self, desk: Any, other: Any, seed: int) -> None:
        self.desk, self.other = desk, other
        self.random = random.Random(seed)
        self.now: datetime = desk.now
        self.accounts = [desk.account(name, monthly=20, bought=60) for name in "abc"]
        self.in_flight: dict[int, tuple[Claimed, int, datetime]] = {}
        self.accepted: list[tuple[str, str, str]] = []
        self.given: list[int] = []
        self.done: Counter[str] = Counter()
        self.ticks = 0

    def tick(self) -> datetime:
        """An instant no claim had before."""
        self.ticks += 1
        return self.now + timedelta(microseconds=self.ticks)

    # The sets ---------------------------------------------------------------------------------------------------------

    def draft(self) -> Draft:
        chosen = self.random
        draft: Draft = self.desk.draft(
            chosen.choice(self.accounts),
            *chosen.sample(NUMBERS, chosen.randint(1, 3)),
            text="x" * chosen.choice([10, 10, 200, 400]),
            key=chosen.choice([None, None, b"%d" % chosen.randint(0, 30)]),
            at=self.now + timedelta(days=1) if chosen.random() < 0.1 else None,
            urgent=chosen.random() < 0.2,
            now=self.now,
        )
        if chosen.random() < 0.05:  # one that spoils its set
            return replace(draft, request=replace(draft.request, text=None))  # type: ignore[arg-type]
        return draft

    async def submit(self, store: Store) -> None:
        try:
            await store.ask(verbs.SUBMIT, self.draft())
            self.done["taken"] += 1
        except RefusedError:
            self.done["refused"] += 1
        except StoreError:
            self.done["spoilt"] += 1

    async def claim(self, store: Store, node: int) -> None:
        now = self.tick()
        limit, route = self.random.randint(1, 8), self.random.choice(ROUTES)
        for one in await store.ask(verbs.CLAIM, Claim(route, limit, node, now)):
            assert one.id not in self.in_flight, "it is claimed twice"
            self.in_flight[one.id] = one, node, now
            self.done["claimed"] += 1

    async def settle(self, store: Store) -> None:
        some = self.random.sample(sorted(self.in_flight), min(len(self.in_flight), self.random.randint(1, 6)))
        mine = [self.in_flight.pop(one) for one in some]
        for node in {node for _, node, _ in mine}:
            ours = [(one, at) for one, its, at in mine if its == node]
            outcomes = tuple(self.outcome(one) for one, _ in ours)
            waits = dict.fromkeys(ROUTES, self.now + timedelta(minutes=2))
            settle = Settle(outcomes, self.now, waits, 0.0, node, [at for _, at in ours], self.desk.routes)
            await store.ask(verbs.SETTLE, settle)

    def outcome(self, one: Claimed) -> Outcome:
        result = self.random.choices(list(Result), weights=[6, 1, 1, 2, 1, 1])[0]
        self.done[result] += 1
        peer_id = f"{one.id:x}" if result == Result.ACCEPTED else ""
        if peer_id:
            self.accepted.append((one.route, peer_id, one.to))
        return Outcome(one.id, result, peer_id=peer_id, tries=3, written=self.now, answered=self.now)

    async def receive(self, store: Store) -> None:
        """Of something accepted, mostly; of the latest rather, whose answer may be in the same set."""
        known = self.accepted[-5:] if self.random.random() < 0.7 else self.accepted
        route, peer_id, to = self.random.choice([*known, ("one", "nobody's", NUMBERS[0])])
        receipt = Receipt(route, peer_id, to[1:], "tocsin", self.random.choice(list(ReceiptState)))
        found = await store.ask(verbs.RECEIVE, receipts.Receive(receipt, self.now))
        self.done["received" if found is not None else "orphans"] += 1

    async def set(self, store: Store, node: int) -> None:
        """One set of a few members, or several."""
        ways: dict[Callable[..., Any], tuple[Any, ...]] = {
            self.submit: (), self.claim: (node,), self.settle: (), self.receive: ()
        }  # fmt: skip
        some = self.random.choices(list(ways), weights=[6, 3, 3, 2], k=self.random.randint(1, 8))
        await asyncio.gather(*(way(store, *ways[way]) for way in some))

    # Between them -----------------------------------------------------------------------------------------------------

    def between(self, connection: Connection) -> Any:
        """What somebody writes who is no set."""
        chosen = self.random
        account, route = chosen.choice(self.accounts), chosen.choice(ROUTES)
        with suppress(RefusedError):
            match chosen.randint(0, 9):
                case 0 | 1:
                    return credit.buy(connection, account, chosen.choice([30, 5, -5]), reason="by hand", now=self.now)
                case 2:
                    return holds.stand(connection, "route", [route], self.now)
                case 3:
                    return holds.stand(connection, "account", [chosen.choice("abc")], self.now)
                case 4 | 5:
                    holds.lift(connection, "route", ROUTES)
                    holds.lift(connection, "account", list("abc"))
                    return holds.release(connection, holds.Selection(route=route), self.now)
                case 6:
                    return claims.promote(connection, self.now)
                case 7:
                    return self.given.extend(Identifiers().take(connection, 3))
                case 8:
                    mine = select(SEGMENT.c.id).where(SEGMENT.c.account_id == account).order_by(func.random()).limit(3)
                    return settlement.cancel(connection, connection.execute(mine).scalars().all(), self.now, "by hand")
                case 9:
                    plan = chosen.choice(["plan-of-a", "plan-of-b"])
                    return accounts.change(connection, chosen.choice("abc"), now=self.now, plan=plan)

    async def step(self) -> None:
        chosen = self.random.random()
        if chosen < 0.55:
            await self.set(self.desk.store, 1)
        elif chosen < 0.65:
            await self.set(self.other.store, 2)
        elif chosen < 0.75:
            await self.desk.store.run(self.between)
        elif chosen < 0.85:
            await self.other.store.run(self.between)
        else:  # all at once
            store = self.desk.store
            await asyncio.gather(self.set(store, 1), self.set(self.other.store, 2), self.other.store.run(self.between))
        if self.random.random() < 0.1:
            self.now += timedelta(hours=self.random.choice([1, 5, 9 * 24]))

    async def look(self) -> None:
        """What the next set would know is so."""
        assert await asyncio.to_thread(self.desk.store._run_set, lambda one: untrue(one, self.desk.now)) == []

    async def end(self) -> None:
        """Long after: whatever is still open ends."""
        self.now += timedelta(days=400)

        def work(connection: Connection) -> None:
            unknown.strand(connection, self.now, {}, alive=[])
            lost = connection.execute(select(SEGMENT.c.id).where(claims.UNKNOWN)).scalars().all()
            unknown.resolve(connection, lost, "failed", self.now)

        await self.other.store.run(work)
        while await self.desk.store.run(lambda connection: settlement.expire(connection, self.now)):
            pass


@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_comes_in_between_the_books_are_exact_and_nothing_is_given_twice(
    sqlite_database: str,
    desk_on: Any,
    open_store: Callable[..., Store],
    seed: int,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if where == "there":
        monkeypatch.setattr(carrier, "FEW", 0)
    desk = desk_on(open_store(sqlite_database))
    life = Life(desk, desk_on(open_store(sqlite_database)), seed)
    books = Books(sqlite_database)
    for n in range(150):
        await life.step()
        await life.look()
        if n % 25 == 0:
            desk.audit()
            assert books.faults_of_credit() == []
    ids = [row.id for table in (schema.message, schema.delivery, SEGMENT) for row in desk.rows(table)]
    assert len({*ids, *life.given}) == len(ids) + len(life.given)
    submitting = {row.id for row in desk.rows(SEGMENT) if row.state == "submitting"}
    assert submitting == set(life.in_flight)
    await life.end()
    assert not {state.value for state in OPEN} & set(desk.states())
    desk.audit()
    assert books.faults_of_credit() == []
    for what in ("taken", "refused", "spoilt", "claimed", "received", "orphans", *Result):
        assert life.done[what] > 0, what
