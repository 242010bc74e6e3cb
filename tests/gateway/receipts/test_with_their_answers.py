"""Receipts that come in one set with the answers they belong to leave the rows that one after the other would leave."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from gateway import accounts, claims, credit, draft, intake, receipts, settlement, verbs
from gateway.claims import Claim
from gateway.message import Channel, Origin
from gateway.receipts import Receive
from gateway.routing import Route
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.engine import open_engine, parse_url
from gateway.store.store import Store
from gateway.transports.base import Outcome, Receipt, ReceiptState, Result

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=2)
#: Two handsets and somebody else's.
NUMBERS = ("+32475123456", "+32475123457", "+32475999999")
ROUTE = Route("operator", frozenset({Channel.SMS}), "smpp", query=True)
#: Some are the same in another form, some mean one another in hexadecimal or decimal.
IDS = ("10", "16", "0010", "a", "A", "0xyz", "22", "c87c2273-7edb", "C87C2273-7EDB", "", "ffff", "65535", "77")
#: What a set may be told of, beside the receipts' own table, whose numbers may be given in another order.
TABLES = (schema.segment, schema.attempt, schema.event, schema.ledger, schema.provision, schema.period, schema.owed)
Way = Callable[[Connection, Sequence[Settle], Sequence[Receive]], tuple[Sequence[Any], list[int | None]]]


class UndoneError(Exception):
    """Carries what was found out of a transaction of which nothing is to stay."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found


@dataclass(frozen=True)
class Story:
    """What becomes of segments by their places: outcomes and receipts long before, then those of one set."""

    before: tuple[tuple[int, Result, str], ...]
    early: tuple[tuple[str, str, ReceiptState], ...]
    outcomes: tuple[tuple[int, Result, str], ...]
    told: tuple[tuple[str, str, ReceiptState], ...]


@pytest.fixture(scope="module")
def house(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[int]]]:
    """A store with eight segments on their way, to two numbers in turn, and their ids."""
    file = tmp_path_factory.mktemp("answers") / "tocsin.db"
    shutil.copy(_migrated_file, file)
    store = verbs.open_store(open_engine(parse_url(f"sqlite:///{file}")))

    def begin(connection: Connection) -> list[int]:
        account = accounts.add(connection, "jean", now=NOW)
        credit.buy(connection, account, 100, reason="test", now=NOW)
        drafts = [
            draft.prepare(
                draft.Request(account, Origin.API, (draft.Recipient(Channel.SMS, NUMBERS[n % 2]),), f"hello {n}"),
                routes=[ROUTE],
                now=NOW,
                max_parts=6,
                transliterate=True,
            )
            for n in range(8)
        ]
        intake.submit_many(connection, drafts, store.identifiers)
        (claimed,) = claims.claim_many(connection, [Claim("operator", 100, 1, NOW)])
        return [one.id for one in claimed]

    yield store, store.run_now(begin)
    store.close()


def together(connection: Connection, settles: Sequence[Settle], receives: Sequence[Receive]) -> Any:
    return receipts.settle_and_receive(connection, settles, receives)


def one_after_the_other(connection: Connection, settles: Sequence[Settle], receives: Sequence[Receive]) -> Any:
    answers = settlement.settle_many(connection, settles)
    outcomes = [outcome for settle in settles for outcome in settle.outcomes]
    receipts.adopt_orphans(connection, outcomes, max(settle.now for settle in settles))
    return answers, receipts.receive_many(connection, receives)


def settles_of(some: Sequence[tuple[int, Result, str]], ids: list[int]) -> list[Settle]:
    waits = {"operator": NOW + timedelta(minutes=2)}
    return [
        Settle(
            (Outcome(ids[place], result, peer_id=peer_id, written=NOW, answered=NOW),), NOW, waits, 0.5, 1, (), [ROUTE]
        )
        for place, result, peer_id in some
    ]


def receives_of(some: Sequence[tuple[str, str, ReceiptState]], now: datetime) -> list[Receive]:
    return [Receive(Receipt("operator", written, to, "tocsin", state), now) for written, to, state in some]


