"""How everything is: what living nodes say, what silent ones said, and what the daemon answers who asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from gateway import presence
from gateway.presence import Report
from gateway.store import schema, wake
from gateway.store.store import Store

SINCE = datetime(2026, 3, 10, 12, tzinfo=UTC)
UP = Report("route", "operator", "up", SINCE, "bound", "10 a second")
DOWN = Report("store", "store", "down", SINCE, "the disk that holds the store is full \N{EURO SIGN}")


def arrive(store: Store, *reports: Report) -> int:
    """A node that said this of itself."""
    number = store.run_now(lambda connection: presence.arrive(connection, store.identifiers))
    store.run_now(lambda connection: presence.beat(connection, number, reports))
    return number


def status(store: Store, **told: Any) -> dict[str, tuple[str, str]]:
    """State and reason of everything, by name."""
    lines = store.read_now(lambda connection: presence.status(connection, ["operator"], **told))
    return {line.name: (line.state, line.why) for line in lines}


def test_a_living_node_is_believed(store: Store) -> None:
    arrive(store, UP)
    (line,) = store.read_now(lambda connection: presence.status(connection, ["operator"]))
    assert (line.name, line.state, line.why, line.since, line.rate) == ("operator", "up", "bound", SINCE, "10 a second")


def test_what_a_silent_node_said_last_is_not_told_as_if_it_were_so(store: Store) -> None:
    arrive(store, UP)
    ago = datetime.now(UTC) - timedelta(hours=30)
    store.run_now(lambda connection: connection.execute(update(schema.node).values(beat=ago)).close())
    state, why = status(store)["operator"]
    assert state == "down"
    assert why.startswith("nothing was heard of it for 10800")
    assert why.endswith("it was killed, or it cannot write to the store")


def test_what_the_daemon_just_told_goes_before_its_rows(store: Store) -> None:
    arrive(store, UP)
    assert status(store, told=[UP, DOWN]) == {"operator": ("up", "bound"), "store": ("down", DOWN.why)}


def test_what_is_told_is_read_again() -> None:
    assert presence.unpack(presence.pack([UP, DOWN])) == [UP, DOWN]


@pytest.mark.parametrize(
    "rubbish", [None, b"", b"{", b"[1]", b"[[1, 2]]", b'[["a","b","c","no date","e","f"]]', b"\xff"]
)
def test_rubbish_is_no_report(rubbish: bytes | None) -> None:
    assert presence.unpack(rubbish) is None


class TestAsking:
    """The datagrams beside the SQLite file."""

    @pytest.fixture
    def database(self, sqlite_database: str) -> str:
        return sqlite_database

    @pytest.fixture
    async def woken(self, store: Store) -> AsyncIterator[asyncio.Event]:
        """A listening post that tells of itself; set when somebody kicks."""
        event = asyncio.Event()
        task = asyncio.create_task(wake.Waker(store.engine, event.set, lambda: presence.pack([DOWN])).run())
        while await asyncio.to_thread(wake.ask, store.engine) is None:
            assert not task.done()
        yield event
        task.cancel()
        await asyncio.wait([task])

    async def test_who_asks_is_answered_and_wakes_nobody(self, store: Store, woken: asyncio.Event) -> None:
        assert presence.unpack(await asyncio.to_thread(wake.ask, store.engine)) == [DOWN]
        assert not woken.is_set()

    async def test_who_kicks_wakes(self, store: Store, woken: asyncio.Event) -> None:
        wake.kick(store.engine)
        await asyncio.wait_for(woken.wait(), 5)

    async def test_without_a_daemon_nobody_answers(self, store: Store) -> None:
        assert wake.ask(store.engine) is None
