"""Accounts, plans and tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from gateway import accounts, tokens
from gateway.failure import RefusedError
from gateway.message import OPEN
from gateway.store import schema
from gateway.store.store import Store

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


async def add(store: Store, name: str = "ann", **options: Any) -> int:
    return await store.run(lambda connection: accounts.add(connection, name, now=NOW, **options))


async def change(store: Store, name: str = "ann", **options: Any) -> None:
    await store.run(lambda connection: accounts.change(connection, name, now=NOW, **options))


async def find(store: Store, name: str = "ann") -> accounts.Account:
    return await store.read(lambda connection: accounts.find(connection, name))


async def test_an_account_is_what_it_was_made_with(store: Store) -> None:
    await store.run(lambda connection: accounts.add_plan(connection, "gold", 100))
    number = await add(
        store,
        plan="gold",
        addresses=["Ann@Example.org", "ann.b@example.org", "ann@example.org"],
        settings={"zone": "Europe/Brussels", "region": "be", "mobile": "0475 12 34 56", "max_parts": 3},
    )
    assert await find(store) == accounts.Account(
        id=number,
        name="ann",
        plan="gold",
        monthly=100,
        addresses=("ann@example.org", "ann.b@example.org"),
        mobile="+32475123456",
        zone=ZoneInfo("Europe/Brussels"),
        region="BE",
        language="en",
        max_parts=3,
        signature="",
        text="body",
        transliterate=True,
        cap_hour=5,
        cap_day=20,
        created=NOW,
    )


async def test_found_by_any_of_its_addresses_in_any_case(store: Store) -> None:
    number = await add(store, addresses=["ann@example.org", "a@example.org"])
    for address in ("A@EXAMPLE.ORG", "ann@example.org"):
        found = await store.read(lambda connection, one=address: accounts.by_address(connection, one))  # type: ignore[misc]
        assert found is not None
        assert found.id == number
    assert await store.read(lambda connection: accounts.by_address(connection, "bob@example.org")) is None


async def test_everyone_comes_by_name(store: Store) -> None:
    for name in ("cy", "ann", "bob"):
        await add(store, name, addresses=[f"{name}@example.org"])
    everyone = await store.read(accounts.everyone)
    assert [(one.name, one.addresses) for one in everyone] == [
        (name, (f"{name}@example.org",)) for name in ("ann", "bob", "cy")
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"addresses": ["nonsense"]}, "is no mail address"),
        ({"addresses": ["taken@example.org"]}, "belongs to another account"),
        ({"plan": "diamond"}, "there is no plan diamond: add it with tocsin plan add"),
        ({"settings": {"zone": "Brussels"}}, "is no time zone: write one such as Europe/Brussels"),
        ({"settings": {"zone": "../../etc/passwd"}}, "is no time zone"),
        ({"settings": {"region": "Belgium"}}, "is no region"),
        ({"settings": {"mobile": "12"}}, "12"),
        ({"settings": {"text": "everything"}}, "choose one of body, subject, both"),
        ({"settings": {"max_parts": 0}}, "choose 1 to 255"),
        ({"settings": {"max_parts": 256}}, "choose 1 to 255"),
        ({"settings": {"cap_hour": -1}}, "choose 0 or more"),
        ({"password": ""}, "the password is empty"),
    ],
)
async def test_what_cannot_be_is_refused_in_one_sentence_and_changes_nothing(
    store: Store, options: dict[str, Any], said: str
) -> None:
    await add(store, "other", addresses=["taken@example.org"])
    await add(store, addresses=["ann@example.org"])
    before = await find(store)
    with pytest.raises(RefusedError, match=said):
        await change(store, **options)
    assert await find(store) == before
    with pytest.raises(RefusedError, match=said):
        await add(store, "new", **options)
    assert len(await store.read(accounts.everyone)) == 2


@pytest.mark.parametrize("name", ["", "two words", "tab\t", "x" * 101, "bell\a"])
async def test_a_name_has_no_spaces_and_can_be_read(store: Store, name: str) -> None:
    with pytest.raises(RefusedError, match="cannot be a name"):
        await add(store, name)
    with pytest.raises(RefusedError, match="cannot be a name"):
        await store.run(lambda connection: accounts.add_plan(connection, name, 1))


async def test_names_are_given_once(store: Store, open_store: Callable[[], Store]) -> None:
    other = open_store()
    answers = await asyncio.gather(*(add(one) for one in (store, other) * 3), return_exceptions=True)
    assert sum(isinstance(answer, int) for answer in answers) == 1
    refused = [answer for answer in answers if not isinstance(answer, int)]
    assert {str(one) for one in refused} == {"there is an account ann already"}
    await store.run(lambda connection: accounts.add_plan(connection, "gold", 1))
    with pytest.raises(RefusedError, match="there is a plan gold already"):
        await store.run(lambda connection: accounts.add_plan(connection, "gold", 1))


async def test_a_national_number_is_read_in_the_accounts_own_region(store: Store) -> None:
    await add(store, settings={"region": "BE"})
    await change(store, settings={"mobile": "0475123456"})
    assert (await find(store)).mobile == "+32475123456"


async def test_addresses_are_replaced_as_a_whole(store: Store) -> None:
    await add(store, addresses=["a@example.org", "b@example.org"])
    await change(store, addresses=["c@example.org", "a@example.org"])
    assert (await find(store)).addresses == ("c@example.org", "a@example.org")
    await add(store, "bob", addresses=["b@example.org"])


async def test_passwords_are_kept_as_argon2id(store: Store) -> None:
    await add(store, password="secret")
    column = select(schema.account.c.password)
    kept = await store.read(lambda connection: connection.execute(column).scalar_one())
    assert kept.startswith("$argon2id$")
    assert PasswordHasher().verify(kept, "secret")


async def test_a_plan_is_never_below_zero(store: Store) -> None:
    with pytest.raises(RefusedError, match="0 or more"):
        await store.run(lambda connection: accounts.add_plan(connection, "gold", -1))


# Tokens ---------------------------------------------------------------------------------------------------------------


async def test_a_token_speaks_for_its_account_until_it_is_revoked_and_is_not_kept(store: Store) -> None:
    await add(store)
    secret = await store.run(lambda connection: tokens.add(connection, "ann", "laptop", now=NOW))
    found = await store.read(lambda connection: tokens.account_of(connection, secret))
    assert found is not None
    assert found.name == "ann"
    assert await store.read(lambda connection: tokens.account_of(connection, secret + "x")) is None
    (row,) = await store.read(lambda connection: connection.execute(select(schema.token)).all())
    assert secret.encode() not in row.digest
    await store.run(lambda connection: tokens.revoke(connection, "laptop", "ann", now=NOW))
    assert await store.read(lambda connection: tokens.account_of(connection, secret)) is None
    (token,) = await store.read(lambda connection: tokens.listed(connection, "ann"))
    assert (token.account, token.name, token.revoked) == ("ann", "laptop", NOW)
    with pytest.raises(RefusedError, match="no token laptop of ann that is still good"):
        await store.run(lambda connection: tokens.revoke(connection, "laptop", "ann", now=NOW))


@pytest.mark.parametrize("which", ["999", "9" * 30, "nonsense"])
@pytest.mark.parametrize("account", ["ann", None])
async def test_a_token_nobody_has_cannot_be_revoked(store: Store, which: str, account: str | None) -> None:
    await add(store)
    with pytest.raises(RefusedError, match="there is no token"):
        await store.run(lambda connection: tokens.revoke(connection, which, account, now=NOW))


async def test_nobody_revokes_anothers_token(store: Store) -> None:
    await add(store)
    await add(store, "bob")
    await store.run(lambda connection: tokens.add(connection, "ann", "laptop", now=NOW))
    (token,) = await store.read(tokens.listed)
    for which in (str(token.id), "laptop"):
        with pytest.raises(RefusedError):
            await store.run(lambda connection, one=which: tokens.revoke(connection, one, "bob", now=NOW))  # type: ignore[misc]


# Removal --------------------------------------------------------------------------------------------------------------


async def test_removal_erases_everything_of_the_account_and_nothing_of_others(desk: Any, store: Store) -> None:
    mine = desk.account("ann", monthly=5, bought=10)
    others = desk.account("bob", monthly=5, bought=10)
    for account in (mine, others):
        await desk.deliver(account, key=b"mail", report_to="x@example.org")
    for name in ("ann", "bob"):
        await store.run(lambda connection, one=name: tokens.add(connection, one, "", now=NOW))  # type: ignore[misc]
        await change(store, name, addresses=[f"{name}@example.org"])
    tables = [table for table in schema.metadata.sorted_tables if "account_id" in table.c]
    before = {table.name: desk.rows(table, table.c.account_id == others) for table in tables}
    await store.run(lambda connection: accounts.remove(connection, "ann"))
    assert all(desk.rows(table, table.c.account_id == mine) == [] for table in tables)
    assert {table.name: desk.rows(table, table.c.account_id == others) for table in tables} == before
    segments = {row.id for row in desk.rows(schema.segment)}
    messages = {row.id for row in desk.rows(schema.message)}
    assert {row.segment_id for row in desk.rows(schema.attempt)} <= segments
    assert {row.message_id for row in desk.rows(schema.delivery)} == messages
    assert {row.message_id for row in desk.rows(schema.owed)} <= messages
    with pytest.raises(RefusedError, match="there is no account ann"):
        await find(store)


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_account_with_something_on_its_way_is_not_removed(desk: Any, store: Store, state: str) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    await store.run(lambda connection: connection.execute(schema.segment.update().values(state=state)))
    with pytest.raises(RefusedError, match="1 segments that are not settled: cancel them with tocsin queue cancel"):
        await store.run(lambda connection: accounts.remove(connection, "ann"))
    assert (await find(store)).name == "ann"
