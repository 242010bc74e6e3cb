"""What the head of a request says is read once for all that have the same one, and the answer is JSON as ever."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.console.api import link
from daemon.console.heads import Frame, Head
from daemon.console.models import MessageTaken
from daemon.console.protocol import Connection
from daemon.console.taking import document
from gateway.draft import Recipient
from gateway.message import Channel
from gateway.tokens import digest_of
from tests.daemon.console.conftest import Console
from tests.daemon.console.test_swift_framing import WORDS
from tests.daemon.console.ways import Line, request

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}
MOST = 32 * 1024
FIRST = request("t", WELL, "X-Long: " + "x" * 20)
HEAD, BODY = FIRST[: FIRST.index(b"\r\n\r\n") + 4], FIRST[FIRST.index(b"\r\n\r\n") + 4 :]


def first() -> Frame:
    frame = Frame.of(FIRST, MOST)
    assert frame is not None
    return frame


# Frames ---------------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.integers(0, 5))
def test_another_body_is_taken_out_of_the_same_frame(body: bytes, zeros: int) -> None:
    length = f"{len(body)}".rjust(min(5, zeros), "0")
    octets = request("t", body, "X-Long: " + "x" * 20, f"Content-Length: {length}")
    moved = Frame.of(octets, MOST)
    assert moved is not None
    assert moved.body(octets) == body
    assert len(octets) - len(body) <= moved.longest


@given(st.integers(0, len(FIRST)), st.integers(0, 3), st.sampled_from([*WORDS, b""]))
def test_what_fits_a_frame_is_framed_so(at: int, gone: int, word: bytes) -> None:
    octets = FIRST[:at] + word + FIRST[at + gone :]
    body = first().body(octets)
    if body is None:
        assert octets != FIRST
    else:
        assert Frame.of(octets, MOST) == first()
        assert octets.endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        FIRST[:-1],
        FIRST + b"}",
        FIRST + FIRST,
        FIRST.replace(b"t\r\n", b"u\r\n", 1),
        FIRST.replace(b"53", b"5\xb2"),
        FIRST.replace(b"53", b""),
        FIRST.replace(b"53", b"+53"),
        FIRST.replace(b"53", b"000053"),
        FIRST.replace(b"53\r\n", b"53\r\nContent-Length: 53\r\n"),
    ],
)
def test_what_is_not_one_whole_request_does_not_fit(octets: bytes) -> None:
    assert octets != FIRST
    assert first().body(octets) is None


@pytest.mark.parametrize(
    ("fields", "bearer"),
    [
        ([(b"authorization", b"Bearer t")], b"t"),
        ([(b"authorization", b"BEARER  t "), (b"content-type", b"application/json")], b"t"),
        ([(b"authorization", b"Basic t")], None),
        ([(b"authorization", b"t")], None),
        ([(b"authorization", b"Bearer t"), (b"idempotency-key", b"k")], None),
        ([(b"authorization", b"Bearer t"), (b"content-type", b"text/plain")], None),
        ([], None),
    ],
)
def test_a_bearer_is_told_where_the_head_says_nothing_more(
    fields: list[tuple[bytes, bytes]], bearer: bytes | None
) -> None:
    assert Head.of(fields).bearer() == (None if bearer is None else digest_of(bearer))


@pytest.mark.parametrize("seed", range(3))
async def test_a_second_request_nearly_like_the_first_is_read_the_same(
    console: Console, short: list[bool], seed: int
) -> None:
    source = random.Random(seed)
    well = request(console.tokens["ann"], WELL, "Connection: keep-alive", "X-Long: " + "x" * 20)
    end, seen = well.index(b"\r\n\r\n") + 4, set()
    for _ in range(60):
        at = source.randrange(len(well) if source.random() < 0.2 else end)
        second = well[:at] + source.choice([*WORDS, b""]) + well[at + source.choice([0, 0, 1]) :]
        answers = []
        for line in (Line(console.server), Line(console.server, Connection)):
            for octets in (well, well, second, b"@" * 140_000):
                await line.feed(octets)
                await line.settled()
            answers.append([one.alike() for one in await line.end()])
        assert answers[0] == answers[1], second
        seen.add(len(answers[0]))
    assert {3, 4} <= seen
    assert short.count(True) >= 120


async def test_another_token_on_the_same_connection_is_another_account(console: Console, short: list[bool]) -> None:
    line = Line(console.server)
    for n, (who, status) in enumerate([("ann", 202), ("ann", 202), ("poor", 202), ("poor", 402), ("ann", 202)]):
        await line.feed(request(console.tokens[who], WELL))
        assert (await line.answers(n + 1))[n].status == status
    assert short == [True] * 5
    line.close()


# Documents ------------------------------------------------------------------------------------------------------------


@given(
    st.integers(0, 2**62),
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(0, 2**62), st.sampled_from(Channel), st.text(max_size=20), st.integers(1, 255))),
)
def test_the_answer_is_what_json_makes_of_it(
    message: int, units: int, sent: list[tuple[int, Channel, str, int]]
) -> None:
    deliveries: list[dict[str, Any]] = [
        {"id": str(number), "to": to, "channel": channel.value, "segments": segments}
        for number, channel, to, segments in sent
    ]
    told = {"id": str(message), "units": units, "deliveries": deliveries or link(str(message))}
    written = document(message, units, [(number, Recipient(channel, to), n) for number, channel, to, n in sent])
    assert written == json.dumps(told).encode()
    assert message >= 10**18 or max((one[0] for one in sent), default=0) >= 10**18 or MessageTaken(**told)
