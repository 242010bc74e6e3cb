"""Passwords as the store keeps them: found by every name of an account, renewed only where they stayed the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from argon2 import extract_parameters

from gateway import accounts
from gateway.store.store import Store

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
async def jean(store: Store) -> int:
    addresses = ["jean@example.org", "Jean.Dupont@example.org"]
    return await store.run(
        lambda connection: accounts.add(connection, "jean", now=NOW, addresses=addresses, password="right")
    )


@pytest.mark.parametrize("user", ["jean", "jean@example.org", "JEAN.Dupont@Example.org"])
async def test_a_password_is_found_by_name_and_by_address(store: Store, jean: int, user: str) -> None:
    found = await store.read(lambda connection: accounts.password_hash(connection, user))
    assert found is not None
    number, kept = found
    assert number == jean
    assert kept is not None
    assert accounts.PASSWORDS.verify(kept, "right")


async def test_a_stranger_has_none_and_an_account_may_have_none(store: Store, jean: int) -> None:
    assert await store.read(lambda connection: accounts.password_hash(connection, "nobody")) is None
    assert await store.read(lambda connection: accounts.password_hash(connection, "Jean")) is None
    marie = await store.run(lambda connection: accounts.add(connection, "marie", now=NOW))
    assert await store.read(lambda connection: accounts.password_hash(connection, "marie")) == (marie, None)


async def test_a_hash_is_replaced_where_it_is_still_the_same(store: Store, jean: int) -> None:
    def kept(connection: object) -> str:
        found = accounts.password_hash(connection, "jean")  # type: ignore[arg-type]
        assert found is not None
        return found[1] or ""

    before = await store.read(kept)
    await store.run(lambda connection: accounts.replace_password_hash(connection, jean, "another", "newer"))
    assert await store.read(kept) == before
    await store.run(lambda connection: accounts.replace_password_hash(connection, jean, before, "newer"))
    assert await store.read(kept) == "newer"


def test_a_hash_takes_about_20_mebibytes_of_argon2id() -> None:
    parameters = extract_parameters(accounts.PASSWORDS.hash("x"))
    assert parameters.type.name == "ID"
    assert parameters.memory_cost == 19 * 1024
