"""Messages told without their recipients one by one, or page by page."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from gateway import accounts, backlog, intake, outline, story, tokens
from gateway.failure import RefusedError
from gateway.message import State
from gateway.store.store import Store
from gateway.transports.base import Result

MANY = tuple(f"+32475{n:06d}" for n in range(1500))


async def test_a_message_stands_as_it_was_taken_whatever_became_of_it(desk: Any, store: Store) -> None:
    ann = desk.account(bought=100)
    taken = await desk.send(ann, "+32475000001", "+44750000001", text="long " * 50)
    before = store.read_now(partial(outline.standing, message=taken.id, inline=10))
    await desk.settle(await desk.claim(), Result.PERMANENT)
    after = store.read_now(partial(outline.standing, message=taken.id, inline=10))
    assert (
        before
        == after
        == outline.Standing(
            2, taken.units, [(number, "sms", to.address, parts) for number, to, parts in taken.deliveries]
        )
    )
    assert isinstance(after.units, int)


async def test_a_large_message_stands_before_and_after_it_is_expanded(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10_000)
    taken = await desk.send(ann, *MANY)
    whole = outline.Standing(1500, 1500, None)
    assert store.read_now(partial(outline.standing, message=taken.id, inline=intake.COMPACT)) == whole
    assert store.read_now(partial(outline.states, messages=[taken.id])) == {taken.id: State.QUEUED}


async def test_states_are_those_of_the_story(desk: Any, store: Store) -> None:
    ann = desk.account(bought=100)
    made = [
        (await desk.deliver(ann, "+32475000001", result=result)).id
        for result in (Result.ACCEPTED, Result.PERMANENT, Result.UNKNOWN)
    ]
    made.append((await desk.send(ann, "+32475000001", "+44750000001")).id)
    told = {number: State(store.read_now(partial(story.show, message=number))["state"]) for number in made}
    assert store.read_now(partial(outline.states, messages=made)) == told
    assert store.read_now(partial(outline.states, messages=[])) == {}


async def test_a_page_leaves_out_the_recipients_of_large_messages(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10_000)
    small = await desk.send(ann, "+32475000001")
    large = await desk.send(ann, *MANY[:3])
    page = store.read_now(partial(story.page, wanted=story.Wanted(ann), inline=2))
    assert [(one["id"], len(one["deliveries"]), one["state"]) for one in page.documents] == [
        (str(large.id), 0, "queued"),
        (str(small.id), 1, "queued"),
    ]
    shown = store.read_now(partial(story.show, message=large.id, inline=2))
    assert (shown["deliveries"], shown["timeline"], shown["recipients"]) == ([], [], 3)


async def test_deliveries_come_page_by_page_as_the_story_has_them(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10_000)
    taken = await desk.deliver(ann, *MANY[:7], text="long " * 50)
    seen: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = store.read_now(partial(story.deliveries, message=taken.id, account=ann, after=after, limit=3))
        seen += page.documents
        after = page.before
    assert seen == store.read_now(partial(story.show, message=taken.id))["deliveries"]
    bob = desk.account("bob")
    for work in (story.deliveries, story.show):
        with pytest.raises(RefusedError) as refused:
            store.read_now(partial(work, message=taken.id, account=bob))
        assert refused.value.http == 404


async def test_open_segments_are_counted_by_route_and_state(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10_000)
    await desk.send(ann, *MANY[:9])
    await desk.send(ann, *MANY[:2], at=desk.now + timedelta(hours=1))
    await desk.send(ann, "+44750000001")
    await desk.settle(await desk.claim(2), Result.ACCEPTED)
    await desk.settle(await desk.claim(3), Result.UNKNOWN)
    await desk.claim(1)
    assert store.read_now(backlog.counts) == {
        ("one", "queued"): 5,
        ("two", "queued"): 1,
        ("one", "submitting"): 1,
        ("one", "unknown"): 3,
    }


def test_tokens_are_looked_up_together(desk: Any, store: Store) -> None:
    for name in ("ann", "bob"):
        desk.account(name)

    def work(connection: Any) -> list[str]:
        made = [tokens.add(connection, name, f"{n}", now=desk.now) for n, name in enumerate(("ann", "bob", "ann"))]
        tokens.revoke(connection, "2", "ann", now=desk.now)
        return made

    secrets = store.run_now(work)
    digests = [tokens.digest_of(secret.encode()) for secret in secrets]
    found = store.read_now(partial(tokens.accounts_of, digests=[*digests, b"x" * 32]))
    assert {digest: one.name for digest, one in found.items()} == {digests[0]: "ann", digests[1]: "bob"}
    assert store.read_now(partial(tokens.accounts_of, digests=[b"x" * 32])) == {}
    assert all(tokens.looks_like_one(secret.encode()) for secret in secrets)
    one = store.read_now(partial(tokens.account_of, secret=secrets[0]))
    assert isinstance(one, accounts.Account)
    assert one.name == "ann"
