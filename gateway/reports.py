"""Failure reports: whoever sent a message is told, once, by mail, what of it failed and why.

A message is owed a report as soon as something of it was given back, and gets it when nothing of it is open any more:
one report, however many parts or recipients failed (RFC 3464; null reverse-path, `Auto-Submitted: auto-generated`).
Nothing ever answers automatic mail, so such a message is owed none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, literal, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

from filters.mail import OUR_MARK
from gateway import own_mail, routing
from gateway.message import RETURNED, Channel, Origin, State, delivery_state
from gateway.store import schema
from gateway.store.identifiers import Identifiers

_message, _segment, _delivery, _owed = schema.message, schema.segment, schema.delivery, schema.owed

_SUBJECT = "Your SMS could not be sent"
#: The most reports made in one transaction.
_MOST = 20
#: What still may change: while a message has one of these, its report waits.
_OPEN = _segment.c.state.in_(
    [literal_column("'queued'"), literal_column("'held'"), literal_column("'submitting'"), literal_column("'unknown'")]
)


def owe(connection: Connection, messages: Collection[int], now: datetime) -> None:
    """Note that something of these messages failed."""
    if not messages:
        return
    told = select(_message.c.id, literal(now, schema.Instant())).where(
        _message.c.id.in_(sorted(messages)), _message.c.report_to.is_not(None), _message.c.automatic.is_(False)
    )
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(_owed).from_select(["message_id", "since"], told).on_conflict_do_nothing()
    connection.execute(statement)


@dataclass(frozen=True, slots=True)
class Failed:
    """One recipient that was not reached: its address, its state, and why in one sentence."""

    address: str
    name: str
    state: State
    why: str


@dataclass(frozen=True, slots=True)
class Office:
    """What reports say of the house: the domain of special addresses, and the routes they may leave by."""

    domain: str
    routes: Sequence[routing.Route]


def make(connection: Connection, identifiers: Identifiers, office: Office, now: datetime) -> frozenset[str]:
    """Queue the reports that can be made now; the routes they leave by."""
    still_open = select(_segment.c.id).where(_segment.c.message_id == _owed.c.message_id, _OPEN).exists()
    expanding = select(schema.chunk.c.n).where(schema.chunk.c.message_id == _owed.c.message_id).exists()
    ready = (
        select(_message)
        .join(_owed, _owed.c.message_id == _message.c.id)
        .where(~still_open, ~expanding)
        .order_by(_owed.c.message_id)
        .limit(_MOST)
        .with_for_update(of=_owed, skip_locked=True)
    )
    used = set()
    for row in connection.execute(ready).all():
        route = routing.choose(office.routes, Channel.EMAIL, row.report_to)
        if route is None:
            continue  # `check` says that a route for e-mail is missing; the report waits for one
        failed = list(_failures(connection, row.id))
        if failed:
            _queue(connection, identifiers, row, compose(row, failed, office.domain, route.sender, now), route, now)
            used.add(route.name)
        connection.execute(delete(_owed).where(_owed.c.message_id == row.id))
    return frozenset(used)


def _failures(connection: Connection, message: int) -> Iterator[Failed]:
    rows = connection.execute(
        select(_segment.c.id, _segment.c.delivery_id, _segment.c.state).where(_segment.c.message_id == message)
    ).all()
    states: dict[int, list[State]] = {}
    for row in rows:
        states.setdefault(row.delivery_id, []).append(State(row.state))
    event = schema.event
    reasons: dict[int, str] = {}
    deliveries = {row.id: row.delivery_id for row in rows}
    told = (
        select(event.c.segment_id, event.c.detail, event.c.what)
        .where(event.c.message_id == message, event.c.what.in_([state.value for state in RETURNED]))
        .order_by(event.c.id)
    )
    for line in connection.execute(told):
        # The first part's failure is the reason; that its siblings were cancelled says nothing more.
        if line.what != State.CANCELLED or deliveries[line.segment_id] not in reasons:
            reasons.setdefault(deliveries[line.segment_id], line.detail)
    for delivery in connection.execute(select(_delivery).where(_delivery.c.message_id == message)):
        state = delivery_state(states.get(delivery.id, ()))
        if state in RETURNED:
            yield Failed(delivery.address, delivery.name, state, reasons.get(delivery.id, ""))


def compose(message: Any, failed: Sequence[Failed], domain: str, sender: str, now: datetime) -> bytes:
    """The report as an SMTP payload (`gateway.transports.smtp`); `message` is the row it speaks of."""
    report = MIMEMultipart("report", report_type="delivery-status")
    report["From"] = sender or f"MAILER-DAEMON@{domain}"
    report["To"] = message.report_to
    report["Subject"] = _SUBJECT
    report["Date"] = format_datetime(now)
    report["Message-ID"] = f"<report.{message.id}@{domain}>"
    report["Auto-Submitted"] = "auto-generated"
    report[OUR_MARK] = "report"
    report.attach(MIMEText(_for_people(message, failed), "plain", "utf-8"))
    report.attach(_for_machines(message, failed, domain))
    original = EmailMessage()
    original["Subject"] = " ".join(message.subject.split())
    original["Date"] = format_datetime(message.created)
    headers = MIMEText(original.as_string(), "rfc822-headers", "utf-8")
    report.attach(headers)
    return b"Return-Path: <>\r\n" + report.as_bytes(policy=report.policy.clone(linesep="\r\n", max_line_length=900))


def _for_people(message: Any, failed: Sequence[Failed]) -> str:
    lines = [f"Your message of {message.created:%Y-%m-%d %H:%M} UTC could not be sent to:", ""]
    lines += [f"  {one.name or one.address}: {one.why or one.state}" for one in failed]
    lines += ["", "What was set aside for it has gone back to your credit."]
    if message.recipients > len(failed):
        lines.append(
            f"The other {message.recipients - len(failed)} of its {message.recipients} recipients were sent it."
        )
    lines += ["", "It began:", "", "  " + " ".join(message.text.split())[:160], "", f"(message {message.id})", ""]
    return "\n".join(lines)


def _for_machines(message: Any, failed: Sequence[Failed], domain: str) -> Message:
    asked: dict[str, Any] = json.loads(message.dsn) if message.dsn else {}
    about = Message()
    about["Reporting-MTA"] = f"dns; {domain}"
    if asked.get("envid"):
        about["Original-Envelope-Id"] = asked["envid"]
    about["Arrival-Date"] = format_datetime(message.created)
    blocks: list[Message | str] = [about]
    for one in failed:
        block = Message()
        original = asked.get("recipients", {}).get(one.address, {}).get("orcpt")
        if original:
            block["Original-Recipient"] = original
        block["Final-Recipient"] = f"rfc822; {one.address.lstrip('+')}@{domain}"
        block["Action"] = "failed"
        block["Status"] = "5.4.7" if one.state == State.EXPIRED else "5.0.0"
        block["Diagnostic-Code"] = "x-tocsin; " + " ".join(one.why.encode("ascii", "replace").decode().split())
        blocks.append(block)
    status = Message()
    status["Content-Type"] = "message/delivery-status"
    status.set_payload(blocks)
    return status


def _queue(
    connection: Connection, identifiers: Identifiers, about: Any, payload: bytes, route: routing.Route, now: datetime
) -> None:
    what = own_mail.OwnMail(
        about.account_id, Origin.REPORT, about.report_to, _SUBJECT, f"report on message {about.id}", payload
    )
    report = own_mail.queue(connection, identifiers, what, route, now)
    connection.execute(
        insert(schema.event),
        {
            "message_id": about.id,
            "segment_id": None,
            "at": now,
            "what": "reported",
            "detail": f"to {about.report_to} by mail (message {report})",
        },
    )
