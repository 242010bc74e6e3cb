"""Credit, holds and turns that a set remembers are those of the rows, whoever writes them and whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway import accounts, claims, credit, holds, verbs
from gateway.credit import NotEnoughError
from gateway.intake import Taken
from gateway.store import carrier, hot, schema
from gateway.store.errors import StoreError
from gateway.store.identifiers import STOCK
from gateway.store.store import Store
from gateway.transports.base import Result

JEAN, MARIE, PAUL = "+32475000001", "+32475000002", "+32475000003"
SEGMENT = schema.segment
Work = Callable[[Connection], Any]
Writes = Callable[[Work], Any]


@pytest.fixture(params=["here", "there"])
def store(
    request: pytest.FixtureRequest, sqlite_database: str, open_store: Any, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """Only on SQLite anything is remembered; sets are carried out in the loop's own thread, or in the writer's."""
    if request.param == "there":
        monkeypatch.setattr(carrier, "FEW", 0)
    one: Store = open_store(sqlite_database)
    return one


@pytest.fixture(params=["another process", "this process"])
def write(request: pytest.FixtureRequest, store: Store, sqlite_database: str, open_store: Any) -> Writes:
    """Carries a work out beside the sets: on a connection of another process, or on that of the sets themselves."""
    writer: Store = open_store(sqlite_database) if request.param == "another process" else store
    return writer.run


@pytest.fixture
def other(sqlite_database: str, open_store: Any, desk_on: Any) -> Any:
    """Another process's desk."""
    return desk_on(open_store(sqlite_database))


@pytest.fixture
def asked(store: Store) -> list[str]:
    """What the sets ask and tell the database from now on."""
    heard: list[str] = []
    store.run_now(lambda connection: connection.info.update(watch=lambda text, values: heard.append(text)))
    return heard


def ids(desk: Any) -> list[int]:
    """Every identifier of messages, deliveries and segments, in the order of their kinds."""
    return [row.id for table in (schema.message, schema.delivery, SEGMENT) for row in desk.rows(table)]


def poison(desk: Any, account: int, text: Any) -> Any:
    """What no database takes (no text at all), or no driver."""
    draft = desk.draft(account, PAUL)
    return replace(draft, request=replace(draft.request, text=text))


async def refused(desk: Any, account: int, *to: str) -> NotEnoughError:
    (answer,) = await desk.submit(desk.draft(account, *to))
    assert isinstance(answer, NotEnoughError), answer
    return answer


# Remembered -----------------------------------------------------------------------------------------------------------


async def test_what_the_last_set_read_and_wrote_is_not_asked_again(desk: Any, asked: list[str]) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, JEAN)
    assert [any(f"FROM {table}" in text for text in asked) for table in ("provision", "hold", "turn", "share")] == [
        True
    ] * 4
    asked.clear()
    await desk.send(ann, MARIE)
    assert [text for text in asked if "SELECT" in text] == []
    assert not any("counter" in text for text in asked)
    desk.audit()


async def test_what_nobody_changed_is_not_written_again(desk: Any, asked: list[str]) -> None:
    """An account with an allotment pays from it: the bought units stay as they are, and are not written."""
    ann = desk.account(monthly=20, bought=20)
    await desk.send(ann, JEAN)
    asked.clear()
    await desk.send(ann, MARIE)
    assert [any(f"UPDATE {table}" in text for text in asked) for table in ("provision", "period")] == [False, True]
    assert desk.left(ann) == (18, 20)
    desk.audit()


async def test_a_period_that_ends_between_two_sets_is_closed_once(desk: Any) -> None:
    ann = desk.account(monthly=20, bought=20)
    april = desk.now + timedelta(days=30)
    await desk.send(ann, JEAN)
    for n, now in enumerate((april, april, april + timedelta(days=31))):
        await desk.send(ann, MARIE, now=now)
        assert desk.left(ann, now) == ((19, 18, 19)[n], 20)
    assert len(desk.rows(schema.period)) == 3
    desk.audit()


async def test_units_of_an_old_period_are_settled_there_after_many_sets(desk: Any) -> None:
    ann = desk.account(monthly=20)
    await desk.send(ann, JEAN, MARIE)
    accepted, failed = await desk.claim()
    april = desk.now + timedelta(days=30)
    await desk.send(ann, PAUL, now=april)
    await desk.settle([accepted], Result.ACCEPTED, now=april)
    await desk.send(ann, PAUL, now=april)
    await desk.settle([failed], Result.PERMANENT, now=april)
    march, now = desk.rows(schema.period)
    assert (march.used, march.reserved, march.lapsed) == (1, 0, 19)
    assert (now.used, now.reserved, now.lapsed) == (0, 2, 0)
    desk.audit()


