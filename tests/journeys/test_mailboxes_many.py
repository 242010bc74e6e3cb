"""Many mailboxes, several daemons, and servers that go away: who is watched by whom, and how all come back."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.watching import done, is_up, mail, state, well
from tests.peers.daemon_process import DaemonProcess, until
from tests.peers.dovecot_imap import DovecotImap
from tests.peers.ledgers import Books
from tests.peers.mail_sink import MailSink
from tests.peers.node_smpp import NodeSmpp
from tests.peers.watched import add_watched

pytestmark = [pytest.mark.peer("node-smpp"), pytest.mark.peer("dovecot-imap")]

House = Callable[..., DaemonProcess]
SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@SQLITE
async def test_a_server_that_is_away_and_comes_back_finds_all_of_them_again_and_each_logs_in_once(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, books: Books, database: str
) -> None:
    many = 1000
    users = [f"user{n}" for n in range(many)]
    add_watched(database, dovecot.imaps, users)
    daemon = house()
    await daemon.start()
    await until(lambda: well(books) == many, 180, lambda: well(books))
    await asyncio.to_thread(dovecot.stop)
    await until(lambda: well(books) == 0, 60, lambda: well(books))
    before = len(dovecot.log)
    dovecot.start()
    began = time.monotonic()
    await asyncio.to_thread(dovecot.deliver, "user7", mail("while all came back"))
    await until(lambda: well(books) == many, 180, lambda: well(books))
    assert time.monotonic() - began < 150
    logins = len(re.findall(r"imap-login: Info: Login", dovecot.log[before:]))
    assert many <= logins <= many + 5
    await centre.wait(1, 60)
    assert await daemon.stop() == 0, daemon.said()


@SQLITE
async def test_it_stops_at_once_while_hundreds_of_visits_wait_for_a_server_that_hangs(
    house: House, books: Books, database: str
) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)
        await reader.read()

    connected: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    add_watched(database, port, [f"user{n}" for n in range(1000)], tls="none")
    daemon = house()
    await daemon.start()
    await until(lambda: connected, 30)
    began = time.monotonic()
    assert await daemon.stop() == 0, daemon.said()
    assert time.monotonic() - began < 15
    server.close()
    for writer in connected:
        writer.close()


@SQLITE
async def test_refused_credentials_are_told_to_their_owner_once_by_mail_and_mended_by_another_password(
    house: House, dovecot: DovecotImap, tmp_path: Path
) -> None:
    async with MailSink() as sink:
        mailer = {
            "name": "mail",
            "channels": ["email"],
            "transport": "smtp",
            "host": "127.0.0.1",
            "port": sink.port,
            "sender": "tocsin@example.org",
        }
        daemon = house(mailer)
        right = (tmp_path / "password").read_text()
        (tmp_path / "password").write_text("wrong")
        login = ("--host", "localhost", "--port", str(dovecot.imaps), "--user", "jean")
        login += ("--folder", "INBOX", "--folder", "Work", "--folder", "Lists")
        await done(daemon, "mailbox", "add", "jean", *login, "--password-file", str(tmp_path / "password"))
        for folder in ("Work", "Lists"):
            await asyncio.to_thread(dovecot.create, "jean", folder)
        await daemon.start()
        found = await is_up(daemon, wanted="refused")
        assert found["why"].startswith("the server refuses the login")
        await until(lambda: sink.got, 30)
        assert await daemon.stop() == 0, daemon.said()
        again = house(mailer)
        await again.start()
        await is_up(again, wanted="refused")
        told = [got.message for got in sink.got]
        assert [(str(one["To"]), str(one["Subject"])) for one in told] == [
            ("jean@example.org", "Mailbox jean cannot be watched")
        ]
        assert sink.got[0].sender == ""
        assert len(re.findall("auth failed", dovecot.log)) == 1  # three folders and a second daemon: tried once
        (tmp_path / "password").write_text(right)
        await done(again, "mailbox", "set", "jean", "jean", "--password-file", str(tmp_path / "password"))
        assert (await is_up(again))["why"] == "INBOX, Work, Lists are watched"
        assert await again.stop() == 0, again.said()
        assert len(sink.got) == 1


@pytest.mark.peer("postgresql")
@POSTGRESQL
async def test_a_daemon_that_was_frozen_past_its_lease_writes_nothing_late(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, books: Books, database: str
) -> None:
    users = [f"user{n}" for n in range(6)]
    add_watched(database, dovecot.imaps, users)
    one = house()
    await one.start()
    await until(lambda: well(books) == 6, 60)
    two = house()
    await two.start()
    assert one.process is not None
    one.process.send_signal(signal.SIGSTOP)
    for user in users:
        await asyncio.to_thread(dovecot.deliver, user, mail(f"to {user}"))
    await centre.wait(6, 60)
    one.process.send_signal(signal.SIGCONT)
    for user in users:
        await asyncio.to_thread(dovecot.deliver, user, mail(f"again {user}"))
    await centre.wait(12, 60)
    await until(books.is_quiet, 30, books.states)
    counts = {text: n for (_, _, text), n in (await centre.accepted()).items()}
    assert counts == {f"{word} {user}": 1 for user in users for word in ("to", "again")}
    for daemon in (one, two):
        assert await daemon.stop() == 0, daemon.said()


@SQLITE
async def test_a_filter_is_replayed_on_what_is_in_the_mailbox_and_sends_nothing(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, books: Books, tmp_path: Path
) -> None:
    daemon = house()
    login = ("--host", "localhost", "--port", str(dovecot.imaps), "--user", "jean")
    await done(daemon, "mailbox", "add", "jean", *login, "--password-file", str(tmp_path / "password"))
    await done(daemon, "filter", "add", "jean", "--file", str(tmp_path / "boss.json"))
    await asyncio.to_thread(
        dovecot.deliver, "jean", mail("first"), mail("spam", "x@y.example"), *(mail(f"more {n}") for n in range(8))
    )
    told = json.loads(
        await done(daemon, "filter", "replay", "jean", "boss", "--mailbox", "jean", "--last", "200", "--json")
    )
    assert (told["mails"], told["matched"]) == (10, 9)
    assert set(told["messages"][0]) == {"at", "channel", "to", "text", "segments", "units", "mails"}
    assert told["messages"][0]["text"] == "The Boss: first"
    assert sum(one["mails"] for one in told["messages"]) + len(told["unsaid"]) == 9
    assert told["units"] == sum(one["units"] for one in told["messages"])
    printed = await done(daemon, "filter", "replay", "jean", "boss", "--mailbox", "jean", "--last", "3")
    assert "3 mails, 3 of them fit" in printed
    assert books.segments() == []
    code, _, said = await daemon.verb("filter", "replay", "jean", "boss", "--mailbox", "nobody")
    assert code == 1
    assert "no mailbox nobody" in said
    assert (await state(daemon, "jean/jean"))["state"] == "down"
