"""What nothing waits before is claimed as it is stored, and is what storing and then claiming it would have been."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import claims, holds, verbs
from gateway.claims import MOST, Claim
from gateway.draft import Draft, Recipient, Request, prepare
from gateway.intake import Taken
from gateway.message import Channel, Claimed, Origin
from gateway.routing import Route
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Result

JEAN, MARIE, PAUL = "+32475000001", "+32475000002", "+32475000003"
SEGMENT = schema.segment
LONG = "long " * 80  # three parts
LETTERS = Route("mail", frozenset({Channel.EMAIL}), "smtp")


@pytest.fixture
def store(sqlite_database: str, open_store: Callable[..., Store]) -> Store:
    """Only SQLite's verbs share their sets."""
    return open_store(sqlite_database)


def wish(desk: Any, limit: int = 10, **other: Any) -> Claim:
    return replace(Claim("one", limit, 1, desk.now), **other)


async def together(desk: Any, drafts: Sequence[Draft], *wishes: Claim) -> tuple[list[Any], list[list[Claimed]]]:
    """Take these in and claim in one set: what became of each draft, and what each claim got."""
    asked = [desk.store.ask(verbs.SUBMIT, draft) for draft in drafts]
    asked += [desk.store.ask(verbs.CLAIM, one) for one in wishes]
    found: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    return found[: len(drafts)], found[len(drafts) :]


def numbers_and_states(desk: Any) -> list[tuple[str, str]]:
    return [(row.address, row.state) for row in desk.rows(SEGMENT)]


# The same -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def twin(_migrated_file: Path, tmp_path: Path, desk_on: Any, open_store: Callable[..., Store]) -> Any:
    """A desk on another store, to do the same in the usual way."""
    file = tmp_path / "twin.db"
    shutil.copy(_migrated_file, file)
    return desk_on(open_store(f"sqlite:///{file}"))


@pytest.mark.parametrize("concat", ["udh8", "udh16", "sar", "payload"])
@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("hello", {}),
        ("hello", {"urgent": True}),
        ("hello", {"flash": True}),
        (LONG, {}),
        (LONG, {"urgent": True, "flash": True}),
        ("привет " * 40, {}),
    ],
    ids=["short", "urgent", "flash", "long", "long, urgent, flash", "in UCS-2"],
)
async def test_both_ways_hand_over_the_same(
    desk: Any, twin: Any, concat: str, text: str, options: dict[str, Any]
) -> None:
    routes = [Route("one", frozenset({Channel.SMS}), "smpp", concat=concat, price=2)]
    anns = [one.account(monthly=7, bought=100) for one in (desk, twin)]
    drafts = [
        [one.draft(ann, to, JEAN, text=text, routes=routes, **options) for to in (MARIE, PAUL)]
        for one, ann in zip((desk, twin), anns, strict=True)
    ]
    later = desk.now + timedelta(minutes=3)
    taken, (at_once,) = await together(desk, drafts[0], wish(desk, 20, node=7, now=later))
    assert await twin.submit(*drafts[1]) == taken
    assert await twin.claim(20, node=7, now=later) == at_once
    pieces = 1 if concat == "payload" else len(drafts[0][0].ways["one"].cut.parts)
    assert len(at_once) == 4 * pieces
    for table in schema.metadata.sorted_tables:
        if table.primary_key.columns and table.name not in ("segment", "turn", "share"):
            assert desk.rows(table) == twin.rows(table), table.name
    ours, theirs = ([row._asdict() | {"rank": 0} for row in one.rows(SEGMENT)] for one in (desk, twin))
    assert ours == theirs
    assert {(row["state"], row["node"], row["submitted"]) for row in ours} == {("submitting", 7, later)}
    desk.audit()


async def test_it_takes_no_turn_and_goes_first_again_where_it_comes_back(desk: Any) -> None:
    ann, bob = desk.account("ann", bought=100), desk.account("bob", bought=100)
    await desk.send(bob, *(f"+3247500{n:04}" for n in range(20)))
    await desk.claim(20)
    (reached,) = desk.rows(schema.turn)
    _, (claimed,) = await together(desk, [desk.draft(ann, JEAN)], wish(desk))
    assert [row.rank for row in desk.rows(SEGMENT)][-1] == reached.rank
    assert [(row.account_id, row.rank) for row in desk.rows(schema.share)] == [(bob, 19)]
    await desk.send(bob, MARIE)
    await desk.settle(claimed, Result.THROTTLED)
    assert [one.to for one in await desk.claim(1)] == [JEAN]


async def test_a_lost_answer_is_reread_by_node_route_and_instant(desk: Any, store: Store) -> None:
    ann = desk.account(bought=20)
    ours, others = wish(desk, node=3), wish(desk, now=desk.now + timedelta(seconds=1))
    _, (claimed,) = await together(desk, [desk.draft(ann, JEAN, text=LONG), desk.draft(ann, MARIE)], ours)
    await together(desk, [desk.draft(ann, PAUL)], others)
    assert len(claimed) == 4
    assert await store.read(lambda connection: claims.reread(connection, ours)) == claimed
    await desk.settle(claimed[:1], Result.ACCEPTED, node=3)
    assert await store.read(lambda connection: claims.reread(connection, ours)) == claimed[1:]


