"""What a whole request may say of its framing: on the short way and on the usual one it is read the same."""

from __future__ import annotations

import random

import pytest

from daemon.console.protocol import Connection
from tests.daemon.console.conftest import MESSAGES, Console
from tests.daemon.console.ways import Answer, Line, request
from tests.daemon.console.wires import limit

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}
#: More than any request that is not whole yet could want, and nothing a request begins with.
RUBBISH = b"@" * 140_000


async def to_the_end(line: Line, octets: bytes) -> list[Answer]:
    """Everything that is answered to these octets, and to the rubbish after them."""
    await line.feed(octets)
    await line.settled()
    await line.feed(RUBBISH)
    return await line.end()


async def both_ways(console: Console, octets: bytes) -> list[int]:
    """The answers' statuses, which are the same on both ways, and how many there are until the server hangs up."""
    swift = await to_the_end(Line(console.server), octets)
    usual = await to_the_end(Line(console.server, Connection), octets)
    assert [one.alike() for one in _finals(swift)] == [one.alike() for one in _finals(usual)]
    assert [one.status for one in swift] == [one.status for one in usual]
    return [one.status for one in swift]


def _finals(answers: list[Answer]) -> list[Answer]:
    return [one for one in answers if one.status != 100]


@pytest.mark.parametrize(
    ("fields", "statuses"),
    [
        (["Connection: close"], [202]),
        (["Connection: keep-alive, CLOSE"], [202]),
        (["Proxy-Connection: close"], [202]),
        (["Connection: keep-alive"], [202, 400]),
        (["Expect: 100-continue"], [100, 202, 400]),
        (["EXPECT: 100-CONTINUE"], [100, 202, 400]),
        (["Expect: 200-ok"], [202, 400]),
        (["Transfer-Encoding: chunked"], [400]),
        (["Transfer-Encoding: gzip"], [400]),
        (["Transfer-Encoding:"], [400]),
        (["Content-Length: 53", "Content-Length: 53"], [400]),
        (["Content-Length: 53", "Content-Length: 54"], [400]),
        (["Content-Length: 53", "Content-Length : 53"], [400]),
        (["Content-Length : 53"], [400]),
        (["Content-Length: +53"], [400]),
        (["Content-Length: 5 3"], [400]),
        (["X-Folded: one", " two"], [400]),
        (["X-Folded:", " Content-Length: 53"], [400]),
        (["X-Nul: a\0b"], [400]),
        (["X-Nul\0: a"], [400]),
        (["X-Delete: \x7f"], [400]),
        (["X-Bare: a\nContent-Length: 1"], [400]),
        (["X-Bare: a\rContent-Length: 1"], [400]),
        (["no field at all"], [400]),
        ([": nameless"], [400]),
        (["X y: z"], [400]),
        (["Connection: upgrade", "Upgrade: websocket"], [400]),
    ],
)
async def test_what_the_fields_say(console: Console, short: list[bool], fields: list[str], statuses: list[int]) -> None:
    assert await both_ways(console, request(console.tokens["ann"], WELL, *fields)) == statuses
    assert any(short) == (statuses == [202, 400])


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        (f"POST {MESSAGES} HTTP/1.0", [202]),
        (f"POST {MESSAGES} HTTP/1.2", [400]),
        (f"POST {MESSAGES} HTTP/2.0", [202]),
        (f"POST {MESSAGES}", [202]),
        (f"post {MESSAGES} HTTP/1.1", [400]),
        (f"PUT {MESSAGES} HTTP/1.1", [405, 400]),
        (f"POST {MESSAGES}/ HTTP/1.1", [404, 400]),
        (f"POST {MESSAGES}? HTTP/1.1", [202, 400]),
        (f"POST {MESSAGES}?a=b HTTP/1.1", [202, 400]),
        (f"POST http://x{MESSAGES} HTTP/1.1", [202, 400]),
        (f"POST  {MESSAGES} HTTP/1.1", [202, 400]),
        ("POST /api/v1/%6Dessages HTTP/1.1", [202, 400]),
    ],
)
async def test_what_the_first_line_says(console: Console, short: list[bool], line: str, statuses: list[int]) -> None:
    assert await both_ways(console, request(console.tokens["ann"], WELL, line=line)) == statuses
    assert short == []


