"""What strangers and ill-meaning clients try on the whole daemon, and what comes of it: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text as sql

from daemon.peers import Networks
from gateway import accounts
from tests.daemon.door.conftest import Client, Daemon, mail
from tests.daemon.listener.conftest import Wire

NUMBER = "+32475000001"
TO = f"{NUMBER}@sms.example.org"
NO_SUCH_NUMBER = 0x0B


@pytest.fixture(params=["smtp", "lmtp"])
async def client(daemon: Daemon, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    one = await Client.to(getattr(daemon, request.param))
    yield one
    await one.close()


def set_up(daemon: Daemon, **settings: Any) -> None:
    """Other settings of the listener, for connections from now on."""
    assert daemon.house.listener is not None
    daemon.house.listener.settings = replace(daemon.house.listener.settings, **settings)


# Header injection -----------------------------------------------------------------------------------------------------

EVIL = [
    "=?utf-8?Q?a=0D=0ABcc:_x@y.example?=",
    "=?utf-8?B?YQ0KQmNjOiB4QHkuZXhhbXBsZQ==?=",
    "=?utf-8?Q?a=0ABcc:_x@y.example=0D=0D=0A?=",
    "=?utf-8?Q?=3D=3Futf-8=3FQ=3F=3D0D=3D0ABcc=3A_x=40y=3F=3D?=",
    "a\r\n =?utf-8?Q?=0D=0A?=\r\n Bcc: x@y.example",
]


@pytest.mark.parametrize("subject", EVIL)
async def test_encoded_words_break_no_line_of_an_sms_or_a_report(daemon: Daemon, client: Client, subject: str) -> None:
    await daemon.house.store.run(
        lambda c: accounts.change(c, "jean", now=daemon.house._now(), settings={"text": "both"})
    )
    daemon.centre.answer_with(NO_SUCH_NUMBER)
    replies = await client.send(
        mail("words", Subject=subject, Message_ID=f"<{hash(subject)}@example.org>"),
        f"<{TO}> NOTIFY=FAILURE ORCPT=rfc822;x+0D+0ABcc:+20x@y.example",
        parameters="RET=FULL ENVID=e+0D+0ABcc:+20x@y.example",
    )
    assert replies[0].startswith("250")
    (taken,) = await daemon.centre.taken(1)
    first, _, last = taken.text.rpartition("\n")
    assert last == "words"
    assert "\n" not in first
    assert "\r" not in first
    (got,) = await daemon.sink.wait(1)
    for part in got.message.walk():
        assert {name.lower() for name in part.keys()}.isdisjoint({"bcc", "cc"})  # noqa: SIM118 - a mail's keys
    assert re.search(rb"(?mi)^bcc:", got.octets) is None


async def test_a_display_name_is_no_address(daemon: Daemon, client: Client) -> None:
    octets = mail(From='"jean@example.org" <evil@elsewhere.example>')
    (reply,) = await client.send(octets, TO, sender="evil@elsewhere.example")
    assert reply.startswith("550 5.7.1")
    assert await daemon.messages() == []


# Smuggling ------------------------------------------------------------------------------------------------------------

INNER = (
    "MAIL FROM:<anna@example.org>\r\nRCPT TO:<+33612345678@sms.example.org>\r\nDATA\r\nSubject: x\r\n\r\nsmuggled\r\n"
)


@pytest.mark.parametrize(
    "end", ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r\n.\n", "\r.\r\n", "\r\n\0.\r\n", "\n\r\n.\n"]
)
async def test_only_one_dot_ends_a_mail(daemon: Daemon, client: Client, end: str) -> None:
    wire = client.wire
    await wire.say("MAIL FROM:<jean@example.org>")
    await wire.say(f"RCPT TO:<{TO}>")
    await wire.say("DATA")
    wire.write(f"Subject: s\r\n\r\nhello{end}{INNER}".encode())
    reply = await wire.say(".")
    assert reply.startswith("250 2.0.0 queued as ")
    assert (await wire.say("NOOP")) == "250 2.0.0 Still here"
    (message,) = await daemon.messages()
    assert [one["to"] for one in message["deliveries"]] == [NUMBER]
    assert "smuggled" in (await daemon.settled(reply))["text"]


async def test_dots_that_begin_a_line_come_through(daemon: Daemon, client: Client) -> None:
    (reply,) = await client.send(mail(".hidden\r\n..\r\n...and more"), TO)
    assert (await daemon.settled(reply))["text"] == ".hidden\n..\n...and more"


async def test_commands_after_the_end_of_a_mail_are_a_new_mail_with_its_own_sender(
    daemon: Daemon, client: Client
) -> None:
    wire = client.wire
    await wire.say("MAIL FROM:<jean@example.org>")
    await wire.say(f"RCPT TO:<{TO}>")
    await wire.say("DATA")
    wire.write(f"Subject: s\r\n\r\nhello\r\n.\r\n{INNER.replace('anna@', 'stranger@')}.\r\n".encode())
    replies = [(await wire.reply())[:9] for _ in range(5)]
    assert replies == ["250 2.0.0", "250 2.1.0", "250 2.1.5", "354 Send ", "550 5.7.1"]


# Too many, too slow ---------------------------------------------------------------------------------------------------


async def test_ten_thousand_recipients_are_a_thousand_a_mail(daemon: Daemon, client: Client) -> None:
    wire = client.wire
    commands = [f"RCPT TO:<+32475{n:06}@sms.example.org>\r\n" for n in range(10_000)]
    wire.write(f"MAIL FROM:<jean@example.org>\r\n{''.join(commands)}DATA\r\n".encode())
    started = time.monotonic()
    replies = [await wire.reply() for _ in range(10_002)]
    assert time.monotonic() - started < 30
    assert [reply[:9] for reply in replies[1:1001]] == ["250 2.1.5"] * 1000
    assert {reply[:9] for reply in replies[1001:-1]} == {"452 4.5.3"}
    assert replies[-1].startswith("354")
    wire.write(b"Subject: s\r\n\r\nhello\r\n.\r\n")
    answers = {await wire.reply() for _ in range(1000 if client.lmtp else 1)}
    assert len(answers) == 1
    (message,) = await daemon.messages()
    assert message["recipients"] == 1000


async def test_ten_thousand_recipients_are_taken_at_once_where_that_is_allowed(daemon: Daemon) -> None:
    set_up(daemon, max_recipients=10_000)
    client = await Client.to(daemon.lmtp)
    commands = [f"RCPT TO:<+32475{n:06}@sms.example.org>\r\n" for n in range(10_000)]
    client.wire.write(f"MAIL FROM:<jean@example.org>\r\n{''.join(commands)}DATA\r\n".encode())
    assert {(await client.wire.reply())[:3] for _ in range(10_002)} == {"250", "354"}
    client.wire.write(b"Subject: s\r\n\r\nhello\r\n.\r\n")
    (answer,) = {await client.wire.reply() for _ in range(10_000)}
    assert answer.startswith("250 2.0.0 queued as ")
    assert (await daemon.show(answer))["recipients"] == 10_000
    (refused,) = await client.send(mail("one more", Message_ID="<more@example.org>"), TO)
    assert refused.startswith("552 5.2.2 not enough credit: 1 unit needed, 0 left")
    await client.close()


async def test_a_stranger_tries_few_recipients(daemon: Daemon) -> None:
    set_up(daemon, trusted_networks=Networks())
    client = await Client.to(daemon.smtp)
    client.wire.write(b"MAIL FROM:<jean@example.org>\r\n" + f"RCPT TO:<{TO}>\r\n".encode() * 10_000)
    replies = []
    with contextlib.suppress(ConnectionError):  # what we still said was not read any more
        while reply := await client.wire.reply():
            replies.append(reply[:9])
    assert ["250 2.1.0", *["550 5.7.1"] * 50, "421 4.7.0"][: len(replies)] == replies
    await client.close()
    again = await Client.to(daemon.smtp)
    await again.wire.say("MAIL FROM:<jean@example.org>")
    replies = [await again.wire.say(f"RCPT TO:<{TO}>") for _ in range(50)]
    assert {reply[:9] for reply in replies} == {"550 5.7.1"}
    assert (await again.wire.reply()).startswith("421 4.7.0 Too many recipients were refused")
    assert await again.wire.ended()
    await again.close()


async def test_slow_clients_are_let_go_and_keep_nobody_out(daemon: Daemon) -> None:
    set_up(daemon, trusted_networks=Networks.of(["unix"]), idle=1.0, data_time=1.0, connections=40, connections_each=40)
    slow = [await Wire.to(daemon.smtp) for _ in range(40)]
    ended = asyncio.gather(*(_drip(wire, number) for number, wire in enumerate(slow)))
    one_more = await Wire.to(daemon.smtp)
    assert (await one_more.reply()).startswith("421 4.7.0 Too many connections")
    known = await Client.to(daemon.lmtp)
    (reply,) = await known.send(mail("in time"), TO)
    assert reply.startswith("250 2.0.0 queued")
    assert await asyncio.wait_for(ended, 20) == ["421 4.4.2"] * 40
    again = await Wire.to(daemon.smtp)
    assert (await again.reply()).startswith("220")
    for wire in (one_more, again, *slow):
        await wire.close()
    await known.close()


async def _drip(wire: Wire, number: int) -> str:
    """Say something now and then, but never a whole command, or never the end of a mail; the last reply."""
    await wire.reply()
    words = b"EHLO " + b"x" * 10_000 if number % 2 else b"EHL"

    async def drip() -> None:
        for octet in words:
            wire.write(bytes([octet]))
            await asyncio.sleep(0.1)

    dripping = asyncio.ensure_future(drip())
    last = ""
    try:
        while reply := await wire.reply():
            last = reply[:9]
    except ConnectionError:
        pass
    dripping.cancel()
    return last


async def test_a_mail_that_never_ends_is_let_go(daemon: Daemon) -> None:
    set_up(daemon, data_time=0.5)
    client = await Client.to(daemon.smtp)
    await client.wire.say("MAIL FROM:<jean@example.org>")
    await client.wire.say(f"RCPT TO:<{TO}>")
    await client.wire.say("DATA")

    async def drip() -> None:
        while True:
            client.wire.write(b"x\r\n")
            await asyncio.sleep(0.05)

    dripping = asyncio.ensure_future(drip())
    assert (await client.wire.reply()).startswith("421 4.4.2")
    dripping.cancel()
    await client.close()
    assert await daemon.messages() == []


async def test_a_stranger_has_few_connections(daemon: Daemon) -> None:
    set_up(daemon, trusted_networks=Networks(), connections_each=3)
    wires = [await Wire.to(daemon.smtp) for _ in range(5)]
    replies = [(await wire.reply())[:9] for wire in wires]
    assert sorted(replies)[:3] == [replies[0]] * 3
    assert sum(reply.startswith("421 4.7.0") for reply in replies) == 2
    for wire in wires:
        await wire.close()


# Leaks ----------------------------------------------------------------------------------------------------------------

INTERNALS = re.compile(r"sqlalchemy|sqlite|psycopg|segment|INSERT|SELECT|Error|Exception|Traceback|\.py|/[a-z]+/", re.I)


async def test_a_defect_shows_nothing_of_itself(daemon: Daemon, client: Client) -> None:
    def spoil(connection: Any) -> None:
        connection.execute(sql("ALTER TABLE segment RENAME TO spoilt"))

    await daemon.house.store.run(spoil)
    replies = await client.send(
        mail(), TO, "postmaster@sms.example.org" if client.lmtp else "0475000002@sms.example.org"
    )
    assert {reply[:9] for reply in replies} == {"451 4.3.0"}
    assert [reply for reply in replies if INTERNALS.search(reply)] == []
    await daemon.house.store.run(lambda connection: connection.execute(sql("ALTER TABLE spoilt RENAME TO segment")))
    assert (await client.send(mail(), TO))[0].startswith("250")


@pytest.mark.parametrize(
    "command",
    [
        "HELP",
        "VRFY root",
        "EXPN staff",
        "DEBUG",
        "EHLO x" + "y" * 400,
        "MAIL FROM:<\x01>",
        "RCPT TO:<../../etc/passwd>",
    ],
)
async def test_no_reply_tells_of_the_system(client: Client, command: str) -> None:
    reply = await client.wire.say(command)
    assert INTERNALS.search(reply) is None
    assert not re.search(r"python|aiosmtpd|linux|debian|\d+\.\d+\.\d+ ", reply[10:], re.I)
