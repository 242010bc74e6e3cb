"""Stopping, reading the configuration again, and several daemons on one store."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from itertools import islice

import pytest

from gateway.message import PAID, State
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Connection, Senders, mails
from tests.peers.node_smpp import NodeSmpp

pytestmark = pytest.mark.peer("node-smpp")

Serve = Callable[..., DaemonProcess]
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
async def other_centre() -> AsyncIterator[NodeSmpp]:
    """A second SMS centre."""
    async with NodeSmpp() as one:
        yield one


async def send(daemon: DaemonProcess, count: int, seed: int = 1) -> Senders:
    """So many mails, all taken."""
    senders = Senders(daemon.smtp)
    senders.left += islice(mails(random.Random(seed), PAYERS), count)
    assert await senders.pour(), (senders.refused, daemon.said())
    return senders


# The end --------------------------------------------------------------------------------------------------------------


@on_sqlite
async def test_sigterm_waits_for_answers_and_for_a_mail_that_is_coming_in(
    serve: Serve, centre: NodeSmpp, books: Books
) -> None:
    daemon = serve([operator(centre.port, on_unknown="park", window=10)])
    await daemon.start()
    await centre.order("hold")
    await send(daemon, 20)
    await centre.wait(10)
    connection = await Connection.open(daemon.smtp)
    connection.writer.write(f"MAIL FROM:<{PAYERS[0]}>\r\nRCPT TO:<32475999999@sms.example.org>\r\nDATA\r\n".encode())
    assert [(await connection.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
    connection.writer.write(b"Subject: late\r\n\r\nsaid while")
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGTERM)
    await daemon.told("STOPPING=1")
    connection.writer.write(b" it stops\r\n.\r\n")
    assert (await connection.reply()).startswith("250 2.0.0 queued as ")
    assert (await connection.reply()).startswith("421 ")
    await connection.close()
    await centre.order("release")
    assert await daemon.stop() == 0, daemon.said()
    states = books.states()
    assert states[State.ACCEPTED] == 10
    assert states[State.SUBMITTING] == states[State.UNKNOWN] == 0
    assert "said while it stops" in {one.text for one in books.segments()}
    assert books.faults_of_credit() == []


@on_sqlite
async def test_sigterm_does_not_wait_for_ever(serve: Serve, centre: NodeSmpp, books: Books) -> None:
    daemon = serve([operator(centre.port, on_unknown="park", window=10)])
    await daemon.start()
    await centre.order("hold")
    await send(daemon, 20)
    await centre.wait(10)
    began = time.monotonic()
    assert await daemon.stop() == 0, daemon.said()
    assert time.monotonic() - began < 30
    states = books.states()
    assert states[State.UNKNOWN] == 10
    assert states[State.SUBMITTING] == 0
    assert len(centre.got) == 10
    assert books.faults_of_credit() == []


# Another configuration ------------------------------------------------------------------------------------------------


@on_sqlite
async def test_sighup_takes_a_new_route_and_routes_anew_what_waited_on_one_that_is_gone(
    serve: Serve, centre: NodeSmpp, other_centre: NodeSmpp, books: Books
) -> None:
    await centre.order("close")
    daemon = serve([operator(centre.port)])
    await daemon.start()
    senders = await send(daemon, 20)
    assert set(books.states()) == {State.QUEUED}
    daemon.config["route"] = [operator(other_centre.port, name="another")]
    await daemon.reload()
    await until(books.is_quiet, why=books.states)
    assert await other_centre.accepted() == {one.key: 1 for one in books.segments()}
    assert (await daemon.status()).keys() >= {"another"}
    await centre.order("listen")
    senders.left += islice(mails(random.Random(2), PAYERS), 25)
    assert await senders.pour()
    await until(books.is_quiet, why=books.states)
    assert await daemon.stop() == 0, daemon.said()
    assert await other_centre.accepted() == {one.key: 1 for one in books.segments()}
    assert centre.got == []
    assert books.faults_of_credit() == []


@on_sqlite
async def test_a_route_without_successor_gives_back_what_waited_on_it(
    serve: Serve, centre: NodeSmpp, books: Books
) -> None:
    await centre.order("close")
    daemon = serve([operator(centre.port)])
    await daemon.start()
    await send(daemon, 10)
    daemon.config["route"] = [operator(centre.port, name="elsewhere", prefixes=["+44"])]
    await daemon.reload()
    await until(lambda: set(books.states()) == {State.FAILED}, why=books.states)
    assert books.faults_of_credit() == []


@on_sqlite
async def test_a_bad_configuration_keeps_the_old_one_and_says_why(serve: Serve, centre: NodeSmpp, books: Books) -> None:
    daemon = serve([operator(centre.port)])
    await daemon.start()
    good = dict(daemon.route)
    daemon.route.update(windoww=10, window=0)
    await daemon.reload()
    await until(lambda: "the configuration was not taken over" in daemon.said(), why=daemon.said)
    assert "route[0].windoww" in daemon.said()
    assert "route[0].window:" in daemon.said()
    await send(daemon, 5)
    await until(books.is_quiet, why=books.states)
    assert set(books.states()) == {State.ACCEPTED}
    daemon.config["route"] = [good]
    daemon.config["listen"]["smtp"] = "127.0.0.1:1"
    await daemon.reload()
    await until(lambda: "listen.smtp has changed: it takes a restart" in daemon.said(), why=daemon.said)
    await send(daemon, 5, seed=3)


# Several --------------------------------------------------------------------------------------------------------------


@on_sqlite
async def test_a_second_daemon_on_an_sqlite_file_is_refused_in_a_sentence(
    serve: Serve, centre: NodeSmpp, books: Books
) -> None:
    daemon = serve([operator(centre.port)])
    await daemon.start()
    second = serve([operator(centre.port)])
    second.write()
    code, _, said = await second.verb("serve")
    assert code == 1
    assert said.startswith("tocsin: another tocsin serve works on ")
    assert said.count("\n") == 1
    await send(daemon, 5)
    assert await daemon.stop() == 0, daemon.said()
    await second.start()
    await until(books.is_quiet, why=books.states)


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_two_daemons_share_the_work_and_the_one_that_dies_leaves_no_double(
    serve: Serve, centre: NodeSmpp, books: Books
) -> None:
    await centre.order("set", delay=5)
    route = operator(centre.port, on_unknown="park", unknown_wait="PT1S", window=10, binds=2)
    daemons = [serve([route]) for _ in range(2)]
    for daemon in daemons:
        daemon.config["log"]["level"] = "debug"
        await daemon.start()
    await until(lambda: "action=smpp_bound" in daemons[1].said(), why=daemons[1].said)  # the first has given one up
    stream = mails(random.Random(4), PAYERS)
    senders = [Senders(daemon.smtp) for daemon in daemons]
    for one in senders:
        one.left += islice(stream, 150)
    assert all(await asyncio.gather(*(one.pour() for one in senders)))
    await until(books.is_quiet, why=books.states)
    assert set(books.states()) == {State.ACCEPTED}
    assert all(daemon.said().count("action=segment_accepted") > 100 for daemon in daemons)

    for one in senders:
        one.left += islice(stream, 150)
    pouring = [asyncio.create_task(one.pour()) for one in senders]
    await centre.wait(len(centre.got) + 100)
    await daemons[0].kill()
    await asyncio.gather(*pouring)
    senders[1].left += senders[0].left
    assert await senders[1].pour()
    await until(books.is_quiet, why=books.states)
    assert await daemons[1].stop() == 0, daemons[1].said()
    segments = books.segments()
    got = await centre.accepted()
    assert [key for key, times in got.items() if times > 1] == []
    assert {one.state for one in segments} <= PAID | {State.UNKNOWN}
    assert {one.key for one in segments if one.state in PAID} <= got.keys()
    taken = {message for one in senders for _, message in one.taken.values()}
    assert taken == {str(one.message) for one in segments}
    assert books.faults_of_credit() == []
