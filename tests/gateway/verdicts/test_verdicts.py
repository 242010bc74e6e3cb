"""Verdicts go by mail, free of charge, five in any hour, and nothing answers them."""

from __future__ import annotations

import asyncio
import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import Connection, select

from filters.mail import Mail
from gateway import accounts, verdicts
from gateway.message import Channel
from gateway.reports import Office
from gateway.routing import Route
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.smtp import envelope_sender

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SMS = Route("operator", frozenset({Channel.SMS}), "smpp")
MAIL = Route("mail", frozenset({Channel.EMAIL}), "smtp", sender="tocsin@example.org", prefixes=("",), price=0)
OFFICE = Office("sms.example.org", [SMS, MAIL])
WORDS = "From says jean@example.org.\n\nSo it is taken as a mail of the account jean, which pays for it."


@pytest.fixture
async def jean(store: Store) -> int:
    return await store.run(lambda connection: accounts.add(connection, "jean", now=NOW, addresses=["jean@example.org"]))


async def tell(
    store: Store, account: int, *, now: datetime = NOW, office: Office = OFFICE, about: str = "<1@example.org>"
) -> tuple[int, str] | None:
    def work(connection: Connection) -> tuple[int, str] | None:
        return verdicts.tell(
            connection,
            store.identifiers,
            office,
            account=account,
            address="jean@example.org",
            words=WORDS,
            about=about,
            now=now,
        )

    return await store.run(work)


async def test_a_verdict_is_queued_as_a_message_of_its_own(store: Store, jean: int) -> None:
    told = await tell(store, jean)
    assert told is not None
    message, route = told
    assert route == "mail"
    [row] = await store.read(lambda connection: connection.execute(select(schema.message)).all())
    assert (row.id, row.account_id, row.origin, row.automatic, row.report_to) == (message, jean, "verdict", True, None)
    [segment] = await store.read(lambda connection: connection.execute(select(schema.segment)).all())
    assert (segment.route, segment.state, segment.address, segment.units) == ("mail", "queued", "jean@example.org", 0)
    assert segment.rank is not None, "it has its turn"


async def test_its_mail_answers_and_asks_for_no_answer(store: Store, jean: int) -> None:
    await tell(store, jean)
    [segment] = await store.read(lambda connection: connection.execute(select(schema.segment)).all())
    mail = email.message_from_bytes(segment.payload, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    assert envelope_sender(segment.payload)[0] == ""
    assert mail["From"] == "tocsin@example.org"
    assert mail["To"] == "jean@example.org"
    assert mail["In-Reply-To"] == "<1@example.org>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert WORDS in mail.get_content().replace("\r\n", "\n")
    view = Mail.read(segment.payload)
    assert view.our_mark == "verdict"
    assert view.is_reply_by_machine


async def test_five_are_told_in_any_hour(store: Store, jean: int) -> None:
    times = [timedelta(minutes=minutes) for minutes in (0, 10, 20, 30, 40)]
    for after in times:
        assert await tell(store, jean, now=NOW + after) is not None
    for minutes in (41, 59):
        assert await tell(store, jean, now=NOW + timedelta(minutes=minutes)) is None
    assert await tell(store, jean, now=NOW + timedelta(minutes=60)) is not None
    assert await tell(store, jean, now=NOW + timedelta(minutes=65)) is None
    assert await tell(store, jean, now=NOW + timedelta(minutes=70)) is not None


async def test_of_many_that_ask_at_once_five_are_told(store: Store, jean: int) -> None:
    told = await asyncio.gather(*(tell(store, jean) for _ in range(12)))
    assert sum(one is not None for one in told) == 5


async def test_accounts_are_counted_apart(store: Store, jean: int) -> None:
    marie = await store.run(lambda connection: accounts.add(connection, "marie", now=NOW))
    for _ in range(5):
        await tell(store, jean)
    assert await tell(store, jean) is None
    assert await tell(store, marie) is not None


async def test_without_a_route_for_mail_nobody_is_told_by_mail(store: Store, jean: int) -> None:
    assert await tell(store, jean, office=Office("sms.example.org", [SMS])) is None
    assert await store.read(lambda connection: connection.execute(select(schema.seen)).all()) == []


@pytest.mark.parametrize("about", ["", "<jos\udce9@example.org>", "<a\r\nBcc: x@example.net>", "<" + "x" * 990 + "@y>"])
async def test_a_strange_message_id_is_not_quoted(store: Store, jean: int, about: str) -> None:
    await tell(store, jean, about=about)
    [segment] = await store.read(lambda connection: connection.execute(select(schema.segment)).all())
    assert b"In-Reply-To" not in segment.payload
    assert b"Bcc" not in segment.payload
