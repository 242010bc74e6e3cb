"""Bad days of SMS centres that nobody here wrote, node-smpp and Perl's Net::SMPP, and the whole daemon under them.

For each: nothing lost, nothing twice, the credit exact, nothing piled up, healed without a hand, and a sentence in
`status` that says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.message import State
from tests.peers.net_smpp import perl
from tests.peers.node_smpp import NodeSmpp

Start = Callable[..., Any]
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
node_smpp = pytest.mark.peer("node-smpp")
net_smpp = pytest.mark.peer("net-smpp")

THROTTLED = "the SMS centre asked to be slower (0x00000058 RTHROTTLED)"


async def texts(centre: NodeSmpp) -> list[str]:
    """What node-smpp took, or may have taken."""
    return [text for (_, _, text), times in (await centre.accepted()).items() for _ in range(times)]


# node-smpp


@node_smpp
async def test_node_smpp_throttles_three_of_ten(daemon: Start) -> None:
    async with NodeSmpp("--throttle-tenths", "3") as centre:
        one = await daemon(centre.port, window=20, rate=200.0)
        await one.send(300)
        assert await one.rests(60) == {State.ACCEPTED: 300}
        one.check(await texts(centre))
        one.told(THROTTLED, "throttled")
        one.is_well()


@node_smpp
async def test_node_smpp_takes_so_many_a_second_and_no_more(daemon: Start) -> None:
    async with NodeSmpp("--rate", "50") as centre:
        one = await daemon(centre.port, window=20)
        await one.send(300)
        assert await one.rests(60) == {State.ACCEPTED: 300}
        one.check(await texts(centre))
        seconds = (centre.got[-1].at - centre.got[0].at) / 1e9
        assert seconds < 300 / 50 * 1.7, "its level was not found"
        one.told(THROTTLED, "throttled")


@node_smpp
async def test_node_smpp_answers_five_seconds_late(daemon: Start) -> None:
    async with NodeSmpp("--delay", "5000") as centre:
        one = await daemon(centre.port, window=100)
        await one.send(100)
        assert await one.rests() == {State.ACCEPTED: 100}
        one.check(await texts(centre))
        assert centre.binds == 1
        one.is_well()


@node_smpp
async def test_node_smpp_answers_out_of_order(daemon: Start) -> None:
    async with NodeSmpp("--receipts") as centre:
        await centre.order("hold")
        one = await daemon(centre.port, window=20)
        await one.send(20)
        await centre.wait(20)
        await centre.order("release", reverse=True)
        await one.until_states({State.DELIVERED: 20})
        one.check(await texts(centre))


@node_smpp
async def test_node_smpp_drops_the_link_every_hundred_messages(daemon: Start) -> None:
    async with NodeSmpp("--drop-every", "100") as centre:
        one = await daemon(centre.port, window=10)
        await one.send(450)
        await one.rests(60)
        one.check(await texts(centre), unknown=40)
        one.told("the connection", "down")
        assert centre.binds >= 5


@node_smpp
async def test_node_smpp_stops_reading(daemon: Start) -> None:
    async with NodeSmpp() as centre:
        one = await daemon(centre.port, window=10, enquire_link=0.3, response_timeout=0.5)
        await one.send(20)
        await one.rests()
        await centre.order("deaf")  # the connection stays open, and nothing comes of it any more
        await one.send(30)
        await one.rests()
        one.check([*await texts(centre), *(f"message {n}" for n in range(20, 30))], unknown=10)
        assert centre.binds == 2
        one.is_well()


@node_smpp
async def test_node_smpp_sends_garbage(daemon: Start) -> None:
    async with NodeSmpp() as centre:
        one = await daemon(centre.port, window=10)
        for n, rubbish in enumerate(("ff" * 64, "0000000568656c6c6f", "7fffffff" + "00" * 12, "00" * 16), 1):
            await centre.until(lambda n=n: centre.binds >= n)
            await centre.order("raw", hex=rubbish)
            await one.send(20)
            await one.rests()
        await one.until(lambda: centre.binds >= 5)
        one.check(await texts(centre), unknown=40)
        one.told("does not speak SMPP, or lost its place", "down")


@node_smpp
async def test_node_smpp_splits_its_octets(daemon: Start) -> None:
    async with NodeSmpp("--dribble", "--receipts") as centre:
        one = await daemon(centre.port, window=10)
        await one.send(100)
        await one.until_states({State.DELIVERED: 100})
        one.check(await texts(centre))
        assert centre.binds == 1


@node_smpp
async def test_node_smpp_unbinds_at_will(daemon: Start) -> None:
    async with NodeSmpp() as centre:
        one = await daemon(centre.port, window=10)
        for n in range(1, 4):
            await centre.until(lambda n=n: centre.binds >= n)
            await one.send(50)
            centre.tell("unbind")
            await one.rests()
        one.check(await texts(centre), unknown=30)
        one.told("the SMS centre unbound us", "down")


@node_smpp
@pytest.mark.parametrize("bind", ["transceiver", "pair"])
async def test_node_smpp_sends_receipts_first_and_on_the_other_connection(daemon: Start, bind: str) -> None:
    async with NodeSmpp("--receipts", "--receipts-first") as centre:
        one = await daemon(centre.port, window=10, bind=bind)
        await centre.until(lambda: centre.binds == (2 if bind == "pair" else 1))
        await one.send(100)
        await one.until_states({State.DELIVERED: 100})
        one.check(await texts(centre))


@node_smpp
async def test_node_smpp_answers_by_generic_nack(daemon: Start) -> None:
    async with NodeSmpp("--nack-every", "20") as centre:
        one = await daemon(centre.port, window=10)
        await one.send(60)
        assert await one.rests(60) == {State.ACCEPTED: 60}
        one.check(await texts(centre))
        assert centre.binds == 1
        codes = {attempt.code for attempt in one.books.attempts() if attempt.result == "transient"}
        assert codes == {"0x00000008"}


@node_smpp
async def test_node_smpp_never_answers(daemon: Start) -> None:
    async with NodeSmpp("--silent", "30") as centre:
        one = await daemon(centre.port, window=10, response_timeout=0.4)
        await one.send(50)
        assert await one.rests(40) == {State.UNKNOWN: 30, State.ACCEPTED: 20}
        one.check(await texts(centre), unknown=30)
        one.told("left a submit_sm without an answer for 0.4 s", "down")
        one.is_well()


@node_smpp
async def test_node_smpp_accepts_connections_and_closes_them_at_once(daemon: Start) -> None:
    async with NodeSmpp("--slam", "4") as centre:
        one = await daemon(centre.port, window=10)
        await one.send(20)
        assert await one.rests() == {State.ACCEPTED: 20}
        one.check(await texts(centre))
        one.told("; trying again in", "down")
        assert centre.binds == 1


# Net::SMPP: what it was sent is told line by line, (number, text, answer)


def took(got: list[list[str]]) -> list[str]:
    """What Net::SMPP took, or may have taken."""
    return [text for _, text, answer in got if answer != "throttled"]


@net_smpp
@pytest.mark.parametrize(
    ("mode", "unknown", "why"),
    [
        ("plain", 0, ""),
        ("first", 0, ""),
        ("reverse", 0, ""),
        ("throttle", 0, THROTTLED),
        ("nack", 0, THROTTLED),
        ("drop", 20, "the connection"),  # closed, or reset where something of ours was unread
        ("unbind", 60, "the SMS centre unbound us"),
        ("garbage", 20, "does not speak SMPP, or lost its place"),
        ("slam", 0, "; trying again in"),
        ("mute", 20, "left a submit_sm without an answer for 2 s"),
    ],
)
async def test_net_smpp_on_a_bad_day(daemon: Start, mode: str, unknown: int, why: str) -> None:
    async with perl(mode) as (port, got):
        one = await daemon(port, window=10, response_timeout=2.0)
        await one.send(200)
        await one.rests(60)
        if mode in ("plain", "first"):
            await one.until_states({State.DELIVERED: 200})
        one.check(took(got), unknown=unknown)
        if why:
            one.told(why)
        await one.send(10)
        await one.rests(60)
        one.check(took(got), unknown=unknown + 10 * (unknown > 0))
