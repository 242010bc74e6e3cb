"""The short way of a message answers as the usual one does: the same status, header fields and body."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from daemon.console.protocol import Connection
from gateway.store.errors import StoreError, StoreLostError
from tests.daemon.console.conftest import MESSAGES, Console
from tests.daemon.console.ways import Answer, Line, request

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}
UNKNOWN = "Authorization: Bearer tocsin_" + "x" * 43


async def both_ways(console: Console, octets: bytes) -> Answer:
    """The answer to a request that comes whole; it is that to one which cannot go the short way, however it comes."""
    server = console.server
    whole, usual, split = Line(server), Line(server, Connection), Line(server)
    await whole.feed(octets)
    await usual.feed(octets)
    await split.feed(*(bytes([octet]) for octet in octets))
    (answer,), (other,), (third,) = [await line.answers(1) for line in (whole, usual, split)]
    assert answer.alike() == other.alike() == third.alike()
    for line in (whole, usual, split):
        assert line.closed == ("connection" in answer.fields)
        line.close()
    return answer


# Taken ----------------------------------------------------------------------------------------------------------------

GOOD: dict[str, dict[str, Any]] = {
    "one": WELL,
    "several, one of them twice": {"sms": ["0475 12 34 56", "+33612345678", "+32475123456"], "text": "ten words " * 20},
    "outside of the alphabet": {**WELL, "text": "Привет, ça va? 😀"},
    "only a subject": {"sms": ["+32475123456"], "subject": "Only this"},
    "urgent, flash and short-lived": {**WELL, "urgent": True, "flash": True, "validity": "PT2H"},
    "more than are listed": {"sms": [f"+32475{n:06d}" for n in range(1, 1101)], "text": "hello"},
}


@pytest.mark.parametrize("case", GOOD)
async def test_a_message_that_is_taken(console: Console, short: list[bool], case: str) -> None:
    answer = await both_ways(console, request(console.tokens["ann"], GOOD[case]))
    assert answer.status == 202
    assert list(answer.fields) == ["date", "location", "content-type", "content-length", "x-request-id"]
    assert answer.fields["content-type"] == "application/json"
    assert short == [True]


async def test_a_message_of_an_account_with_rules_of_its_own(console: Console, short: list[bool]) -> None:
    assert (await both_ways(console, request(console.tokens["brief"], WELL))).status == 202
    french = await both_ways(console, request(console.tokens["bob"], {"sms": ["06 12 34 56 78"], "text": "x"}))
    assert french.document["deliveries"][0]["to"] == "+33612345678"
    assert short == [True, True]


async def test_what_was_taken_the_short_way_is_sent_like_everything_else(console: Console, short: list[bool]) -> None:
    line = Line(console.server)
    await line.feed(request(console.tokens["ann"], WELL))
    (answer,) = await line.answers(1)
    story = await console.settled(console.client(), answer.document["id"])
    assert story["origin"] == "api"
    assert [one["id"] for one in story["deliveries"]] == [one["id"] for one in answer.document["deliveries"]]
    assert [one.text for one in console.centre.received] == ["Dinner at eight?"]
    assert short == [True]


@pytest.mark.parametrize(
    ("fields", "goes_short"),
    [
        (["HOST: x", "CONTENT-TYPE: application/json", "CONTENT-LENGTH: 53"], True),
        (["host: x", "content-type: application/json", "content-length: 53"], True),
        (["CoNtEnT-LeNgTh:00053"], True),
        (["Content-Length:   53"], True),
        (["Content-Length: \t53"], False),
        (["Content-Length: 53 "], False),
        (["Content-Length: 000053"], False),
        (["X-Anything: caf\xe9", "X-Anything: twice", "X-Empty:"], True),
        (["Connection: keep-alive"], True),
        (["Upgrade: h2c"], True),
        (["Content-Type: Application/JSON; charset=utf-8"], False),
        (["Idempotency-Key: order-1042"], False),
        (["IDEMPOTENCY-KEY: order-1042"], False),
    ],
)
async def test_however_its_fields_are_written(
    console: Console, short: list[bool], fields: list[str], goes_short: bool
) -> None:
    answer = await both_ways(console, request(console.tokens["ann"], WELL, *fields))
    assert answer.status == 202
    assert any(short) == goes_short


async def test_without_a_media_type(console: Console, short: list[bool]) -> None:
    octets = request(console.tokens["ann"], WELL).replace(b"Content-Type: application/json\r\n", b"")
    assert (await both_ways(console, octets)).status == 202
    assert short == [True]


async def test_a_scheme_may_be_written_in_small_letters(console: Console, short: list[bool]) -> None:
    fields = [f"Authorization: bearer   {console.tokens['ann']} "]
    assert (await both_ways(console, request(None, WELL, *fields))).status == 202
    assert short == [True]


async def test_the_last_of_two_tokens_counts(console: Console, short: list[bool]) -> None:
    mine = [UNKNOWN, f"Authorization: Bearer {console.tokens['ann']}"]
    assert (await both_ways(console, request(None, WELL, *mine))).status == 202
    assert (await both_ways(console, request(None, WELL, *reversed(mine)))).status == 401
    assert short == [True, False]


# Refused --------------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[int, Any, list[str]]] = {
    "a member nobody knows": (422, {**WELL, "txt": "x"}, []),
    "another type": (422, {**WELL, "urgent": "yes"}, []),
    "nobody": (422, {"text": "hello"}, []),
    "nothing to say": (422, {"sms": ["+32475123456"]}, []),
    "no number": (422, {"sms": ["0475", "+32475123456", "+12025550123"], "text": "x"}, []),
    "a number no route takes": (422, {"sms": ["+12025550123"], "text": "x"}, []),
    "names and addresses": (422, {"sms": ["jean"], "email": ["jean@x"], "lists": ["family"], "text": "x"}, []),
    "too long": (422, {**WELL, "text": "ten words " * 1000}, []),
    "no time": (422, {**WELL, "at": "soon"}, []),
    "too far away": (422, {**WELL, "at": "9999-12-31T23:59:59-23:00"}, []),
    "no validity": (422, {**WELL, "validity": "an hour"}, []),
    "no object": (422, b"[]", []),
    "no JSON": (400, b"nonsense", []),
    "no octets of text": (400, b'{"text": "\xff"}', []),
    "half a surrogate": (400, b'{"text": "\\ud800"}', []),
    "nothing": (400, b"", []),
    "an unknown token": (401, WELL, [UNKNOWN]),
    "no token": (401, WELL, ["Authorization:"]),
    "another scheme": (401, WELL, ["Authorization: Basic YTpi"]),
    "another media type": (415, WELL, ["Content-Type: text/plain"]),
    "no media type": (415, WELL, ["Content-Type:"]),
    "a key that is too long": (400, WELL, ["Idempotency-Key: " + "x" * 256]),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_message_that_is_refused(console: Console, short: list[bool], case: str) -> None:
    status, body, fields = REFUSED[case]
    answer = await both_ways(console, request(console.tokens["ann"], body, *fields))
    assert answer.status == status
    assert answer.fields["content-type"] == "application/problem+json"
    assert not any(short)
    assert (await console.client().get(MESSAGES)).json()["messages"] == []


async def test_who_has_no_token_at_all(console: Console, short: list[bool]) -> None:
    answer = await both_ways(console, request(None, WELL))
    assert (answer.status, answer.fields["www-authenticate"]) == (401, 'Bearer realm="tocsin"')
    assert not any(short)


async def test_a_good_token_under_another_scheme(console: Console, short: list[bool]) -> None:
    fields = [f"Authorization: Basic {console.tokens['ann']}"]
    assert (await both_ways(console, request(None, WELL, *fields))).status == 401
    assert not any(short)


async def test_too_little_credit_is_found_out_on_the_short_way(console: Console, short: list[bool]) -> None:
    many = {**WELL, "sms": ["+32475123456", "+32475123457"]}
    answer = await both_ways(console, request(console.tokens["poor"], many))
    assert answer.status == 402
    assert (answer.document["needed"], answer.document["left"]) == (2, 1)
    assert short == [True]
    assert (await console.client("poor").get("/api/v1/credit")).json()["left"] == 1


async def test_a_body_above_the_configured_size(
    console: Console, short: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = console.house.config
    small = replace(config, listen=config.listen.model_copy(update={"max_size": 100}))
    monkeypatch.setattr(console.house, "config", small)
    assert (await both_ways(console, request(console.tokens["ann"], {**WELL, "text": "x" * 100}))).status == 413
    assert (await both_ways(console, request(console.tokens["ann"], WELL))).status == 202
    assert short == [False, True]


async def test_a_body_that_is_declared_above_every_size(console: Console, short: list[bool]) -> None:
    answer = await both_ways(console, request(console.tokens["ann"], b"", "Content-Length: 100000000"))
    assert answer.status == 413
    assert short == []


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1, 99_999, 100_000])
async def test_a_large_body_is_taken_as_ever(console: Console, short: list[bool], size: int) -> None:
    octets = request(console.tokens["ann"], WELL)
    head, _, body = octets.partition(b"\r\n\r\n")
    octets = head.replace(b"Content-Length: 53", b"Content-Length: %d" % size) + b"\r\n\r\n" + body.ljust(size)
    line = Line(console.server)
    await line.feed(octets)
    (answer,) = await line.answers(1)
    assert answer.status == 202
    assert any(short) == (size <= 64 * 1024)


# The store, and defects -----------------------------------------------------------------------------------------------


@contextmanager
def saying(console: Console, error: Exception, *, at_once: bool) -> Iterator[None]:
    """Meanwhile the store fails like this: as it is asked, or later."""
    store = console.house.store

    def ask(*_: Any, **__: Any) -> asyncio.Future[Any]:
        if at_once:
            raise error
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(error)
        return failed

    before, store.ask = store.ask, ask  # type: ignore[method-assign]
    try:
        yield
    finally:
        store.ask = before  # type: ignore[method-assign]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("error", [StoreError("the disk is full"), StoreLostError("lost while committing")])
async def test_a_store_that_fails(console: Console, short: list[bool], error: Exception, at_once: bool) -> None:
    with saying(console, error, at_once=at_once):
        answer = await both_ways(console, request(console.tokens["ann"], WELL))
    assert answer.status == 503
    assert int(answer.fields["retry-after"]) > 0
    assert ("Idempotency-Key" in answer.document["detail"]) == isinstance(error, StoreLostError)
    assert b"disk" not in answer.body
    assert short == [not at_once]


def divide(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("by something of ours")


async def a_defect(console: Console, caplog: pytest.LogCaptureFixture) -> Answer:
    """The answer, where something is wrong here: the log tells of each request, the answer of nothing."""
    answer = await both_ways(console, request(console.tokens["ann"], WELL))
    assert answer.status == 500
    assert b"Zero" not in answer.body
    told = [one for one in caplog.records if one.levelname == "ERROR"]
    assert [getattr(one, "action", one.getMessage()) for one in told] == ["request_failed"] * 3
    assert answer.fields["x-request-id"] in [vars(one)["request"] for one in told]
    assert all(one.exc_info and one.exc_info[0] is ZeroDivisionError for one in told)
    return answer


@pytest.mark.parametrize("where", ["sending.plain", "sending.check", "taking._read"])
async def test_a_defect_before_the_store_is_asked(
    console: Console,
    short: list[bool],
    where: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"daemon.console.{where}", divide)
    await a_defect(console, caplog)
    assert short == [False]


async def test_a_defect_in_the_store(console: Console, short: list[bool], caplog: pytest.LogCaptureFixture) -> None:
    with saying(console, ZeroDivisionError("by something of ours"), at_once=False):
        await a_defect(console, caplog)
    assert short == [True]


async def test_a_defect_after_the_message_was_taken(
    console: Console, short: list[bool], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    application: Any = console.server.config.app
    monkeypatch.setattr(application._taker, "_taken", divide)
    await a_defect(console, caplog)
    assert short == [True]
    assert len((await console.client().get(MESSAGES)).json()["messages"]) == 3
