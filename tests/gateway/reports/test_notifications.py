"""What a sender asked to be told (RFC 3461) is told, and no more than that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway import expansion, reports, settlement, unknown, verbs
from gateway.claims import Claim
from gateway.dsn import DELAY_AFTER, Asked, Wish, wishes
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Result
from tests.gateway.reports.conftest import NOW, OFFICE, Send, blocks, made, mails, settle, words

A, B, C = "+32475000001", "+32475000002", "+32475000003"


def asked(*conditions: str, to: tuple[str, ...] = (A,), **more: Any) -> Asked:
    return Asked(recipients={number: Wish(frozenset(conditions)) for number in to}, **more)


# When to tell ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "told"), [((), True), (("FAILURE",), True), (("NEVER",), False), (("SUCCESS", "DELAY"), False)]
)
async def test_a_failure_is_told_to_whom_it_concerns(
    store: Store, send: Send, conditions: tuple[str, ...], told: bool
) -> None:
    await settle(store, await send(A, dsn=asked(*conditions)), Result.PERMANENT, "no")
    await made(store)
    assert len(await mails(store)) == told
    assert await made(store) == frozenset()


async def test_success_is_told_as_relayed_once_the_sms_centre_has_it(store: Store, send: Send) -> None:
    (segment,) = await send(A, dsn=asked("SUCCESS", envid="e1"))
    assert await made(store) == frozenset()
    await settle(store, [segment], Result.ACCEPTED)
    assert await made(store) == {"mail"}
    ((only,),) = await blocks(store)
    assert (only["Action"], only["Status"]) == ("relayed", "2.1.9")
    ((sender, to, report),) = await mails(store)
    assert (sender, to) == ("", "jean@example.org")
    assert "delivered" not in report.as_string()
    assert "handed to the operator" in report["Subject"]
    assert "credit" not in await words(store)
    assert await made(store) == frozenset()


async def test_success_that_nobody_asked_for_is_not_told(store: Store, send: Send) -> None:
    await settle(store, await send(A, B, dsn=asked("FAILURE", "DELAY")), Result.ACCEPTED)
    assert await made(store, NOW + DELAY_AFTER) == frozenset()
    assert await mails(store) == []


async def test_one_report_tells_what_failed_and_what_was_relayed(store: Store, send: Send) -> None:
    first, second, third = await send(A, B, C, dsn=asked("SUCCESS", "FAILURE", to=(A, B)))
    await settle(store, [first, third], Result.ACCEPTED)
    await settle(store, [second], Result.PERMANENT, "the operator knows no such number", code="0x0000000b")
    assert await made(store) == {"mail"}
    ((relayed, failed),) = await blocks(store)
    assert (relayed["Final-Recipient"], relayed["Action"]) == ("rfc822; 32475000001@sms.example.org", "relayed")
    assert (failed["Final-Recipient"], failed["Action"]) == ("rfc822; 32475000002@sms.example.org", "failed")
    assert failed["Status"] == "5.1.1"
    assert failed["Diagnostic-Code"] == "x-tocsin; 0x0000000b the operator knows no such number"
    told = await words(store)
    assert "other 1 of its 3 recipients" in told
    assert told.index(B) < told.index(A)


async def test_automatic_mail_is_not_answered_even_if_it_asks(store: Store, send: Send) -> None:
    wish = asked("SUCCESS", "FAILURE", "DELAY")
    first, second = await send(A, B, dsn=wish, automatic=True)
    assert await made(store, NOW + DELAY_AFTER) == frozenset()
    await settle(store, [first], Result.ACCEPTED)
    await settle(store, [second], Result.PERMANENT, "no")
    assert await made(store) == frozenset()


# Delay ----------------------------------------------------------------------------------------------------------------


async def test_a_delay_is_told_once_after_four_hours_and_the_end_of_it_too(store: Store, send: Send) -> None:
    first, second, third = await send(A, B, C, dsn=asked("DELAY", "FAILURE", to=(A, B)))
    await settle(store, [second], Result.ACCEPTED)
    await settle(store, [first, third], Result.TRANSIENT, "the operator's queue is full", code="0x00000014")
    assert await made(store, NOW + DELAY_AFTER - timedelta(seconds=1)) == frozenset()
    assert await made(store, NOW + DELAY_AFTER) == {"mail"}
    ((only,),) = await blocks(store)
    assert (only["Final-Recipient"], only["Action"]) == ("rfc822; 32475000001@sms.example.org", "delayed")
    assert only["Status"].startswith("4.")
    assert only["Will-Retry-Until"] == "Tue, 24 Nov 2026 12:00:00 +0000"
    told = await words(store)
    assert "the operator's queue is full" in told
    assert "you need not send it again" in told
    assert await made(store, NOW + timedelta(hours=9)) == frozenset()
    await store.run(lambda connection: settlement.expire(connection, NOW + timedelta(days=2)))
    assert await made(store, NOW + timedelta(days=2)) == {"mail"}
    assert [one["Action"] for one in (await blocks(store))[1]] == ["failed", "failed"]


async def test_what_waits_for_its_time_is_late_only_after_it(store: Store, send: Send) -> None:
    await send(A, dsn=asked("DELAY"), at=NOW + timedelta(days=7), claim=False)
    assert await made(store, NOW + timedelta(days=7)) == frozenset()
    assert await made(store, NOW + timedelta(days=7) + DELAY_AFTER) == {"mail"}
    assert "its turn has not come yet" in await words(store)


# More than once -------------------------------------------------------------------------------------------------------


async def test_recipients_of_a_later_copy_are_told_by_themselves(store: Store, send: Send) -> None:
    await settle(store, await send(A, key=b"k", dsn=asked("FAILURE")), Result.PERMANENT, "no")
    await made(store)
    later = Asked(recipients={B: Wish(frozenset({"SUCCESS"}), "rfc822;b@example.org"), A: Wish(frozenset({"NEVER"}))})
    await settle(store, await send(A, B, C, key=b"k", dsn=later), Result.ACCEPTED)
    assert await made(store) == {"mail"}
    first, second = await blocks(store)
    assert [(one["Final-Recipient"][8:19], one["Action"]) for one in first] == [(A[1:], "failed")]
    assert [(one["Final-Recipient"][8:19], one["Action"]) for one in second] == [(B[1:], "relayed")]
    assert second[0]["Original-Recipient"] == "rfc822;b@example.org"


async def test_what_is_parked_does_not_keep_the_others_waiting(store: Store, send: Send) -> None:
    first, second = await send(A, B)
    await settle(store, [first], Result.UNKNOWN)
    await settle(store, [second], Result.PERMANENT, "no")
    assert await made(store) == frozenset()
    await store.run(lambda connection: unknown.resend(connection, NOW, []))
    assert await made(store) == {"mail"}
    assert f"Nobody knows whether it reached {A}" in await words(store)
    await store.run(lambda connection: unknown.resolve(connection, [first.id], "failed", NOW))
    assert await made(store) == {"mail"}
    assert [[one["Final-Recipient"][8:19] for one in some] for some in await blocks(store)] == [[B[1:]], [A[1:]]]


async def test_what_was_only_uncertain_and_went_well_is_not_told(store: Store, send: Send) -> None:
    (segment,) = await send(A)
    await settle(store, [segment], Result.UNKNOWN)
    await store.run(lambda connection: unknown.resolve(connection, [segment.id], "accepted", NOW))
    assert await made(store) == frozenset()


async def test_a_recipient_named_twice_is_told_what_either_asked() -> None:
    never, success, unsaid = Wish(frozenset({"NEVER"})), Wish(frozenset({"SUCCESS"})), Wish(orcpt="rfc822;x@y.example")
    both = wishes([(A, never), (A, success), (B, never), (B, unsaid), (C, never), (C, never)])
    assert {number: set(wish.conditions) for number, wish in both.items()} == {A: {"SUCCESS"}, B: {"FAILURE"}, C: set()}
    assert both[B].orcpt == "rfc822;x@y.example"
    assert wishes([(A, unsaid), (A, unsaid)])[A] == unsaid


# Many -----------------------------------------------------------------------------------------------------------------


async def test_what_waits_does_not_hide_what_is_ready(store: Store, send: Send, monkeypatch: Any) -> None:
    monkeypatch.setattr(reports, "_LOOK", 3)
    for _ in range(7):
        await send(A, dsn=asked("SUCCESS"), claim=False)
    claimed = await send(B, dsn=asked("SUCCESS", to=(B,)))
    await settle(store, claimed[-1:], Result.ACCEPTED)
    after, looks = 0, 0
    while not await mails(store):
        found = await store.run(lambda c, after=after: reports.make(c, store.identifiers, OFFICE, NOW, after=after))
        after, looks = found.after, looks + 1
        assert looks < 10
    ((only,),) = await blocks(store)
    assert only["Final-Recipient"] == f"rfc822; {B[1:]}@sms.example.org"


async def test_many_reports_are_made_a_few_at_a_time(store: Store, send: Send, monkeypatch: Any) -> None:
    monkeypatch.setattr(reports, "_MOST", 2)
    for _ in range(5):
        await settle(store, await send(A), Result.PERMANENT, "no")
    found, more = [], reports.Made(frozenset(), 0, more=True)
    while more.more:
        more = await store.run(lambda c, m=more: reports.make(c, store.identifiers, OFFICE, NOW, after=m.after))
        found.append(len(await mails(store)))
    assert found == [2, 4, 5]


async def test_a_long_list_is_told_when_all_of_it_is_through(store: Store, send: Send) -> None:
    numbers = [f"+324751{n:05}" for n in range(1001)]
    wish = asked("SUCCESS", to=tuple(numbers[:2]))
    await send(*numbers, dsn=wish, claim=False)
    assert await made(store) == frozenset()
    while await store.run(lambda connection: expansion.expand_next(connection, store.identifiers)):
        assert await made(store) == frozenset()
    while claimed := await store.do(verbs.CLAIM, Claim("operator", 500, 1, NOW)):
        await settle(store, claimed, Result.ACCEPTED)
    assert await made(store) == {"mail"}
    assert [[one["Action"] for one in some] for some in await blocks(store)] == [["relayed", "relayed"]]


# What goes back -------------------------------------------------------------------------------------------------------


async def returned(store: Store) -> tuple[str, str]:
    _, _, third = (await mails(store))[-1][2].iter_parts()
    return third.get_content_type(), third.as_string()


async def test_with_full_the_text_goes_back(store: Store, send: Send) -> None:
    text = "Ça ira ? 🚲\n.\nFrom here"
    segments = await send(A, text=text, dsn=asked(ret="FULL", message_id="<m1@example.org>"))
    await settle(store, segments, Result.PERMANENT, "no")
    await made(store)
    _, _, third = (await mails(store))[-1][2].iter_parts()
    assert third.get_content_type() == "message/rfc822"
    (inner,) = third.iter_parts() if third.is_multipart() else ()
    assert (inner["Subject"], inner["Message-ID"]) == ("Tonight", "<m1@example.org>")
    assert inner.get_content().splitlines() == text.splitlines()
    assert "its subject and its text" in await words(store)
    ((_, _, report),) = await mails(store)
    assert (report["In-Reply-To"], report["References"]) == ("<m1@example.org>", "<m1@example.org>")


async def test_with_hdrs_no_word_of_the_text_goes_back(store: Store, send: Send) -> None:
    await settle(store, await send(A, text="secret words", dsn=asked(ret="HDRS")), Result.PERMANENT, "no")
    await made(store)
    kind, octets = await returned(store)
    assert kind == "text/rfc822-headers"
    ((_, _, report),) = await mails(store)
    assert "secret" not in await words(store)
    assert "secret" not in octets + report.as_string()


async def test_success_never_returns_the_text(store: Store, send: Send) -> None:
    await settle(store, await send(A, dsn=asked("SUCCESS", ret="FULL")), Result.ACCEPTED)
    await made(store)
    assert (await returned(store))[0] == "text/rfc822-headers"


async def test_the_timeline_says_what_was_told(store: Store, send: Send) -> None:
    (segment,) = await send(A, dsn=asked("SUCCESS"))
    await settle(store, [segment], Result.ACCEPTED)
    await made(store)
    rows: Any = await store.read(lambda connection: connection.execute(schema.event.select()).all())
    (line,) = [row.detail for row in rows if row.what == "reported"]
    assert line.startswith("that it was handed over, to jean@example.org by mail (message ")
