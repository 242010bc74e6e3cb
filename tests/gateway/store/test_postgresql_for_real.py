"""PostgreSQL for real: deadlocks, connections that die at work and at COMMIT, a server that goes and comes back."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text, update

from gateway.failure import RefusedError
from gateway.store import schema
from gateway.store.engine import StoreError, StoreLostError, open_engine, parse_url
from gateway.store.store import Store

pytestmark = pytest.mark.peer("postgresql")

PLAN = schema.plan
KILL = text("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)")


def add(connection: Connection, name: str) -> None:
    connection.execute(insert(PLAN), {"name": name, "monthly": 0})


def names(connection: Connection) -> list[str]:
    return list(connection.execute(select(PLAN.c.name).order_by(PLAN.c.name)).scalars())


@pytest.fixture
def database(postgresql_database: str) -> str:
    """These tests run on PostgreSQL alone."""
    return postgresql_database


# Asked to do it again -------------------------------------------------------------------------------------------------


async def test_works_that_deadlock_are_run_again_and_all_of_them_succeed(store: Store) -> None:
    for name in "ab":
        await store.run(lambda connection, name=name: add(connection, name))  # type: ignore[misc]
    both_hold_one = threading.Barrier(2)
    runs = []

    def count_both(first: str, second: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            runs.append(first)
            for name in (first, second):
                connection.execute(update(PLAN).where(PLAN.c.name == name).values(monthly=PLAN.c.monthly + 1))
                if name == first and runs.count(first) == 1:
                    both_hold_one.wait(10)

        return work

    await asyncio.gather(store.run(count_both("a", "b")), store.run(count_both("b", "a")))
    assert await store.read(lambda connection: connection.execute(select(PLAN.c.monthly)).scalars().all()) == [2, 2]
    assert len(runs) == 3


async def test_a_serialisation_failure_is_run_again(store: Store, open_store: Callable[[], Store]) -> None:
    await store.run(lambda connection: add(connection, "gold"))
    other = open_store()
    runs = []

    def work(connection: Connection) -> None:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        seen = connection.execute(select(PLAN.c.monthly)).scalar_one()
        runs.append(seen)
        if len(runs) == 1:
            other.run_now(lambda meanwhile: meanwhile.execute(update(PLAN).values(monthly=10)))
        connection.execute(update(PLAN).values(monthly=seen + 1))

    await store.run(work)
    assert runs == [0, 10]
    assert await store.read(lambda connection: connection.execute(select(PLAN.c.monthly)).scalar_one()) == 11


async def test_who_looked_and_found_nothing_looks_again_when_somebody_was_quicker(
    store: Store, open_store: Callable[[], Store]
) -> None:
    """Two add the same name at once: the second is refused in our words, not in the database's."""
    other = open_store()
    looks = []

    def work(connection: Connection) -> None:
        looks.append(names(connection))
        if looks[-1]:
            raise RefusedError("there is one already")
        other.run_now(lambda meanwhile: add(meanwhile, "gold"))
        add(connection, "gold")

    with pytest.raises(RefusedError, match="already"):
        await store.run(work)
    assert looks == [[], ["gold"]]


async def test_a_work_that_always_deadlocks_is_given_up(store: Store) -> None:
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        connection.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01', MESSAGE = 'deadlock'; END $$"))

    with pytest.raises(StoreError, match="deadlock"):
        await store.run(work)
    assert 2 <= len(runs) <= 10


# Killed ---------------------------------------------------------------------------------------------------------------


async def test_a_connection_killed_at_work_is_run_again_on_a_fresh_one(store: Store) -> None:
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        add(connection, "gold")
        if len(runs) == 1:
            connection.execute(KILL)

    await store.run(work)
    assert len(runs) == 2
    assert await store.read(names) == ["gold"]


async def test_connections_that_died_while_nobody_used_them_cost_nobody_an_error(store: Store, cluster: Any) -> None:
    await asyncio.gather(
        *(store.run(lambda connection: connection.execute(text("SELECT pg_sleep(0.05)"))) for _ in "abc")
    )
    assert await store.read(names) == []
    cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin'")
    await store.run(lambda connection: add(connection, "gold"))
    assert await store.read(names) == ["gold"]


