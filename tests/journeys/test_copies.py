"""Copies of users' mail from real mail servers reach their filters, and what these say reaches the telephone."""

from __future__ import annotations

import asyncio
import json
import smtplib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.daemon_process import DaemonProcess, free_port, operator, until
from tests.peers.dovecot import Dovecot
from tests.peers.ledgers import Books
from tests.peers.node_smpp import NodeSmpp
from tests.peers.postfix import Postfix

PHONE = "+32475123456"
NOTES: dict[str, Any] = {
    "name": "everything",
    "when": {"field": "from", "op": "exists"},
    "actions": [{"sms": ["me"], "text": "{from_name}: {subject}", "max_parts": 1}],
}
COPY = 'require ["copy"];\nredirect :copy "jean@watch.example.org";\n'

Watching = Callable[..., Awaitable[DaemonProcess]]


def letter(subject: str, *, to: str = "jean@corp.example", **headers: str) -> str:
    """A mail to Jean."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        f"From: The Boss <boss@partner.example>\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject.replace(' ', '.')}@partner.example>\r\n{more}\r\nSome words.\r\n"
    )


async def send(port: int, *texts: str, sender: str = "boss@partner.example", to: str = "jean@corp.example") -> None:
    """Hand mails to a server, over one connection."""

    def submit() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            for text in texts:
                client.sendmail(sender, [to], text.encode())

    await asyncio.to_thread(submit)


@pytest.fixture
def watching(serve: Callable[..., DaemonProcess], tmp_path: Path) -> Watching:
    """Starts a daemon that watches for Jean's mail: `await watching(smpp_port, filters, lmtp=…)`."""

    async def start(port: int, *filters: dict[str, Any], account: tuple[str, ...] = (), **listen: Any) -> DaemonProcess:
        daemon = serve([operator(port)], watch_domain="watch.example.org", **listen)
        daemon.config["log"]["level"] = "info"
        daemon.write()
        await verb(daemon, "account", "set", "jean", "--mobile", PHONE, *account)
        for n, one in enumerate(filters):
            file = tmp_path / f"filter{n}.json"
            file.write_text(json.dumps(one))
            await verb(daemon, "filter", "add", "jean", "--file", str(file))
        await daemon.start()
        return daemon

    return start


async def verb(daemon: DaemonProcess, *words: str) -> Any:
    """Run a verb; what it printed, read as JSON where it was asked for that."""
    code, printed, said = await daemon.verb(*words)
    assert code == 0, said
    return json.loads(printed) if "--json" in words else printed.strip()


def transports(*ways: tuple[str, str]) -> str:
    """How Postfix carries these domains."""
    return "transport_maps = inline:{" + ", ".join(f"{{{domain} = {way}}}" for domain, way in ways) + "}"


@pytest.fixture
def mail_server(postfix_for: Callable[..., Postfix]) -> Callable[..., Postfix]:
    """Starts a Postfix for corp.example that hands copies to the daemon by LMTP."""

    def start(lmtp: int, *settings: str, corp: str = "discard:") -> Postfix:
        to_us = f"lmtp:inet:127.0.0.1:{lmtp}"
        return postfix_for(
            f"inet:127.0.0.1:{lmtp}",
            "relay_domains = sms.example.org, corp.example",
            transports(("sms.example.org", to_us), ("watch.example.org", to_us), ("corp.example", corp)),
            *settings,
        )

    return start


@pytest.fixture
def postfix_for() -> Iterator[Callable[..., Postfix]]:
    """Starts a Postfix of this test alone."""
    started: list[Postfix] = []

    def start(next_hop: str, *settings: str) -> Postfix:
        made = Postfix(next_hop, *settings)
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def dovecot() -> Iterator[Callable[..., Dovecot]]:
    """Starts a Dovecot that takes mail by LMTP, and whose scripts send through a mail server."""
    started: list[Dovecot] = []

    def start(submission: int, port: int) -> Dovecot:
        made = Dovecot(submission, port)
        started.append(made)
        made.start()
        return made

    yield start
    for one in started:
        one.stop()


# Real mail servers ----------------------------------------------------------------------------------------------------


