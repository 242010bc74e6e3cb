"""Credit in rows: what the operator sees, rolled to now; changes of plan and zone that act from the next period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError

from gateway import accounts, credit
from gateway.failure import RefusedError
from gateway.store import schema
from gateway.store.engine import StoreError
from gateway.store.store import Store

pytestmark = pytest.mark.usefixtures("audit")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def show(store: Store, account: int, now: datetime) -> dict[str, Any]:
    return await store.run(lambda connection: credit.show(connection, account, now))


async def test_both_pots_at_a_glance(desk: Any, store: Store) -> None:
    ann = desk.account(monthly=10, bought=5, zone="Europe/Brussels")
    await desk.deliver(ann, "+32475000001", "+32475000002")
    await desk.send(ann, "+32475000003")
    assert await show(store, ann, desk.now) == {
        "allotment": {"granted": 10, "used": 2, "reserved": 1, "left": 7, "ends": utc("2026-03-31T22:00")},
        "provision": {"bought": 5, "used": 0, "reserved": 0, "left": 5},
        "left": 12,
    }


async def test_a_look_after_the_months_end_finds_the_new_period_and_the_ledger_says_what_lapsed(
    desk: Any, store: Store
) -> None:
    ann = desk.account(monthly=10, zone="Europe/Brussels")
    later = utc("2026-05-02T00:00")
    seen = await show(store, ann, later)
    assert seen["allotment"] == {"granted": 10, "used": 0, "reserved": 0, "left": 10, "ends": utc("2026-05-31T22:00")}
    told = await store.run(lambda connection: credit.entries(connection, ann, later))
    assert [(line["at"], line["kind"], line["units"]) for line in told] == [
        (desk.now, "grant", 10),
        (utc("2026-03-31T22:00"), "lapse", -10),
        (utc("2026-03-31T22:00"), "grant", 10),
        (utc("2026-04-30T22:00"), "lapse", -10),
        (utc("2026-04-30T22:00"), "grant", 10),
    ]
    assert sum(line["units"] for line in told) == seen["left"]


async def test_a_period_that_is_over_is_never_reopened_by_a_clock_that_is_behind(desk: Any, store: Store) -> None:
    ann = desk.account(monthly=10)
    april = desk.now + timedelta(days=30)
    await show(store, ann, april)
    before = desk.rows(schema.period)
    await desk.send(ann, now=desk.now)  # this node's clock is a month slow
    after = desk.rows(schema.period)
    assert [period.starts for period in after] == [period.starts for period in before]
    assert after[0] == before[0]
    assert after[1].reserved == 1


@pytest.mark.parametrize("untouched", [timedelta(0), timedelta(days=40), timedelta(days=400)])
async def test_a_change_of_plan_acts_from_the_next_period_however_long_nobody_looked(
    desk: Any, store: Store, untouched: timedelta
) -> None:
    ann = desk.account(monthly=10)
    await store.run(lambda connection: accounts.add_plan(connection, "large", 100))
    now = desk.now + untouched
    await store.run(lambda connection: accounts.change(connection, "ann", now=now, plan="large"))
    seen = await show(store, ann, now + timedelta(minutes=1))
    assert seen["allotment"]["granted"] == 10
    seen = await show(store, ann, seen["allotment"]["ends"])
    assert seen["allotment"]["granted"] == 100


async def test_a_change_of_zone_acts_from_the_next_period(desk: Any, store: Store) -> None:
    ann = desk.account(monthly=10, zone="Europe/Brussels")
    settings = {"zone": "America/New_York"}
    await store.run(lambda connection: accounts.change(connection, "ann", now=desk.now, settings=settings))
    seen = await show(store, ann, desk.now)
    assert seen["allotment"]["ends"] == utc("2026-03-31T22:00")  # Brussels' midnight, as it began
    seen = await show(store, ann, utc("2026-04-15T00:00"))
    assert seen["allotment"]["ends"] == utc("2026-05-01T04:00")  # New York's
    starts = [period.starts for period in desk.rows(schema.period)]
    assert starts == [desk.now, utc("2026-03-31T22:00")]


async def test_an_account_without_a_plan_lives_from_its_provision(desk: Any, store: Store) -> None:
    ann = await store.run(lambda connection: accounts.add(connection, "ann", now=desk.now))
    (answer,) = await desk.submit(desk.draft(ann))
    assert str(answer) == "not enough credit: 1 unit needed, 0 left"
    await store.run(lambda connection: credit.buy(connection, ann, 1, reason="paid", now=desk.now))
    await desk.send(ann)


async def test_buying_and_correcting(desk: Any, store: Store) -> None:
    ann = desk.account(bought=5)

    async def buy(units: int) -> None:
        await store.run(lambda connection: credit.buy(connection, ann, units, reason="by hand", now=desk.now))

    await buy(10)
    await buy(-3)
    assert desk.left(ann) == (0, 12)
    await desk.send(ann)
    with pytest.raises(RefusedError, match="only 11 bought units are left: 12 cannot be taken away"):
        await buy(-12)
    for units in (0, credit.MOST_UNITS + 1, -credit.MOST_UNITS - 1):
        with pytest.raises(RefusedError, match="give a whole number"):
            await buy(units)
    await buy(-11)
    assert desk.left(ann) == (0, 0)


@pytest.mark.parametrize(
    "values",
    [
        {"used": -1},
        {"reserved": -1},
        {"used": 6},
        {"used": 3, "reserved": 3},
    ],
)
@pytest.mark.parametrize("table", [schema.provision, schema.period], ids=["provision", "period"])
async def test_the_database_itself_refuses_to_go_below_zero(
    desk: Any, store: Store, table: Any, values: dict[str, int]
) -> None:
    desk.account(monthly=5, bought=5)
    with pytest.raises(StoreError) as caught:
        await store.run(lambda connection: connection.execute(update(table).values(**values)))
    assert isinstance(caught.value.__cause__, IntegrityError)


async def test_one_period_of_an_account_starts_at_one_instant_only(desk: Any, store: Store) -> None:
    ann = desk.account(monthly=5)

    def again(connection: Connection) -> None:
        row = {"account_id": ann, "starts": desk.now, "ends": desk.now + timedelta(days=1), "granted": 5}
        connection.execute(insert(schema.period), row)

    with pytest.raises(StoreError):
        await store.run(again)