async def test_what_is_taken_by_one_claim_no_other_gets(desk: Any) -> None:
    ann = desk.account(bought=20)
    _, (claimed,) = await together(desk, [desk.draft(ann, JEAN, MARIE)], wish(desk))
    assert [one.to for one in claimed] == [JEAN, MARIE]
    assert await desk.claim(node=2) == []
    assert numbers_and_states(desk) == [(JEAN, "submitting"), (MARIE, "submitting")]


# Not at once ----------------------------------------------------------------------------------------------------------


async def test_what_waits_leaves_before_what_comes(desk: Any) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, JEAN)
    _, (claimed,) = await together(desk, [desk.draft(ann, MARIE)], wish(desk, 1))
    assert [one.to for one in claimed] == [JEAN]
    assert numbers_and_states(desk) == [(JEAN, "submitting"), (MARIE, "queued")]


async def test_what_waits_on_one_route_holds_up_no_other(desk: Any) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, JEAN)
    drafts = [desk.draft(ann, MARIE, "+447700900001")]
    _, claimed = await together(desk, drafts, wish(desk, 1), wish(desk, 1, route="two"))
    assert [[one.to for one in some] for some in claimed] == [[JEAN], ["+447700900001"]]
    assert numbers_and_states(desk)[1:] == [(MARIE, "queued"), ("+447700900001", "submitting")]


async def test_a_claim_gets_nothing_of_another_route(desk: Any) -> None:
    ann = desk.account(bought=20)
    _, (claimed,) = await together(desk, [desk.draft(ann, JEAN)], wish(desk, route="two"))
    assert claimed == []
    assert numbers_and_states(desk) == [(JEAN, "queued")]


async def test_what_is_for_later_waits(desk: Any) -> None:
    ann = desk.account(bought=20)
    later = desk.draft(ann, JEAN, at=desk.now + timedelta(hours=1))
    _, (claimed,) = await together(desk, [later, desk.draft(ann, MARIE)], wish(desk))
    assert [one.to for one in claimed] == [MARIE]
    assert numbers_and_states(desk) == [(JEAN, "queued"), (MARIE, "submitting")]
    assert desk.rows(SEGMENT)[0].due == desk.now + timedelta(hours=1)


@pytest.mark.parametrize("kind", ["route", "account"])
async def test_what_is_held_is_held(desk: Any, store: Store, kind: str) -> None:
    ann, bob = desk.account("ann", bought=20), desk.account("bob", bought=20)
    name = "one" if kind == "route" else "ann"
    await store.run(lambda connection: holds.stand(connection, kind, [name], desk.now))
    _, (claimed,) = await together(desk, [desk.draft(ann, JEAN), desk.draft(bob, MARIE)], wish(desk))
    assert [one.to for one in claimed] == ([] if kind == "route" else [MARIE])
    assert desk.states() == ["held", "held" if kind == "route" else "submitting"]
    assert [row.what for row in desk.rows(schema.event)] == ["held"] * desk.states().count("held")


async def test_what_is_added_to_a_message_that_is_held_is_held(desk: Any, store: Store) -> None:
    ann = desk.account(bought=20)
    message = await desk.send(ann, JEAN, key=b"mail")
    await desk.claim()
    await store.run(lambda connection: holds.stand(connection, "message", [str(message.id)], desk.now))
    drafts = [desk.draft(ann, JEAN, MARIE, key=b"mail"), desk.draft(ann, PAUL)]
    _, (claimed,) = await together(desk, drafts, wish(desk))
    assert [one.to for one in claimed] == [PAUL]
    assert numbers_and_states(desk)[1:] == [(MARIE, "held"), (PAUL, "submitting")]


async def test_what_was_taken_before_is_not_claimed_again(desk: Any) -> None:
    ann = desk.account(bought=20)
    _, (claimed,) = await together(desk, [desk.draft(ann, JEAN, key=b"mail")], wish(desk))
    later = wish(desk, now=desk.now + timedelta(seconds=1))
    (again,), (more,) = await together(desk, [desk.draft(ann, JEAN, MARIE, key=b"mail")], later)
    assert again.seen is False
    assert [one.to for one in (*claimed, *more)] == [JEAN, MARIE]
    (once_more,), (nothing,) = await together(desk, [desk.draft(ann, JEAN, key=b"mail")], later)
    assert once_more.seen
    assert nothing == []


async def test_what_is_over_by_now_is_left_to_the_sweep_and_so_is_what_comes_after_it(desk: Any) -> None:
    ann = desk.account(bought=20)
    drafts = [desk.draft(ann, JEAN, validity=timedelta(hours=1)), desk.draft(ann, MARIE)]
    hour = wish(desk, now=desk.now + timedelta(hours=1))
    _, (claimed,) = await together(desk, drafts, hour)
    assert claimed == []
    assert desk.states() == ["queued", "queued"]
    assert [one.to for one in await desk.claim(now=hour.now)] == [MARIE]


