"""The seam: works in transactions of their own, reads on a snapshot, sets that share a commit."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.failure import RefusedError
from gateway.store import schema
from gateway.store.engine import StoreError, open_engine, parse_url
from gateway.store.store import Store

PLAN = schema.plan


def add(name: str, monthly: int = 0) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute(insert(PLAN), {"name": name, "monthly": monthly})

    return work


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(PLAN.c.name).order_by(PLAN.c.name)).scalars())


def add_many(connection: Connection, members: Sequence[Any]) -> list[Any]:
    """A hot verb: (name, monthly) each; "defect" is one of ours, "refused" is refused, below zero the CHECK refuses."""
    rows: list[dict[str, Any]] = []
    answers: list[Any] = []
    for name, monthly in members:
        if name == "defect":
            raise ZeroDivisionError("ours")
        if name == "refused":
            answers.append(RefusedError("not this one"))
        else:
            rows.append({"name": name, "monthly": monthly})
            answers.append(f"took {name}")
    if rows:
        connection.execute(insert(PLAN), rows)
    return answers


class Watched:
    """A hot verb that tells which sets it was given, and waits for leave to go on."""

    def __init__(self) -> None:
        self.sets: list[list[Any]] = []
        self.go = threading.Event()
        self.entered = threading.Event()

    def __call__(self, connection: Connection, members: Sequence[Any]) -> list[Any]:
        self.sets.append(list(members))
        self.entered.set()
        assert self.go.wait(30)
        return add_many(connection, members)


@pytest.fixture
def engine(database: str) -> Engine:
    return open_engine(parse_url(database))


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
async def house(engine: Engine, watched: Watched) -> Any:
    """A store whose hot verbs are those of this test."""
    store = Store(engine, {"add": add_many, "watched": watched})
    yield store
    watched.go.set()
    await store.aclose()


# Works ----------------------------------------------------------------------------------------------------------------


async def test_what_run_returned_for_is_there_for_everybody(store: Store, open_store: Callable[[], Store]) -> None:
    await store.run(add("gold"))
    assert await open_store().read(names) == ["gold"]


@pytest.mark.parametrize("error", [RefusedError("no"), ZeroDivisionError("a defect"), KeyboardInterrupt()])
async def test_a_work_that_raises_leaves_nothing_behind_and_harms_nobody(store: Store, error: BaseException) -> None:
    def work(connection: Connection) -> None:
        add("gold")(connection)
        raise error

    def attempt() -> None:
        with pytest.raises(type(error)):
            store.run_now(work)

    await asyncio.to_thread(attempt)
    assert await store.read(names) == []
    await store.run(add("silver"))
    assert await store.read(names) == ["silver"]


async def test_a_database_error_is_a_store_error_in_one_plain_sentence(store: Store) -> None:
    await store.run(add("gold"))
    with pytest.raises(StoreError) as caught:
        await store.run(add("gold"))
    assert "\n" not in str(caught.value)
    assert "INSERT" not in str(caught.value)
    await store.run(add("silver"))
    assert await store.read(names) == ["gold", "silver"]


async def test_no_traceback_tells_what_was_to_be_stored(store: Store) -> None:
    row = {"id": 1, "account_id": 1, "origin": "mail", "created": None, "text": "a confidence", "recipients": 1}
    values = {**row, "expires": None, "report_to": "ann@example.org"}
    with pytest.raises(StoreError) as caught:
        await store.run(lambda connection: connection.execute(insert(schema.message), values))
    everything = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO message" in everything
    assert "a confidence" not in everything
    assert "ann@example.org" not in everything


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "savepoint"])
async def test_whoever_swallows_a_failed_statement_commits_nothing(store: Store, nested: bool) -> None:
    def work(connection: Connection) -> None:
        add("before")(connection)
        try:
            if nested:
                with connection.begin_nested():
                    add("bad", -1)(connection)
            else:
                add("bad", -1)(connection)
        except (SQLAlchemyError, StoreError):
            pass  # this is what no work may do

    def and_goes_on(connection: Connection) -> None:
        work(connection)
        add("after")(connection)

    for each in (work, and_goes_on):
        with pytest.raises(StoreError):
            await store.run(each)
    assert await store.read(names) == []
    await store.run(add("next"))
    assert await store.read(names) == ["next"]


async def test_a_statement_that_is_wrong_in_itself_is_a_defect_not_a_store_that_is_away(store: Store) -> None:
    with pytest.raises(SQLAlchemyError):
        await store.run(lambda connection: connection.execute(text("SELECT :nobody_gave_this")).all())


async def test_a_read_sees_one_moment(store: Store, open_store: Callable[[], Store]) -> None:
    other = open_store()

    def look_twice(connection: Connection) -> tuple[list[str], list[str]]:
        first = names(connection)
        other.run_now(add("meanwhile"))
        return first, names(connection)

    assert await store.read(look_twice) == ([], [])
    assert await store.read(names) == ["meanwhile"]


async def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.read(add("gold"))
    assert await store.read(names) == []


async def test_reads_go_on_while_somebody_writes(store: Store, open_store: Callable[[], Store]) -> None:
    other = open_store()

    def work(connection: Connection) -> list[str]:
        add("gold")(connection)
        return other.read_now(names)

    assert await store.run(work) == []


async def test_many_threads_may_use_the_seam_at_once(store: Store) -> None:
    await asyncio.gather(
        *(asyncio.to_thread(store.run_now, add(f"now-{n}")) for n in range(20)),
        *(store.run(add(f"run-{n}")) for n in range(20)),
    )
    assert len(await store.read(names)) == 40


async def test_works_that_look_and_then_write_do_not_overtake_each_other(
    store: Store, open_store: Callable[[], Store]
) -> None:
    await store.run(add("gold"))
    lock = select(PLAN.c.monthly).with_for_update()

    def count(connection: Connection) -> None:
        before = connection.execute(lock).scalar_one()
        connection.execute(update(PLAN).values(monthly=before + 1))

    await asyncio.gather(*(one.run(count) for one in (store, open_store(), open_store()) * 10))
    assert await store.read(lambda connection: connection.execute(select(PLAN.c.monthly)).scalar_one()) == 30


# Sets -----------------------------------------------------------------------------------------------------------------


async def test_what_gathers_while_one_set_commits_is_the_next_set(house: Store, watched: Watched) -> None:
    first = asyncio.create_task(house.do("watched", ("first", 0)))
    await asyncio.to_thread(watched.entered.wait, 30)
    others = [asyncio.create_task(house.do("watched", (f"n{n}", n))) for n in range(10)]
    await asyncio.sleep(0)  # the tasks begin
    watched.go.set()
    assert await first == "took first"
    assert await asyncio.gather(*others) == [f"took n{n}" for n in range(10)]
    assert watched.sets == [[("first", 0)], [(f"n{n}", n) for n in range(10)]]


async def test_a_set_has_at_most_500_members(house: Store, watched: Watched) -> None:
    watched.go.set()
    await asyncio.gather(*(house.do("watched", (f"n{n}", 0)) for n in range(1100)))
    assert [len(each) for each in watched.sets] == [500, 500, 100]


async def test_nobody_hears_of_success_before_the_commit(house: Store, watched: Watched) -> None:
    asked = asyncio.create_task(house.do("watched", ("gold", 0)))
    await asyncio.to_thread(watched.entered.wait, 30)
    assert not asked.done()
    assert await house.read(names) == []
    watched.go.set()
    await asked
    assert await house.read(names) == ["gold"]


@pytest.mark.parametrize(
    ("bad", "error"),
    [(("bad", -1), StoreError), (("defect", 0), ZeroDivisionError), (("refused", 0), RefusedError)],
    ids=["the database refuses it", "a defect of ours", "refused in plain code"],
)
async def test_one_member_does_not_spoil_the_others(house: Store, bad: Any, error: type[Exception]) -> None:
    wanted = [("a", 1), ("b", 2), bad, ("c", 3), ("d", 4)]
    answers = await asyncio.gather(*(house.do("add", one) for one in wanted), return_exceptions=True)
    assert answers[:2] + answers[3:] == ["took a", "took b", "took c", "took d"]
    assert isinstance(answers[2], error)
    assert await house.read(names) == ["a", "b", "c", "d"]


async def test_whoever_goes_away_harms_nobody(house: Store, watched: Watched) -> None:
    first, second = (asyncio.create_task(house.do("watched", (name, 0))) for name in ("first", "second"))
    await asyncio.to_thread(watched.entered.wait, 30)
    first.cancel()
    watched.go.set()
    assert await second == "took second"
    assert await house.do("add", ("third", 0)) == "took third"


async def test_a_verb_nobody_knows_harms_nobody(house: Store) -> None:
    asked = asyncio.create_task(house.do("add", ("gold", 0)))
    with pytest.raises(KeyError):
        await house.do("nonsense", None)
    assert await asked == "took gold"


async def test_a_verb_that_forgets_an_answer_is_a_defect_and_commits_nothing(engine: Engine) -> None:
    store = Store(engine, {"short": lambda connection, members: add_many(connection, members)[1:]})
    with pytest.raises(AssertionError):
        await store.do("short", ("gold", 0))
    assert await store.read(names) == []
    await store.aclose()


# The end --------------------------------------------------------------------------------------------------------------


async def test_the_end_waits_for_what_has_gathered(house: Store, watched: Watched, open_store: Any) -> None:
    asked = [asyncio.create_task(house.do("watched", (f"n{n}", 0))) for n in range(3)]
    await asyncio.to_thread(watched.entered.wait, 30)
    asked += [asyncio.create_task(house.do("watched", (f"late{n}", 0))) for n in range(3)]
    await asyncio.sleep(0)
    end = asyncio.create_task(house.aclose())
    await asyncio.sleep(0)
    watched.go.set()
    await end
    assert all(one.done() and not one.exception() for one in asked)
    assert len(await open_store().read(names)) == 6


async def test_a_closed_store_says_so(house: Store, watched: Watched) -> None:
    await house.aclose()
    for asked in (house.do("add", ("gold", 0)), house.run(names), house.read(names)):
        with pytest.raises(StoreError, match="closed"):
            await asked
