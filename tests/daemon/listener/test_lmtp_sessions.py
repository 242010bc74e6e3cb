"""LMTP: a greeting of its own, and after DATA a reply for every recipient (RFC 2033)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.failure import RefusedError

if TYPE_CHECKING:
    from tests.daemon.listener.conftest import Connect, House, Start

NUMBERS = ("+32475123456", "+32475654321", "+32475111111")


async def test_lmtp_is_greeted_with_lhlo(start: Start, connect: Connect) -> None:
    wire = await connect(await start("lmtp"))
    await wire.reply()
    assert (await wire.say("EHLO c")).startswith("500 5.5.1")
    assert (await wire.say("HELO c")).startswith("500 5.5.1")
    assert (await wire.say("MAIL FROM:<jean@example.org>")).startswith("503")
    offers = (await wire.say("LHLO c")).split("\n")
    assert {"250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250-8BITMIME"} <= set(offers)


async def test_every_recipient_is_answered(start: Start, connect: Connect, house: House) -> None:
    wire = await connect(await start("lmtp"))
    await wire.envelope(*NUMBERS[:2], "rubbish", NUMBERS[2], hello="LHLO")
    wire.write(b"Message-ID: <1@x>\r\n\r\nhello\r\n.\r\n")
    replies = [await wire.reply() for _ in NUMBERS]
    assert replies == [f"250 2.0.0 queued as {next(iter(house.ids.values()))}"] * 3
    assert (await wire.say("NOOP")).startswith("250 2.0.0 Still")
    assert [recipient.number for recipient in house.taken[0].recipients] == list(NUMBERS)


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (RefusedError("3 units are needed, 1 is left", smtp="552 5.2.2"), "552 5.2.2 3 units are needed, 1 is left"),
        (RefusedError("wait", smtp="451 4.3.0"), "451 4.3.0 wait"),
    ],
)
async def test_a_refusal_is_said_to_every_recipient(
    start: Start, connect: Connect, house: House, failure: Exception, reply: str
) -> None:
    house.failure = failure
    wire = await connect(await start("lmtp"))
    await wire.envelope(*NUMBERS, hello="LHLO")
    wire.write(b"\r\nhello\r\n.\r\n")
    assert [await wire.reply() for _ in NUMBERS] == [reply] * 3
    assert (await wire.say("NOOP")).startswith("250")


async def test_too_large_and_ignored_mails_answer_every_recipient(start: Start, connect: Connect) -> None:
    wire = await connect(await start("lmtp", max_size=1000))
    await wire.envelope(*NUMBERS, hello="LHLO")
    wire.write(b"\r\n" + b"x" * 2000 + b"\r\n.\r\n")
    assert [(await wire.reply())[:9] for _ in NUMBERS] == ["552 5.3.4"] * 3
    await wire.envelope(*NUMBERS, sender="", hello="")
    wire.write(b"\r\nundelivered\r\n.\r\n")
    assert [(await wire.reply())[:9] for _ in NUMBERS] == ["250 2.0.0"] * 3


async def test_recipients_only_known_after_data_are_answered_one_by_one(
    start: Start, connect: Connect, house: House
) -> None:
    wire = await connect(await start("lmtp"))
    await wire.envelope("+32475123456", "rubbish", "+12025550123", sender="", hello="LHLO")
    wire.write(b"Auto-Submitted: auto-notified; owner-email=jean@example.org\r\n\r\nhello\r\n.\r\n")
    assert [(await wire.reply())[:9] for _ in range(3)] == ["250 2.0.0", "550 5.1.1", "550 5.1.2"]
    assert [recipient.number for recipient in house.taken[0].recipients] == ["+32475123456"]


async def test_the_same_number_twice_is_answered_twice(start: Start, connect: Connect, house: House) -> None:
    wire = await connect(await start("lmtp"))
    await wire.envelope("+32475123456", "0475123456", hello="LHLO")
    wire.write(b"\r\nhello\r\n.\r\n")
    assert [(await wire.reply())[:3] for _ in range(2)] == ["250", "250"]
    assert len(house.taken) == 1


async def test_the_postmaster_among_others_is_answered_by_himself(start: Start, connect: Connect, house: House) -> None:
    house.postmaster = []
    wire = await connect(await start("lmtp"))
    await wire.envelope("+32475123456", "postmaster", hello="LHLO")
    wire.write(b"Message-ID: <1@x>\r\n\r\nhello\r\n.\r\n")
    assert [(await wire.reply())[:9] for _ in range(2)] == ["250 2.0.0"] * 2
    assert (len(house.taken), len(house.postmaster)) == (1, 1)
    await wire.envelope("postmaster", "+32475123456", sender="", hello="")
    wire.write(b"\r\nundelivered\r\n.\r\n")
    assert ["ignored" in await wire.reply() for _ in range(2)] == [False, True]
    assert (len(house.taken), len(house.postmaster)) == (1, 2)
