"""Receipts against the rows they belong to: by every form of an id, before and without their answers, and twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway import accounts, credit, draft, verbs
from gateway.claims import Claim
from gateway.message import Channel, Claimed, Origin, State
from gateway.peer_ids import Habit, fold, folded_forms, habit, meant
from gateway.receipts import Receive, same_number, submitted_about
from gateway.routing import Route
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Receipt, ReceiptState, Result

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NUMBER = "+32475123456"
ROUTE = Route("operator", frozenset({Channel.SMS}), "smpp")
Send = Callable[..., Awaitable[list[Claimed]]]


@pytest.fixture
async def send(store: Store) -> Send:
    """Brings a text to `submitting`; its segments."""

    def person(connection: Any) -> int:
        account = accounts.add(connection, "jean", now=NOW)
        credit.buy(connection, account, 100, reason="test", now=NOW)
        return account

    account = await store.run(person)

    async def bring(text: str = "hello", number: str = NUMBER) -> list[Claimed]:
        request = draft.Request(account, Origin.API, (draft.Recipient(Channel.SMS, number),), text)
        prepared = draft.prepare(request, routes=[ROUTE], now=NOW, max_parts=6, transliterate=True)
        await store.do(verbs.SUBMIT, prepared)
        claimed: list[Claimed] = await store.do(verbs.CLAIM, Claim("operator", 10, 1, NOW))
        return claimed

    return bring


async def settle(store: Store, segment: Claimed, result: Result = Result.ACCEPTED, peer_id: str = "") -> None:
    outcome = Outcome(segment.id, result, peer_id=peer_id, written=NOW, answered=NOW)
    waits = {"operator": NOW + timedelta(minutes=2)}
    await store.do(verbs.SETTLE, Settle((outcome,), NOW, waits, 0.0, 1))


async def receive(store: Store, written: str, to: str = NUMBER, **more: Any) -> int | None:
    state = more.pop("state", ReceiptState.DELIVERED)
    receipt = Receipt("operator", written, to, "32475000000", state, **more)
    found: int | None = await store.do(verbs.RECEIVE, Receive(receipt, NOW + timedelta(seconds=5)))
    return found


async def state_of(store: Store, segment: Claimed) -> str:
    wanted = select(schema.segment.c.state).where(schema.segment.c.id == segment.id)
    found: str = await store.read(lambda connection: connection.execute(wanted).scalar_one())
    return found


async def left(store: Store) -> int:
    shown = await store.run(lambda connection: credit.show(connection, 1, NOW))
    assert shown["left"] == shown["provision"]["left"]
    units: int = shown["left"] + shown["provision"]["reserved"]
    return units


@pytest.mark.parametrize(
    ("answered", "told"),
    [
        ("1891273321", "1891273321"),
        ("c87c2273-7edb-4bc7-8d3a-7f57f21b625e", "C87C2273-7EDB-4BC7-8D3A-7F57F21B625E"),
        ("39f99dd5", "0972660181"),
        ("0972660181", "39F99DD5"),
        ("00B8BE19", "00B8BE19"),
        ("00B8BE19", "b8be19"),
        ("12107289", "00B8BE19"),
        ("18446744073709551616", "10000000000000000"),
        ("FFFFFFFFFFFFFFFFFF", "4722366482869645213695"),
        (" 42 ", "42"),
    ],
)
async def test_an_id_is_known_in_every_form_it_may_come_back(
    store: Store, send: Send, answered: str, told: str
) -> None:
    (segment,) = await send()
    await settle(store, segment, peer_id=answered)
    assert await receive(store, told) == segment.id
    assert await state_of(store, segment) == State.DELIVERED


async def test_the_id_as_written_comes_before_another_form_of_it(store: Store, send: Send) -> None:
    (hexadecimal,) = await send("one")
    await settle(store, hexadecimal, peer_id="64")  # 100 in decimal
    (decimal,) = await send("two")
    await settle(store, decimal, peer_id="100")
    assert await receive(store, "100") == decimal.id
    assert await receive(store, "64") == hexadecimal.id


async def test_a_receipt_for_another_number_is_nobody_s(store: Store, send: Send) -> None:
    (segment,) = await send()
    await settle(store, segment, peer_id="77")
    assert await receive(store, "77", to="+32475999999") is None
    assert await state_of(store, segment) == State.ACCEPTED


@pytest.mark.parametrize("written", ["+32475123456", "32475123456", "0032475123456"])
async def test_the_number_is_known_in_every_form(store: Store, send: Send, written: str) -> None:
    (segment,) = await send()
    await settle(store, segment, peer_id="78")
    assert await receive(store, "78", to=written) == segment.id


async def test_a_receipt_that_overtakes_its_answer_is_kept_and_matched(store: Store, send: Send) -> None:
    (segment,) = await send()
    assert await receive(store, "0972660181") is None
    await settle(store, segment, peer_id="39f99dd5")
    assert await state_of(store, segment) == State.DELIVERED
    owned = select(schema.receipt.c.segment_id)
    assert await store.read(lambda connection: connection.execute(owned).scalars().all()) == [segment.id]


async def test_a_final_state_stays_whatever_comes_later(store: Store, send: Send) -> None:
    (segment,) = await send()
    await settle(store, segment, peer_id="5")
    for state in (ReceiptState.ENROUTE, ReceiptState.UNDELIVERED, ReceiptState.DELIVERED, ReceiptState.DELIVERED):
        assert await receive(store, "5", state=state) == segment.id
    assert await state_of(store, segment) == State.UNDELIVERED
    kept = select(schema.receipt.c.state)
    assert len(await store.read(lambda connection: connection.execute(kept).all())) == 4


async def test_each_part_has_its_own_receipt(store: Store, send: Send) -> None:
    parts = await send("x" * 200)
    for n, part in enumerate(parts):
        await settle(store, part, peer_id=f"p{n}")
    assert [await receive(store, "p1"), await receive(store, "p0")] == [parts[1].id, parts[0].id]


async def test_parts_that_share_an_id_are_told_one_after_the_other(store: Store, send: Send) -> None:
    parts = await send("x" * 200)
    for part in parts:
        await settle(store, part, peer_id="same")
    assert {await receive(store, "same"), await receive(store, "same")} == {part.id for part in parts}


async def test_parts_that_share_an_id_are_told_one_after_the_other_within_a_set_too(store: Store, send: Send) -> None:
    first, second = await send("x" * 200)
    for part in (first, second):
        await settle(store, part, peer_id="77")
    told = await asyncio.gather(receive(store, "77"), receive(store, "77"))
    assert sorted(one or 0 for one in told) == [first.id, second.id]
    assert {await state_of(store, part) for part in (first, second)} == {State.DELIVERED}


async def test_a_lost_answer_is_told_by_the_receipt_and_charged_once(store: Store, send: Send) -> None:
    (segment,) = await send()
    await settle(store, segment, Result.UNKNOWN)
    assert await state_of(store, segment) == State.UNKNOWN
    assert await receive(store, "abc", submitted="2611231201") == segment.id
    assert await state_of(store, segment) == State.DELIVERED
    assert await left(store) == 99
    assert await receive(store, "abc", submitted="2611231201") == segment.id
    assert await left(store) == 99


async def test_a_lost_answer_is_not_guessed_where_two_fit(store: Store, send: Send) -> None:
    segments = [(await send(text))[0] for text in ("one", "two")]
    for segment in segments:
        await settle(store, segment, Result.UNKNOWN)
    assert await receive(store, "abc", submitted="2611231200") is None
    assert [await state_of(store, segment) for segment in segments] == [State.UNKNOWN] * 2


async def test_a_receipt_that_overtakes_its_answer_is_not_taken_for_that_of_a_lost_one(
    store: Store, send: Send
) -> None:
    (lost,) = await send("one")
    await settle(store, lost, Result.UNKNOWN)
    (in_flight,) = await send("two")
    assert await receive(store, "abc", submitted="2611231200") is None
    assert await state_of(store, lost) == State.UNKNOWN
    await settle(store, in_flight, peer_id="abc")
    assert await state_of(store, in_flight) == State.DELIVERED


async def test_its_own_reference_tells_which_of_two(store: Store, send: Send) -> None:
    segments = [(await send(text))[0] for text in ("one", "two")]
    for segment in segments:
        await settle(store, segment, Result.UNKNOWN)
    assert await receive(store, "abc", reference=segments[1].id & 0xFFFF) == segments[1].id
    assert await state_of(store, segments[0]) == State.UNKNOWN


async def test_a_receipt_of_another_time_tells_nothing(store: Store, send: Send) -> None:
    (segment,) = await send()
    await settle(store, segment, Result.UNKNOWN)
    assert await receive(store, "abc", submitted="2611231207") is None
    assert await receive(store, "abd") is None
    assert await state_of(store, segment) == State.UNKNOWN


async def test_the_late_answer_itself_settles_what_was_unknown(store: Store, send: Send) -> None:
    (segment,) = await send()
    await settle(store, segment, Result.UNKNOWN)
    await settle(store, segment, Result.ACCEPTED, peer_id="9")
    assert await state_of(store, segment) == State.ACCEPTED
    assert await left(store) == 99


@pytest.mark.parametrize(
    ("written", "fits"),
    [
        ("2611231200", True),
        ("261123120155", True),
        ("20261123115801", True),
        ("202611231202", True),
        ("2611231302", True),  # the centre's zone is an hour ahead
        ("2611231732", True),  # or five and a half
        ("2611231204", False),
        ("2611221200", False),
        ("2611231153", False),
        ("", False),
        ("not a date", False),
        ("9999999999", False),
    ],
)
def test_a_submit_date_is_compared_whatever_its_zone(written: str, fits: bool) -> None:
    assert submitted_about(written, NOW) is fits


def test_forms_of_ids_fold_to_one_another() -> None:
    assert fold(" 00B8BE19 ") == "b8be19"
    assert fold("0000") == "0"
    assert "972660181" in folded_forms("39f99dd5")
    assert "39f99dd5" in folded_forms("0972660181")
    assert folded_forms("c87c2273-7edb") == ("c87c2273-7edb",)


def test_numbers_that_only_look_alike_are_not_the_same() -> None:
    assert same_number("+32475123456", "0032475123456")
    assert not same_number("+32475123456", "+3247512345")
    assert not same_number("+32475123456", "")


async def test_nothing_is_moved_that_the_table_does_not_allow(store: Store, send: Send) -> None:
    (segment,) = await send()
    await settle(store, segment, peer_id="31")
    cancelled = update(schema.segment).values(state=State.CANCELLED.value)
    await store.run(lambda connection: connection.execute(cancelled))
    assert await receive(store, "31") == segment.id
    assert await state_of(store, segment) == State.CANCELLED


@pytest.mark.parametrize(
    ("way", "order"),
    [
        ("hex as decimal", 1),
        ("hex as decimal", -1),
        ("decimal as hex", 1),
        ("the same, hex", 1),
        ("the same, hex", -1),
        ("the same, decimal", 1),
        ("the same, decimal", -1),
    ],
)
async def test_where_an_id_means_two_segments_to_one_number_the_routes_habit_decides(
    store: Store, send: Send, way: str, order: int
) -> None:
    """Small ids in sequence, all to one number: 10 is the tenth, or the sixteenth."""
    answer, tell = {
        "hex as decimal": ("{:x}", "{:d}"),
        "decimal as hex": ("{:d}", "{:x}"),
        "the same, hex": ("{:x}", "{:x}"),
        "the same, decimal": ("{:d}", "{:d}"),
    }[way]
    segments = {}
    for n in range(1, 41):
        (segments[n],) = await send(f"hello {n}")
        await settle(store, segments[n], peer_id=answer.format(n))
    for n in list(segments)[::order]:
        assert await receive(store, tell.format(n)) == segments[n].id, n
    assert {await state_of(store, one) for one in segments.values()} == {"delivered"}


def test_a_habit_is_seen_where_one_kind_has_letters_and_the_other_none() -> None:
    hexadecimal, decimal = ["39f99dd5", "00B8BE19", "7"], ["0972660181", "12107289", "7"]
    assert habit(hexadecimal, decimal) is Habit.HEX_AS_DECIMAL
    assert habit(decimal, hexadecimal) is Habit.DECIMAL_AS_HEX
    assert habit(decimal, decimal) is habit(hexadecimal, hexadecimal) is None
    assert habit(hexadecimal, ["c87c2273-7edb-4bc7-8d3a-7f57f21b625e"] * 3) is None
    assert habit(hexadecimal, ["7"]) is habit(hexadecimal, []) is habit([], []) is None
    assert habit(["9", "a", "b", "10", "11", "12", "13", "14"], ["1", "2", "3"]) is None, "it may be chance"
    assert meant("0972660181", Habit.HEX_AS_DECIMAL) == "39f99dd5"
    assert meant("B8BE19", Habit.DECIMAL_AS_HEX) == "12107289"
    assert meant("00AB", None) == "ab"