@pytest.mark.peer("postfix")
@pytest.mark.peer("node-smpp")
async def test_postfix_copies_each_mail_of_a_user_by_recipient_bcc_maps(
    watching: Watching, mail_server: Callable[..., Postfix], centre: NodeSmpp
) -> None:
    lmtp = free_port()
    envelope = {
        "name": "from the outside",
        "when": {
            "all": [
                {"field": "envelope_from:domain", "op": "is", "value": "partner.example"},
                {"field": "envelope_to", "op": "is", "value": "jean@watch.example.org"},
            ]
        },
        "actions": [{"sms": ["me"], "text": "by envelope: {subject}", "max_parts": 1}],
    }
    daemon = await watching(centre.port, envelope, lmtp=f"127.0.0.1:{lmtp}")
    postfix = mail_server(lmtp, "recipient_bcc_maps = inline:{{jean@corp.example = jean@watch.example.org}}")
    await send(postfix.port, letter("Meeting moved"))
    await send(postfix.port, letter("Not for Jean"), to="marie@corp.example")
    await centre.wait(1)
    assert [(one.to, one.text) for one in centre.got] == [(PHONE[1:], "by envelope: Meeting moved")]
    await postfix.logged("to=<jean@watch.example.org>.*status=sent .250 2.0.0 queued as")
    (notice,) = await verb(daemon, "notice", "list", "--json")
    assert notice["state"] == "sent"
    shown = await verb(daemon, "notice", "show", notice["id"], "--json")
    assert {hit["field"] for hit in shown["hits"]} == {"envelope_from:domain", "envelope_to"}
    (message,) = await verb(daemon, "message", "list", "--account", "jean", "--json")
    assert (message["origin"], [message["id"]]) == ("filter", notice["messages"])


@pytest.mark.peer("postfix")
@pytest.mark.peer("node-smpp")
async def test_postfix_copies_everything_by_always_bcc_and_a_bounce_is_a_mail_too(
    watching: Watching, mail_server: Callable[..., Postfix], centre: NodeSmpp
) -> None:
    lmtp = free_port()
    bounced = {
        "name": "a mail of mine came back",
        "when": {"all": [{"field": "is_bounce", "op": "is", "value": True}]},
        "actions": [{"sms": ["me"], "text": "came back: {subject}", "max_parts": 1}],
    }
    await watching(centre.port, bounced, lmtp=f"127.0.0.1:{lmtp}")
    postfix = mail_server(lmtp, "always_bcc = jean@watch.example.org")
    await send(postfix.port, letter("An ordinary mail"))
    await send(
        postfix.port,
        letter("Undelivered Mail", Content_Type="multipart/report; report-type=delivery-status; boundary=b"),
        sender="",
    )
    await postfix.logged("to=<jean@watch.example.org>.*status=sent .250", times=2)
    await centre.wait(1)
    assert [one.text for one in centre.got] == ["came back: Undelivered Mail"]


@pytest.mark.peer("postfix")
@pytest.mark.peer("dovecot")
@pytest.mark.peer("node-smpp")
async def test_a_sieve_script_of_the_mail_server_redirects_a_copy(
    watching: Watching,
    mail_server: Callable[..., Postfix],
    dovecot: Callable[..., Dovecot],
    centre: NodeSmpp,
) -> None:
    lmtp, mailbox = free_port(), free_port()
    for_jean = {
        "name": "for jean",
        "when": {"field": "envelope_to", "op": "is", "value": "jean@corp.example"},
        "actions": [{"sms": ["me"], "text": "{from_name}: {subject}", "max_parts": 1}],
    }
    daemon = await watching(centre.port, for_jean, lmtp=f"127.0.0.1:{lmtp}")
    postfix = mail_server(lmtp, corp=f"lmtp:inet:127.0.0.1:{mailbox}")
    server = dovecot(postfix.port, mailbox)
    server.script("jean", COPY)
    await send(postfix.port, letter("Lunch"))
    await centre.wait(1)
    assert [one.text for one in centre.got] == ["The Boss: Lunch"]
    await until(lambda: server.mails("jean"))
    assert [mail["Subject"] for mail in server.mails("jean")] == ["Lunch"]
    (notice,) = await verb(daemon, "notice", "list", "--json")
    assert notice["from"] == "The Boss"


@pytest.mark.peer("postfix")
@pytest.mark.peer("node-smpp")
async def test_a_copy_by_smtp_beside_an_sms_of_the_same_mail(
    watching: Watching, postfix_for: Callable[..., Postfix], centre: NodeSmpp
) -> None:
    daemon = await watching(centre.port, NOTES)
    to_us = f"smtp:[127.0.0.1]:{daemon.smtp}"
    postfix = postfix_for(
        "inet:127.0.0.1:1",
        "relay_domains = sms.example.org",
        transports(("sms.example.org", to_us), ("watch.example.org", to_us)),
        "always_bcc = jean@watch.example.org",
    )
    special = "+32475000009@sms.example.org"
    await send(postfix.port, letter("Both", to=special), sender="jean@example.org", to=special)
    await centre.wait(2)
    assert sorted((one.to, one.text) for one in centre.got) == [
        ("32475000009", "Some words."),
        (PHONE[1:], "The Boss: Both"),
    ]
    await postfix.logged("qmgr.*: removed")
    assert "status=deferred" not in postfix.log


# Bad days -------------------------------------------------------------------------------------------------------------


