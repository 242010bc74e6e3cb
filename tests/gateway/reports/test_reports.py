"""Who sent a message is told once, by mail, what of it failed; never for automatic mail."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select

from gateway import accounts, credit, draft, reports, settlement, verbs
from gateway.claims import Claim
from gateway.message import Channel, Claimed, Origin, State
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
    """Brings a mail to `submitting`; its segments."""

    def person(connection: Any) -> int:
        account = accounts.add(connection, "jean", now=NOW, addresses=["jean@example.org"])
        credit.buy(connection, account, 100, reason="test", now=NOW)
        return account

    account = await store.run(person)

    async def bring(*numbers: str, text: str = "Dinner at eight", **more: Any) -> list[Claimed]:
        recipients = tuple(draft.Recipient(Channel.SMS, number) for number in numbers)
        wanted: dict[str, Any] = {"report_to": "jean@example.org", "subject": "Tonight", **more}
        request = draft.Request(account, Origin.MAIL, recipients, text, **wanted)
        prepared = draft.prepare(request, routes=[SMS], now=NOW, max_parts=6, transliterate=True)
        await store.do(verbs.SUBMIT, prepared)
        claimed: list[Claimed] = await store.do(verbs.CLAIM, Claim("operator", 10, 1, NOW))
        return claimed

    return bring


async def settle(store: Store, segments: Sequence[Claimed], result: Result, text: str = "") -> None:
    outcomes = tuple(Outcome(one.id, result, code="0x0000000b", text=text, peer_id=str(one.id)) for one in segments)
    await store.do(verbs.SETTLE, Settle(outcomes, NOW, {"operator": NOW}, 0.0, 1))


async def made(store: Store) -> frozenset[str]:
    return await store.run(lambda connection: reports.make(connection, store.identifiers, OFFICE, NOW))


async def mails(store: Store) -> list[tuple[str, str, EmailMessage]]:
    """Every mail that is queued: envelope sender, recipient, message."""
    wanted = select(schema.segment.c.address, schema.segment.c.payload).where(schema.segment.c.route == "mail")
    found = []
    for row in await store.read(lambda connection: connection.execute(wanted).all()):
        sender, octets = envelope_sender(row.payload)
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        found.append((sender, row.address, message))
    return found


async def test_a_failure_is_told_once_with_all_that_is_known(store: Store, send: Send) -> None:
    dsn = '{"envid":"QQ314159","ret":"HDRS","recipients":{"+32475000001":{"notify":[],"orcpt":"rfc822;x@y.example"}}}'
    segments = await send("+32475000001", "+32475000002", "+32475000003", dsn=dsn)
    await settle(store, segments[:2], Result.PERMANENT, "the operator knows no such number")
    await settle(store, segments[2:], Result.ACCEPTED)
    assert await made(store) == {"mail"}
    assert await made(store) == frozenset()
    ((sender, to, report),) = await mails(store)
    assert (sender, to) == ("", "jean@example.org")
    assert report["Auto-Submitted"] == "auto-generated"
    assert report["Tocsin-Origin"] == "report"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    people, machines, original = report.iter_parts()
    words = people.get_content()
    assert "32475000001: the operator knows no such number" in words
    assert "gone back to your credit" in words
    assert "other 1 of its 3 recipients" in words
    assert machines.get_content_type() == "message/delivery-status"
    about, first, second = machines.get_payload()
    assert about["Reporting-MTA"] == "dns; sms.example.org"
    assert about["Original-Envelope-Id"] == "QQ314159"
    assert first["Original-Recipient"] == "rfc822;x@y.example"
    assert [block["Action"] for block in (first, second)] == ["failed", "failed"]
    assert {block["Final-Recipient"] for block in (first, second)} == {
        "rfc822; 32475000001@sms.example.org",
        "rfc822; 32475000002@sms.example.org",
    }
    assert "Subject: Tonight" in original.get_content()


async def test_a_report_waits_until_nothing_is_open(store: Store, send: Send) -> None:
    first, second = await send("+32475000001", "+32475000002")
    await settle(store, [first], Result.PERMANENT, "no")
    assert await made(store) == frozenset()
    await settle(store, [second], Result.PERMANENT, "no, neither")
    assert await made(store) == {"mail"}
    ((_, _, report),) = await mails(store)
    assert report.as_string().count("Action: failed") == 2


async def test_a_long_message_s_failure_is_one_line_with_the_first_reason(store: Store, send: Send) -> None:
    segments = await send("+32475000001", text="x" * 400)
    await settle(store, segments[:1], Result.PERMANENT, "the number is barred")
    await settle(store, segments[1:], Result.ACCEPTED)
    await made(store)
    ((_, _, report),) = await mails(store)
    assert report.as_string().count("Action: failed") == 1
    assert "the number is barred" in report.as_string()


async def test_what_expired_says_so_by_its_status(store: Store, send: Send) -> None:
    segments = await send("+32475000001")
    await settle(store, segments, Result.THROTTLED)
    later = NOW + timedelta(days=2)
    assert await store.run(lambda connection: settlement.expire(connection, later)) == 1
    await made(store)
    ((_, _, report),) = await mails(store)
    assert "Status: 5.4.7" in report.as_string()


@pytest.mark.parametrize("asked", [{"automatic": True}, {"report_to": None}])
async def test_nothing_answers_what_wants_no_answer(store: Store, send: Send, asked: dict[str, Any]) -> None:
    await settle(store, await send("+32475000001", **asked), Result.PERMANENT, "no")
    assert await made(store) == frozenset()
    assert await mails(store) == []


async def test_without_a_route_for_mail_the_report_waits_for_one(store: Store, send: Send) -> None:
    await settle(store, await send("+32475000001"), Result.PERMANENT, "no")
    without = reports.Office("sms.example.org", [SMS])
    assert await store.run(lambda c: reports.make(c, store.identifiers, without, NOW)) == frozenset()
    assert await made(store) == {"mail"}


async def test_a_report_costs_nothing_and_owes_no_report_itself(store: Store, send: Send) -> None:
    await settle(store, await send("+32475000001"), Result.PERMANENT, "no")
    await made(store)
    (report,) = await store.do(verbs.CLAIM, Claim("mail", 10, 1, NOW))
    await settle(store, [report], Result.PERMANENT, "the mailbox is full")
    assert await made(store) == frozenset()
    shown = await store.run(lambda connection: credit.show(connection, 1, NOW))
    assert shown["left"] == 100


async def test_the_timeline_of_the_message_tells_of_its_report(store: Store, send: Send) -> None:
    (segment,) = await send("+32475000001")
    await settle(store, [segment], Result.PERMANENT, "no")
    await made(store)
    wanted = select(schema.event.c.what).where(schema.event.c.message_id == segment.message).order_by(schema.event.c.id)
    told = await store.read(lambda connection: connection.execute(wanted).scalars().all())
    assert told == [State.FAILED.value, "reported"]


async def test_words_that_are_not_ascii_survive_in_the_report(store: Store, send: Send) -> None:
    segments = await send("+32475000001", text="Ça ira, Zoë ? 🚲", subject="Où\r\nBcc: x@y.example")
    await settle(store, segments, Result.PERMANENT, "refusé par l'opérateur")
    await made(store)
    ((_, _, report),) = await mails(store)
    people, _, _ = report.iter_parts()
    assert "Ça ira, Zoë ? 🚲" in people.get_content()
    assert "refusé par l'opérateur" in people.get_content()
    assert report["Bcc"] is None
