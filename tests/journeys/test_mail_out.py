"""One message by e-mail and SMS with files: through a real Postfix to a real Dovecot, and to a real SMS centre.

Postfix behaves in its own ways with some recipients: it greylists one, refuses one, bounces one, loses one. What it
reports comes back to us by LMTP.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import mailparser
import pytest

from tests.peers.daemon_process import DaemonProcess, free_port, operator
from tests.peers.dovecot import Dovecot
from tests.peers.ledgers import Books
from tests.peers.node_smpp import NodeSmpp
from tests.peers.postfix import Postfix

pytestmark = [
    pytest.mark.peer("postfix"),
    pytest.mark.peer("dovecot"),
    pytest.mark.peer("node-smpp"),
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]

PHONE = "+32475123456"
SUBJECT = "Été à Liège 👨‍👩‍👧: le programme, les horaires et l’adresse — rendez-vous à 20 h"
TEXT = (
    "Grüße aus Liège 🎉\n\n.\n.. two dots\nFrom the beginning of a line\n"
    + "a long line " * 120
    + "\ntrailing \n\u200fعربى"
)
PLAN, NOTES = "résumé – plan №1 🗺.pdf", "notes.txt"
OCTETS = bytes(range(256)) * 300


@pytest.fixture(scope="module")
def back() -> int:
    """The port at which Postfix looks for our listener."""
    return free_port()


@pytest.fixture(scope="module")
def mailboxes() -> Iterator[Dovecot]:
    one = Dovecot(free_port(), free_port())
    one.start()
    yield one
    one.stop()


class Policy:
    """Greylisting as Postfix asks for it (SMTPD_POLICY_README): who is `grey@` is told to come again, once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\n\n"):
                grey = b"recipient=grey@" in request
                self.asked += grey
                first = grey and self.asked == 1
                writer.write(b"action=450 4.2.0 greylisted, come again\n\n" if first else b"action=DUNNO\n\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def policy(policy_port: int) -> AsyncIterator[Policy]:
    one = Policy(policy_port)
    server = await asyncio.start_server(one.answer, "127.0.0.1", policy_port)
    yield one
    server.close()


@pytest.fixture(scope="module")
def policy_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def homes() -> Iterator[Path]:
    """Where Postfix itself keeps mailboxes."""
    with tempfile.TemporaryDirectory(prefix="homes-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def relay(postfix: Callable[..., Postfix], back: int, mailboxes: Dovecot, policy_port: int, homes: Path) -> Postfix:
    ways = (
        f"{{sms.example.org = lmtp:inet:127.0.0.1:{back}}}",
        f"{{example.org = lmtp:inet:127.0.0.1:{mailboxes.port}}}",
        "{gone.example = error:5.1.1 there is no such mailbox}",
    )
    owner = pwd.getpwnam("mail")
    homes.chmod(0o755)
    os.chown(homes, owner.pw_uid, owner.pw_gid)
    return postfix(
        f"inet:127.0.0.1:{back}",
        f"transport_maps = inline:{{{', '.join(ways)}}}",
        "relay_domains = sms.example.org, example.org, gone.example",
        "virtual_mailbox_domains = home.example",
        "virtual_mailbox_maps = inline:{{ann@home.example = ann/}}",
        f"virtual_mailbox_base = {homes}",
        f"virtual_uid_maps = static:{owner.pw_uid}",
        f"virtual_gid_maps = static:{owner.pw_gid}",
        "virtual_minimum_uid = 1",
        "virtual_alias_maps = inline:{{tocsin@example.org = bounces@sms.example.org}}",
        "smtpd_recipient_restrictions = "
        "check_recipient_access inline:{{no@example.org = 550 5.7.1 we do not want that}}, "
        f"check_policy_service inet:127.0.0.1:{policy_port}",
        "smtpd_reject_unlisted_recipient = no",
    )


@pytest.fixture
async def daemon(serve: Callable[..., DaemonProcess], relay: Postfix, centre: NodeSmpp, back: int) -> DaemonProcess:
    post = {"name": "post", "channels": ["email"], "transport": "smtp", "host": "127.0.0.1", "port": relay.port}
    return serve([operator(centre.port), {**post, "sender": "tocsin@sms.example.org"}], lmtp=f"127.0.0.1:{back}")


async def shown(daemon: DaemonProcess, message: str) -> dict[str, Any]:
    code, printed, said = await daemon.verb("message", "show", message, "--json")
    assert code == 0, said
    found: dict[str, Any] = json.loads(printed)
    return found


async def becomes(
    daemon: DaemonProcess, message: str, states: dict[str, str], relay: Postfix, *, told: str = "", times: int = 0
) -> dict[str, Any]:
    """The message's story, once its deliveries are in these states, and its timeline tells this so many times."""
    deadline = asyncio.get_running_loop().time() + 60
    while asyncio.get_running_loop().time() < deadline:
        story = await shown(daemon, message)
        lines = [one["detail"] for one in story["timeline"] if told in one["detail"]]
        if {one["to"]: one["state"] for one in story["deliveries"]} == states and len(lines) >= times:
            return story
        await asyncio.sleep(0.5)
    raise AssertionError(f"{json.dumps(story, indent=1)}\n{relay.log}\n{daemon.said()}")


async def test_a_message_with_files_arrives_as_it_was_written_by_mail_and_its_text_by_sms(
    daemon: DaemonProcess,
    relay: Postfix,
    mailboxes: Dovecot,
    centre: NodeSmpp,
    policy: Policy,
    books: Books,
    tmp_path: Path,
) -> None:
    (tmp_path / PLAN).write_bytes(OCTETS)
    (tmp_path / NOTES).write_text("première ligne\nдва\n")
    await daemon.start()
    files = ("--attach", str(tmp_path / PLAN), "--attach", str(tmp_path / NOTES))
    to = ("--email", "zoe@example.org", "--email", "grey@example.org", "--sms", PHONE)
    words = ("send", "--account", "jean", *to, "--subject", SUBJECT, "--text", TEXT[:200], *files)
    code, printed, said = await daemon.verb(*words, "--dry-run")
    assert code == 0, said
    assert json.loads(printed)["notes"] == [
        "1 of 3 deliveries get the text without attachments: these go with e-mails only"
    ]
    assert [one["name"] for one in json.loads(printed)["attachments"]] == [PLAN, NOTES]
    code, printed, said = await daemon.verb(*words)
    assert code == 0, said
    message = printed.strip()

    # Dovecot's LMTP offers no DSN, so Postfix reports that it relayed the mail, to us.
    everybody = {"zoe@example.org": "accepted", "grey@example.org": "accepted", PHONE: "accepted"}
    passed_on = "a mail server passed it on to one that tells no more"
    story = await becomes(daemon, message, everybody, relay, told=passed_on, times=2)
    assert story["state"] == "accepted"
    assert [one["name"] for one in story["attachments"]] == [PLAN, NOTES]
    grey = next(one for one in story["deliveries"] if one["to"] == "grey@example.org")
    assert [(one["result"], one["code"]) for one in grey["segments"][0]["attempts"]] == [
        ("transient", "450"),
        ("accepted", "250"),
    ]
    assert "greylisted" in grey["segments"][0]["attempts"][0]["detail"]
    assert policy.asked == 2

    (mail,) = mailboxes.mails("zoe")
    assert (mail["From"], str(mail["To"]), mail["Reply-To"]) == (
        "tocsin@sms.example.org",
        "zoe@example.org",
        "jean@example.org",
    )
    assert mail["Return-Path"] == "<tocsin@sms.example.org>"
    assert mail["Subject"] == SUBJECT
    assert mail["Auto-Submitted"] is None
    text, plan, notes = mail.iter_parts()
    assert text.get_content().replace("\r\n", "\n").removesuffix("\n") == TEXT[:200].removesuffix("\n")
    assert (plan.get_filename(), plan.get_content_type(), plan.get_content()) == (PLAN, "application/pdf", OCTETS)
    assert (notes.get_filename(), notes.get_content()) == (NOTES, "première ligne\nдва\n")
    again = mailparser.parse_from_bytes(mail.as_bytes())
    assert again.subject == SUBJECT
    assert sorted(one["filename"] for one in again.attachments) == sorted([PLAN, NOTES])
    assert {got.to for got in centre.got} == {PHONE[1:]}

    # A long line, dots, and white space at ends of lines come out as they went in.
    code, printed, said = await daemon.verb("send", "--account", "jean", "--email", "wim@example.org", "--text", TEXT)
    assert code == 0, said
    await becomes(daemon, printed.strip(), {"wim@example.org": "accepted"}, relay, told=passed_on, times=1)
    (mail,) = mailboxes.mails("wim")
    assert mail.get_content().replace("\r\n", "\n").removesuffix("\n") == TEXT
    assert await daemon.stop() == 0, daemon.said()
    assert books.faults_of_credit() == []


async def test_what_a_mail_server_refuses_or_sends_back_is_told_of_each_recipient(
    daemon: DaemonProcess, relay: Postfix, policy: Policy
) -> None:
    await daemon.start()
    to = ("no@example.org", "x@gone.example", "nobody@home.example", "ann@home.example")
    words = [word for one in to for word in ("--email", one)]
    code, printed, said = await daemon.verb("send", "--account", "jean", *words, "--text", "hello")
    assert code == 0, said
    bounced = {"x@gone.example": "undelivered", "nobody@home.example": "undelivered"}
    states = {**bounced, "no@example.org": "failed", "ann@home.example": "delivered"}
    story = await becomes(daemon, printed.strip(), states, relay)
    (attempt,) = next(one for one in story["deliveries"] if one["to"] == "no@example.org")["segments"][0]["attempts"]
    assert (attempt["result"], attempt["code"]) == ("failed", "550")
    assert "5.7.1" in attempt["detail"]
    came_back = sorted(one["detail"] for one in story["timeline"] if one["what"] == "undelivered")
    assert [one.partition(": 5")[0] for one in came_back] == [
        f"{to}: a mail server could not deliver it" for to in sorted(bounced)
    ]
    assert "unknown user" in came_back[0]
    assert "there is no such mailbox" in came_back[1]
    assert await daemon.stop() == 0, daemon.said()


async def test_bounces_to_a_sender_of_another_domain_find_their_way_by_an_alias(
    daemon: DaemonProcess, relay: Postfix, policy: Policy
) -> None:
    daemon.config["route"][1]["sender"] = "tocsin@example.org"
    await daemon.start()
    to = ("--email", "nobody@home.example", "--email", "ann@home.example")
    code, printed, said = await daemon.verb("send", "--account", "jean", *to, "--text", "hello")
    assert code == 0, said
    # Success is not asked for: the mailbox of another domain is not to be filled with such reports.
    states = {"nobody@home.example": "undelivered", "ann@home.example": "accepted"}
    story = await becomes(daemon, printed.strip(), states, relay)
    assert story["state"] == "undelivered"
    assert await daemon.stop() == 0, daemon.said()


async def test_a_mail_whose_answer_was_lost_comes_again_as_the_same_mail(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp
) -> None:
    got: list[bytes] = []
    twice = asyncio.Event()

    async def forgets_the_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x ESMTP\r\n")
        while line := await reader.readline():
            writer.write(b"354 go\r\n" if line.startswith(b"DATA") else b"250 ok\r\n")
            if line.startswith(b"DATA"):
                got.append(await reader.readuntil(b"\r\n.\r\n"))
                if len(got) == 1:
                    break
                writer.write(b"250 2.0.0 taken\r\n")
                twice.set()
        writer.close()

    server = await asyncio.start_server(forgets_the_first, "127.0.0.1", 0)
    post = {"name": "post", "channels": ["email"], "transport": "smtp", "host": "127.0.0.1", "unknown_wait": "PT1S"}
    port = server.sockets[0].getsockname()[1]
    daemon = serve([operator(centre.port), {**post, "port": port, "sender": "tocsin@example.org"}])
    await daemon.start()
    code, printed, said = await daemon.verb(
        "send", "--account", "jean", "--email", "zoe@example.org", "--text", "hello"
    )
    assert code == 0, said
    await asyncio.wait_for(twice.wait(), 60)
    assert len(got) == 2
    assert got[0] == got[1]
    for _ in range(20):
        story = await shown(daemon, printed.strip())
        if story["state"] == "accepted":
            break
    (segment,) = story["deliveries"][0]["segments"]
    assert (segment["state"], segment["resent"]) == ("accepted", True)
    assert [one["result"] for one in segment["attempts"]] == ["unknown", "accepted"]
    assert {"unknown", "resent", "accepted"} <= {one["what"] for one in story["timeline"]}
    assert await daemon.stop() == 0, daemon.said()
    server.close()


async def test_files_without_anybody_who_can_get_them_are_refused(daemon: DaemonProcess, tmp_path: Path) -> None:
    (tmp_path / "plan.pdf").write_bytes(OCTETS)
    daemon.write()
    code, _, said = await daemon.verb(
        "send", "--account", "jean", "--sms", PHONE, "--text", "x", "--attach", str(tmp_path / "plan.pdf")
    )
    assert code == 1
    assert said == (
        "tocsin: plan.pdf cannot go along: attachments go with e-mails over an smtp route, and none of the recipients "
        "gets one\n"
    )