def what_is_left(house: tuple[Store, list[int]], story: Story, way: Way) -> Any:
    """The answers and the rows after this story, told this way; then nothing of it has happened."""
    store, ids = house

    def work(connection: Connection) -> None:
        if story.before:
            settlement.settle_many(connection, settles_of(story.before, ids))
        if story.early:
            receipts.receive_many(connection, receives_of(story.early, NOW))
        answers = way(connection, settles_of(story.outcomes, ids), receives_of(story.told, LATER))
        rows = {table.name: connection.execute(select(table).order_by(*table.primary_key)).all() for table in TABLES}
        columns = [column for column in schema.receipt.c if column.name != "id"]
        rows["receipt"] = sorted(connection.execute(select(*columns)).all(), key=str)
        raise UndoneError((answers, rows))

    with pytest.raises(UndoneError) as undone:
        store._run_set(work)
    return undone.value.found


def accept(*some: tuple[int, str]) -> tuple[tuple[int, Result, str], ...]:
    return tuple((place, Result.ACCEPTED, peer_id) for place, peer_id in some)


RECEIPTS = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from([*NUMBERS, "32475123456", ""]), st.sampled_from(ReceiptState)),
    max_size=5,
).map(tuple)
RESULTS = st.sampled_from([*[Result.ACCEPTED] * 6, *Result])
STORIES = st.builds(
    lambda places, results, ids, split, early, told: Story(
        tuple(zip(places, results, ids, strict=False))[:split],
        early,
        tuple(zip(places, results, ids, strict=False))[split:] or accept((7, "77")),
        told or (("77", NUMBERS[1], ReceiptState.DELIVERED),),
    ),
    st.permutations(range(7)),
    st.lists(RESULTS, min_size=1, max_size=7),
    st.lists(st.sampled_from(IDS), min_size=7, max_size=7),
    st.integers(0, 3),
    RECEIPTS,
    RECEIPTS,
)
OK, BAD = ReceiptState.DELIVERED, ReceiptState.UNDELIVERED
JEAN, MARIE = NUMBERS[:2]


# An earlier receipt overtook its answer and says otherwise.
@example(Story((), (("77", JEAN, BAD),), accept((0, "77")), (("77", JEAN, OK),)))
# The same id was given before, to the same number.
@example(Story(accept((0, "77")), (), accept((2, "77")), (("77", JEAN, OK),)))
# Answers are hexadecimal, receipts decimal: sixteen is 10, not 16, though that was just answered.
@example(
    Story(
        accept((0, "10"), (1, "ffff"), (3, "a"), (5, "abcd")),
        tuple((str(n), NUMBERS[2], OK) for n in range(1230, 1236)),
        accept((2, "16")),
        (("16", JEAN, OK),),
    )
)
@example(Story((), (), accept((0, "10"), (2, "16")), (("16", JEAN, OK), ("10", JEAN, BAD))))
@example(Story((), (), accept((0, "10"), (2, "10")), (("10", JEAN, OK), ("10", JEAN, BAD))))
@example(Story((), (), accept((0, "77")), (("77", JEAN, ReceiptState.ENROUTE), ("77", JEAN, OK), ("77", JEAN, BAD))))
@example(Story((), (), accept((0, "77"), (1, "22")), (("22", JEAN, OK), ("77", "", OK), ("nobody", JEAN, OK))))
@example(Story(((0, Result.UNKNOWN, ""),), (), accept((0, "77")), (("77", JEAN, BAD),)))
@given(STORIES)
@settings(max_examples=300, deadline=None)
def test_the_rows_are_those_of_one_after_the_other(house: tuple[Store, list[int]], story: Story) -> None:
    assert what_is_left(house, story, together) == what_is_left(house, story, one_after_the_other)


def test_it_makes_one_change_of_two_where_a_receipt_can_only_mean_its_answer(
    house: tuple[Store, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt is not looked for again among what the queue has: else all this is for nothing."""
    looked_for: list[Sequence[Receive]] = []

    def look(_: Connection, some: Sequence[Receive]) -> list[None]:
        looked_for.append(some)
        return [None] * len(some)

    monkeypatch.setattr(receipts, "receive_many", look)
    told = (("c87c2273-7edb", "32475123456", OK), ("65535", MARIE, BAD))
    story = Story((), (), accept((0, "C87C2273-7EDB"), (1, "ffff")), told)
    (_, found), rows = what_is_left(house, story, together)
    assert looked_for == []
    assert found == house[1][:2]
    assert [row.state for row in rows["segment"]][:2] == ["delivered", "undelivered"]
    assert [row.finished for row in rows["segment"]][:2] == [LATER, LATER]
