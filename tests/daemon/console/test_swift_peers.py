"""What a peer may do while its message is taken the short way: it costs only itself, and what was taken stays so."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from daemon.console.protocol import Phase
from daemon.console.swift import SwiftConnection
from tests.daemon.console.conftest import MESSAGES, Console
from tests.daemon.console.ways import Held, Line, request
from tests.daemon.console.wires import Dial, Wire, limit, post
from tests.peers.daemon_process import until

WELL = {"sms": ["+32475123456"], "text": "Dinner at eight?"}


def whole(console: Console) -> bytes:
    return request(console.tokens["ann"], WELL)


def faults(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log tells of that somebody should look at."""
    return [one.getMessage() for one in caplog.records if one.levelname in ("ERROR", "CRITICAL") or one.exc_info]


def the_connection(console: Console) -> SwiftConnection:
    (one,) = console.server._connections
    assert isinstance(one, SwiftConnection)
    return one


# Who hangs up ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "abort", "write_eof"])
async def test_a_message_whose_sender_hangs_up_stays_taken(
    console: Console, short: list[bool], wire: Wire, held: Held, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    wire.write(whole(console))
    await held.asked()
    getattr(wire.writer.transport, how)()
    await until(lambda: console.server.connections == 0)
    held.let_go()
    await until(lambda: console.house.measures.requests[MESSAGES, 202] == 1)
    (message,) = (await console.client().get(MESSAGES)).json()["messages"]
    assert (await console.settled(console.client(), message["id"]))["text"] == WELL["text"]
    assert faults(caplog) == []
    assert short == [True]


async def test_one_that_hangs_up_with_more_behind_has_the_first_taken(
    console: Console, short: list[bool], wire: Wire, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    wire.write(whole(console))
    await held.asked()
    connection = the_connection(console)
    wire.write(whole(console))
    await until(lambda: connection.flow.read_paused)
    wire.writer.transport.abort()
    held.let_go()
    await until(lambda: console.server.connections == 0)
    held.stop()
    count = len((await console.client().get(MESSAGES)).json()["messages"])
    assert count in (1, 2)  # that it hung up is seen when it is read from again
    assert console.house.measures.requests[MESSAGES, 202] == count
    assert faults(caplog) == []
    assert short == [True] * count


async def test_a_connection_that_is_lost_with_an_error(
    console: Console, held: Held, short: list[bool], caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(console.server)
    await line.feed(whole(console))
    await held.asked()
    line.closed = True
    line.connection.connection_lost(ConnectionResetError("by the peer"))
    held.let_go()
    await until(lambda: console.house.measures.requests[MESSAGES, 202] == 1)
    assert console.server.connections == 0
    assert faults(caplog) == []


# Who does not read ----------------------------------------------------------------------------------------------------


async def test_a_peer_that_does_not_read_is_not_read_from_and_gets_everything_later(
    console: Console, short: list[bool]
) -> None:
    octets = request(console.tokens["ann"], {**WELL, "sms": [f"+32475{n:06d}" for n in range(1, 101)]})
    line = Line(console.server)
    line.reads = False
    sent = most = 0
    while not line.reading_paused:
        assert sent < 100
        await line.feed(octets)
        sent += 1
        most = max(most, line.unread)
        if not line.writing_paused:
            await line.settled()
    assert line.writing_paused
    one = len((await line.answers(1))[0].body)
    assert most < Line.HIGH + 2 * one
    assert len(line.connection._meanwhile) <= len(octets)  # type: ignore[attr-defined]
    assert len(line.connection.pipeline) <= 2
    assert short.count(True) >= Line.HIGH // (2 * one)
    line.read_on()
    assert [answer.status for answer in await line.answers(sent)] == [202] * sent
    assert not line.reading_paused
    gone = len(short)
    await line.feed(octets)
    assert len(await line.answers(sent + 1)) == sent + 1
    assert short[gone:] == [True]
    line.close()


async def test_a_flood_while_an_answer_is_awaited_is_kept_out(
    console: Console, short: list[bool], wire: Wire, held: Held
) -> None:
    wire.write(whole(console))
    await held.asked()
    connection = the_connection(console)
    wire.writer.transport.set_write_buffer_limits(0)
    for _ in range(200):
        wire.write(post(console, b" " * 100_000))
    await until(lambda: connection.flow.read_paused)
    sent = 200 * len(post(console, b" " * 100_000))
    await until(lambda: wire.writer.transport.get_write_buffer_size() < sent)
    assert wire.writer.transport.get_write_buffer_size() > sent // 4
    assert len(connection._meanwhile) <= 1024 * 1024
    held.let_go()
    assert (await wire.answer())[0] == 202
    for _ in range(200):
        assert (await wire.answer())[0] == 400
    assert connection._meanwhile == b""


async def test_a_peer_that_never_reads_is_cut_off(console: Console, short: list[bool]) -> None:
    octets = request(console.tokens["ann"], {**WELL, "sms": [f"+32475{n:06d}" for n in range(1, 101)]})
    line = Line(console.server)
    line.reads = False
    while not line.writing_paused:
        await line.feed(octets)
        await line.settled()
    now = asyncio.get_running_loop().time()
    line.connection.look(now + console.server.limits.writing - 1)
    assert not line.closed
    line.connection.look(now + console.server.limits.writing + 1)
    assert line.closed
    assert True in short


# The end --------------------------------------------------------------------------------------------------------------


async def test_the_answer_is_still_given_when_the_house_stops(
    console: Console, short: list[bool], wire: Wire, held: Held, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wire.write(whole(console))
    await held.asked()
    connection = the_connection(console)
    console.house.stop()
    await until(lambda: connection._last)
    held.let_go()
    status, fields, _ = await wire.answer()
    assert (status, fields["connection"]) == (202, "close")
    assert await wire.ended() == b""
    with sqlite3.connect(tmp_path / "tocsin.db") as store:
        assert store.execute("SELECT count(*) FROM message").fetchone() == (1,)
    store.close()
    assert faults(caplog) == []
    assert short == [True]


async def test_what_came_meanwhile_is_not_taken_when_the_house_stops(
    console: Console, held: Held, short: list[bool]
) -> None:
    line = Line(console.server)
    await line.feed(whole(console))
    await held.asked()
    await line.feed(whole(console))
    line.connection.shutdown()
    assert not line.closed
    held.let_go()
    (answer,) = await line.end()
    assert (answer.status, answer.fields["connection"]) == (202, "close")
    assert len((await console.client().get(MESSAGES)).json()["messages"]) == 1
    assert short == [True]


async def test_a_refusal_is_still_given_when_the_house_stops(console: Console, held: Held, short: list[bool]) -> None:
    line = Line(console.server)
    await line.feed(request(console.tokens["poor"], {**WELL, "sms": ["+32475123456", "+32475123457"]}))
    await held.asked()
    line.connection.shutdown()
    held.let_go()
    (answer,) = await line.end()
    assert (answer.status, answer.fields["connection"]) == (402, "close")
    assert short == [True]


async def test_who_waits_for_nothing_is_hung_up_on_when_the_house_stops(console: Console, short: list[bool]) -> None:
    line = Line(console.server)
    await line.feed(whole(console))
    assert len(await line.answers(1)) == 1
    line.connection.shutdown()
    assert len(await line.end()) == 1


async def test_an_answer_that_never_comes_does_not_keep_the_house(
    console: Console, short: list[bool], wire: Wire, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    wire.write(whole(console))
    await held.asked()
    await console.server.drain(0.05)
    assert await wire.ended() == b""
    held.let_go()
    await until(lambda: console.house.measures.requests[MESSAGES, 202] == 1)
    assert faults(caplog) == []


# Time -----------------------------------------------------------------------------------------------------------------


async def test_who_says_nothing_more_is_hung_up_on(console: Console, short: list[bool], wire: Wire) -> None:
    wire.write(whole(console))
    assert (await wire.answer())[0] == 202
    limit(console, idle=0.2)
    assert await wire.ended() == b""
    assert short == [True]


async def test_how_long_is_idle_counts_from_the_answer(console: Console, held: Held, short: list[bool]) -> None:
    line, loop = Line(console.server), asyncio.get_running_loop()
    line.connection.since = loop.time() - 70
    await line.feed(whole(console))
    await held.asked()
    line.connection.look(loop.time() + 3600)
    assert not line.closed
    held.let_go()
    await line.answers(1)
    line.connection.look(loop.time() + 74)
    assert not line.closed
    line.connection.look(loop.time() + 76)
    assert line.closed
    assert short == [True]


@pytest.mark.parametrize(("more", "slow"), [(40, "reading_head"), (-3, "reading_body")])
async def test_a_request_that_comes_too_slowly_is_refused(
    console: Console, short: list[bool], wire: Wire, more: int, slow: str
) -> None:
    wire.write(whole(console))
    assert (await wire.answer())[0] == 202
    limit(console, **{slow: 0.2})
    wire.write(whole(console)[:more])
    status, fields, _ = await wire.answer()
    assert (status, fields["connection"]) == (408, "close")
    assert await wire.ended() == b""
    assert short == [True]


async def test_a_half_one_that_came_meanwhile_is_timed_too(console: Console, held: Held, short: list[bool]) -> None:
    line, loop = Line(console.server), asyncio.get_running_loop()
    await line.feed(whole(console))
    await held.asked()
    await line.feed(whole(console)[:40])
    held.let_go()
    await line.answers(1)
    line.connection.look(loop.time() + console.server.limits.reading_head + 1)
    assert [one.status for one in await line.end()] == [202, 408]


async def test_who_is_being_answered_is_not_pushed_out_by_others(
    console: Console, short: list[bool], wire: Wire, dial: Dial, held: Held
) -> None:
    wire.write(whole(console))
    await held.asked()
    connection = the_connection(console)
    limit(console, connections=1)
    status, fields, _ = await (await dial()).answer()
    assert (status, fields["connection"]) == (503, "close")
    assert connection.phase is Phase.ANSWER
    held.let_go()
    assert (await wire.answer())[0] == 202
    other = await dial()
    other.write(whole(console))
    await held.asked()
    held.let_go()
    assert (await other.answer())[0] == 202
    assert await wire.ended() == b""
