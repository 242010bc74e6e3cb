"""Automatic mail through real servers: Sieve notifications, cron, monitoring, vacation; and what we tell by mail.

Postfix takes every mail. Mail for people it hands to Dovecot, whose Pigeonhole runs their scripts and sends what these
say back through Postfix; mail for special addresses it hands to the daemon, whose reports go through it, too.
"""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from daemon.assemble import House
from gateway.store import schema
from tests.peers.daemon_process import free_port, operator, until
from tests.peers.dovecot import Dovecot
from tests.peers.houses import house
from tests.peers.ledgers import Books, add_payers
from tests.peers.node_smpp import NodeSmpp
from tests.peers.postfix import Postfix

pytestmark = [
    pytest.mark.peer("postfix"),
    pytest.mark.peer("dovecot"),
    pytest.mark.peer("node-smpp"),
]

PHONE = "+32475123456"
SPECIAL = f"{PHONE}@sms.example.org"
NOTIFY = 'require ["enotify"];\nnotify :message "Mail from Marie" "mailto:+32475123456@sms.example.org";\n'
VACATION = 'require ["vacation"];\nvacation :days 1 :addresses ["jean@example.org"] "I am away, until Monday.";\n'
#: A number of which the operator says ESME_RINVDSTADR.
REFUSED, NO_SUCH_NUMBER = "32475999999", 0x0B


@dataclass
class Servers:
    """Postfix in the middle, Dovecot behind it, and the port where it looks for the daemon."""

    postfix: Postfix
    dovecot: Dovecot
    lmtp: int

    async def send(self, text: str, to: str, *, sender: str = "jean@example.org", options: str = "") -> None:
        """Hand a mail to Postfix; `options` are those of RCPT."""

        def submit() -> None:
            with smtplib.SMTP("127.0.0.1", self.postfix.port, timeout=30) as client:
                client.sendmail(sender, [to], text.encode(), rcpt_options=options.split())

        await asyncio.to_thread(submit)

    async def mailbox(self, user: str, count: int = 1) -> list[EmailMessage]:
        """What is in a user's mailbox, once there are so many."""
        await until(lambda: len(self.dovecot.mails(user)) >= count, why=lambda: self.dovecot.log + self.postfix.log)
        return self.dovecot.mails(user)

    async def is_quiet(self) -> None:
        """Returns once Postfix has nothing left to do."""
        queues = [self.postfix.directory / "queue" / name for name in ("incoming", "active", "deferred", "maildrop")]
        await until(lambda: not any(path.is_file() for queue in queues for path in queue.rglob("*")))


@pytest.fixture(scope="module")
def servers(postfix: Callable[..., Postfix]) -> Iterator[Servers]:
    lmtp, mailboxes = free_port(), free_port()
    to_us = f"{{sms.example.org = lmtp:inet:127.0.0.1:{lmtp}}}"
    to_people = f"{{example.org = lmtp:inet:127.0.0.1:{mailboxes}}}"
    middle = postfix(
        f"inet:127.0.0.1:{lmtp}",
        "relay_domains = sms.example.org, example.org",
        f"transport_maps = inline:{{ {to_us}, {to_people} }}",
    )
    dovecot = Dovecot(middle.port, mailboxes)
    dovecot.start()
    yield Servers(middle, dovecot, lmtp)
    dovecot.stop()


@pytest.fixture
def books(sqlite_database: str) -> Books:
    """The store with its payers, to be looked into beside the daemon."""
    add_payers(sqlite_database)
    return Books(sqlite_database)


@pytest.fixture
async def daemon(
    servers: Servers, books: Books, sqlite_database: str, centre: NodeSmpp, tmp_path: Path
) -> AsyncIterator[House]:
    """A daemon that trusts Postfix, and whose mail goes through it."""
    servers.postfix.turn_the_page()
    servers.dovecot.empty()
    post = {"name": "post", "channels": ["email"], "transport": "smtp", "host": "127.0.0.1"}
    config = {
        "store": {"url": sqlite_database},
        "listen": {
            "lmtp": f"127.0.0.1:{servers.lmtp}",
            "sms_domain": "sms.example.org",
            "trusted_networks": ["127.0.0.1"],
            "postmaster": "root@example.org",
        },
        "route": [operator(centre.port), {**post, "port": servers.postfix.port, "sender": "tocsin@example.org"}],
    }
    async with house(tmp_path / "tocsin.toml", config) as one:
        yield one
        await servers.is_quiet()


