"""A mail is told of once: whatever doors it comes through, and however its mailbox changes under it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import smtplib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import presence
from tests.journeys.watching import done, is_up, mail, state, well
from tests.peers.daemon_process import DaemonProcess, until
from tests.peers.dovecot_imap import PASSWORD, DovecotImap
from tests.peers.ledgers import Books
from tests.peers.node_smpp import NodeSmpp
from tests.peers.watched import add_watched

pytestmark = [
    pytest.mark.peer("node-smpp"),
    pytest.mark.peer("dovecot-imap"),
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]

House = Callable[..., DaemonProcess]


async def watch(daemon: DaemonProcess, dovecot: DovecotImap, tmp_path: Path, *folders: str) -> None:
    words = ["--host", "localhost", "--port", str(dovecot.imaps), "--user", "jean"]
    words += [word for folder in folders for word in ("--folder", folder)]
    await done(daemon, "mailbox", "add", "jean", *words, "--password-file", str(tmp_path / "password"))
    await done(daemon, "filter", "add", "jean", "--file", str(tmp_path / "boss.json"))


async def texts(centre: NodeSmpp) -> list[str]:
    return [text for _, _, text in (await centre.accepted()).elements()]


async def test_a_mailbox_made_anew_with_four_hundred_new_mails_is_one_sms_and_one_summary(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, books: Books, tmp_path: Path
) -> None:
    daemon = house()
    await watch(daemon, dovecot, tmp_path)
    await daemon.start()
    await is_up(daemon)
    told = mail("told of before")
    await asyncio.to_thread(dovecot.deliver, "jean", told)
    await centre.wait(1)
    assert await daemon.stop() == 0
    await asyncio.to_thread(dovecot.stop)
    dovecot.recreate("jean")
    dovecot.start()
    await asyncio.to_thread(dovecot.deliver, "jean", told, *(mail(f"new {n}") for n in range(400)))
    await daemon.start()
    await centre.wait(3, 60)
    await until(books.is_quiet, 30, books.states)
    first, second, third = await texts(centre)
    assert first == "The Boss: told of before"
    assert second == "The Boss: new 0"
    assert "399" in third
    assert "uidvalidity_changed" in daemon.said() or "made anew" in daemon.said()
    assert await daemon.stop() == 0, daemon.said()


async def test_a_mail_in_two_folders_and_as_a_copy_is_one_sms(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, books: Books, tmp_path: Path
) -> None:
    daemon = house(watch_domain="watch.example.org")
    for folder in ("Work", "Lists"):
        await asyncio.to_thread(dovecot.create, "jean", folder)
    await watch(daemon, dovecot, tmp_path, "INBOX", "Work", "Lists")
    await daemon.start()
    found = await is_up(daemon)
    assert found["why"] == "INBOX, Work, Lists are watched"
    for n, one in enumerate((mail("with an id"), mail("without an id"))):
        if n:
            del one["Message-ID"]
        await asyncio.to_thread(dovecot.deliver, "jean", one)
        await asyncio.to_thread(dovecot.file, "jean", "Work", one)
        await asyncio.to_thread(copy, daemon, one.as_bytes())
        await centre.wait(n + 1, 60)
        await asyncio.to_thread(dovecot.file, "jean", "Lists", one)
        await asyncio.to_thread(copy, daemon, one.as_bytes())
        await asyncio.sleep(3.5)  # what comes within three seconds of a notice is gathered: the next is by itself
    last = mail("the last")
    await asyncio.to_thread(dovecot.file, "jean", "Lists", last)
    await centre.wait(3, 60)
    await until(books.is_quiet, 30, books.states)
    assert await texts(centre) == ["The Boss: with an id", "The Boss: without an id", "The Boss: the last"]
    assert await daemon.stop() == 0, daemon.said()


def copy(daemon: DaemonProcess, octets: bytes) -> None:
    with smtplib.LMTP(str(daemon.lmtp)) as client:
        client.sendmail("boss@corp.example", ["jean@watch.example.org"], octets)


async def test_a_mailbox_that_is_removed_is_left_and_its_password_forgotten(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, tmp_path: Path
) -> None:
    daemon = house()
    await watch(daemon, dovecot, tmp_path)
    await daemon.start()
    await is_up(daemon)
    await done(daemon, "mailbox", "remove", "jean", "jean")
    await asyncio.to_thread(dovecot.deliver, "jean", mail("too late"))
    await until(lambda: not dovecot.who(), 20, dovecot.who)
    assert (await state(daemon, "jean/jean"))["state"] is None
    assert json.loads(await done(daemon, "mailbox", "list", "--json")) == []
    assert await centre.accepted() == {}
    assert await daemon.stop() == 0, daemon.said()


async def test_killed_at_any_moment_while_mails_stream_in_nothing_is_lost_and_nothing_comes_twice(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, books: Books, database: str
) -> None:
    rounds, users = 5, [f"user{n}" for n in range(40)]
    add_watched(database, dovecot.imaps, users)
    daemon, chance = house(), random.Random(7)
    await daemon.start()
    await until(lambda: well(books) == len(users), 60, lambda: well(books))
    sent: list[str] = []

    def stream(n: int) -> None:
        for user in users[n::rounds]:
            dovecot.deliver(user, mail(f"for {user}"))
            sent.append(f"for {user}")

    for n in range(rounds):
        streaming = threading.Thread(target=stream, args=(n,))
        streaming.start()
        await asyncio.sleep(chance.uniform(0.0, 0.25))
        await daemon.kill()
        await asyncio.to_thread(streaming.join)
        await daemon.start()
    await centre.wait(len(users), 90)
    await until(books.is_quiet, 60, books.states)
    assert sorted(sent) == sorted(f"for {user}" for user in users)
    # What was in flight to the SMS centre when it was killed may be sent again, and is marked: that is not ours here.
    resent = {row.text for row in books.segments() if row.resent}
    counts = {text: n for (_, _, text), n in (await centre.accepted()).items()}
    assert set(counts) == set(sent)
    assert {text for text, n in counts.items() if n > 1} <= resent
    assert len(books.segments()) == len(users)
    assert await daemon.stop() == 0, daemon.said()


async def test_no_password_is_left_in_anything_the_daemon_wrote(
    house: House, dovecot: DovecotImap, tmp_path: Path
) -> None:
    daemon = house()
    daemon.config["log"]["level"] = "debug"
    await watch(daemon, dovecot, tmp_path)
    await daemon.start()
    await is_up(daemon)
    await asyncio.to_thread(dovecot.deliver, "jean", mail("a secret budget"))
    await asyncio.to_thread(dovecot.stop)
    await is_up(daemon, wanted="down")
    assert await daemon.stop() == 0, daemon.said()
    assert PASSWORD not in daemon.said()
    kept = [path.read_bytes() for path in _files(tmp_path, "*.db*")]
    assert kept
    assert not any(PASSWORD.encode() in octets for octets in kept)


def _files(folder: Path, pattern: str) -> list[Path]:
    return list(folder.rglob(pattern))


async def test_what_comes_while_the_store_is_locked_is_told_once_it_is_free(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, books: Books, database: str
) -> None:
    users = [f"user{n}" for n in range(5)]
    add_watched(database, dovecot.imaps, users)
    daemon = house()
    await daemon.start()
    await until(lambda: well(books) == len(users), 60, lambda: well(books))
    with contextlib.closing(sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)) as locker:
        locker.execute("BEGIN EXCLUSIVE")
        for user in users:
            await asyncio.to_thread(dovecot.deliver, user, mail(f"for {user}"))
        await until(lambda: "watch_waits" in daemon.said(), 40, daemon.said)
        assert await centre.accepted() == {}
        locker.execute("ROLLBACK")
    await centre.wait(len(users), 60)
    await until(books.is_quiet, 30, books.states)
    assert {text: n for (_, _, text), n in (await centre.accepted()).items()} == {f"for {user}": 1 for user in users}
    assert await daemon.stop() == 0, daemon.said()


async def test_a_daemon_that_was_frozen_and_taken_for_dead_watches_again(
    house: House, centre: NodeSmpp, dovecot: DovecotImap, books: Books, database: str
) -> None:
    add_watched(database, dovecot.imaps, ["jean"])
    daemon = house()
    await daemon.start()
    await until(lambda: well(books) == 1, 60)
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(presence.LEASE + 2)
    daemon.process.send_signal(signal.SIGCONT)
    await asyncio.to_thread(dovecot.deliver, "jean", mail("after"))
    await centre.wait(1, 60)
    await until(lambda: well(books) == 1, 30)
    await asyncio.to_thread(dovecot.deliver, "jean", mail("and later"))
    await centre.wait(2, 60)
    assert await daemon.stop() == 0, daemon.said()
