"""Mail out: every answer of a mail server becomes the right outcome, and a server that is away is waited for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.message import Channel, Claimed
from gateway.routing import Route
from gateway.transports import smtp
from gateway.transports.base import LinkState, Outcome, Result
from gateway.transports.smtp import SmtpTransport
from tests.peers.mail_sink import MailSink

CERTIFICATE = Path(__file__).parents[2] / "daemon" / "listener" / "localhost.pem"
ROUTE = Route("post", frozenset({Channel.EMAIL}), "smtp", host="127.0.0.1", sender="t@example.org", response_timeout=5)


class Hub:
    """What the transport said."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.states: list[tuple[LinkState, str]] = []
        self.changed = asyncio.Condition()
        self._notices: set[asyncio.Task[None]] = set()

    def settled(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._notice()

    def more_room(self, route: str) -> None:
        self._notice()

    def state(self, route: str, state: LinkState, why: str) -> None:
        self.states.append((state, why))
        self._notice()

    async def receipt(self, receipt: object) -> None:
        raise AssertionError("a mail server sends no receipts")

    async def incoming(self, incoming: object) -> None:
        raise AssertionError("a mail server sends no messages")

    async def until(self, come: Callable[[], Any], seconds: float = 10) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(come), seconds)

    async def settles(self, count: int) -> list[Outcome]:
        await self.until(lambda: len(self.outcomes) >= count)
        return self.outcomes

    def _notice(self) -> None:
        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        task = asyncio.ensure_future(notify())
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)


@pytest.fixture
async def hub() -> Hub:
    return Hub()


@pytest.fixture
async def sink() -> AsyncIterator[MailSink]:
    async with MailSink() as one:
        yield one