def messages(books: Books) -> list[Any]:
    row = schema.message.c
    with books.reading() as connection:
        return list(connection.execute(select(row.origin, row.automatic, row.text).order_by(row.id)).all())


async def only_this_is_told(servers: Servers, *, before: int) -> None:
    """A person's mail fails, too, and he is told: what failed before him would have been told before him."""
    servers.dovecot.script("jean", "keep;\n")
    await servers.send("From: jean@example.org\r\nSubject: by hand\r\n\r\nhello\r\n", f"{REFUSED}@sms.example.org")
    told = (await servers.mailbox("jean", before + 1))[before:]
    assert [mail["Subject"] for mail in told] == ["Your SMS could not be sent"]
    assert "by hand" in told[0].as_string()


# A Sieve script tells its owner --------------------------------------------------------------------------------------


async def test_what_a_sieve_script_says_reaches_the_phone(
    daemon: House, servers: Servers, centre: NodeSmpp, books: Books
) -> None:
    servers.dovecot.script("jean", NOTIFY)
    await servers.send(
        "From: Marie <marie@elsewhere.example>\r\nSubject: hi\r\n\r\nhello\r\n",
        "jean@example.org",
        sender="marie@elsewhere.example",
    )
    await centre.wait(1)
    (got,) = centre.got
    assert (got.to, got.text) == (PHONE[1:], "Mail from Marie")
    (line,) = await servers.postfix.logged(f"to=<.{PHONE[1:]}@sms.example.org>.*status=")
    assert "status=sent (250 2.0.0 queued as " in line
    assert [(one.origin, one.automatic) for one in messages(books)] == [("mail", True)]


async def test_a_script_s_own_text_reaches_the_phone(daemon: House, servers: Servers, centre: NodeSmpp) -> None:
    script = NOTIFY.replace('"mailto:+32475123456@sms.example.org"', f'"mailto:{SPECIAL}?body=Call%20the%20office"')
    servers.dovecot.script("jean", script)
    await servers.send("Subject: hi\r\n\r\nhello\r\n", "jean@example.org", sender="marie@elsewhere.example")
    await centre.wait(1)
    assert centre.got[0].text == "Call the office"


async def test_nothing_answers_a_notification_that_fails(
    daemon: House, servers: Servers, centre: NodeSmpp, books: Books
) -> None:
    servers.dovecot.script("jean", NOTIFY.replace(PHONE[1:], REFUSED))
    await centre.order("refuse", to=REFUSED, status=NO_SUCH_NUMBER)
    await servers.send("Subject: hi\r\n\r\nhello\r\n", "jean@example.org", sender="marie@elsewhere.example")
    await until(lambda: books.states()["failed"] == 1, why=books.states)
    await only_this_is_told(servers, before=1)
    assert next((one.origin, one.automatic) for one in messages(books)) == ("mail", True)


async def test_the_owner_of_a_script_must_have_an_account(daemon: House, servers: Servers, books: Books) -> None:
    servers.dovecot.script("nobody", NOTIFY)
    await servers.send("Subject: hi\r\n\r\nhello\r\n", "nobody@example.org", sender="marie@elsewhere.example")
    await servers.postfix.logged("status=bounced .*said: 550 5.7.1 nobody@example.org belongs to no account")
    assert messages(books) == []


# Programs ------------------------------------------------------------------------------------------------------------

