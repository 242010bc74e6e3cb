"""Who sent a message is told once, by mail, what of it failed; never for automatic mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway import credit, reports, settlement, verbs
from gateway.claims import Claim
from gateway.dsn import Asked, Wish
from gateway.message import State
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Result
from tests.gateway.reports.conftest import NOW, SMS, Send, made, mails, settle


async def test_a_failure_is_told_once_with_all_that_is_known(store: Store, send: Send) -> None:
    dsn = Asked("QQ314159", "HDRS", "<1@example.org>", {"+32475000001": Wish(orcpt="rfc822;x@y.example")})
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
    found = await store.run(lambda connection: reports.make(connection, store.identifiers, without, NOW))
    assert found == reports.Made(frozenset(), 0, more=False)
    assert await made(store) == {"mail"}


async def test_a_report_costs_nothing_and_owes_no_report_itself(store: Store, send: Send) -> None:
    await settle(store, await send("+32475000001"), Result.PERMANENT, "no")
    await made(store)
    (report,) = await store.do(verbs.CLAIM, Claim("mail", 10, 1, NOW))
    await settle(store, [report], Result.PERMANENT, "the mailbox is full")
    assert await made(store) == frozenset()
    shown = await store.run(lambda connection: credit.show(connection, 1, NOW))
    assert shown["left"] == 5000


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
