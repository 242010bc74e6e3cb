"""What is said over an SMTP connection: parameters, limits, connections that end, and where a mail may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transports import smtp_dialogue
from gateway.transports.base import LinkState, Result
from gateway.transports.smtp_dialogue import envelope_id, xtext
from tests.gateway.smtp.test_smtp_transport import Hub, segment, speaks, transport
from tests.gateway.smtp.test_smtp_transport import hub as hub
from tests.gateway.smtp.test_smtp_transport import serve as serve

LETTER = b"From: t@example.org\r\nMessage-ID: <7.8.abcdefghijklmnop@example.org>\r\n\r\nx\r\n"


class Server:
    """Speaks as it is told, and keeps every command of every connection; `last` ends each after so many mails."""

    def __init__(self, *, ehlo: str = "250 x", last: int = 0, bye: str = "", **replies: str) -> None:
        self.commands: list[str] = []
        self.octets: list[bytes] = []
        self.connections = 0
        self._ehlo, self._last, self._bye = ehlo, last, bye
        self._replies = {"DATA": "354 go", "end": "250 2.0.0 Ok: queued as 4F2A", **replies}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        mails = 0
        writer.write(b"220 x ESMTP\r\n")
        while line := (await reader.readline()).decode():
            self.commands.append(line.rstrip("\r\n"))
            word = line.split()[0].split(":")[0].upper()
            if word == "MAIL":
                mails += 1
                if self._last and mails > self._last:
                    writer.write(self._bye.encode())
                    return
            writer.write((self._ehlo if word == "EHLO" else self._replies.get(word, "250 ok")).encode() + b"\r\n")
            if word == "DATA":
                lines = [await reader.readline()]
                while lines[-1] != b".\r\n":
                    lines.append(await reader.readline())
                self.octets.append(b"".join(lines))
                writer.write(self._replies["end"].encode() + b"\r\n")
            if word == "QUIT":
                return

    def said(self, word: str) -> list[str]:
        return [one for one in self.commands if one.startswith(word)]


EVERYTHING = "250-x\r\n250-SIZE 10000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN"


async def test_a_server_with_dsn_is_asked_to_report_under_the_marks_of_mails(hub: Hub, serve: Any) -> None:
    server = Server(ehlo=EVERYTHING)
    async with transport(hub, await serve(server)) as one:
        one.submit([segment(sender="t@example.org", to="a+b@example.org", body=LETTER)])
        (outcome,) = await hub.settles(1)
    assert (outcome.result, outcome.peer_id) == (Result.ACCEPTED, "4F2A")
    assert server.said("MAIL") == [
        f"MAIL FROM:<t@example.org> SIZE={len(LETTER)} BODY=8BITMIME RET=HDRS ENVID=7.8.abcdefghijklmnop"
    ]
    assert server.said("RCPT") == ["RCPT TO:<a+b@example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@example.org"]


async def test_success_is_asked_for_where_the_reports_come_to_us(hub: Hub, serve: Any) -> None:
    server = Server(ehlo=EVERYTHING)
    async with transport(hub, await serve(server), returns=True) as one:
        one.submit([segment(sender="t@example.org", body=LETTER)])
        await hub.settles(1)
    assert "NOTIFY=SUCCESS,FAILURE,DELAY" in server.said("RCPT")[0]


async def test_what_has_a_null_reverse_path_asks_for_no_report(hub: Hub, serve: Any) -> None:
    server = Server(ehlo=EVERYTHING)
    async with transport(hub, await serve(server), returns=True) as one:
        one.submit([segment(body=LETTER)])
        await hub.settles(1)
    assert "NOTIFY" not in server.said("RCPT")[0]
    assert "ENVID" not in server.said("MAIL")[0]


async def test_a_mail_that_is_larger_than_the_server_says_is_not_even_begun(hub: Hub, serve: Any) -> None:
    server = Server(ehlo=EVERYTHING)
    async with transport(hub, await serve(server)) as one:
        one.submit([segment(1, body=LETTER + b"x" * 10_000), segment(2, body=LETTER)])
        outcomes = {outcome.segment: outcome for outcome in await hub.settles(2)}
    assert outcomes[1].result is Result.PERMANENT
    assert "at most 10000" in outcomes[1].text
    assert outcomes[2].result is Result.ACCEPTED
    assert len(server.said("MAIL")) == 1


@pytest.mark.parametrize(
    ("to", "result", "written"),
    [
        ("zoe@exämple.example", Result.ACCEPTED, ["RCPT TO:<zoe@xn--exmple-cua.example>"]),
        ("zoë@example.org", Result.PERMANENT, []),
    ],
)
async def test_without_smtputf8_a_domain_is_written_in_ascii_and_a_local_part_cannot_be(
    hub: Hub, serve: Any, to: str, result: Result, written: list[str]
) -> None:
    server = Server()
    async with transport(hub, await serve(server)) as one:
        one.submit([segment(1, to=to), segment(2)])
        outcomes = {outcome.segment: outcome for outcome in await hub.settles(2)}
    assert outcomes[1].result is result
    assert outcomes[2].result is Result.ACCEPTED
    assert [one for one in server.said("RCPT") if "jean@" not in one] == written


# Connections that end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bye", ["421 4.7.0 that was enough for this connection\r\n", ""])
async def test_a_connection_that_ends_after_some_mails_is_replaced_without_losing_a_try(
    hub: Hub, serve: Any, bye: str
) -> None:
    server = Server(last=3, bye=bye)
    async with transport(hub, await serve(server)) as one:
        for n in range(1, 9):
            one.submit([segment(n, body=LETTER)])
        outcomes = await hub.settles(8)
    assert {outcome.result for outcome in outcomes} == {Result.ACCEPTED}
    assert [outcome.segment for outcome in outcomes] == list(range(1, 9))
    assert len(server.octets) == 8
    assert server.connections == 1 + 3  # the first only looks whether the server is there
    assert [state for state, _ in hub.states if state is LinkState.DOWN] == []


@pytest.mark.parametrize("replies", [{"MAIL": ""}, {"RCPT": ""}, {"DATA": ""}, {"MAIL": "421 not you"}, {"RCPT": "0"}])
async def test_a_mail_that_ends_every_connection_is_tried_again_later_and_stops_no_other(
    hub: Hub, serve: Callable[..., Awaitable[int]], replies: dict[str, str]
) -> None:
    async with transport(hub, await serve(speaks(), speaks(**replies), speaks())) as one:
        one.submit([segment(1), segment(2)])
        outcomes = {outcome.segment: outcome.result for outcome in await hub.settles(2)}
    assert outcomes == {1: Result.TRANSIENT, 2: Result.ACCEPTED}


async def test_mails_leave_no_faster_than_the_routes_rate(hub: Hub, serve: Any) -> None:
    server = Server()
    async with transport(hub, await serve(server), rate=40.0, binds=3) as one:
        begun = asyncio.get_running_loop().time()
        one.submit([segment(n) for n in range(1, 7)])
        await hub.settles(6)
    assert asyncio.get_running_loop().time() - begun >= 5 / 40


async def test_a_refused_recipient_leaves_the_connection_to_the_others(hub: Hub, serve: Any) -> None:
    server = Server(RCPT="550 5.1.1 nobody")
    async with transport(hub, await serve(server)) as one:
        one.submit([segment(1), segment(2), segment(3)])
        outcomes = await hub.settles(3)
    assert {(outcome.result, outcome.code) for outcome in outcomes} == {(Result.PERMANENT, "550")}
    assert server.connections == 2
    assert [one for one in server.commands if one == "RSET"] == ["RSET"] * 3


LARGE = LETTER + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 200_000


def breaks_off(reply: bytes) -> Callable[..., Awaitable[None]]:
    """A server that says this in the middle of a mail, and hangs up."""
    speak = Server()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x ESMTP\r\n")
        while line := await reader.readline():
            word = line[:4]
            writer.write(
                speak._ehlo.encode() + b"\r\n"
                if word == b"EHLO"
                else b"354 go\r\n"
                if word == b"DATA"
                else b"250 ok\r\n"
            )
            if word == b"DATA":
                await reader.readexactly(100_000)
                writer.write(reply)
                await writer.drain()
                while reply and await reader.read(100_000):
                    """As a good server does: else the kernel would take back what was said."""
                return

    return behave


async def test_a_connection_lost_before_the_final_dot_means_that_nothing_was_taken(hub: Hub, serve: Any) -> None:
    async with transport(hub, await serve(speaks(), breaks_off(b""), speaks())) as one:
        one.submit([segment(1, body=LARGE)])
        (outcome,) = await hub.settles(1)
    assert outcome.result is Result.TRANSIENT
    assert "before the mail was complete" in outcome.text


async def test_a_server_that_refuses_in_the_middle_of_a_mail_is_heard(hub: Hub, serve: Any) -> None:
    reply = b"552 5.3.4 that is too much for me\r\n"
    async with transport(hub, await serve(speaks(), breaks_off(reply), speaks())) as one:
        one.submit([segment(1, body=LARGE)])
        (outcome,) = await hub.settles(1)
    assert outcome.result is Result.PERMANENT
    assert "too much for me" in outcome.text


async def test_a_large_mail_arrives_whole(hub: Hub, serve: Any) -> None:
    server = Server()
    body = LETTER + b".dot\r\n" + (b"z" * 76 + b"\r\n") * 20_000
    async with transport(hub, await serve(server)) as one:
        one.submit([segment(1, body=body)])
        (outcome,) = await hub.settles(1)
    assert outcome.result is Result.ACCEPTED
    assert server.octets == [body.replace(b"\r\n.dot", b"\r\n..dot") + b".\r\n"]


# Small things ---------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50))
def test_xtext_can_be_read_again(value: str) -> None:
    written = xtext(value)
    assert "=" not in written
    pieces = written.split("+")
    assert pieces[0] + "".join(chr(int(one[:2], 16)) + one[2:] for one in pieces[1:]) == value


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"Message-ID: <7.8.abc@example.org>", "7.8.abc"),
        (b"message-id:<7.8.abc>", "7.8.abc"),
        (b"Subject: Message-ID: <7@x>", ""),
        (b"Subject: x", ""),
        (b"Message-ID: <a b@x>", ""),
        (b"Message-ID: <" + b"x" * 200 + b"@x>", ""),
    ],
)
def test_a_mail_is_known_by_the_left_side_of_its_message_id(head: bytes, found: str) -> None:
    assert envelope_id(head + b"\r\n\r\nMessage-ID: <body@x>\r\n") == found


def test_the_dialogue_waits_long_enough_for_the_final_dot() -> None:
    assert smtp_dialogue._DIGEST >= 600  # RFC 5321 section 4.5.3.2.6
