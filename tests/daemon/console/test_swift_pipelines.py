"""Requests that come before the last was answered: each is answered once, in order, whichever way it goes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.console.protocol import Connection
from tests.daemon.console.conftest import MESSAGES, Console
from tests.daemon.console.ways import Answer, Held, Line, request
from tests.daemon.console.wires import Wire, post

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}
DOCUMENT = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def line(console: Console, short: list[bool]) -> AsyncIterator[Line]:
    """A connection that comes in exact pieces; it is closed at the test's end."""
    one = Line(console.server)
    yield one
    one.close()


def say(console: Console, text: str, who: str = "ann") -> bytes:
    return request(console.tokens[who], {**WELL, "text": text})


async def texts(console: Console, answers: list[Answer]) -> list[str]:
    """What the messages say that were taken with these answers."""
    client = console.client()
    return [(await client.get(answer.fields["location"])).json()["text"] for answer in answers]


async def test_two_in_one_piece(console: Console, line: Line, short: list[bool]) -> None:
    await line.feed(say(console, "1") + say(console, "2"))
    assert await texts(console, await line.answers(2)) == ["1", "2"]
    assert short == []
    await line.feed(say(console, "3"))
    assert await texts(console, await line.answers(3)) == ["1", "2", "3"]
    assert short == [True]


async def test_one_after_the_other(console: Console, line: Line, short: list[bool]) -> None:
    for n in range(1, 6):
        await line.feed(say(console, str(n)))
        await line.answers(n)
    assert await texts(console, await line.answers(5)) == ["1", "2", "3", "4", "5"]
    assert short == [True] * 5


async def test_a_second_one_while_the_first_is_being_answered(
    console: Console, line: Line, held: Held, short: list[bool]
) -> None:
    await line.feed(say(console, "1"))
    await held.asked()
    await line.feed(say(console, "2"))
    assert line.reading_paused
    assert await line.answers(0) == []
    held.let_go()
    await held.asked()
    assert not line.reading_paused
    assert len(await line.answers(1)) == 1
    held.let_go()
    assert await texts(console, await line.answers(2)) == ["1", "2"]
    assert short == [True, True]


async def test_several_and_a_half_while_the_first_is_being_answered(
    console: Console, line: Line, held: Held, short: list[bool]
) -> None:
    half = say(console, "5")
    await line.feed(say(console, "1"))
    await held.asked()
    await line.feed(say(console, "2") + DOCUMENT + say(console, "4") + half[:100])
    held.let_go()
    await held.asked()
    held.let_go()
    await held.asked()
    held.let_go()
    answers = await line.answers(4)
    await line.feed(half[100:])
    await held.asked()
    held.let_go()
    answers = await line.answers(5)
    assert [one.status for one in answers] == [202, 202, 200, 202, 202]
    assert await texts(console, [*answers[:2], *answers[3:]]) == ["1", "2", "4", "5"]
    assert short == [True]


async def test_what_comes_in_pieces_while_the_first_is_being_answered(
    console: Console, line: Line, held: Held, short: list[bool]
) -> None:
    """A transport may hand over what it had read already when it was told to pause."""
    await line.feed(say(console, "1"))
    await held.asked()
    for octet in say(console, "2"):
        line.connection.data_received(bytes([octet]))
    held.let_go()
    await held.asked()
    held.let_go()
    assert await texts(console, await line.answers(2)) == ["1", "2"]
    assert short == [True, True]


@pytest.mark.parametrize("cut", [1, 5, 60, 200])
async def test_a_half_one_behind_a_whole_one(console: Console, line: Line, short: list[bool], cut: int) -> None:
    second = say(console, "2")
    await line.feed(say(console, "1") + second[:cut])
    assert len(await line.answers(1)) == 1
    await line.feed(second[cut:])
    assert await texts(console, await line.answers(2)) == ["1", "2"]
    await line.feed(say(console, "3"))
    assert await texts(console, await line.answers(3)) == ["1", "2", "3"]
    assert short == [True]


async def test_a_whole_one_while_a_usual_one_is_being_answered(
    console: Console, line: Line, held: Held, short: list[bool]
) -> None:
    first = say(console, "1")
    await line.feed(first[:50], first[50:])
    await held.asked()
    await line.feed(say(console, "2"))
    held.let_go()
    await held.asked()
    held.let_go()
    assert await texts(console, await line.answers(2)) == ["1", "2"]
    assert short == []


async def test_a_whole_one_behind_the_head_of_one(console: Console, line: Line, short: list[bool]) -> None:
    """What looks like a request may be the body of another."""
    inner = say(console, "inner")
    await line.feed(request(console.tokens["ann"], inner)[: -len(inner)], inner)
    (answer,) = await line.answers(1)
    assert answer.status == 400
    assert short == []
    assert (await console.client().get(MESSAGES)).json()["messages"] == []


async def test_a_refusal_between_two_messages_keeps_its_place(
    console: Console, line: Line, held: Held, short: list[bool]
) -> None:
    await line.feed(say(console, "1"))
    await held.asked()
    await line.feed(request(console.tokens["ann"], {}) + say(console, "3"))
    held.let_go()
    await held.asked()
    held.let_go()
    assert [one.status for one in await line.answers(3)] == [202, 422, 202]
    assert short == [True]