async def test_a_work_that_is_killed_every_time_is_a_store_error_and_the_next_one_succeeds(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        await store.run(lambda connection: connection.execute(KILL))
    assert not isinstance(caught.value, StoreLostError)  # it was never committed: nobody need wonder
    await store.run(lambda connection: add(connection, "gold"))
    assert await store.read(names) == ["gold"]


async def test_killed_by_the_server_while_committing_is_perhaps_and_heals(store: Store, cluster: Any) -> None:
    def deadly(connection: Connection) -> None:
        connection.exec_driver_sql(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(5); RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON plan DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION die()"
        )

    await store.run(deadly)
    with pytest.raises(StoreLostError):
        await store.run(lambda connection: add(connection, "gold"))
    await store.run(lambda connection: connection.exec_driver_sql("DROP FUNCTION die() CASCADE"))
    assert await store.read(names) == []


@pytest.mark.parametrize(("when", "there"), [("before", []), ("after", ["gold"])])
async def test_an_answer_to_commit_that_is_lost_is_perhaps_and_never_run_again(
    lossy: Any, open_store: Callable[..., Store], when: str, there: list[str]
) -> None:
    url, between = lossy
    store = open_store(url)
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        add(connection, "gold")

    assert await store.read(names) == []
    between.lose(when)
    with pytest.raises(StoreLostError):
        await store.run(work)
    assert between.lost == 1
    assert len(runs) == 1
    assert await store.read(names) == there
    await store.run(lambda connection: add(connection, "later"))


async def test_a_set_whose_commit_is_lost_is_not_split_and_run_again(lossy: Any) -> None:
    url, between = lossy
    sets: list[int] = []

    def verb(connection: Connection, members: Sequence[str]) -> list[None]:
        sets.append(len(members))
        return [add(connection, name) for name in members]

    store = Store(open_engine(parse_url(url)), {"add": verb})
    assert await store.read(names) == []
    between.lose("after")
    answers = await asyncio.gather(*(store.do("add", name) for name in "abc"), return_exceptions=True)
    assert all(isinstance(answer, StoreLostError) for answer in answers)
    assert sets == [3]
    assert await store.read(names) == ["a", "b", "c"]
    await store.aclose()


@pytest.mark.filterwarnings("ignore:.*deleted while still open", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_connection_that_dies_while_it_is_made_is_a_store_error(
    lossy: Any, open_store: Callable[..., Store]
) -> None:
    url, between = lossy
    store = open_store(url)
    # SQLAlchemy asks this of its first connection, and forgets to close one that dies then.
    between.lose("before", at=b"pg_catalog.version()")
    with pytest.raises(StoreError):
        await store.run(names)
    gc.collect()
    assert await store.run(names) == []


# Gone -----------------------------------------------------------------------------------------------------------------


async def test_a_server_that_goes_is_one_plain_sentence_and_heals_when_it_is_back(store: Store, cluster: Any) -> None:
    await store.run(lambda connection: add(connection, "before"))
    await asyncio.to_thread(cluster.stop)
    try:
        for asked in (store.run(names), store.read(names), store.do("claim", None), store.run(names)):
            with pytest.raises(StoreError) as caught:
                await asked
            assert "\n" not in str(caught.value)
            assert "sqlalche.me" not in str(caught.value)
    finally:
        await asyncio.to_thread(cluster.start)
    await store.run(lambda connection: add(connection, "after"))
    assert await store.read(names) == ["after", "before"]


async def test_a_set_meets_a_server_that_is_away_once_not_once_a_member(store: Store, cluster: Any) -> None:
    runs = []

    def verb(connection: Connection, members: Sequence[str]) -> list[None]:
        runs.append(len(members))
        return [add(connection, name) for name in members]

    house = Store(store.engine, {"add": verb})
    await house.do("add", "before")
    await asyncio.to_thread(cluster.stop)
    try:
        answers = await asyncio.gather(*(house.do("add", f"{n}") for n in range(50)), return_exceptions=True)
        assert all(isinstance(answer, StoreError) for answer in answers)
        assert len(runs) <= 3
    finally:
        await asyncio.to_thread(cluster.start)
    assert await house.do("add", "after") is None
    await house.aclose()


async def test_a_lock_of_another_session_is_waited_for_then_said(
    store: Store, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.run(lambda connection: add(connection, "gold"))
    held, done = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        connection.execute(select(PLAN).with_for_update()).all()
        held.set()
        done.wait(30)

    def impatient(connection: Connection) -> None:
        connection.execute(text("SET LOCAL lock_timeout = 200"))
        connection.execute(update(PLAN).values(monthly=1))

    holding = asyncio.create_task(store.run(hold))
    await asyncio.to_thread(held.wait, 30)
    with pytest.raises(StoreError, match=r"^the store is locked by another process$"):
        await store.run(impatient)
    done.set()
    await holding
    await store.run(impatient)


# Settings -------------------------------------------------------------------------------------------------------------


async def test_commits_are_synchronous_and_transactions_read_committed_whatever_the_database_says(
    database: str, cluster: Any, open_store: Callable[..., Store]
) -> None:
    name = parse_url(database).database
    for setting in ("synchronous_commit = off", "default_transaction_isolation = serializable", "timezone = Japan"):
        cluster.execute(f"ALTER DATABASE {name} SET {setting}")
    store = open_store(database)

    def look(connection: Connection) -> tuple[Any, ...]:
        names = ("synchronous_commit", "transaction_isolation", "timezone", "lock_timeout")
        return tuple(connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names)

    assert await store.run(look) == ("on", "read committed", "UTC", "5s")


async def test_options_of_the_url_are_kept_but_do_not_weaken_ours(
    database: str, open_store: Callable[..., Store]
) -> None:
    url = parse_url(database).update_query_dict({"options": "-c work_mem=1234kB -c synchronous_commit=off"})
    store = open_store(url.render_as_string(hide_password=False))

    def look(connection: Connection) -> tuple[Any, ...]:
        return tuple(connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("work_mem", "synchronous_commit"))

    assert await store.run(look) == ("1234kB", "on")


async def test_more_callers_than_connections_wait_their_turn(store: Store) -> None:
    """Every thread of the store may hold a connection at once; nobody is refused for want of one."""
    slow = text("SELECT pg_sleep(0.02)")
    works = [store.run(lambda connection: connection.execute(slow).all()) for _ in range(30)]
    reads = [store.read(lambda connection: connection.execute(slow).all()) for _ in range(30)]
    await asyncio.gather(*works, *reads)