CRON = """\
From: root@web1.example.org (Cron Daemon)
To: 32475123456@sms.example.org
Subject: Cron <root@web1> /usr/local/bin/backup
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
X-Cron-Env: <SHELL=/bin/sh>
X-Cron-Env: <HOME=/root>
X-Cron-Env: <LOGNAME=root>

backup: /dev/sda1 is full
"""
MONITORING = """\
From: Monitoring <jean@example.org>
To: 32475123456@sms.example.org
Subject: ** PROBLEM Service Alert: web1/HTTP is CRITICAL **
Auto-Submitted: auto-generated
Precedence: bulk
X-Mailer: monitor 4.4

Service: HTTP
Host: web1
State: CRITICAL
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [(CRON, "backup: /dev/sda1 is full"), (MONITORING, "Service: HTTP\nHost: web1\nState: CRITICAL")],
    ids=["cron", "monitoring"],
)
async def test_what_a_program_reports_reaches_the_phone_and_is_never_answered(
    daemon: House, servers: Servers, centre: NodeSmpp, books: Books, text: str, said: str
) -> None:
    text = text.replace("\n", "\r\n")
    await servers.send(text, SPECIAL, options="NOTIFY=SUCCESS,FAILURE")
    await centre.wait(1)
    assert centre.got[0].text == said
    await centre.order("refuse", to=REFUSED, status=NO_SUCH_NUMBER)
    await servers.send(text, f"{REFUSED}@sms.example.org")
    await until(lambda: books.states()["failed"] == 1, why=books.states)
    await only_this_is_told(servers, before=0)
    assert [(one.origin, one.automatic) for one in messages(books)][:2] == [("mail", True)] * 2


# What is told by mail ------------------------------------------------------------------------------------------------


async def test_success_is_told_through_real_servers(daemon: House, servers: Servers, centre: NodeSmpp) -> None:
    await servers.send("From: jean@example.org\r\nSubject: s\r\n\r\nhello\r\n", SPECIAL, options="NOTIFY=SUCCESS")
    (report,) = await servers.mailbox("jean")
    assert report.get_content_type() == "multipart/report"
    assert report["Return-Path"] == "<>"
    _, machines, _ = report.iter_parts()
    about, one = machines.get_payload()
    assert about["Reporting-MTA"] == "dns; sms.example.org"
    assert (one["Action"], one["Original-Recipient"]) == ("relayed", f"rfc822;{SPECIAL}")
    await servers.is_quiet()
    assert len(servers.dovecot.mails("jean")) == 1, "Postfix tells nothing of its own"


async def test_nobody_answers_our_reports(daemon: House, servers: Servers, centre: NodeSmpp, books: Books) -> None:
    servers.dovecot.script("jean", VACATION)
    await centre.order("refuse", to=PHONE[1:], status=NO_SUCH_NUMBER)
    await servers.send("From: jean@example.org\r\nSubject: s\r\n\r\nhello\r\n", SPECIAL)
    (report,) = await servers.mailbox("jean")
    assert "could not be sent" in report["Subject"]
    await servers.is_quiet()
    assert "vacation" in servers.dovecot.log
    assert "sent vacation response" not in servers.dovecot.log
    assert [one.origin for one in messages(books)] == ["mail", "report"]


async def test_an_answer_from_somebody_s_vacation_script_is_ignored(
    daemon: House, servers: Servers, centre: NodeSmpp, books: Books
) -> None:
    servers.dovecot.script("jean", VACATION)
    text = f"From: {SPECIAL}\r\nTo: jean@example.org\r\nSubject: s\r\n\r\nhello\r\n"
    await servers.send(text, "jean@example.org", sender=SPECIAL)
    await servers.mailbox("jean")
    (line,) = await servers.postfix.logged(f"to=<.{PHONE[1:]}@sms.example.org>.*status=")
    assert "status=sent (250 2.0.0 Taken, and ignored" in line
    assert "sent vacation response" in servers.dovecot.log
    assert messages(books) == []


async def test_mail_to_our_postmaster_is_in_his_mailbox(daemon: House, servers: Servers, books: Books) -> None:
    text = "From: a@elsewhere.example\r\nSubject: trouble\r\n\r\nYour SMS do not come.\r\n"
    await servers.send(text, "postmaster@sms.example.org", sender="a@elsewhere.example")
    (mail,) = await servers.mailbox("root")
    assert (mail["Subject"], mail.get_content().strip()) == ("trouble", "Your SMS do not come.")
    assert mail["Return-Path"] == "<>"
    assert len(mail.get_all("Received")) >= 3
