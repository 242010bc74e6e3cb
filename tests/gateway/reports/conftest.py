"""Bringing mails to the SMS centre's answer, and looking at the mails that tell of it."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select

from gateway import accounts, credit, draft, reports, verbs
from gateway.claims import Claim
from gateway.message import Channel, Claimed, Origin
from gateway.routing import Route
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result
from gateway.transports.smtp import envelope_sender

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SMS = Route("operator", frozenset({Channel.SMS}), "smpp")
MAIL = Route("mail", frozenset({Channel.EMAIL}), "smtp", sender="tocsin@example.org", prefixes=("",), price=0)
OFFICE = reports.Office("sms.example.org", [SMS, MAIL])
Send = Callable[..., Awaitable[list[Claimed]]]


@pytest.fixture
async def send(store: Store) -> Send:
    """Brings a mail to `submitting`; its segments, or with `claim=False` none."""

    def person(connection: Any) -> int:
        account = accounts.add(connection, "jean", now=NOW, addresses=["jean@example.org"])
        credit.buy(connection, account, 5000, reason="test", now=NOW)
        return account

    account = await store.run(person)

    async def bring(
        *numbers: str, text: str = "Dinner at eight", claim: bool = True, now: datetime = NOW, **more: Any
    ) -> list[Claimed]:
        recipients = tuple(draft.Recipient(Channel.SMS, number) for number in numbers)
        wanted: dict[str, Any] = {"report_to": "jean@example.org", "subject": "Tonight", **more}
        request = draft.Request(account, Origin.MAIL, recipients, text, **wanted)
        prepared = draft.prepare(request, routes=[SMS], now=now, max_parts=6, transliterate=True)
        await store.do(verbs.SUBMIT, prepared)
        if not claim:
            return []
        claimed: list[Claimed] = await store.do(verbs.CLAIM, Claim("operator", 500, 1, now))
        return claimed

    return bring


async def settle(
    store: Store, segments: Sequence[Claimed], result: Result, text: str = "", *, code: str = "0x00000008"
) -> None:
    outcomes = tuple(Outcome(one.id, result, code=code, text=text, peer_id=str(one.id)) for one in segments)
    await store.do(verbs.SETTLE, Settle(outcomes, NOW, {"operator": NOW}, 0.0, 1))


async def made(store: Store, now: datetime = NOW) -> frozenset[str]:
    """Make what can be made; the routes it leaves by."""
    return (await store.run(lambda connection: reports.make(connection, store.identifiers, OFFICE, now))).routes


async def mails(store: Store) -> list[tuple[str, str, EmailMessage]]:
    """Every mail that is queued, in order: envelope sender, recipient, message."""
    segment = schema.segment.c
    wanted = select(segment.address, segment.payload).where(segment.route == "mail").order_by(segment.id)
    found = []
    for row in await store.read(lambda connection: connection.execute(wanted).all()):
        sender, octets = envelope_sender(row.payload)
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        found.append((sender, row.address, message))
    return found


async def blocks(store: Store) -> list[list[dict[str, str]]]:
    """Of every mail that is queued, what it says of each recipient for machines."""
    found = []
    for _, _, report in await mails(store):
        _, machines, _ = report.iter_parts()
        payload: Any = machines.get_payload()
        found.append([dict(block.items()) for block in payload[1:]])
    return found


async def words(store: Store) -> str:
    """What the last mail says for people."""
    people, _, _ = (await mails(store))[-1][2].iter_parts()
    return str(people.get_content())
