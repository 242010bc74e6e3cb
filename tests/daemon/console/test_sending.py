"""POST /api/v1/messages: what is taken, what is refused and how, and that the same key is the same message."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from gateway import accounts, tokens
from gateway.store import schema
from gateway.store.errors import StoreError, StoreLostError
from tests.daemon.console.conftest import MESSAGES, Console, failing, is_problem, running

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}


async def test_a_message_is_taken_and_reaches_the_operator(console: Console, ann: httpx.AsyncClient) -> None:
    answer = await ann.post(MESSAGES, json=WELL)
    assert answer.status_code == 202
    told = answer.json()
    assert set(told) == {"id", "units", "deliveries"}
    (delivery,) = told["deliveries"]
    assert delivery == {"id": delivery["id"], "to": "+32475123456", "channel": "sms", "segments": 1}
    assert told["units"] == 1
    assert answer.headers["location"] == f"{MESSAGES}/{told['id']}"
    story = await console.settled(ann, told["id"])
    assert story["origin"] == "api"
    assert [one.text for one in console.centre.received] == ["Dinner at eight?"]


async def test_several_recipients_and_parts_are_counted(ann: httpx.AsyncClient) -> None:
    text = "ten words " * 20
    answer = await ann.post(MESSAGES, json={"sms": ["0475 12 34 56", "+33612345678", "+32475123456"], "text": text})
    told = answer.json()
    assert [(one["to"], one["segments"]) for one in told["deliveries"]] == [("+32475123456", 2), ("+33612345678", 2)]
    assert told["units"] == 4


async def test_the_subject_is_said_where_there_is_no_text_and_the_signature_follows(console: Console) -> None:
    brief = console.client("brief")
    told = (await brief.post(MESSAGES, json={"sms": ["+32475123456"], "subject": "Only this"})).json()
    assert (await console.settled(brief, told["id"]))["text"] == "Only this\nBrief"


async def test_later_urgent_and_short_lived_is_kept(ann: httpx.AsyncClient) -> None:
    wanted = {**WELL, "at": "2026-12-24T18:00", "validity": "PT2H", "urgent": True}
    at = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0, tzinfo=None)
    told = (await ann.post(MESSAGES, json={**wanted, "at": at.isoformat()})).json()
    story = (await ann.get(f"{MESSAGES}/{told['id']}")).json()
    leaves = datetime.fromisoformat(story["at"])
    assert leaves.replace(tzinfo=None) in (at - timedelta(hours=1), at - timedelta(hours=2))  # Brussels, not UTC
    assert datetime.fromisoformat(story["expires"]) - leaves == timedelta(hours=2)
    assert story["urgent"] is True
    assert story["state"] == "queued"


# The same key ---------------------------------------------------------------------------------------------------------


async def test_the_same_key_with_the_same_content_is_the_same_message(console: Console, ann: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "order-1042"}
    first = await ann.post(MESSAGES, json=WELL, headers=key)
    again = await ann.post(MESSAGES, json={"text": WELL["text"], "sms": ["0475123456"]}, headers=key)
    assert again.status_code == 202
    assert again.json() == first.json()
    await console.settled(ann, first.json()["id"])
    third = await ann.post(MESSAGES, json=WELL, headers=key)
    assert third.json() == first.json()
    assert len(console.centre.received) == 1


async def test_the_same_key_at_the_same_time_is_one_message(console: Console, ann: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(ann.post(MESSAGES, json=WELL, headers={"idempotency-key": "once"}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert (await ann.get("/api/v1/credit")).json()["left"] == 999_999


@pytest.mark.parametrize(
    "other",
    [{"text": "Lunch?"}, {"sms": ["+32475123457"]}, {"urgent": True}, {"validity": "PT1H"}, {"subject": "s"}],
    ids=lambda other: next(iter(other)),
)
async def test_the_same_key_with_other_content_is_refused(ann: httpx.AsyncClient, other: dict[str, Any]) -> None:
    key = {"idempotency-key": "order-1042"}
    assert (await ann.post(MESSAGES, json=WELL, headers=key)).status_code == 202
    is_problem(await ann.post(MESSAGES, json={**WELL, **other}, headers=key), 409)


async def test_keys_belong_to_their_account(console: Console, ann: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "order-1042"}
    mine = (await ann.post(MESSAGES, json=WELL, headers=key)).json()
    theirs = (await console.client("bob").post(MESSAGES, json=WELL, headers=key)).json()
    assert mine["id"] != theirs["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9"])
async def test_a_key_that_cannot_be_is_refused(ann: httpx.AsyncClient, key: str) -> None:
    headers = {"idempotency-key": key.encode("latin-1")}
    is_problem(await ann.post(MESSAGES, json=WELL, headers=headers), 400)  # type: ignore[arg-type]


# Refusals -------------------------------------------------------------------------------------------------------------


async def test_every_recipient_that_is_wrong_is_named(ann: httpx.AsyncClient) -> None:
    wanted = {
        "sms": ["+32475123456", "0475", "+12025550123"],
        "email": ["jean@example.org"],
        "fax": ["+3222123456"],
        "lists": ["family"],
        "text": "hello",
    }
    found = is_problem(await ann.post(MESSAGES, json=wanted), 422)
    wrong = {(one["path"], one["recipient"]) for one in found["errors"]}
    assert {("sms[1]", "0475"), ("email[0]", "jean@example.org"), ("fax[0]", "+3222123456"), ("lists[0]", "family")} < {
        *wrong
    }
    assert ("sms[2]", "+12025550123") in wrong
    assert all(one["detail"] for one in found["errors"])
    assert (await ann.get(MESSAGES)).json()["messages"] == []


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({"sms": "+32475123456", "text": "x"}, "sms"),
        ({"sms": [32475123456], "text": "x"}, "sms[0]"),
        ({"sms": ["+32475123456"], "txt": "x"}, "txt"),
        ({"sms": ["+32475123456"], "text": 1}, "text"),
        ({"sms": ["+32475123456"], "text": "x", "urgent": "yes"}, "urgent"),
        ({"sms": ["+32475123456"], "text": "x", "at": "soon"}, "at"),
        ({"sms": ["+32475123456"], "text": "x", "at": "2099-01-01T00:00Z"}, "at"),
        ({"sms": ["+32475123456"], "text": "x", "at": "9999-12-31T23:59:59-23:00"}, "at"),
        ({"sms": ["+32475123456"], "text": "x", "validity": "an hour"}, "validity"),
        ({"sms": ["+32475123456"], "text": "x", "validity": "PT0S"}, "validity"),
        ({"sms": ["+32475123456"], "text": "ten words " * 1000}, "text"),
        ({"sms": ["+32475123456"], "text": "x" * 50_000}, "text"),
    ],
)
async def test_what_is_wrong_with_a_member_is_said(ann: httpx.AsyncClient, wanted: dict[str, Any], path: str) -> None:
    found = is_problem(await ann.post(MESSAGES, json=wanted), 422)
    assert [one["path"] for one in found["errors"]] == [path]


@pytest.mark.parametrize("wanted", [{}, {"text": "hello"}, {"sms": [], "text": "hello"}])
async def test_nobody_is_no_recipient(ann: httpx.AsyncClient, wanted: dict[str, Any]) -> None:
    assert "no recipient" in is_problem(await ann.post(MESSAGES, json=wanted), 422)["detail"]


async def test_nothing_to_say_is_refused(ann: httpx.AsyncClient) -> None:
    is_problem(await ann.post(MESSAGES, json={"sms": ["+32475123456"]}), 422)


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"text": "\xff"}', b"[" * 100_000, b'{"text": "\\ud800"}'])
async def test_what_is_no_json_is_a_bad_request(ann: httpx.AsyncClient, body: bytes) -> None:
    is_problem(await ann.post(MESSAGES, content=body, headers={"content-type": "application/json"}), 400)


@pytest.mark.parametrize("body", [b"[]", b"null", b"17", b'"text"'])
async def test_what_is_no_object_is_refused(ann: httpx.AsyncClient, body: bytes) -> None:
    is_problem(await ann.post(MESSAGES, content=body, headers={"content-type": "application/json"}), 422)


async def test_too_little_credit_says_how_much_is_needed_and_left(console: Console) -> None:
    poor = console.client("poor")
    found = is_problem(await poor.post(MESSAGES, json={**WELL, "sms": ["+32475123456", "+32475123457"]}), 402)
    assert (found["needed"], found["left"]) == (2, 1)
    assert "2 units needed, 1 left" in found["detail"]
    assert (await poor.get("/api/v1/credit")).json()["left"] == 1


async def test_another_media_type_is_refused(ann: httpx.AsyncClient) -> None:
    is_problem(await ann.post(MESSAGES, data={"text": "x"}), 415)
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await ann.post(MESSAGES, content=json.dumps(WELL), headers=headers)).status_code == 202


# Who asks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [None, "", "Bearer", "Bearer x", "Bearer tocsin_" + "x" * 43, "Basic YTpi"])
async def test_who_has_no_good_token_is_told_to_bring_one(console: Console, told: str | None) -> None:
    stranger = console.client(None)
    headers = {} if told is None else {"authorization": told}
    for answer in (
        await stranger.post(MESSAGES, json=WELL, headers=headers),
        await stranger.get(MESSAGES, headers=headers),
        await stranger.get("/api/v1/credit", headers=headers),
    ):
        is_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_new_token_works_at_once_and_a_revoked_one_not_for_long(console: Console) -> None:
    client = console.client(None)

    def add(connection: Any) -> str:
        return tokens.add(connection, "ann", "second", now=datetime.now(UTC))

    secret = await console.run(add)
    headers = {"authorization": f"Bearer {secret}"}
    assert (await client.get("/api/v1/credit", headers=headers)).status_code == 200
    await console.run(lambda connection: tokens.revoke(connection, "second", "ann", now=datetime.now(UTC)))
    revoked = asyncio.get_running_loop().time()
    while (await client.get("/api/v1/credit", headers=headers)).status_code == 200:
        assert asyncio.get_running_loop().time() - revoked < 2.5
        await asyncio.sleep(0.02)
    is_problem(await client.get("/api/v1/credit", headers=headers), 401)


async def test_an_account_that_was_changed_is_so_within_moments(console: Console, ann: httpx.AsyncClient) -> None:
    long = {"sms": ["+32475123456"], "text": "ten words " * 20}
    assert (await ann.post(MESSAGES, json=long)).status_code == 202
    await console.run(
        lambda connection: accounts.change(connection, "ann", now=datetime.now(UTC), settings={"max_parts": 1})
    )
    changed = asyncio.get_running_loop().time()
    while (await ann.post(MESSAGES, json=long)).status_code == 202:
        assert asyncio.get_running_loop().time() - changed < 2.5
        await asyncio.sleep(0.02)


async def test_an_account_that_was_removed_is_refused(console: Console) -> None:
    brief = console.client("brief")
    assert (await brief.get("/api/v1/credit")).status_code == 200
    await console.run(lambda connection: accounts.remove(connection, "brief"))
    assert (await brief.post(MESSAGES, json=WELL)).status_code in (401, 422)
    assert (await brief.get("/api/v1/credit")).status_code in (401, 404)


async def test_more_requests_than_are_allowed_are_told_when_to_come_again(tmp_path: Any, template: Any) -> None:
    async with running(tmp_path, template, rate=5.0) as console:
        ann, bob = console.client(), console.client("bob")
        answers = [await ann.post(MESSAGES, json=WELL) for _ in range(20)]
        limited = [answer for answer in answers if answer.status_code == 429]
        assert limited
        assert int(limited[0].headers["retry-after"]) >= 1
        is_problem(limited[0], 429)
        assert (await bob.post(MESSAGES, json=WELL)).status_code == 202


# The store is away ----------------------------------------------------------------------------------------------------


async def test_what_cannot_be_committed_is_not_taken_and_says_when_to_try_again(
    console: Console, ann: httpx.AsyncClient
) -> None:
    with failing(console, "do", StoreError("the disk that holds the store is full")):
        answer = await ann.post(MESSAGES, json=WELL)
    found = is_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert "nothing is charged" in found["detail"]
    assert "disk" not in answer.text
    assert (await ann.get("/api/v1/credit")).json()["left"] == 1_000_000


async def test_what_was_perhaps_committed_says_so(console: Console, ann: httpx.AsyncClient) -> None:
    with failing(console, "do", StoreLostError("the connection was lost while committing")):
        answer = await ann.post(MESSAGES, json=WELL)
    assert "Idempotency-Key" in is_problem(answer, 503)["detail"]


@pytest.mark.parametrize("way", ["read", "run"])
async def test_who_cannot_be_told_now_may_come_again(console: Console, ann: httpx.AsyncClient, way: str) -> None:
    path = "/api/v1/credit" if way == "run" else MESSAGES
    with failing(console, way, StoreError("away")):
        is_problem(await ann.get(path), 503)
    assert (await ann.get(path)).status_code == 200


async def test_a_defect_of_ours_tells_nothing_of_itself(
    console: Console, ann: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def divide(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("by something of ours")

    with monkeypatch.context() as patch:
        patch.setattr("daemon.console.sending.plain", divide)
        answer = await ann.post(MESSAGES, json=WELL)
    found = is_problem(answer, 500)
    assert "Zero" not in answer.text
    (record,) = [one for one in caplog.records if getattr(one, "action", "") == "request_failed"]
    assert record.request == found["request_id"] == answer.headers["x-request-id"]  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr("gateway.story.page", divide)
        is_problem(await ann.get(MESSAGES), 500)


async def test_what_is_said_and_to_whom_is_not_in_the_log(
    console: Console, ann: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    told = (await ann.post(MESSAGES, json={"sms": ["+32475987654"], "text": "a secret dinner"})).json()
    await console.settled(ann, told["id"])
    await ann.post(MESSAGES, json={"sms": ["0475987"], "text": "a secret dinner"})
    for words in ("475987654", "0475987", "secret", console.tokens["ann"]):
        assert words not in caplog.text


# Many -----------------------------------------------------------------------------------------------------------------


async def test_a_message_to_thousands_is_answered_with_a_link(console: Console, ann: httpx.AsyncClient) -> None:
    numbers = [f"+32475{n:06d}" for n in range(1, 2502)]
    key = {"idempotency-key": "everybody"}
    answer = await ann.post(MESSAGES, json={"sms": numbers, "text": "hello"}, headers=key)
    told = answer.json()
    assert answer.status_code == 202
    assert told["units"] == 2501
    assert told["deliveries"] == f"{MESSAGES}/{told['id']}/deliveries"
    assert (await ann.post(MESSAGES, json={"sms": numbers, "text": "hello"}, headers=key)).json() == told
    await console.settled(ann, told["id"], 60)
    seen, cursor = [], ""
    while cursor is not None:
        page = (await ann.get(told["deliveries"] + cursor)).json()
        seen += page["deliveries"]
        cursor = f"?cursor={page['cursor']}" if page["cursor"] else None
    assert sorted(one["to"] for one in seen) == numbers
    assert all(one["segments"][0]["attempts"] for one in seen)
    story = (await ann.get(f"{MESSAGES}/{told['id']}")).json()
    assert story["deliveries"] == told["deliveries"]
    (listed,) = (await ann.get(MESSAGES)).json()["messages"]
    assert listed["deliveries"] == told["deliveries"]
    assert listed["recipients"] == 2501

    def work(connection: Any) -> int:
        found: int = connection.execute(select(func.count()).select_from(schema.message)).scalar_one()
        return found

    assert await console.run(work) == 1