async def test_lines_that_are_empty_before_a_request_are_passed_over(console: Console, short: list[bool]) -> None:
    octets = request(console.tokens["ann"], WELL)
    assert await both_ways(console, b"\r\n\r\n" + octets) == [202, 400]
    line = Line(console.server)
    await line.feed(octets, b"\r\n", octets, octets)
    assert [one.status for one in await line.answers(3)] == [202, 202, 202]
    line.close()


@pytest.mark.parametrize(("more", "statuses"), [(96, [202, 400]), (97, [431]), (300, [431])])
async def test_no_more_fields_than_are_allowed(
    console: Console, short: list[bool], more: int, statuses: list[int]
) -> None:
    octets = request(console.tokens["ann"], WELL, *["X: y"] * more)
    assert await both_ways(console, octets) == statuses
    split = Line(console.server)
    await split.feed(*(octets[n : n + 7] for n in range(0, len(octets), 7)))
    assert [one.status for one in await split.answers(1)] == statuses[:1]
    split.close()
    assert short == [True] * (statuses[0] == 202)


@pytest.mark.parametrize("size", [999, 1000, 1001, 1004, 5000])
async def test_a_head_beyond_its_limit_does_not_go_the_short_way(
    console: Console, short: list[bool], size: int
) -> None:
    limit(console, head=1000)
    fill = size - len(request(console.tokens["ann"], WELL, "X-Long: ").partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    octets = request(console.tokens["ann"], WELL, "X-Long: " + "x" * fill)
    assert octets.index(b"\r\n\r\n") + 4 == size
    assert (await both_ways(console, octets))[0] == 202  # it came in one piece
    assert short == [True] * (size <= 1000)
    split = Line(console.server)
    await split.feed(*(bytes([octet]) for octet in octets))
    assert (await split.answers(1))[0].status == (202 if size <= 1001 else 431)
    split.close()


async def test_a_body_that_is_longer_or_shorter_than_it_says(console: Console, short: list[bool]) -> None:
    octets = request(console.tokens["ann"], WELL)
    assert await both_ways(console, octets + b"}") == [202]
    assert short == []
    line = Line(console.server)
    await line.feed(octets[:-1])
    assert await line.answers(0) == []
    await line.feed(octets[-1:])
    assert [one.status for one in await line.answers(1)] == [202]
    assert short == []
    line.close()


# Anything -------------------------------------------------------------------------------------------------------------

WORDS = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b"\xff", b"0", b"5", b"\r\n\r\n", b"\r\n ", b"HTTP/1.1"]
WORDS += [b"Connection: close\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: x\r\n"]
WORDS += [b"Connection: upgrade\r\nUpgrade: x\r\n", b"Expect: 100-continue\r\n", b"Content-Type: a\r\n", b"X: \r\n"]


def _changed(octets: bytes, source: random.Random) -> bytes:
    """The same with a few changes, most of them where fields are."""
    for _ in range(source.choice([1, 1, 1, 2, 3])):
        lines = [n + 2 for n in range(len(octets)) if octets.startswith(b"\r\n", n)]
        at = source.choice(lines or [0]) if source.random() < 0.5 else source.randrange(len(octets) + 1)
        gone = source.choice([0, 0, 1, 2])
        octets = octets[:at] + source.choice([*WORDS, b""]) + octets[at + gone :]
    return octets


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_a_request_is_turned_into_is_read_the_same(
    console: Console, short: list[bool], seed: int
) -> None:
    source = random.Random(seed)
    well = request(console.tokens["ann"], WELL, "Connection: keep-alive", "X-Long: " + "x" * 20)
    seen: set[int] = set()
    for _ in range(150):
        octets = _changed(well, source)
        try:
            seen.update(await both_ways(console, octets))
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"{octets!r} is not read the same") from error
    assert {202, 400} <= seen
    assert True in short