async def test_rubbish_after_a_whole_one_does_not_overtake_its_answer(
    console: Console, line: Line, held: Held, short: list[bool]
) -> None:
    await line.feed(say(console, "1"))
    await held.asked()
    await line.feed(b"nonsense\r\n\r\n" + say(console, "2"))
    held.let_go()
    assert [one.status for one in await line.end()] == [202, 400]
    assert short == [True]
    assert len((await console.client().get(MESSAGES)).json()["messages"]) == 1


async def test_connections_do_not_wait_for_each_other(console: Console, held: Held, short: list[bool]) -> None:
    one, other = Line(console.server), Line(console.server)
    await one.feed(say(console, "1"))
    await other.feed(say(console, "2"))
    await held.asked(2)
    held.let_go(lambda waiting: waiting[::-1])
    assert await texts(console, [*await one.answers(1), *await other.answers(1)]) == ["1", "2"]
    one.close()
    other.close()


async def test_a_real_socket_answers_many_at_once_in_order(
    console: Console, short: list[bool], wire: Wire, held: Held
) -> None:
    wire.write(say(console, "0"))
    await held.asked()
    for n in range(1, 60):
        wire.write(say(console, str(n)))
    await wire.writer.drain()
    held.stop()
    found = [await wire.answer() for _ in range(60)]
    assert [status for status, _, _ in found] == [202] * 60
    client = console.client()
    said = [(await client.get(fields["location"])).json()["text"] for _, fields, _ in found]
    assert said == [str(n) for n in range(60)]
    wire.write(post(console, b"{}"))
    assert (await wire.answer())[0] == 422
    assert short[0] is True


# Anything -------------------------------------------------------------------------------------------------------------


def _pool(console: Console) -> list[bytes]:
    """Requests whose answers do not depend on what was asked before."""
    ann = console.tokens["ann"]
    many = {"sms": [f"+32475{n:06d}" for n in range(1, 40)], "text": "ten words " * 20}
    return [
        request(ann, WELL),
        request(console.tokens["bob"], {**WELL, "text": "x"}),
        request(ann, many),
        request(ann, WELL, "Expect: 200-ok", "X-Long: " + "x" * 3000),
        request(ann, WELL, "Idempotency-Key: order-1042"),
        request(console.tokens["poor"], many),
        request(ann, {}),
        request(ann, {"sms": ["0475"], "text": "x"}),
        request(ann, b"{"),
        request(ann, b""),
        request(None, WELL),
        request(ann, WELL, "Content-Type: text/plain"),
        request(ann, WELL, line=f"PUT {MESSAGES} HTTP/1.1"),
        DOCUMENT,
        b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {MESSAGES}/17 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ann}\r\n\r\n".encode(),
        f"POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ann}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".encode(),
    ]


def _last(console: Console) -> list[bytes]:
    """Requests after whose answer the server hangs up."""
    return [
        request(console.tokens["ann"], WELL, "Connection: close"),
        request(console.tokens["ann"], {}, "Connection: close"),
        request(console.tokens["ann"], WELL, line=f"POST {MESSAGES} HTTP/1.0"),
    ]


def _pieces(requests: list[bytes], source: random.Random) -> list[bytes]:
    """The requests in pieces: whole ones, some together, some torn anywhere."""
    whole, found = b"".join(requests), []
    ends = [sum(map(len, requests[: n + 1])) for n in range(len(requests))]
    cuts = {end for end in ends if source.random() < 0.8}
    cuts |= {source.randrange(len(whole)) for _ in range(source.choice([0, 0, 0, 1, 3, 8]))}
    begin = 0
    for cut in sorted(cuts | {len(whole)}):
        found.append(whole[begin:cut])
        begin = cut
    return [one for one in found if one]


async def _one_by_one(console: Console, octets: bytes) -> Any:
    line = Line(console.server, Connection)
    await line.feed(octets)
    (answer,) = await line.answers(1)
    line.close()
    return answer.alike()


@pytest.mark.parametrize("seed", range(6))
async def test_however_requests_are_torn_and_joined_they_are_answered_as_one_by_one(
    console: Console, short: list[bool], held: Held, seed: int
) -> None:
    source, pool, lasts = random.Random(seed), _pool(console), _last(console)
    letting = asyncio.create_task(_let_go(held, source))
    alone = {octets: await _one_by_one(console, octets) for octets in [*pool, *lasts]}
    for _ in range(40):
        requests = [source.choice([*pool[:1] * 6, *pool]) for _ in range(source.randrange(1, 9))]
        requests += [source.choice(lasts)] if source.random() < 0.3 else []
        pieces = _pieces(requests, source)
        line = Line(console.server)
        for piece in pieces:
            await line.feed(piece)
            if source.random() < 0.4:
                await line.settled()
            for _ in range(source.choice([0, 0, 1, 3])):
                await asyncio.sleep(0)  # a turn of the loop, for whatever is due
        answers = await line.answers(len(requests))
        told = [answer.alike() for answer in answers]
        assert told == [alone[octets] for octets in requests], pieces
        assert line.closed == (requests[-1] in lasts)
        line.close()
    letting.cancel()
    assert short.count(True) > 10
    assert False in short


async def _let_go(held: Held, source: random.Random) -> None:
    """Let go of what the store says, now at once, now a few turns of the loop later."""
    while True:
        await held.asked()
        for _ in range(source.choice([0, 1, 5])):
            await asyncio.sleep(0)
        held.let_go()