# Written by others ----------------------------------------------------------------------------------------------------


async def test_units_that_are_bought_can_be_spent_at_once(desk: Any, write: Writes) -> None:
    ann = desk.account(bought=1)
    await desk.send(ann, JEAN)
    assert (await refused(desk, ann, MARIE)).left == 0
    await write(lambda connection: credit.buy(connection, ann, 2, reason="more", now=desk.now))
    await desk.send(ann, MARIE)
    assert (await refused(desk, ann, MARIE, PAUL)).left == 1
    desk.audit()


async def test_units_that_are_taken_back_cannot_be_spent(desk: Any, write: Writes) -> None:
    ann = desk.account(bought=5)
    await desk.send(ann, JEAN)
    await write(lambda connection: credit.buy(connection, ann, -3, reason="a mistake", now=desk.now))
    assert (await refused(desk, ann, JEAN, MARIE)).left == 1
    desk.audit()


async def test_units_another_process_spends_are_spent(desk: Any, other: Any) -> None:
    ann = desk.account(monthly=2, bought=3)
    await desk.send(ann, JEAN)
    await other.send(ann, JEAN, MARIE, PAUL)
    assert (await refused(desk, ann, JEAN, MARIE)).left == 1
    await other.settle(await other.claim(), Result.PERMANENT)
    await desk.send(ann, JEAN, MARIE, PAUL)
    desk.audit()


async def test_an_account_that_is_new_has_what_it_has(desk: Any, other: Any) -> None:
    ann = desk.account("ann", bought=5)
    await desk.send(ann, JEAN)
    bob = other.account("bob", bought=1)
    await desk.send(bob, JEAN)
    await refused(desk, bob, JEAN)
    desk.audit()


async def test_another_plan_counts_from_the_next_period_on(desk: Any, write: Writes) -> None:
    ann = desk.account(monthly=5)
    await desk.send(ann, JEAN)

    def change(connection: Connection) -> None:
        accounts.add_plan(connection, "large", 50)
        accounts.change(connection, "ann", now=desk.now, plan="large")

    await write(change)
    april = desk.now + timedelta(days=30)
    await desk.send(ann, JEAN, now=april)
    assert desk.left(ann, april) == (49, 0)
    desk.audit()


@pytest.mark.parametrize(("kind", "name"), [("route", "one"), ("account", "ann")])
async def test_a_hold_holds_what_comes_next_and_no_longer_than_it_stands(
    desk: Any, write: Writes, kind: str, name: str
) -> None:
    ann = desk.account("ann", bought=5)
    await desk.send(ann, JEAN)
    await write(lambda connection: holds.stand(connection, kind, [name], desk.now))
    await desk.send(ann, MARIE)
    await desk.send(ann, MARIE)
    await write(lambda connection: holds.lift(connection, kind, [name]))
    await desk.send(ann, PAUL)
    assert desk.states() == ["queued", "held", "held", "queued"]


async def test_a_turn_others_take_is_not_given_again(desk: Any, other: Any) -> None:
    ann, bob = desk.account("ann", bought=50), desk.account("bob", bought=50)
    await desk.send(ann, JEAN, MARIE)
    await other.send(ann, *(f"+3247500{n:04}" for n in range(10)))
    await desk.send(ann, PAUL)
    assert [row.rank for row in desk.rows(SEGMENT, SEGMENT.c.account_id == ann)] == list(range(13))
    await other.claim(12)
    await desk.send(bob, JEAN)
    assert desk.rows(SEGMENT)[-1].rank == 11


async def test_the_turn_of_a_route_is_where_others_brought_it(desk: Any, write: Writes) -> None:
    ann = desk.account(bought=50)
    await desk.send(ann, JEAN)
    await desk.claim()
    await write(lambda connection: connection.execute(update(schema.turn).values(rank=70)))
    await desk.send(ann, JEAN)
    assert desk.rows(SEGMENT)[-1].rank == 70


async def test_a_claim_of_a_set_brings_the_turn_forward_for_the_next_set(desk: Any) -> None:
    ann, bob = desk.account("ann", bought=50), desk.account("bob", bought=50)
    await desk.send(ann, *(f"+3247500{n:04}" for n in range(10)))
    await desk.claim(8)
    await desk.send(bob, JEAN)
    assert desk.rows(SEGMENT)[-1].rank == 7


