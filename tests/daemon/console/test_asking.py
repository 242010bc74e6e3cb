"""What became of messages, and what is left: the API's other questions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateway import story
from tests.daemon.console.conftest import MESSAGES, Console, is_problem

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}


async def test_a_message_is_shown_as_the_command_line_shows_it(console: Console, ann: httpx.AsyncClient) -> None:
    told = (await ann.post(MESSAGES, json=WELL)).json()
    await console.settled(ann, told["id"])
    shown = (await ann.get(f"{MESSAGES}/{told['id']}")).json()
    same = await console.house.store.read(lambda connection: story.show(connection, int(told["id"])))
    assert shown == same
    assert {"received", "queued", "submitted", "accepted", "charged"} <= {one["what"] for one in shown["timeline"]}


@pytest.mark.parametrize("message", ["1", "999999999", "x", "0x10", "1" * 30, "%2e%2e"])
async def test_what_is_no_message_of_ours_is_not_found(ann: httpx.AsyncClient, message: str) -> None:
    is_problem(await ann.get(f"{MESSAGES}/{message}"), 404)
    is_problem(await ann.get(f"{MESSAGES}/{message}/deliveries"), 404)


async def test_messages_of_others_are_not_seen(console: Console, ann: httpx.AsyncClient) -> None:
    told = (await ann.post(MESSAGES, json=WELL)).json()
    bob = console.client("bob")
    is_problem(await bob.get(f"{MESSAGES}/{told['id']}"), 404)
    is_problem(await bob.get(f"{MESSAGES}/{told['id']}/deliveries"), 404)
    assert (await bob.get(MESSAGES)).json() == {"messages": [], "cursor": None}


async def test_a_list_goes_page_by_page_from_the_newest(ann: httpx.AsyncClient) -> None:
    sent = [(await ann.post(MESSAGES, json={**WELL, "text": f"{n}"})).json()["id"] for n in range(5)]
    seen: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await ann.get(MESSAGES, params=query)).json()
        seen += [one["id"] for one in page["messages"]]
        cursor = page["cursor"]
        pages += 1
    assert seen == sent[::-1]
    assert pages == 3


async def test_a_page_has_few_recipients_but_none_is_lost(ann: httpx.AsyncClient) -> None:
    many = {"sms": [f"+32475{n:06d}" for n in range(1, 901)], "text": "x"}
    sent = [(await ann.post(MESSAGES, json=many)).json()["id"] for _ in range(5)]
    first = (await ann.get(MESSAGES)).json()
    assert [one["id"] for one in first["messages"]] == sent[:2:-1]
    second = (await ann.get(MESSAGES, params={"cursor": first["cursor"]})).json()
    third = (await ann.get(MESSAGES, params={"cursor": second["cursor"]})).json()
    assert [one["id"] for page in (second, third) for one in page["messages"]] == sent[2::-1]
    assert third["cursor"] is None


async def test_a_list_is_narrowed_by_state_and_time(console: Console, ann: httpx.AsyncClient) -> None:
    gone = (await ann.post(MESSAGES, json=WELL)).json()["id"]
    await console.settled(ann, gone)
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    waits = (await ann.post(MESSAGES, json={**WELL, "at": at})).json()["id"]

    async def found(**query: str) -> list[str]:
        return [one["id"] for one in (await ann.get(MESSAGES, params=query)).json()["messages"]]

    assert await found(state="queued") == [waits]
    assert waits not in await found(state="delivered")
    assert await found(since=at) == []
    assert await found(since="2026-01-01") == [waits, gone]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "lost"),
        ("since", "yesterday"),
        ("cursor", "x"),
        ("cursor", "-1"),
        ("limit", "0"),
        ("limit", "x"),
        ("stat", "queued"),
        ("limit", "9" * 5000),
    ],
)
async def test_a_question_that_cannot_be_is_refused(ann: httpx.AsyncClient, name: str, value: str) -> None:
    found = is_problem(await ann.get(MESSAGES, params={name: value}), 422)
    assert found["errors"][0]["path"] == f"query.{name}"


async def test_a_parameter_twice_is_refused(ann: httpx.AsyncClient) -> None:
    is_problem(await ann.get(f"{MESSAGES}?state=queued&state=failed"), 422)
    is_problem(await ann.get("/api/v1/credit?account=bob"), 422)


async def test_credit_is_shown_as_the_contract_says(ann: httpx.AsyncClient) -> None:
    await ann.post(MESSAGES, json={**WELL, "at": (datetime.now(UTC) + timedelta(days=1)).isoformat()})
    told = (await ann.get("/api/v1/credit")).json()
    assert told["provision"] == {"bought": 1_000_000, "used": 0, "reserved": 1, "left": 999_999}
    assert set(told["allotment"]) == {"granted", "used", "reserved", "left", "ends"}
    assert told["left"] == 999_999


async def test_unknown_addresses_and_methods_are_problems(ann: httpx.AsyncClient) -> None:
    for path in ("/", "/api", "/api/v1", "/api/v1/nothing", MESSAGES + "/", "/%00", "//", "/../etc/passwd"):
        is_problem(await ann.get(path), 404)
    for method, path, allowed in (
        ("DELETE", MESSAGES, {"GET", "HEAD", "POST"}),
        ("PUT", f"{MESSAGES}/1", {"GET", "HEAD"}),
        ("POST", "/api/v1/credit", {"GET", "HEAD"}),
        ("POST", "/metrics", {"GET", "HEAD"}),
    ):
        answer = await ann.request(method, path)
        is_problem(answer, 405)
        assert set(answer.headers["allow"].split(", ")) == allowed


async def test_a_head_is_answered_without_a_body(ann: httpx.AsyncClient) -> None:
    answer = await ann.head("/api/v1/credit")
    assert answer.status_code == 200
    assert answer.content == b""
