"""What an SMTP client may do, and what it may not: commands, limits, data, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import uvloop

from daemon import tls
from daemon.listener import Listener, ListenSettings
from daemon.peers import Networks
from gateway.numbers import sms_number
from tests.daemon.listener.conftest import HERE, House, Wire

if TYPE_CHECKING:
    from tests.daemon.listener.conftest import Connect, Start


async def test_what_is_offered_is_said(start: Start, connect: Connect) -> None:
    wire = await connect(await start(max_size=12345))
    assert await wire.reply() == "220 mx.example.org Tocsin"
    offers = (await wire.say("EHLO client")).split("\n")
    assert offers[0] == "250-mx.example.org"
    assert {offer[4:] for offer in offers[1:]} == {
        "PIPELINING",
        "SIZE 12345",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "SMTPUTF8",
        "DSN",
    }
    assert await wire.say("HELO client") == "250 mx.example.org"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("RCPT TO:<x@sms.example.org>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("MAIL FROM:", "553 5.1.7"),
        ("MAIL jean@example.org", "501 5.5.4"),
        ("MAIL FROM:<jean@example.org> SIZE=", "501 5.5.4"),
        ("MAIL FROM:<jean@example.org> SIZE=99999999", "552 5.3.4"),
        ("MAIL FROM:<jean@example.org> HOLDFOR=5", "555 5.5.4"),
        ("MAIL FROM:<jean@example.org> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<jean\udcff@example.org>", "553 5.6.7"),
        ("AUTH PLAIN AGEAYg==", "502 5.5.1"),
        ("STARTTLS", "454 4.7.0"),
        ("VRFY jean", "252 2.5.2"),
        ("EXPN all", "502 5.5.1"),
        ("NOOP", "250 2.0.0"),
        ("HELP", "214 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("EHLO", "501 5.5.4"),
        ("LHLO client", "500 5.5.2"),
        ("BOGUS\x07 \u00e9", "500 5.5.2"),
        ("X" * 600, "500 5.5.2"),
        ("X" * 200_000, "500 5.5.2"),
        ("", "500 5.5.2"),
    ],
)
async def test_commands_are_answered(start: Start, connect: Connect, command: str, code: str) -> None:
    wire = await connect(await start(max_size=10_000))
    await wire.reply()
    await wire.say("EHLO client")
    reply = await wire.say(command.encode("utf-8", "surrogateescape"))
    assert reply.startswith(code)
    assert reply.isprintable()
    assert (await wire.say("NOOP")).startswith("250")


async def test_mail_needs_a_greeting(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    await wire.reply()
    assert (await wire.say("MAIL FROM:<jean@example.org>")).startswith("503")


async def test_the_parameters_of_reports_are_kept(start: Start, connect: Connect, house: House) -> None:
    wire = await connect(await start())
    await wire.reply()
    await wire.say("EHLO client")
    assert (await wire.say("MAIL FROM:<jean@example.org> RET=hdrs ENVID=a+2Bb SIZE=10 BODY=8BITMIME SMTPUTF8"))[
        :3
    ] == "250"
    options = "NOTIFY=success,Failure ORCPT=rfc822;J+2Bx@Example.org"
    assert (await wire.say(f"RCPT TO:<+32475123456@sms.example.org> {options}"))[:3] == "250"
    assert (await wire.say("RCPT TO:<+32475654321@sms.example.org> NOTIFY=NEVER"))[:3] == "250"
    assert (await wire.say("RCPT TO:<+32475654321@sms.example.org> NOTIFY=NEVER,SUCCESS"))[:3] == "501"
    assert (await wire.say("RCPT TO:<+32475654321@sms.example.org> X=Y"))[:3] == "555"
    await wire.say("DATA")
    assert (await wire.say("Subject: s\r\n\r\nhello\r\n."))[:3] == "250"
    (request,) = house.taken
    assert (request.ret, request.envid) == ("HDRS", "a+b")
    first, second = request.recipients
    assert (first.notify, first.orcpt) == ({"SUCCESS", "FAILURE"}, "rfc822;J+x@Example.org")
    assert (second.notify, second.orcpt) == ({"NEVER"}, "")


async def test_commands_may_come_all_at_once(start: Start, connect: Connect, house: House) -> None:
    wire = await connect(await start())
    envelope = b"MAIL FROM:<jean@example.org>\r\nRCPT TO:<+32475123456@sms.example.org>\r\nDATA\r\n"
    first, second = b"Subject: a\r\n\r\none\r\n.\r\n", b"Subject: b\r\n\r\ntwo\r\n.\r\n"
    wire.write(b"EHLO c\r\n" + envelope + first + envelope + second + b"QUIT\r\n")
    wire.writer.write_eof()
    replies = []
    while reply := await wire.reply():
        replies.append(reply[:3])
    assert replies == ["220", "250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert [request.text for request in house.taken] == ["one", "two"]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b".", ""),
        (b"\r\n.", ""),
        (b"\r\nx\r\n.", "x"),
        (b"\r\n..\r\n.", "."),
        (b"\r\n...x\r\n..\r\n.", "..x\n."),
        (b"\r\n.x\r\n.", "x"),
        (b"\r\na\n.\nb\r\n.", "a\n.\nb"),
        (b"\r\na\r.\rb\r\n.", "a\n.\nb"),
        (b"\r\na\n.\r\nb\r\n.", "a\n.\nb"),
        (b"\r\na\r\n.\nb\r\n.", "a\n\nb"),
        (b"\r\n" + b"x" * 100_000 + b"\r\n.", "x" * 100_000),
        (b"\r\n" + b"x\r\n" * 50_000 + b".", "\n".join("x" * 50_000)),
        (b"\r\n" * 60_000 + b"x\r\n.", "x"),
    ],
)
async def test_the_data_is_what_stands_before_the_lone_dot(
    start: Start, connect: Connect, house: House, sent: bytes, text: str
) -> None:
    wire = await connect(await start())
    assert (await wire.envelope()).startswith("354")
    reply = await wire.say(sent)
    if text:
        assert reply.startswith("250")
        assert house.taken[0].text == text
    else:
        assert reply.startswith("550 5.6.0")
    assert (await wire.say("NOOP")).startswith("250 2.0.0")


@pytest.mark.parametrize("pause", range(1, 24))
async def test_the_end_of_data_is_found_wherever_the_packets_end(
    start: Start, connect: Connect, house: House, pause: int
) -> None:
    wire = await connect(await start())
    await wire.envelope()
    whole = b"\r\n\r\n..\r\nhi\r\n..\r\n.\r\nNOOP\r\n"
    wire.write(whole[:pause])
    await wire.writer.drain()
    await asyncio.sleep(0)
    for octet in whole[pause:]:
        wire.write(bytes([octet]))
        await wire.writer.drain()
        await asyncio.sleep(0)
    assert (await wire.reply()).startswith("250 2.0.0 queued")
    assert (await wire.reply()).startswith("250 2.0.0 Still")
    assert house.taken[0].text == ".\nhi\n."


@pytest.mark.parametrize("over", [1, 3, 100_000, 3_000_000])
async def test_a_mail_that_is_too_large_is_refused(start: Start, connect: Connect, house: House, over: int) -> None:
    wire = await connect(await start(max_size=200_000))
    await wire.envelope()
    fits = b"\r\n" + b"x" * (200_000 - 4) + b"\r\n"
    assert (await wire.say(fits + b".")).startswith("250")
    await wire.envelope(hello="")
    reply = await wire.say(b"\r\n" + b"x" * (200_000 - 4 + over) + b"\r\n.")
    assert reply == "552 5.3.4 This mail is too large: at most 200000 octets are taken here"
    assert len(house.taken) == 1
    assert (await wire.envelope(hello="")).startswith("354")


async def test_recipients_are_limited(start: Start, connect: Connect) -> None:
    wire = await connect(await start(max_recipients=2))
    await wire.reply()
    await wire.say("EHLO c")
    await wire.say("MAIL FROM:<jean@example.org>")
    answers = [await wire.say(f"RCPT TO:<+3247512345{n}@sms.example.org>") for n in range(3)]
    assert [answer[:9] for answer in answers] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]


async def test_a_peer_that_makes_no_sense_is_let_go(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    await wire.reply()
    await wire.say("EHLO c")
    for _ in range(30):
        reply = await wire.say("MAIL FRM:<x>")
        if not reply.startswith("501"):
            break
    assert reply.startswith("421 4.7.0")
    assert await wire.ended()


async def test_a_stranger_may_not_guess_for_ever(start: Start, connect: Connect) -> None:
    wire = await connect(await start(trusted_networks=Networks()))
    await wire.reply()
    await wire.say("EHLO c")
    await wire.say("MAIL FROM:<jean@example.org>")
    replies = [await wire.say(f"RCPT TO:<+3247512{n:04}@sms.example.org>") for n in range(50)]
    assert all(reply.startswith("550 5.7.1") for reply in replies)
    assert (await wire.reply()).startswith("421 4.7.0")
    assert await wire.ended()


async def test_a_trusted_peer_is_not_let_go_for_bad_numbers(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    await wire.reply()
    await wire.say("EHLO c")
    await wire.say("MAIL FROM:<jean@example.org>")
    replies = [await wire.say(f"RCPT TO:<rubbish{n}@sms.example.org>") for n in range(120)]
    assert all(reply.startswith("550 5.1.1") for reply in replies)


@pytest.mark.parametrize("slow", ["", "EHL", "EHLO c\r\nMAIL FROM:<jean@example.org>\r\n"])
async def test_a_silent_peer_is_let_go(start: Start, connect: Connect, slow: str) -> None:
    wire = await connect(await start(idle=0.2))
    wire.write(slow.encode())
    replies = []
    while reply := await wire.reply():
        replies.append(reply[:9])
    assert replies[-1] == "421 4.4.2"


async def test_a_mail_that_drips_is_not_waited_for(start: Start, connect: Connect, house: House) -> None:
    wire = await connect(await start(data_time=0.3))
    await wire.envelope()

    async def drip() -> None:
        while True:
            wire.write(b"x\r\n")
            await wire.writer.drain()
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert (await wire.reply()).startswith("421 4.4.2")
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(dripping, 10)
    assert not house.taken


async def test_a_client_that_goes_away_does_not_undo_what_was_begun(
    start: Start, connect: Connect, house: House, listener: Listener
) -> None:
    house.gate.clear()
    wire = await connect(await start())
    await wire.envelope()
    wire.write(b"Message-ID: <a@b>\r\n\r\nhello\r\n.\r\n")
    await asyncio.wait_for(house.waiting.wait(), 10)
    wire.writer.transport.abort()
    await wire.close()
    house.gate.set()
    await listener.drain(5)
    assert [request.text for request in house.taken] == ["hello"]


async def test_a_half_mail_is_no_mail(start: Start, connect: Connect, house: House) -> None:
    wire = await connect(await start())
    await wire.envelope()
    wire.write(b"Subject: s\r\n\r\nhalf")
    wire.writer.write_eof()
    assert await wire.ended()
    assert not house.taken


# TLS ------------------------------------------------------------------------------------------------------------------


def _with_tls(port: int) -> tuple[int, str, str | None]:
    context = ssl.create_default_context(cafile=str(HERE / "localhost.pem"))
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        client.mail("jean@example.org")
        client.starttls(context=context)
        client.ehlo()
        assert not client.has_extn("starttls")
        assert client.rcpt("+32475123456@sms.example.org")[0] == 503  # what was said before is forgotten
        client.mail("jean@example.org")
        client.rcpt("+32475123456@sms.example.org")
        code, words = client.data("Subject: s\r\n\r\n" + "secret\r\n" * 20_000)
        assert isinstance(client.sock, ssl.SSLSocket)
        return code, words.decode(), client.sock.version()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_mail_comes_over_tls(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scenario() -> None:
        house = House()
        settings = ListenSettings("sms.example.org", trusted_networks=Networks.of(["127.0.0.1"]))
        loaded = tls.load(HERE / "localhost.pem", HERE / "localhost.key")
        listener = Listener(house, replace(settings, tls=loaded.context), sms_number)
        (bound,) = await listener.open("smtp", "127.0.0.1:0")
        code, _, version = await asyncio.to_thread(_with_tls, int(bound.rpartition(":")[2]))
        assert (code, version) == (250, "TLSv1.3")
        assert len(house.taken[0].text) > 100_000
        await listener.drain(5)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


async def test_commands_sent_before_the_handshake_are_not_obeyed_after_it(start: Start, connect: Connect) -> None:
    wire = await connect(await start(tls=True))
    await wire.reply()
    await wire.say("EHLO c")
    wire.write(b"STARTTLS\r\nMAIL FROM:<jean@example.org>\r\nQUIT\r\n")
    assert (await wire.reply()).startswith("220")
    context = ssl.create_default_context(cafile=str(HERE / "localhost.pem"))
    await wire.writer.start_tls(context, server_hostname="localhost")
    assert (await wire.say("NOOP")).startswith("250 2.0.0 Still")
    assert (await wire.say("RCPT TO:<+32475123456@sms.example.org>")).startswith("503")


@pytest.mark.parametrize("hello", [b"rubbish rubbish rubbish\r\n", b"\x16\x03\x01\x00\x05rubbi", b""])
async def test_a_handshake_that_fails_ends_the_connection(
    start: Start, connect: Connect, listener: Listener, hello: bytes
) -> None:
    wire = await connect(await start(tls=True))
    await wire.reply()
    await wire.say("EHLO c")
    assert (await wire.say("STARTTLS")).startswith("220")
    wire.write(hello)
    wire.writer.write_eof()
    with contextlib.suppress(ConnectionResetError):
        await asyncio.wait_for(wire.reader.read(), 10)
    again = await Wire.to(f"127.0.0.1:{wire.writer.get_extra_info('peername')[1]}")
    assert (await again.reply()).startswith("220")
    await again.close()
    await listener.drain(5)
