"""Identifiers: one series, nobody gets another's, whatever is rolled back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from sqlalchemy import Connection

from gateway.store.identifiers import BLOCK
from gateway.store.store import Store


class ChangedItsMindError(Exception):
    pass


async def _take(store: Store, n: int, *, and_roll_back: bool = False) -> list[int]:
    def work(connection: Connection) -> list[int]:
        taken = store.identifiers.take(connection, n)
        if and_roll_back:
            raise ChangedItsMindError
        return taken

    try:
        return await store.run(work)
    except ChangedItsMindError:
        return []


async def test_everybody_has_his_own_and_each_take_rises(store: Store, open_store: Callable[[], Store]) -> None:
    stores = [store, open_store(), open_store()]
    chosen = random.Random(7)
    takes = await asyncio.gather(
        *(_take(chosen.choice(stores), chosen.randint(1, 700), and_roll_back=n % 5 == 0) for n in range(60))
    )
    everything = [one for take in takes for one in take]
    assert len(set(everything)) == len(everything)
    assert all(a < b for take in takes for a, b in pairwise(take))
    assert min(everything) > 0


async def test_what_one_store_gives_out_rises_from_take_to_take(store: Store) -> None:
    takes = [await _take(store, n) for n in (1, 5, BLOCK, 3 * BLOCK + 1, 2)]
    everything = [one for take in takes for one in take]
    assert everything == sorted(set(everything))


@pytest.mark.parametrize("n", [0, -3])
async def test_none_are_none(store: Store, n: int) -> None:
    assert await _take(store, n) == []