# Failing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"), [(None, StoreError), ("\ud800", UnicodeEncodeError)], ids=["the database", "the driver"]
)
async def test_what_a_failed_set_reserved_is_not_reserved(desk: Any, text: Any, error: type[Exception]) -> None:
    ann, bob = desk.account("ann", monthly=2, bought=3), desk.account("bob", bought=10)
    await desk.send(ann, JEAN)
    drafts = [desk.draft(bob, JEAN), poison(desk, ann, text), desk.draft(ann, MARIE), poison(desk, bob, text)]
    answers = await desk.submit(*drafts)
    assert [type(answer) for answer in answers] == [Taken, error, Taken, error]
    assert desk.left(ann) == (0, 3)
    assert desk.left(bob) == (0, 9)
    await desk.send(ann, JEAN, MARIE, PAUL)
    await refused(desk, ann, JEAN)
    desk.audit()


async def test_a_failed_set_after_many_good_ones_leaves_the_books_exact(desk: Any) -> None:
    ann = desk.account(monthly=2, bought=8)
    for n in range(5):
        await desk.submit(desk.draft(ann, JEAN), poison(desk, ann, None), desk.draft(ann, MARIE))
        await desk.settle(await desk.claim(), Result.PERMANENT if n % 2 else Result.ACCEPTED)
        desk.audit()
    assert sum(desk.left(ann)) == 4
    assert desk.states().count("accepted") == 6


# Identifiers ----------------------------------------------------------------------------------------------------------


async def test_nobody_is_given_anothers_identifier_whoever_writes_and_whatever_fails(desk: Any, other: Any) -> None:
    ann = desk.account(bought=5000)
    given: list[int] = []
    for n in range(12):
        await asyncio.gather(
            desk.submit(desk.draft(ann, JEAN), desk.draft(ann, MARIE)),
            other.submit(other.draft(ann, PAUL)),
            desk.store.run(lambda connection: given.extend(desk.store.identifiers.take(connection, 3))),
        )
        await desk.submit(desk.draft(ann, JEAN), poison(desk, ann, None))
        if n % 3 == 0:
            await desk.send(ann, *(f"+3247500{n:04}" for n in range(STOCK // 2)))
    everything = ids(desk) + given
    assert len(everything) == len(set(everything))
    desk.audit()


async def test_a_stock_is_used_up_before_more_is_taken(desk: Any) -> None:
    ann = desk.account(bought=500)
    sent = STOCK // 3
    for _ in range(sent):
        await desk.send(ann, JEAN)
    everything = sorted(ids(desk))
    assert everything == list(range(everything[0], everything[0] + 3 * sent))


async def test_a_work_takes_no_more_than_it_wants(desk: Any) -> None:
    await desk.send(desk.account(bought=5), JEAN)
    first, second = [
        await desk.store.run(lambda connection: desk.store.identifiers.take(connection, 2)) for _ in range(2)
    ]
    assert [*first, *second] == list(range(first[0], first[0] + 4))
    assert first[0] > max(ids(desk))


def test_only_what_is_named_is_remembered_of_a_purse_that_is_looked_at(desk: Any) -> None:
    """Who only looks at credit locks nothing, and neither asks nor changes what sets remember."""
    ann = desk.account(bought=5)

    def work(connection: Connection) -> tuple[int, int]:
        purse = credit.load(connection, [ann], desk.now)[ann]
        purse.reserve(3, now=desk.now, due=desk.now, message=1, reason="")
        looked_at = credit.load(connection, [ann], desk.now, lock=False)[ann]
        looked_at.reserve(1, now=desk.now, due=desk.now, message=1, reason="")
        return credit.load(connection, [ann], desk.now)[ann].provision, looked_at.provision

    assert desk.store._run_set(work) == (2, 4)


async def test_claims_granted_what_came_leave_the_turn_as_it_is_remembered(desk: Any, store: Store) -> None:
    ann = desk.account(bought=50)
    claim = claims.Claim("one", 5, 1, desk.now)
    await asyncio.gather(store.ask(verbs.SUBMIT, desk.draft(ann, JEAN)), store.ask(verbs.CLAIM, claim))
    await desk.send(ann, MARIE, PAUL)
    assert [(row.state, row.rank) for row in desk.rows(SEGMENT)] == [("submitting", 0), ("queued", 0), ("queued", 1)]
    assert store._run_set(lambda connection: hot.execute(connection, "SELECT count(*) FROM turn").fetchone()) == (0,)
