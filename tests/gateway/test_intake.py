"""Intake: seen again is not sent again (I3), all or nothing on credit, what is stored of long lists and held routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from gateway import accounts, expansion, holds, verbs
from gateway.credit import NotEnoughError
from gateway.dsn import Asked
from gateway.failure import RefusedError
from gateway.filling import CHUNK
from gateway.intake import COMPACT, KeyUsedError, Taken, submit_many
from gateway.message import Channel
from gateway.routing import Route
from gateway.store import schema
from gateway.store.store import Store

pytestmark = pytest.mark.usefixtures("audit")

JEAN, MARIE, PAUL = "+32475000001", "+32475000002", "+32475000003"
LONG = "A message so long that it takes more than one segment. " * 5  # 275 characters: two parts


def numbers(n: int) -> list[str]:
    return [f"+32475{k:06}" for k in range(n)]


# What is written ------------------------------------------------------------------------------------------------------


async def test_one_mail_to_several_numbers_is_one_message_with_all_their_parts(desk: Any) -> None:
    ann = desk.account(bought=100)
    taken = await desk.send(ann, JEAN, MARIE, PAUL, text=LONG, key=b"mail")
    assert taken.units == 6
    assert not taken.seen
    (message,) = desk.rows(schema.message)
    assert (message.id, message.account_id, message.recipients, message.text) == (taken.id, ann, 3, LONG)
    deliveries = desk.rows(schema.delivery)
    assert [delivery.address for delivery in deliveries] == [JEAN, MARIE, PAUL]
    assert [(d, r.address, parts) for d, r, parts in taken.deliveries] == [(d.id, d.address, 2) for d in deliveries]
    segments = desk.rows(schema.segment)
    assert [(s.delivery_id, s.n, s.parts, s.state, s.units) for s in segments] == [
        (delivery.id, n, 2, "queued", 1) for delivery in deliveries for n in (1, 2)
    ]
    headers = [segment.payload[:6] for segment in segments]
    assert all(header[:3] == b"\x05\x00\x03" and header[4] == 2 for header in headers)
    assert [header[5] for header in headers] == [1, 2] * 3
    assert desk.left(ann) == (0, 94)


async def test_a_number_named_twice_gets_one_message(desk: Any) -> None:
    ann = desk.account(bought=10)
    taken = await desk.send(ann, JEAN, JEAN)
    assert (taken.units, desk.states()) == (1, ["queued"])


async def test_the_price_of_the_route_is_fixed_now(desk: Any) -> None:
    ann = desk.account(bought=10)
    taken = await desk.send(ann, "+447700900001", JEAN)
    assert taken.units == 3
    assert [segment.units for segment in desk.rows(schema.segment)] == [2, 1]


async def test_an_account_that_is_gone_is_refused(desk: Any) -> None:
    (answer,) = await desk.submit(desk.draft(4711))
    assert isinstance(answer, RefusedError)
    assert "does not exist" in str(answer)


@pytest.mark.parametrize("bad", ["a\0b", "lone \ud83d surrogate", "caf\udce9"], ids=["NUL", "surrogate", "octet"])
async def test_any_characters_a_mail_can_bring_are_taken(desk: Any, bad: str) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, text=bad, subject=bad, report_to=f"{bad}@example.org", dsn=Asked(envid=bad))
    (message,) = desk.rows(schema.message)
    assert "\ufffd" in message.text
    assert desk.states() == ["queued"]


async def test_one_piece_for_message_payload_is_charged_as_its_parts(desk: Any) -> None:
    ann = desk.account(bought=10)
    payload = Route("one", frozenset({Channel.SMS}), "smpp", concat="payload")
    taken = await desk.send(ann, text=LONG, routes=[payload])
    assert taken.units == 2
    (segment,) = desk.rows(schema.segment)
    assert (segment.units, segment.parts) == (2, 1)


# Seen again (I3) ------------------------------------------------------------------------------------------------------


async def test_the_same_key_again_is_the_same_message_and_costs_nothing(desk: Any) -> None:
    ann = desk.account(bought=10)
    first = await desk.send(ann, key=b"mail")
    again = await desk.send(ann, key=b"mail", now=desk.now + timedelta(hours=3))
    assert again == Taken(first.id, seen=True, units=0)
    assert len(desk.rows(schema.segment)) == 1
    assert desk.left(ann) == (0, 9)


async def test_a_later_copy_with_new_recipients_adds_them_to_the_message_that_stands(desk: Any) -> None:
    ann = desk.account(bought=10)
    first = await desk.send(ann, JEAN, key=b"mail")
    again = await desk.send(ann, MARIE, JEAN, PAUL, key=b"mail", now=desk.now + timedelta(hours=3))
    assert (again.id, again.units) == (first.id, 2)
    assert [delivery.address for delivery in desk.rows(schema.delivery)] == [JEAN, MARIE, PAUL]
    (message,) = desk.rows(schema.message)
    assert message.recipients == 3
    assert message.expires == desk.now + timedelta(days=1, hours=3)
    assert desk.left(ann) == (0, 7)


async def test_a_copy_that_cannot_be_paid_adds_nobody(desk: Any) -> None:
    ann = desk.account(bought=2)
    await desk.send(ann, JEAN, key=b"mail")
    (answer,) = await desk.submit(desk.draft(ann, MARIE, PAUL, key=b"mail"))
    assert isinstance(answer, NotEnoughError)
    assert len(desk.rows(schema.delivery)) == 1
    assert (await desk.send(ann, MARIE, key=b"mail")).units == 1


async def test_copies_that_come_in_one_set_are_one_message(desk: Any) -> None:
    ann = desk.account(bought=10)
    answers = await desk.submit(
        desk.draft(ann, JEAN, key=b"mail"),
        desk.draft(ann, JEAN, MARIE, key=b"mail"),
        desk.draft(ann, MARIE, key=b"mail"),
        desk.draft(ann, JEAN, key=b"other"),
    )
    assert len({answer.id for answer in answers[:3]}) == 1
    assert [(answer.seen, answer.units) for answer in answers] == [(False, 1), (False, 1), (True, 0), (False, 1)]


async def test_the_first_of_a_set_is_refused_and_the_second_with_its_key_is_taken(desk: Any) -> None:
    ann = desk.account(bought=1)
    answers = await desk.submit(desk.draft(ann, JEAN, MARIE, key=b"mail"), desk.draft(ann, JEAN, key=b"mail"))
    assert isinstance(answers[0], NotEnoughError)
    assert not answers[1].seen
    assert [row.message_id for row in desk.rows(schema.seen)] == [answers[1].id]


async def test_keys_are_each_accounts_own(desk: Any) -> None:
    ann, bob = desk.account("ann", bought=1), desk.account("bob", bought=1)
    answers = await desk.submit(desk.draft(ann, key=b"mail"), desk.draft(bob, key=b"mail"))
    assert answers[0].id != answers[1].id
    assert desk.states() == ["queued"] * 2


async def test_without_a_key_the_same_text_is_another_message(desk: Any) -> None:
    ann = desk.account(bought=2)
    assert (await desk.send(ann)).id != (await desk.send(ann)).id
    assert desk.rows(schema.seen) == []


async def test_an_idempotency_key_for_other_content_is_refused_with_409(desk: Any) -> None:
    ann = desk.account(bought=10)
    first = await desk.send(ann, key=b"k", content=b"one")
    (answer,) = await desk.submit(desk.draft(ann, MARIE, key=b"k", content=b"two"))
    assert isinstance(answer, KeyUsedError)
    assert answer.http == 409
    assert await desk.send(ann, key=b"k", content=b"one") == Taken(first.id, seen=True, units=0)
    assert desk.states() == ["queued"]


async def test_an_idempotency_key_used_twice_in_one_set_is_one_message(desk: Any) -> None:
    ann = desk.account(bought=10)
    one, two = (desk.draft(ann, key=b"k", content=content) for content in (b"one", b"two"))
    answers = await desk.submit(one, two, one)
    assert isinstance(answers[1], KeyUsedError)
    assert answers[2] == Taken(answers[0].id, seen=True, units=0)


async def test_the_same_key_from_many_at_once_is_one_message(
    desk: Any, store: Store, open_store: Callable[[], Store]
) -> None:
    ann = desk.account(bought=100)
    stores = [store, open_store(), open_store()]
    drafts = [desk.draft(ann, JEAN, numbers(20)[n], key=b"mail") for n in range(20)]
    answers = await asyncio.gather(*(stores[n % 3].do(verbs.SUBMIT, draft) for n, draft in enumerate(drafts)))
    assert len({answer.id for answer in answers}) == 1
    addresses = [delivery.address for delivery in desk.rows(schema.delivery)]
    assert sorted(addresses) == sorted({JEAN, *numbers(20)})
    assert desk.left(ann) == (0, 100 - len(addresses))


# Credit ---------------------------------------------------------------------------------------------------------------


async def test_less_credit_than_all_recipients_need_is_a_refusal_for_all(desk: Any) -> None:
    ann = desk.account(monthly=2, bought=1)
    (answer,) = await desk.submit(desk.draft(ann, JEAN, MARIE, PAUL, text=LONG))
    assert isinstance(answer, NotEnoughError)
    assert (answer.needed, answer.left) == (6, 3)
    for table in (schema.message, schema.delivery, schema.segment, schema.seen):
        assert desk.rows(table) == []
    assert desk.left(ann) == (2, 1)


async def test_the_last_unit_goes_to_one_of_many_who_want_it(
    desk: Any, store: Store, open_store: Callable[[], Store]
) -> None:
    ann = desk.account(monthly=3, bought=2)
    stores = [store, open_store(), open_store()]

    async def take(n: int, number: str) -> Any:
        one, draft = stores[n % 3], desk.draft(ann, number)
        (answer,) = await one.run(lambda connection: submit_many(connection, [draft], one.identifiers))
        return answer

    answers = await asyncio.gather(*(take(n, number) for n, number in enumerate(numbers(30))))
    assert sum(isinstance(answer, Taken) for answer in answers) == 5
    assert sum(isinstance(answer, NotEnoughError) for answer in answers) == 25
    assert desk.left(ann) == (0, 0)


async def test_a_refusal_in_a_set_leaves_the_credit_to_the_others(desk: Any) -> None:
    ann = desk.account(bought=3)
    drafts = [desk.draft(ann, *numbers(n)) for n in (2, 2, 1, 1)]
    answers = await desk.submit(*drafts)
    assert [isinstance(answer, Taken) for answer in answers] == [True, False, True, False]


async def test_allotment_and_provision_are_spread_over_the_segments_in_order(desk: Any) -> None:
    ann = desk.account(monthly=3, bought=10)
    await desk.send(ann, "+447700900001", "+447700900002", JEAN)
    assert [(s.units, s.allotment, s.period) for s in desk.rows(schema.segment)] == [
        (2, 2, desk.now),
        (2, 1, desk.now),
        (1, 0, None),
    ]


async def test_what_leaves_after_the_periods_end_is_paid_from_the_provision(desk: Any) -> None:
    ann = desk.account(monthly=10, bought=1)
    await desk.send(ann, at=desk.now + timedelta(days=25))
    assert desk.left(ann) == (10, 0)
    (answer,) = await desk.submit(desk.draft(ann, at=desk.now + timedelta(days=25)))
    assert isinstance(answer, NotEnoughError)
    assert "due after this period's end" in str(answer)
    await desk.send(ann, at=desk.now + timedelta(days=20))
    assert desk.left(ann) == (9, 0)


# Later, held ----------------------------------------------------------------------------------------------------------


async def test_what_is_to_leave_later_waits_without_a_turn(desk: Any) -> None:
    ann = desk.account(bought=10)
    at = desk.now + timedelta(hours=2)
    await desk.send(ann, at=at)
    (segment,) = desk.rows(schema.segment)
    assert (segment.state, segment.rank, segment.due) == ("queued", None, at)
    assert segment.expires == at + timedelta(days=1)
    assert await desk.claim() == []


async def test_a_time_that_has_passed_is_now(desk: Any) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, at=desk.now - timedelta(hours=2))
    (segment,) = desk.rows(schema.segment)
    assert (segment.due, segment.expires) == (None, desk.now + timedelta(days=1))
    assert len(await desk.claim()) == 1


@pytest.mark.parametrize(("kind", "name"), [("route", "one"), ("account", "ann")])
async def test_a_standing_hold_holds_what_arrives(desk: Any, store: Store, kind: str, name: str) -> None:
    ann, bob = desk.account("ann", bought=10), desk.account("bob", bought=10)
    await store.run(lambda connection: holds.stand(connection, kind, [name], desk.now))
    await desk.submit(desk.draft(ann, JEAN, text=LONG), desk.draft(bob, "+447700900001"))
    assert desk.states() == ["held", "held", "queued"]
    assert await desk.claim() == []
    assert desk.left(ann) == (0, 8)


async def test_a_removed_account_is_waited_for_not_written_to(
    desk: Any, store: Store, open_store: Callable[[], Store]
) -> None:
    """Intake and removal at once: one of them comes first, and nothing is left of an account that is gone."""
    other = open_store()
    for _ in range(5):
        ann = desk.account(bought=10)
        taken, removed = await asyncio.gather(
            other.do(verbs.SUBMIT, desk.draft(ann)),
            store.run(lambda connection: accounts.remove(connection, "ann")),
            return_exceptions=True,
        )
        if isinstance(taken, Taken):
            assert isinstance(removed, RefusedError)
            selection = holds.Selection(account=ann)
            await store.run(lambda connection, these=selection: holds.cancel(connection, these, desk.now))  # type: ignore[misc]
            await store.run(lambda connection: accounts.remove(connection, "ann"))
        else:
            assert removed is None
        for table in (schema.segment, schema.delivery, schema.message, schema.ledger, schema.period, schema.provision):
            assert desk.rows(table) == []
        await store.run(lambda connection: connection.execute(schema.plan.delete()))


# Long lists -----------------------------------------------------------------------------------------------------------


async def expand(store: Store) -> int:
    """Expand all there is; in how many steps."""
    for steps in range(1000):
        if await store.run(lambda connection: expansion.expand_next(connection, store.identifiers)) is None:
            return steps
    raise AssertionError("it has no end")


async def test_a_thousand_recipients_are_rows_at_once_one_more_is_a_compact_list(desk: Any, store: Store) -> None:
    ann = desk.account(monthly=600, bought=5000)
    await desk.send(ann, *numbers(COMPACT))
    assert len(desk.rows(schema.segment)) == COMPACT
    taken = await desk.send(ann, *numbers(COMPACT + 1), text=LONG)
    assert taken.deliveries == ()
    assert taken.units == 2 * (COMPACT + 1)
    chunks = desk.rows(schema.chunk)
    assert [len(json.loads(chunk.recipients)["legs"]) for chunk in chunks] == [CHUNK] * (COMPACT // CHUNK) + [1]
    assert desk.left(ann) == (0, 5600 - 3 * COMPACT - 2)
    assert await expand(store) == 3
    assert desk.rows(schema.chunk) == []
    assert len(desk.states(taken.id)) == 2 * (COMPACT + 1)
    addresses = [row.address for row in desk.rows(schema.delivery, schema.delivery.c.message_id == taken.id)]
    assert addresses == numbers(COMPACT + 1)


async def test_a_long_list_is_all_or_nothing_on_credit(desk: Any) -> None:
    ann = desk.account(bought=COMPACT)
    (answer,) = await desk.submit(desk.draft(ann, *numbers(COMPACT + 1)))
    assert isinstance(answer, NotEnoughError)
    assert desk.rows(schema.chunk) == desk.rows(schema.message) == []


async def test_a_long_list_seen_again_is_not_sent_again_expanded_or_not(desk: Any, store: Store) -> None:
    ann = desk.account(bought=5000)
    draft = desk.draft(ann, *numbers(COMPACT + 1), key=b"mail")
    (first,) = await desk.submit(draft)
    assert await desk.submit(draft) == [Taken(first.id, seen=True, units=0)]
    await store.run(lambda connection: expansion.expand_next(connection, store.identifiers))
    assert await desk.submit(draft) == [Taken(first.id, seen=True, units=0)]
    await expand(store)
    assert await desk.submit(draft) == [Taken(first.id, seen=True, units=0)]
    assert len(desk.rows(schema.segment)) == COMPACT + 1


@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize("more", [1, COMPACT + 1])
async def test_a_long_list_that_comes_again_longer_adds_the_rest(
    desk: Any, store: Store, expanded: bool, more: int
) -> None:
    ann = desk.account(bought=9000)
    first = await desk.send(ann, *numbers(COMPACT + 1), key=b"mail")
    if expanded:
        await expand(store)
    again = await desk.send(ann, *numbers(COMPACT + 1 + more), key=b"mail")
    assert (again.id, again.units) == (first.id, more)
    await expand(store)
    addresses = [row.address for row in desk.rows(schema.delivery)]
    assert sorted(addresses) == numbers(COMPACT + 1 + more)
    (message,) = desk.rows(schema.message)
    assert message.recipients == COMPACT + 1 + more


async def test_two_copies_of_a_long_list_in_one_set(desk: Any, store: Store) -> None:
    ann = desk.account(bought=9000)
    answers = await desk.submit(
        desk.draft(ann, *numbers(COMPACT + 1), key=b"mail"),
        desk.draft(ann, *numbers(COMPACT + 3), text=LONG, key=b"mail"),
        desk.draft(ann, *numbers(2 * COMPACT + 10), key=b"mail"),
    )
    assert [answer.units for answer in answers] == [COMPACT + 1, 4, COMPACT + 7]
    await expand(store)
    assert len(desk.rows(schema.delivery)) == 2 * COMPACT + 10


async def test_a_long_list_on_a_held_route_is_held_when_it_is_expanded(desk: Any, store: Store) -> None:
    ann = desk.account(bought=5000)
    await desk.send(ann, *numbers(COMPACT + 1))
    await store.run(lambda connection: holds.stand(connection, "route", ["one"], desk.now))
    await expand(store)
    assert set(desk.states()) == {"held"}


async def test_an_account_with_recipients_not_yet_in_the_queue_is_not_removed(desk: Any, store: Store) -> None:
    ann = desk.account(bought=5000)
    await desk.send(ann, *numbers(COMPACT + 1))
    with pytest.raises(RefusedError, match="recipients that are not in the queue yet"):
        await store.run(lambda connection: accounts.remove(connection, "ann"))


# The whole set --------------------------------------------------------------------------------------------------------


async def test_a_failed_transaction_leaves_nothing_of_any_draft(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    other = desk.account("bob", bought=10)

    def spoil(connection: Connection) -> None:
        # The next message's identifier is taken already: its insert fails after others of its set were written.
        row = {"id": store.identifiers.take(connection, 1)[0] + 1, "account_id": other, "origin": "api"}
        values = {**row, "created": desk.now, "text": "", "expires": desk.now, "recipients": 0}
        connection.execute(insert(schema.message), values)

    await store.run(spoil)
    answers = await desk.submit(desk.draft(ann, JEAN, key=b"a"), desk.draft(ann, MARIE, key=b"b"))
    taken = [answer for answer in answers if isinstance(answer, Taken)]
    assert len(desk.rows(schema.seen)) == len(taken)
    assert len(desk.rows(schema.segment)) == len(taken)
    assert desk.left(ann) == (0, 10 - len(taken))
    await store.run(lambda connection: connection.execute(schema.message.delete().where(schema.message.c.text == "")))
    await desk.send(ann, PAUL)


async def test_an_account_whose_zone_is_unknown_here_does_not_stop_the_others(desk: Any, store: Store) -> None:
    ann, bob = desk.account("ann", bought=10), desk.account("bob", bought=10)
    unknown = update(schema.account).where(schema.account.c.id == bob).values(zone="Mars/Olympus")
    await store.run(lambda connection: connection.execute(unknown))
    answers = await desk.submit(desk.draft(ann), desk.draft(bob), desk.draft(ann, MARIE))
    assert [isinstance(answer, Taken) for answer in answers] == [True, False, True]
    known = update(schema.account).where(schema.account.c.id == bob).values(zone="UTC")
    await store.run(lambda connection: connection.execute(known))
    assert await store.read(lambda connection: connection.execute(select(schema.account.c.zone)).scalars().all())
