"""Reports that come back: they move the one delivery whose mark they carry, once, and no forged one does harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from filters.returned import Returned, read
from gateway import accounts, draft, history, postmark, reports, returned_mail, story, verbs
from gateway.claims import Claim
from gateway.failure import RefusedError
from gateway.message import Channel, Claimed, Origin, State
from gateway.returned_mail import Told
from gateway.routing import Route
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result
from gateway.transports.smtp import envelope_sender
from gateway.transports.smtp_dialogue import envelope_id

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POST = Route("post", frozenset({Channel.EMAIL}), "smtp", sender="tocsin@sms.example.org", price=0)
Bring = Callable[..., Awaitable[Claimed]]


@pytest.fixture
async def bring(store: Store) -> Bring:
    """Brings an e-mail to a mail server's answer; None leaves it in flight."""
    account = await store.run(lambda c: accounts.add(c, "jean", now=NOW, addresses=["jean@example.org"]))

    async def to_answer(result: Result | None = Result.ACCEPTED, to: str = "zoe@example.net") -> Claimed:
        request = draft.Request(
            account, Origin.MAIL, (draft.Recipient(Channel.EMAIL, to),), "hi", report_to="jean@example.org"
        )
        await store.do(verbs.SUBMIT, draft.prepare(request, routes=[POST], now=NOW, max_parts=6, transliterate=True))
        (claimed,) = await store.do(verbs.CLAIM, Claim("post", 10, 1, NOW, POST))
        if result is not None:
            outcome = Outcome(claimed.id, result, peer_id="4F2A", written=NOW, answered=NOW)
            waits = {"post": NOW + timedelta(minutes=2)}
            await store.do(verbs.SETTLE, Settle((outcome,), NOW, waits, 0.0, 1))
        return claimed

    return to_answer


def mark_of(claimed: Claimed) -> str:
    return envelope_id(envelope_sender(claimed.payload)[1])