async def test_a_message_there_is_no_room_for_leaves_whole_and_everything_after_it_keeps_its_order(desk: Any) -> None:
    ann = desk.account(bought=40)
    drafts = [desk.draft(ann, JEAN), desk.draft(ann, MARIE, text=LONG), desk.draft(ann, PAUL)]
    _, (claimed,) = await together(desk, drafts, wish(desk, 3))
    assert [one.to for one in claimed] == [JEAN]
    rest = [(one.to, one.n) for one in await desk.claim()]
    assert rest == [(MARIE, 1), (MARIE, 2), (MARIE, 3), (PAUL, 1)]


async def test_what_fits_exactly_leaves(desk: Any) -> None:
    ann = desk.account(bought=40)
    _, (claimed,) = await together(desk, [desk.draft(ann, JEAN), desk.draft(ann, MARIE, text=LONG)], wish(desk, 4))
    assert [(one.to, one.n) for one in claimed] == [(JEAN, 1), (MARIE, 1), (MARIE, 2), (MARIE, 3)]


async def test_one_piece_for_message_payload_needs_the_room_of_one(desk: Any) -> None:
    ann = desk.account(bought=40)
    routes = [Route("one", frozenset({Channel.SMS}), "smpp", concat="payload")]
    _, (claimed,) = await together(desk, [desk.draft(ann, JEAN, text=LONG, routes=routes)], wish(desk, 1))
    assert [(one.of, one.concat, one.payload.decode()) for one in claimed] == [(1, "payload", LONG)]
    assert desk.left(ann) == (0, 37)


async def test_no_claim_gets_more_than_500(desk: Any) -> None:
    ann = desk.account(bought=1000)
    everybody = [f"+3247500{n:04}" for n in range(600)]
    _, (claimed,) = await together(desk, [desk.draft(ann, *everybody)], wish(desk, 10_000))
    assert [one.to for one in claimed] == everybody[:MOST]
    assert [one.to for one in await desk.claim(1000)] == everybody[MOST:]


async def test_two_claims_of_a_route_in_one_set_share_out_what_comes(desk: Any) -> None:
    ann = desk.account(bought=20)
    wishes = [wish(desk, 2), wish(desk, 5, node=2)]
    _, (first, second) = await together(desk, [desk.draft(ann, JEAN, MARIE, PAUL)], *wishes)
    assert [one.to for one in first] == [JEAN, MARIE]
    assert [one.to for one in second] == [PAUL]
    assert [row.node for row in desk.rows(SEGMENT)] == [1, 1, 2]


async def test_who_is_refused_gets_nothing_sent(desk: Any) -> None:
    ann, bob = desk.account("ann", bought=1), desk.account("bob", bought=20)
    drafts = [desk.draft(account, to) for account, to in ((ann, JEAN), (ann, MARIE), (bob, PAUL))]
    answers, (claimed,) = await together(desk, drafts, wish(desk))
    assert [isinstance(answer, Taken) for answer in answers] == [True, False, True]
    assert [one.to for one in claimed] == [JEAN, PAUL]
    desk.audit()


async def test_letters_are_written_as_they_always_were(desk: Any) -> None:
    """What goes out by mail has no octets until it leaves."""
    ann = desk.account(bought=20)
    request = Request(ann, Origin.API, (Recipient(Channel.EMAIL, "marie@example.org"),), "hello")
    draft = prepare(request, routes=[LETTERS], now=desk.now, max_parts=6, transliterate=True)
    _, (claimed,) = await together(desk, [draft], wish(desk, route="mail", post=LETTERS))
    assert [one.to for one in claimed] == ["marie@example.org"]
    assert b"hello" in claimed[0].payload
    assert desk.states() == ["submitting"]


def granted(store: Store, *wishes: Claim) -> list[str]:
    """The routes of which a claim need not look at the queue."""
    return store.run_now(lambda connection: sorted(claims.grants(connection, wishes)))


async def test_a_claim_is_granted_what_comes_only_where_nothing_waits_for_its_turn(desk: Any, store: Store) -> None:
    ann = desk.account(bought=20)
    both = (wish(desk), wish(desk, route="two"))
    assert granted(store, *both) == ["one", "two"]
    assert granted(store, wish(desk, 0), wish(desk, -1, route="two")) == []
    assert granted(store, wish(desk), wish(desk, node=2), wish(desk, route="two")) == ["two"]
    assert granted(store, wish(desk, post=LETTERS)) == []
    await desk.send(ann, PAUL, at=desk.now + timedelta(hours=1))
    await desk.send(ann, "+447700900001")
    assert granted(store, *both) == ["one"]
    await store.run(lambda connection: claims.promote(connection, desk.now + timedelta(hours=1)))
    assert granted(store, *both) == []
    await desk.claim(now=desk.now + timedelta(hours=1))
    assert granted(store, *both) == ["one"]
