"""A mail comes to a watched mailbox on a real Dovecot, and the telephone rings: once, whatever breaks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.watching import done, is_up, mail, state
from tests.peers.daemon_process import DaemonProcess, until
from tests.peers.dovecot_imap import PASSWORD, DovecotImap
from tests.peers.ledgers import Books
from tests.peers.node_smpp import NodeSmpp

pytestmark = [pytest.mark.peer("node-smpp"), pytest.mark.peer("dovecot-imap")]


async def watch(daemon: DaemonProcess, dovecot: DovecotImap, tmp_path: Path, user: str = "jean") -> None:
    login = ("--host", "localhost", "--port", str(dovecot.imaps), "--user", user)
    printed = await done(daemon, "mailbox", "add", "jean", *login, "--password-file", str(tmp_path / "password"))
    assert printed == user + "\n"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_mail_that_matters_rings_the_telephone_and_another_does_not(
    house: Callable[[], DaemonProcess], centre: NodeSmpp, dovecot: DovecotImap, books: Books, tmp_path: Path
) -> None:
    daemon = house()
    await watch(daemon, dovecot, tmp_path)
    tried = json.loads(await done(daemon, "mailbox", "test", "jean", "jean", "--json"))
    assert tried == {"ok": True, "why": None, "idle": True, "folders": [{"name": "INBOX", "mails": 0}]}
    await done(daemon, "filter", "add", "jean", "--file", str(tmp_path / "boss.json"))
    await asyncio.to_thread(dovecot.deliver, "jean", mail("from before"))
    await daemon.start()
    await is_up(daemon)
    await asyncio.to_thread(dovecot.deliver, "jean", mail("spam", "x@y.example"), mail("the budget"))
    await centre.wait(1)
    await until(books.is_quiet, 30, books.states)
    assert [text for _, _, text in await centre.accepted()] == ["The Boss: the budget"]
    assert await daemon.stop() == 0, daemon.said()
    assert (await state(daemon, "jean/jean"))["why"] == "no tocsin serve watches it now"
    said = daemon.said()
    assert PASSWORD not in said
    assert "the budget" not in said


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_what_came_while_the_daemon_was_away_is_told_and_what_was_told_is_not_told_again(
    house: Callable[[], DaemonProcess], centre: NodeSmpp, dovecot: DovecotImap, books: Books, tmp_path: Path
) -> None:
    daemon = house()
    await watch(daemon, dovecot, tmp_path)
    await done(daemon, "filter", "add", "jean", "--file", str(tmp_path / "boss.json"))
    await daemon.start()
    await is_up(daemon)
    await asyncio.to_thread(dovecot.deliver, "jean", mail("first"))
    await centre.wait(1)
    await daemon.kill()
    await asyncio.to_thread(dovecot.deliver, "jean", mail("second"))
    again = house()
    await again.start()
    await centre.wait(2)
    await until(books.is_quiet, 30, books.states)
    got = await centre.accepted()
    assert {text: n for (_, _, text), n in got.items()} == {"The Boss: first": 1, "The Boss: second": 1}
    assert await again.stop() == 0, again.said()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_wrong_password_is_said_and_its_owner_told_once(
    house: Callable[[], DaemonProcess], dovecot: DovecotImap, tmp_path: Path
) -> None:
    daemon = house()
    (tmp_path / "password").write_text("wrong")
    await watch(daemon, dovecot, tmp_path)
    code, _, said = await daemon.verb("mailbox", "test", "jean", "jean")
    assert code == 1
    assert "refuses the login" in said
    await daemon.start()
    for _ in range(100):
        found = await state(daemon, "jean/jean")
        if found["state"] == "refused":
            break
        await asyncio.sleep(0.1)
    assert found["state"] == "refused"
    assert found["why"].startswith("the server refuses the login")
    assert await daemon.stop() == 0, daemon.said()


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_two_daemons_share_mailboxes_and_one_takes_over_from_the_other_that_is_killed(
    house: Callable[[], DaemonProcess], centre: NodeSmpp, dovecot: DovecotImap, books: Books, tmp_path: Path
) -> None:
    one, two = house(), house()
    await done(one, "filter", "add", "jean", "--file", str(tmp_path / "boss.json"))
    users = [f"user{n}" for n in range(4)]
    for user in users:
        await watch(one, dovecot, tmp_path, user)
    await one.start()
    for user in users:
        await is_up(one, f"jean/{user}")
    await two.start()
    for _ in range(150):
        nodes = {(await state(one, f"jean/{user}"))["node"] for user in users}
        if len(nodes) == 2:
            break
        await asyncio.sleep(0.1)
    assert len(nodes) == 2
    await one.kill()
    killed = time.monotonic()
    for user in users:
        await asyncio.to_thread(dovecot.deliver, user, mail(f"to {user}"))
    await centre.wait(4, 60)
    assert time.monotonic() - killed < 60
    await until(books.is_quiet, 30, books.states)
    got = await centre.accepted()
    assert {text: n for (_, _, text), n in got.items()} == {f"The Boss: to {user}": 1 for user in users}
    assert await two.stop() == 0, two.said()