@asynccontextmanager
async def transport(hub: Hub, port: int, *, up: bool = True, **settings: Any) -> AsyncIterator[SmtpTransport]:
    """A transport that runs, once it says that it is up."""
    one = SmtpTransport(replace(ROUTE, port=port, **settings), hub)
    running = asyncio.create_task(one.run())
    try:
        if up:
            await hub.until(lambda: any(state is LinkState.UP for state, _ in hub.states))
        yield one
    finally:
        await one.drain(2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def segment(
    n: int = 1, *, to: str = "jean@example.org", sender: str = "", body: bytes = b"Subject: s\r\n\r\nx\r\n"
) -> Claimed:
    payload = f"Return-Path: <{sender}>\r\n".encode() + body
    return Claimed(n, n, 1, 1, 1, to, "post", payload, 0, False, 0, False, False, 3600.0)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Starts servers that behave as told: a function of reader and writer for each connection in turn."""
    servers: list[asyncio.Server] = []

    async def start(*behaviours: Callable[..., Awaitable[None]], context: ssl.SSLContext | None = None) -> int:
        turns = iter(behaviours)

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await next(turns, behaviours[-1])(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        servers.append(await asyncio.start_server(behave, "127.0.0.1", 0, ssl=context))
        port: int = servers[-1].sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()


def speaks(**replies: str) -> Callable[..., Awaitable[None]]:
    """A server whose replies to commands are these, by their first word; `end` is that to the final dot.

    An empty reply hangs up.
    """
    said = {"hello": "220 x ESMTP", "EHLO": "250 x", "DATA": "354 go", "end": "250 2.0.0 taken as 7", **replies}

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(what: str) -> None:
            reply = said.get(what, "250 ok")
            if not reply:
                raise ConnectionResetError
            writer.write(reply.encode() + b"\r\n")
            await writer.drain()

        await say("hello")
        while line := (await reader.readline()).decode().strip():
            word = line.split()[0].split(":")[0].upper()
            await say(word)
            if word == "DATA" and said["DATA"].startswith("354"):
                await reader.readuntil(b"\r\n.\r\n")
                await say("end")
            if word == "QUIT":
                return

    return speak


# What comes of it -----------------------------------------------------------------------------------------------------


async def test_a_mail_is_taken(hub: Hub, sink: MailSink) -> None:
    async with transport(hub, sink.port) as one:
        one.submit([segment(body=b"Subject: s\r\n\r\n.dot\r\n..\r\nbare\nLF\r.\r\n")])
        (outcome,) = await hub.settles(1)
    assert (outcome.segment, outcome.result, outcome.code) == (1, Result.ACCEPTED, "250")
    assert outcome.written is not None
    assert outcome.answered is not None
    (got,) = sink.got
    assert (got.sender, got.recipients) == ("", ("jean@example.org",))
    assert got.octets == b"Subject: s\r\n\r\n.dot\r\n..\r\nbare\r\nLF\r\n.\r\n"


@pytest.mark.parametrize(
    ("replies", "result", "text"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, Result.PERMANENT, "said 550 5.1.1 no such user"),
        ({"RCPT": "450 4.2.0 greylisted"}, Result.TRANSIENT, "said 450 4.2.0 greylisted"),
        ({"MAIL": "552 5.3.4 too large"}, Result.PERMANENT, "said 552 5.3.4 too large"),
        ({"DATA": "451 4.3.0 later"}, Result.TRANSIENT, "said 451 4.3.0 later"),
        ({"DATA": "554 5.5.1 no"}, Result.PERMANENT, "said 554 5.5.1 no"),
        ({"end": "554 5.7.1 it is spam\r\n"}, Result.PERMANENT, "said 554 5.7.1 it is spam"),
        ({"end": "452 4.3.1 disk full"}, Result.TRANSIENT, "said 452 4.3.1 disk full"),
        ({"end": ""}, Result.UNKNOWN, ""),
        ({"end": "rubbish"}, Result.UNKNOWN, ""),
    ],
)
async def test_an_answer_becomes_an_outcome(
    hub: Hub, serve: Any, replies: dict[str, str], result: Result, text: str
) -> None:
    async with transport(hub, await serve(speaks(), speaks(**replies))) as one:
        one.submit([segment()])
        (outcome,) = await hub.settles(1)
        assert outcome.result is result
        assert text in outcome.text


@pytest.mark.parametrize(
    "replies", [{"hello": ""}, {"hello": "554 no service"}, {"EHLO": "554 go away", "HELO": ""}, {"MAIL": "530 log in"}]
)
async def test_a_server_that_serves_nobody_is_down_and_no_mail_pays_for_it(
    hub: Hub, serve: Any, replies: dict[str, str]
) -> None:
    async with transport(hub, await serve(speaks(), speaks(**replies), speaks())) as one:
        one.submit([segment()])
        (outcome,) = await hub.settles(1)
        assert outcome.result is Result.UNSENT
        assert one.room() == 0
        await hub.until(lambda: [state for state, _ in hub.states] == [LinkState.UP, LinkState.DOWN, LinkState.UP])
        assert "cannot be used" in hub.states[1][1]
        assert one.room() == 2
        one.submit([segment(2)])
        assert (await hub.settles(2))[1].result is Result.ACCEPTED


async def test_a_server_that_is_away_is_waited_for(hub: Hub, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "_FIRST_WAIT", 0.05)
    port = await serve(speaks(hello="421 later"), speaks(hello="421 later"), speaks())
    async with transport(hub, port) as one:
        assert [state for state, _ in hub.states] == [LinkState.DOWN, LinkState.DOWN, LinkState.UP]
        assert one.room() == 2


async def test_an_address_that_cannot_be_written_fails_alone(hub: Hub, sink: MailSink) -> None:
    async with transport(hub, sink.port) as one:
        one.submit([segment(1, to="jean\r\nRCPT TO:<x@y.example>"), segment(2)])
        outcomes = {outcome.segment: outcome.result for outcome in await hub.settles(2)}
    assert outcomes == {1: Result.PERMANENT, 2: Result.ACCEPTED}
    assert [got.recipients for got in sink.got] == [("jean@example.org",)]


async def test_addresses_beyond_ascii_are_sent_where_they_can_be(hub: Hub, sink: MailSink) -> None:
    async with transport(hub, sink.port) as one:
        one.submit([segment(to="zoë@exämple.example")])
        (outcome,) = await hub.settles(1)
    assert outcome.result is Result.ACCEPTED
    assert sink.got[0].recipients == ("zoë@exämple.example",)


# Connections ----------------------------------------------------------------------------------------------------------


async def test_a_connection_is_used_again_and_given_up_when_idle(
    hub: Hub, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "_IDLE", 0.1)
    ended: list[str] = []
    seen = asyncio.Event()
    speak = speaks()

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await speak(reader, writer)
        ended.append("quit")
        seen.set()

    async with transport(hub, await serve(speaks(), watched)) as one:
        one.submit([segment(1), segment(2)])
        await hub.settles(2)
        await asyncio.wait_for(seen.wait(), 5)
        assert ended == ["quit"]
        one.submit([segment(3)])
        assert (await hub.settles(3))[2].result is Result.ACCEPTED


async def test_what_is_in_the_queue_at_the_end_is_given_back(hub: Hub, serve: Any) -> None:
    gate = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()

    async with transport(hub, await serve(speaks(), slow)) as one:
        one.submit([segment(1), segment(2)])
        await one.drain(0.1)
        assert [(outcome.segment, outcome.result) for outcome in hub.outcomes] == [(2, Result.UNSENT)]
    outcomes = {outcome.segment: outcome.result for outcome in hub.outcomes}
    gate.set()
    assert outcomes == {1: Result.UNSENT, 2: Result.UNSENT}


# TLS and login --------------------------------------------------------------------------------------------------------


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))
    return context


@asynccontextmanager
async def tls_sink(**options: Any) -> AsyncIterator[MailSink]:
    async with MailSink(tls_context=server_tls(), **options) as one:
        yield one


async def test_starttls_is_used_where_it_is_offered_whoever_signed_the_certificate(hub: Hub) -> None:
    async with tls_sink(require_starttls=True) as sink, transport(hub, sink.port) as one:
        one.submit([segment()])
        assert (await hub.settles(1))[0].result is Result.ACCEPTED


async def test_with_tls_the_certificate_must_be_good(hub: Hub, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    port = await serve(speaks(), context=server_tls())
    async with transport(hub, port, up=False, tls=True):
        await hub.until(lambda: hub.states)
        assert hub.states[0][0] is LinkState.DOWN
        assert "certificate" in hub.states[0][1].lower()
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    trusting = Hub()
    async with transport(trusting, port, tls=True, host="localhost") as one:
        one.submit([segment()])
        assert (await trusting.settles(1))[0].result is Result.ACCEPTED


async def test_a_password_is_sent_only_over_tls_that_is_verified(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    logins: list[tuple[bytes, bytes]] = []
    async with tls_sink(logins=logins) as sink:
        async with transport(hub, sink.port, up=False, password="secret", system_id="tocsin"):
            await hub.until(lambda: hub.states)
            assert hub.states[0][0] is LinkState.DOWN
        assert logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        trusting = Hub()
        async with transport(trusting, sink.port, password="secret", system_id="tocsin", host="localhost") as one:
            one.submit([segment()])
            assert (await trusting.settles(1))[0].result is Result.ACCEPTED
    assert set(logins) == {(b"tocsin", b"secret")}


async def test_a_server_without_starttls_gets_no_password(hub: Hub, sink: MailSink) -> None:
    async with transport(hub, sink.port, up=False, password="secret"):
        await hub.until(lambda: hub.states)
        assert hub.states[0][0] is LinkState.DOWN
        assert "secret" not in hub.states[0][1]