@pytest.mark.peer("node-smpp")
async def test_a_storm_of_four_hundred_mails_is_one_sms_now_and_one_summary_later(
    watching: Watching, centre: NodeSmpp
) -> None:
    daemon = await watching(centre.port, NOTES)
    began = asyncio.get_running_loop().time()
    alarms = [letter(f"Alarm {n}") for n in range(400)]
    to = "jean@watch.example.org"
    await asyncio.gather(*(send(daemon.smtp, *alarms[n::4], to=to) for n in range(4)))
    took = asyncio.get_running_loop().time() - began
    assert took < 10, f"400 mails took {took:.1f} seconds"
    await centre.wait(2, 60)
    first, summary = [one.text for one in centre.got]
    assert first.startswith("The Boss: Alarm ")
    assert summary.startswith("399 more mails since ")
    assert summary.endswith(" from The Boss")
    notices = await verb(daemon, "notice", "list", "--json")
    states = [one["state"] for one in notices]
    assert (states.count("sent"), states.count("digested")) == (1, 399)
    assert len(centre.got) == 2


@pytest.mark.peer("node-smpp")
async def test_a_daemon_that_is_killed_makes_each_notice_once_when_the_copies_come_again(
    watching: Watching, centre: NodeSmpp, books: Books
) -> None:
    nowhere = free_port()
    caps = ("--cap-hour", "1000", "--cap-day", "1000")
    daemon = await watching(nowhere, NOTES, account=caps)
    mails = [letter(f"Mail {n}") for n in range(18)]
    for kill_after in (3, 8, 13):
        sending = asyncio.create_task(_pour(daemon.smtp, mails))
        await until(lambda count=kill_after: _count(books, "notice") >= count)
        await daemon.kill()
        await sending
        await daemon.start()
    assert await _pour(daemon.smtp, mails) == []
    await until(lambda: _count(books, "message") == 18)
    assert _count(books, "notice") == 18
    daemon.config["route"][0]["port"] = centre.port
    await daemon.reload()
    await centre.wait(18)
    assert sorted(one.text for one in centre.got) == sorted(f"The Boss: Mail {n}" for n in range(18))
    assert books.faults_of_credit() == []


async def _pour(port: int, mails: list[str]) -> list[str]:
    """Send every mail, as a server does that was never answered; those that were not taken."""

    def submit() -> list[str]:
        left = list(mails)
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
                while left:
                    client.sendmail("boss@partner.example", ["jean@watch.example.org"], left[0].encode())
                    left.pop(0)
        except (OSError, smtplib.SMTPException):
            pass
        return left

    return await asyncio.to_thread(submit)


def _count(books: Books, table: str) -> int:
    with books.reading() as connection:
        counted: int = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
        return counted


@pytest.mark.peer("node-smpp")
async def test_a_filter_that_changes_while_mail_streams_judges_all_that_comes_after_it(
    watching: Watching, centre: NodeSmpp, tmp_path: Path
) -> None:
    daemon = await watching(centre.port, NOTES, account=("--cap-hour", "1000", "--cap-day", "1000"))
    (one,) = await verb(daemon, "filter", "list", "jean", "--json")
    changed = {**NOTES, "name": "new", "actions": [{"sms": ["me"], "text": "new: {subject}", "max_parts": 1}]}
    (tmp_path / "new.json").write_text(json.dumps(changed))
    sent = asyncio.Event()

    async def stream() -> None:
        for n in range(60):
            await send(daemon.smtp, letter(f"Mail {n}"), to="jean@watch.example.org")
            if n == 10:
                sent.set()

    streaming = asyncio.create_task(stream())
    await sent.wait()
    await verb(daemon, "filter", "add", "jean", "--file", str(tmp_path / "new.json"))
    await verb(daemon, "filter", "remove", "jean", one["id"])
    await send(daemon.smtp, letter("After"), to="jean@watch.example.org")
    await streaming
    notices = await verb(daemon, "notice", "list", "--json")
    by_mail: dict[str, set[str]] = {}
    for notice in notices:
        by_mail.setdefault(notice["subject"], set()).add(notice["name"])
    assert len(by_mail) == 61, "a mail was judged by no filter at all"
    assert by_mail["After"] == {"new"}
    assert by_mail["Mail 0"] == {"everything"}


@pytest.mark.peer("node-smpp")
async def test_a_copy_from_a_stranger_is_refused_at_the_door(watching: Watching, centre: NodeSmpp) -> None:
    daemon = await watching(centre.port, NOTES, trusted_networks=[])
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        await send(daemon.smtp, letter("Hello"), to="jean@watch.example.org")
    ((code, said),) = refused.value.recipients.values()
    assert (code, said[:5]) == (550, b"5.7.1")
