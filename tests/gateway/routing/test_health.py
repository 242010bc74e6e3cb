"""Which routes are ailing: long down, and up on no daemon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, update

from gateway import health, presence
from gateway.presence import Report
from gateway.store import schema
from gateway.store.store import Store

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
WHY = "cannot reach 192.0.2.1:2775: Connection refused; trying again in 42 s"


def says(state: str, seconds: float, name: str = "one", why: str = WHY) -> Report:
    return Report("route", name, state, NOW - timedelta(seconds=seconds), why)


@pytest.mark.parametrize("state", ["down", "refused"])
def test_a_route_that_is_down_for_half_a_minute_is_ailing(state: str) -> None:
    assert health.judge([says(state, 29)], NOW) == health.Health()
    found = health.judge([says(state, 30), says("up", 5, "two")], NOW)
    assert found == health.Health(frozenset({"two"}), {"one": "cannot reach 192.0.2.1:2775: Connection refused"})


@pytest.mark.parametrize("state", ["up", "throttled"])
def test_one_daemon_that_has_it_up_is_enough(state: str) -> None:
    assert health.judge([says("down", 900), says(state, 1)], NOW).ailing == {}


def test_a_moment_is_no_illness_on_any_of_the_daemons() -> None:
    assert health.judge([says("down", 900), says("down", 3)], NOW).ailing == {}


@pytest.mark.parametrize("state", ["connecting", "standby", "stopped"])
def test_other_states_say_nothing_against_it(state: str) -> None:
    assert health.judge([says(state, 900)], NOW).ailing == {}
    assert health.judge([says(state, 900), says("down", 900)], NOW).ailing.keys() == {"one"}


async def test_the_rows_of_living_daemons_tell(store: Store) -> None:
    node = await store.run(lambda connection: presence.arrive(connection, store.identifiers))

    def tell(connection: Connection) -> health.Health:
        since = presence.clock(connection) - timedelta(seconds=60)
        presence.beat(
            connection, node, [Report("route", "one", "down", since, WHY), Report("store", "x", "down", since)]
        )
        return health.look(connection)

    assert (await store.run(tell)).ailing.keys() == {"one"}

    def silence(connection: Connection) -> health.Health:
        long_ago = presence.clock(connection) - timedelta(seconds=presence.LEASE + 1)
        connection.execute(update(schema.node).values(beat=long_ago))
        return health.look(connection)

    assert await store.run(silence) == health.Health()
