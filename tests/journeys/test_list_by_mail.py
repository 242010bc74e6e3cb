"""A mail to the name of a list: by a real Postfix over LMTP to the daemon, by the daemon to a real SMS centre."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gateway import accounts, contacts, credit, lists
from gateway.contacts import Entry
from tests.peers.houses import house
from tests.peers.mail_sink import MailSink
from tests.peers.node_smpp import NodeSmpp
from tests.peers.postfix import Postfix, free_port

pytestmark = [pytest.mark.peer("postfix"), pytest.mark.peer("node-smpp")]

JEAN, ZOE = "+32475000001", "+32475000002"


def people(connection: Connection) -> None:
    """An account with a contact, and a list of him, of a number and of somebody who has only a fixed line."""
    now = datetime.now(UTC)
    owner = accounts.add(connection, "ann", now=now, addresses=["ann@example.org"], settings={"region": "BE"})
    credit.buy(connection, owner, 10, reason="bought", now=now)
    book = contacts.open_book(connection, owner)
    for name, number in (("Jean Dupont", JEAN), ("Grand-mère", "home:022123456")):
        contacts.add(connection, book, Entry(name, [contacts.telephone_of(number, "BE")]), now=now)
    lists.add(connection, owner, "family", ["Jean Dupont", ZOE, "Grand-mère"], region="BE", now=now)


@pytest.fixture
async def sink() -> AsyncIterator[MailSink]:
    async with MailSink() as one:
        yield one


async def test_a_mail_to_a_list_becomes_an_sms_for_each_and_a_report_of_who_has_none(
    tmp_path: Path, sqlite_database: str, postfix: Callable[..., Postfix], centre: NodeSmpp, sink: MailSink
) -> None:
    port = free_port()
    relay = postfix(f"inet:127.0.0.1:{port}")
    operator = {"name": "operator", "channels": ["sms"], "transport": "smpp", "host": "127.0.0.1"}
    post = {"name": "post", "channels": ["email"], "transport": "smtp", "host": "127.0.0.1"}
    config = {
        "store": {"url": sqlite_database},
        "listen": {
            "lmtp": f"127.0.0.1:{port}",
            "sms_domain": "sms.example.org",
            "region": "BE",
            "trusted_networks": ["127.0.0.1"],
        },
        "route": [
            {**operator, "port": centre.port, "sender": "32475000000"},
            {**post, "port": sink.port, "sender": "tocsin@sms.example.org"},
        ],
    }
    header = ("From: ann@example.org", "To: family@sms.example.org", "Subject: x", "Message-ID: <1@example.org>")
    octets = "\r\n".join([*header, "", "Dinner", ""]).encode()

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", relay.port) as client:
            client.sendmail("ann@example.org", ["FAMILY@sms.example.org", "jean.dupont@sms.example.org"], octets)

    async with house(tmp_path / "tocsin.toml", config, opened=lambda store: store.run_now(people)):
        await asyncio.to_thread(send)
        await relay.logged("status=sent .*250 2.0.0 queued as", times=2)
        (report,) = await sink.wait(1)
    taken = await centre.accepted()
    assert sorted(taken.elements()) == [(JEAN[1:], 1, "Dinner"), (ZOE[1:], 1, "Dinner")]
    words = " ".join(next(iter(report.message.iter_parts())).get_content().split())
    assert "Grand-mère (list family): Grand-mère has no number that can get an SMS" in words
    assert report.recipients == ("ann@example.org",)