def report(
    *, envid: str = "", message_id: str = "", action: str = "failed", status: str = "5.1.1", to: str = "zoe@example.net"
) -> bytes:
    """A report as Postfix writes it."""
    lines = [
        "From: MAILER-DAEMON@mail.example.net",
        "Subject: Undelivered Mail Returned to Sender",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
        "",
        "--b",
        "",
        "I am sorry.",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mail.example.net",
        *([f"Original-Envelope-Id: {envid}"] if envid else []),
        "",
        f"Final-Recipient: rfc822; {to}",
        f"Original-Recipient: rfc822;{to}",
        f"Action: {action}",
        f"Status: {status}",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user",
        "",
        "--b",
        "Content-Type: text/rfc822-headers",
        "",
        "From: tocsin@sms.example.org",
        *([f"Message-ID: <{message_id}>"] if message_id else []),
        "Subject: hi",
        "",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode()


async def come(store: Store, octets: bytes) -> Told | None:
    found = read(octets)
    assert found is not None
    return await store.run(lambda connection: returned_mail.settle(connection, found, NOW + timedelta(minutes=1)))


async def state_of(store: Store, claimed: Claimed) -> str:
    wanted = select(schema.ever.c.state).where(schema.ever.c.id == claimed.id)
    found: str = await store.read(lambda connection: connection.execute(wanted).scalar_one())
    return found


async def details(store: Store, claimed: Claimed) -> list[tuple[str, str]]:
    shown = await store.read(lambda connection: story.show(connection, claimed.message))
    return [(one["what"], one["detail"]) for one in shown["timeline"] if "mail server" in one["detail"]]


@pytest.mark.parametrize("by", ["envid", "message_id"])
async def test_a_bounce_is_known_by_its_envelope_id_or_by_the_header_that_came_back(
    store: Store, bring: Bring, by: str
) -> None:
    mail, other = await bring(), await bring()
    mark = mark_of(mail)
    octets = report(envid=mark) if by == "envid" else report(message_id=f"{mark}@sms.example.org")
    told = await come(store, octets)
    assert told is not None
    assert (told.message, told.state) == (mail.message, State.UNDELIVERED)
    assert [await state_of(store, one) for one in (mail, other)] == ["undelivered", "accepted"]
    said = "a mail server could not deliver it: 5.1.1 550 5.1.1 no such user"
    assert await details(store, mail) == [("undelivered", said)]


@pytest.mark.parametrize(
    ("action", "state", "said"),
    [
        ("delivered", "delivered", "a mail server delivered it to the mailbox"),
        ("relayed", "accepted", "a mail server passed it on to one that tells no more"),
        ("expanded", "accepted", "a mail server passed it on to a list"),
        ("delayed", "accepted", "a mail server has not got rid of it yet and goes on trying"),
    ],
)
async def test_other_reports_are_told_once_however_often_they_come(
    store: Store, bring: Bring, action: str, state: str, said: str
) -> None:
    mail = await bring()
    for _ in range(3):
        assert await come(store, report(envid=mark_of(mail), action=action, status="2.0.0")) is not None
    assert await state_of(store, mail) == state
    ((what, detail),) = await details(store, mail)
    assert (what, detail.partition(":")[0]) == (state, said)


async def test_what_is_final_stays(store: Store, bring: Bring) -> None:
    mail = await bring()
    await come(store, report(envid=mark_of(mail), action="delivered"))
    await come(store, report(envid=mark_of(mail), action="failed"))
    assert await state_of(store, mail) == "delivered"
    assert [what for what, _ in await details(store, mail)] == ["delivered"]


async def test_a_mail_whose_answer_was_lost_is_known_again_by_its_report(store: Store, bring: Bring) -> None:
    mail = await bring(Result.UNKNOWN)
    await come(store, report(envid=mark_of(mail), action="relayed", status="2.0.0"))
    assert await state_of(store, mail) == "accepted"


async def test_a_report_that_overtakes_the_answer_is_to_come_again(store: Store, bring: Bring) -> None:
    mail = await bring(None)
    with pytest.raises(RefusedError) as refused:
        await come(store, report(envid=mark_of(mail)))
    assert refused.value.smtp == "451 4.3.0"
    assert await state_of(store, mail) == "submitting"


async def test_a_mail_of_the_past_comes_back_for_its_report(store: Store, bring: Bring) -> None:
    mail = await bring()
    later = NOW + timedelta(days=1)
    moved = await store.run(lambda c: history.retire(c, [mail.id], later, silent=["post"]))
    assert moved == 1
    await come(store, report(envid=mark_of(mail)))
    assert await state_of(store, mail) == "undelivered"


async def test_the_sender_is_told_of_a_bounce_once(store: Store, bring: Bring) -> None:
    mail = await bring()
    office = reports.Office("sms.example.org", [POST])

    async def made() -> list[Any]:
        await store.run(lambda c: reports.make(c, store.identifiers, office, NOW + timedelta(minutes=2)))
        return await store.read(lambda c: _reports(c))

    for _ in range(2):
        await come(store, report(envid=mark_of(mail)))
        (payload,) = await made()
    told = message_from_bytes(envelope_sender(payload)[1])
    assert told["To"] == "jean@example.org"
    octets = envelope_sender(payload)[1]
    assert b"Status: 5.1.1" in octets
    assert b"Final-Recipient: rfc822; zoe@example.net" in octets
    assert b"came back from there" in octets


def _reports(connection: Connection) -> list[bytes]:
    wanted = select(schema.segment.c.payload).join(schema.message, schema.message.c.id == schema.segment.c.message_id)
    return list(connection.execute(wanted.where(schema.message.c.origin == "report")).scalars())


async def test_nobody_else_can_make_a_report_that_counts(store: Store, bring: Bring) -> None:
    mail = await bring()
    mark = mark_of(mail)
    message, delivery, code = mark.split(".")
    forged = [
        f"{message}.{delivery}.{'a' * 16}",
        f"{message}.{delivery}",
        f"{message}.{int(delivery) + 1}.{code}",
        f"{int(message) - 1}.{delivery}.{code}",
        f"{'9' * 19}.{delivery}.{code}",
        f"{mark}x",
        "",
    ]
    for one in forged:
        assert await come(store, report(envid=one or "x", message_id=one)) is None
    # Somebody else's recipient under the right mark: that is not what we sent.
    assert await come(store, report(envid=mark, to="someone@example.net")) is None
    assert await state_of(store, mail) == "accepted"


async def test_before_the_first_mail_there_is_nothing_to_report_on(store: Store) -> None:
    guess = postmark.mark(b"x" * 32, 1, 2)
    assert await store.run(lambda c: returned_mail.settle(c, Returned((guess,), ()), NOW)) is None


async def test_what_was_cancelled_or_failed_meanwhile_is_left_alone(store: Store, bring: Bring) -> None:
    mail = await bring(Result.PERMANENT)
    told = await come(store, report(envid=mark_of(mail), action="delivered"))
    assert told is not None
    assert told.state is None
    assert await state_of(store, mail) == "failed"
    back = update(schema.segment).values(state="queued").where(schema.segment.c.id == mail.id)
    await store.run(lambda c: c.execute(back))
    await come(store, report(envid=mark_of(mail)))
    assert await state_of(store, mail) == "queued"
