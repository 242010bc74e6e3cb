"""A mail comes to a watched mailbox on a real Dovecot, and the telephone rings: once, whatever breaks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.dovecot_imap import PASSWORD, DovecotImap
from tests.peers.ledgers import Books
from tests.peers.node_smpp import NodeSmpp

pytestmark = [pytest.mark.peer("node-smpp"), pytest.mark.peer("dovecot-imap")]

FILTER = {
    "name": "boss",
    "source": "all",
    "when": {"field": "from", "op": "is", "value": "boss@corp.example"},
    "actions": [{"sms": ["+32475123456"], "text": "{from_name}: {subject}"}],
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=DNS:localhost"], cwd=folder, check=True, capture_output=True
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def dovecot(certificate: tuple[Path, Path]) -> Iterator[DovecotImap]:
    one = DovecotImap(*certificate)
    one.start()
    yield one
    one.remove()


@pytest.fixture
def house(
    serve: Callable[..., DaemonProcess],
    centre: NodeSmpp,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], DaemonProcess]:
    """Makes daemons that may watch loopback, trust the certificate, and have a key for passwords."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    (tmp_path / "store.key").write_text("a line of thirty-two characters, or some more\n")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "boss.json").write_text(json.dumps(FILTER))

    def make() -> DaemonProcess:
        daemon = serve([operator(centre.port)])
        daemon.config["store"]["secret_file"] = str(tmp_path / "store.key")
        daemon.config["watch"] = {"allow_private_hosts": True, "poll": "PT1M"}
        daemon.config["log"]["level"] = "info"
        daemon.write()
        return daemon

    return make


def mail(subject: str, sender: str = "The Boss <boss@corp.example>") -> EmailMessage:
    made = EmailMessage()
    made["From"] = sender
    made["To"] = "jean@example.org"
    made["Subject"] = subject
    made["Message-ID"] = f"<{time.monotonic_ns()}@corp.example>"
    made.set_content("words\n")
    return made


async def done(daemon: DaemonProcess, *words: str) -> str:
    code, printed, said = await daemon.verb(*words)
    assert code == 0, said
    return printed


async def watch(daemon: DaemonProcess, dovecot: DovecotImap, tmp_path: Path, user: str = "jean") -> None:
    login = ("--host", "localhost", "--port", str(dovecot.imaps), "--user", user)
    printed = await done(daemon, "mailbox", "add", "jean", *login, "--password-file", str(tmp_path / "password"))
    assert printed == user + "\n"


async def state(daemon: DaemonProcess, name: str) -> dict[str, Any]:
    lines = json.loads(await done(daemon, "status", "--json"))
    return next((line for line in lines if line["name"] == name), {"state": None, "why": ""})


async def is_up(daemon: DaemonProcess, name: str = "jean/jean") -> None:
    for _ in range(100):
        if (await state(daemon, name))["state"] == "up":
            return
        await asyncio.sleep(0.1)
    raise AssertionError(await state(daemon, name))


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
