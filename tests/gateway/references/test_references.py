"""The reference that ties parts together: never that of two long messages to one number at a time, kept by a retry."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from gateway import claims
from gateway.message import Channel
from gateway.routing import Route
from gateway.store import schema
from gateway.transports.base import Result

LONG = "0123456789" * 20  # two parts
SMS = frozenset({Channel.SMS})


def references(desk: Any) -> Counter[int]:
    """The references of long messages that are under way to a number, by how many have each."""
    over = ("delivered", "undelivered", "failed", "expired", "cancelled")
    rows = desk.rows(schema.segment, schema.segment.c.n == 1, schema.segment.c.state.not_in(over))
    return Counter(row.reference for row in rows)


async def test_as_many_long_messages_as_there_are_references_have_each_its_own(desk: Any) -> None:
    ann = desk.account(bought=10_000)
    for n in range(16):
        drafts = [desk.draft(ann, text=f"{LONG}{n} {at}") for at in range(16)]
        await desk.submit(*drafts)  # in one transaction, or in several
    assert references(desk) == Counter(range(256))


async def test_one_that_is_over_makes_its_reference_free_and_no_other_is_taken_before(desk: Any) -> None:
    ann = desk.account(bought=10_000)
    for n in range(256):
        await desk.submit(desk.draft(ann, text=f"{LONG}{n}"))
    first, second = await desk.claim(2)
    await desk.settle([first, second], Result.PERMANENT)
    freed = first.reference
    await desk.submit(desk.draft(ann, text=f"{LONG} one more"))
    (row, _) = desk.rows(schema.segment)[-2:]
    assert row.reference == freed
    assert max(references(desk).values()) == 1


async def test_other_numbers_have_references_of_their_own(desk: Any) -> None:
    ann = desk.account(bought=10_000)
    await desk.submit(desk.draft(ann, *(f"+3247500{n:04}" for n in range(300)), text=LONG))
    rows = desk.rows(schema.segment)
    assert all(0 <= row.reference <= 255 for row in rows)
    assert len({row.address for row in rows}) == 300


@pytest.mark.parametrize(("concat", "bits"), [("udh8", 8), ("udh16", 16), ("sar", 16)])
async def test_it_has_as_many_bits_as_its_field(desk: Any, concat: str, bits: int) -> None:
    ann = desk.account(bought=10_000)
    routes = (Route("one", SMS, "smpp", concat=concat),)
    await desk.submit(*(desk.draft(ann, text=f"{LONG}{n}", routes=routes) for n in range(40)))
    found = references(desk)
    assert max(found) < 2**bits
    assert set(found.values()) == {1}


async def test_a_part_that_is_tried_again_keeps_its_reference_and_so_do_the_others(desk: Any) -> None:
    ann = desk.account(bought=100)
    await desk.send(ann, text=LONG)
    first, second = await desk.claim()
    await desk.settle([first], Result.ACCEPTED, peer_id="1")
    await desk.settle([second], Result.TRANSIENT, code="0x00000008")
    later = desk.now + timedelta(minutes=1)
    desk.store.run_now(lambda connection: claims.promote(connection, later))
    (again,) = await desk.claim(now=later)
    assert (again.id, again.payload, again.reference) == (second.id, second.payload, first.reference)
    assert again.payload[:6] == bytes((5, 0, 3, first.reference, 2, 2))
