"""Reports: whoever sent a message is told by mail what of it failed, and what else he asked for (RFC 3461).

A message is owed a report as soon as something of it was given back, or from the beginning where success or delay was
to be told. It gets one when nothing of it is open any more, however many parts or recipients failed; one of a delay
comes before that. Nothing ever answers automatic mail, so such a message is owed none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from gateway import names, own_mail, routing
from gateway.draft import LeftOut
from gateway.dsn import Asked, Condition
from gateway.message import OPEN, PAID, RETURNED, Channel, Origin, State, delivery_state
from gateway.report_mail import About, Fate, Told, compose
from gateway.store import schema
from gateway.store.identifiers import Identifiers

_message, _segment, _delivery, _owed = schema.message, schema.segment, schema.delivery, schema.owed

#: The most messages looked at, and reports made, in one transaction.
_LOOK, _MOST = 200, 20
#: What still changes by itself: while a message has one of these, its report waits. Not so what is parked, for good.
_MOVING = or_(
    _segment.c.state.in_([literal_column("'queued'"), literal_column("'held'"), literal_column("'submitting'")]),
    and_(_segment.c.state == literal_column("'unknown'"), _segment.c.due.is_not(None)),
)
#: ESME_RINVDSTADR (SMPP 3.4 section 5.1.3): the operator knows no such number.
_NO_SUCH_NUMBER = 0x0B
#: How many of a list that were left out one report names.
_MOST_NAMED = 200
#: What a mail server says of a refusal (RFC 2034, RFC 3463).
_ENHANCED = re.compile(r"(?<![0-9.])[45]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_WAITS = "its turn has not come yet, or the operator cannot be reached"


# Owing ----------------------------------------------------------------------------------------------------------------


def owe(connection: Connection, messages: Collection[int], now: datetime) -> None:
    """Note that something of these messages failed."""
    if not messages:
        return
    told = (
        select(_message.c.id, literal(now, schema.Instant()), null())
        .where(_message.c.id.in_(sorted(messages)), _message.c.report_to.is_not(None), _message.c.automatic.is_(False))
        .order_by(_message.c.id)
    )
    statement = _insert(connection).from_select(["message_id", "since", "delay"], told)
    connection.execute(_on_conflict(statement))


def expect(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note messages whose sender asked for more than failures; `rows` are those of `owed`."""
    if rows:
        ordered = sorted(rows, key=lambda row: int(row["message_id"]))
        connection.execute(_on_conflict(_insert(connection)), ordered)


def _insert(connection: Connection) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(_owed)


def _on_conflict(statement: Any) -> Any:
    """What is owed already is touched: whoever makes that report just now is waited for, and nothing is lost."""
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["message_id"],
        set_={"since": new.since, "delay": func.coalesce(_owed.c.delay, new.delay)},
    )


# Making ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Office:
    """What our own mails say of the house: the domain of special addresses, the routes there are, its postmaster."""

    domain: str
    routes: Sequence[routing.Route]
    postmaster: str = ""

    def mail_route(self, address: str) -> routing.Route | None:
        """The route a mail of ours takes: one to a mail server, not one that turns e-mail into something else."""
        return routing.choose([one for one in self.routes if one.transport == "smtp"], Channel.EMAIL, address)


@dataclass(frozen=True, slots=True)
class Made:
    """Reports were queued on these routes; the next look begins after `after`, at once where there is `more`."""

    routes: frozenset[str]
    after: int
    more: bool


def make(connection: Connection, identifiers: Identifiers, office: Office, now: datetime, *, after: int = 0) -> Made:
    """Queue the reports that can be made now, looking at the messages that follow `after`."""
    statement = select(_owed).where(_owed.c.message_id > after).order_by(_owed.c.message_id).limit(_LOOK)
    owed = connection.execute(statement.with_for_update(skip_locked=True)).all()
    moving = _moving(connection, [row.message_id for row in owed])
    used: set[str] = set()
    made = 0
    for row in owed:
        if made >= _MOST:
            return Made(frozenset(used), after, more=True)
        after = row.message_id
        open_ = after in moving
        if open_ and (row.delay is None or row.delay > now):
            continue
        route = _report(connection, identifiers, office, after, now, delay=open_)
        if route is not None:
            made += 1
            used.add(route)
    full = len(owed) == _LOOK
    return Made(frozenset(used), after if full else 0, more=full and made > 0)


def _moving(connection: Connection, messages: Sequence[int]) -> set[int]:
    """Those of these messages of which something is still open."""
    if not messages:
        return set()
    chunk = schema.chunk.c.message_id
    moving = select(_segment.c.message_id).where(_segment.c.message_id.in_(messages), _MOVING).distinct()
    expanding = select(chunk).where(chunk.in_(messages)).distinct()
    return {*connection.execute(moving).scalars(), *connection.execute(expanding).scalars()}


def _report(
    connection: Connection, identifiers: Identifiers, office: Office, message: int, now: datetime, *, delay: bool
) -> str | None:
    """Queue the report on one message, and owe it no longer; the route, None where there is nothing to tell.

    Where no route carries e-mail the report stays owed: `check` says that one is missing.
    """
    ours = _owed.c.message_id == message
    row = connection.execute(select(_message).where(_message.c.id == message)).one_or_none()
    if row is None:  # erased meanwhile
        connection.execute(delete(_owed).where(ours))
        return None
    route = office.mail_route(row.report_to)
    if route is None:
        return None
    about = _about(connection, row, delay=delay)
    if about.told:
        payload = compose(about, office.domain, route.sender, now)
        mail = own_mail.OwnMail(
            row.account_id, Origin.REPORT, about.to, about.title, f"report on message {message}", payload
        )
        _note_reported(connection, about, own_mail.queue(connection, identifiers, mail, route, now), now)
    connection.execute(update(_owed).where(ours).values(delay=None) if delay else delete(_owed).where(ours))
    return route.name if about.told else None


def _note_reported(connection: Connection, about: About, report: int, now: datetime) -> None:
    what = {Fate.FAILED: "the failure", Fate.DELAYED: "the delay", Fate.RELAYED: "that it was handed over"}[about.fate]
    event = {"message_id": about.id, "segment_id": None, "at": now, "what": "reported"}
    connection.execute(insert(schema.event), {**event, "detail": f"{what}, to {about.to} by mail (message {report})"})
    for fate in (Fate.FAILED, Fate.RELAYED):
        some = [{"ours": one.delivery} for one in about.told if one.fate is fate]
        if some:
            told = update(_delivery).where(_delivery.c.id == bindparam("ours")).values(told=fate.value)
            connection.execute(told, some)


# What there is to tell ------------------------------------------------------------------------------------------------


def _about(connection: Connection, row: Any, *, delay: bool) -> About:
    """What is to be told of a message: what failed and what was relayed, or, with `delay`, what has not left yet."""
    asked = Asked.unpack(row.dsn)
    segments = _segments(connection, row.id)
    reasons = _reasons(connection, row.id, segments)
    tries = _last_tries(connection, row.id)
    bounces = _bounces(connection, row.id, segments)
    told: list[Told] = []
    uncertain: list[str] = []
    statement = select(_delivery).where(_delivery.c.message_id == row.id).order_by(_delivery.c.id)
    for one in connection.execute(statement):
        parts = segments.get(one.id, [])
        state = delivery_state(State(part.state) for part in parts)
        to = (one.id, Channel(one.channel), one.address, one.name)
        why, code = tries.get(one.id, ("", ""))
        if delay:
            if state in OPEN and asked.wants(one.address, Condition.DELAY):
                until = max((part.expires for part in parts), default=row.expires)
                told.append(Told(*to, Fate.DELAYED, "4.4.0", why or _WAITS, until=until))
        elif state == State.UNKNOWN:
            uncertain.append(one.name or one.address)
        elif state in RETURNED and not one.told and asked.wants(one.address, Condition.FAILURE):
            why = reasons.get(one.id, state.value)
            told.append(Told(*to, Fate.FAILED, _status(state, code, why), why, code))
        elif state is State.UNDELIVERED and one.channel == Channel.EMAIL:
            # A mail server took it first: its own report came back (gateway.returned_mail).
            if one.told != Fate.FAILED and asked.wants(one.address, Condition.FAILURE):
                why = bounces.get(one.id, "it came back")
                told.append(Told(*to, Fate.FAILED, _status(state, "", why), why, came_back=True))
        elif state in PAID and not one.told and asked.wants(one.address, Condition.SUCCESS):
            # "Message relayed to non-compliant mailer" (RFC 3886 section 3.3.4): nobody tells more by mail.
            told.append(Told(*to, Fate.RELAYED, "2.1.9"))
    left_out = [] if delay else _left_out(connection, row.id)
    told += left_out[:_MOST_NAMED]
    recipients = row.recipients + len(left_out[:_MOST_NAMED])
    return About(
        row.id, row.report_to, row.created, row.subject, row.text, recipients, asked, tuple(told), tuple(uncertain)
    )


def _left_out(connection: Connection, message: int) -> list[Told]:
    """Members of lists that get nothing, unless their sender was told already."""
    event = schema.event
    ours = (event.c.message_id == message) & event.c.segment_id.is_(None)
    told = select(event.c.id).where(ours, event.c.what == "reported", event.c.detail.startswith("the failure"))
    if connection.execute(told).first() is not None:
        return []
    lines = connection.execute(select(event.c.detail).where(ours, event.c.what == "failed").order_by(event.c.id))
    found = (LeftOut.read(detail) for detail in lines.scalars())
    return [
        Told(
            0,
            Channel.SMS,
            names.fold(one.via).replace(" ", "."),
            f"{one.to} (list {one.via})",
            Fate.FAILED,
            "5.1.1",
            one.why,
        )
        for one in found
        if one is not None
    ]


def _segments(connection: Connection, message: int) -> dict[int, list[Any]]:
    """The segments of a message by delivery."""
    ever = schema.ever
    columns = (ever.c.id, ever.c.delivery_id, ever.c.state, ever.c.expires)
    found: dict[int, list[Any]] = {}
    for row in connection.execute(select(*columns).where(ever.c.message_id == message).order_by(ever.c.id)):
        found.setdefault(row.delivery_id, []).append(row)
    return found


def _reasons(connection: Connection, message: int, segments: Mapping[int, Iterable[Any]]) -> dict[int, str]:
    """Why deliveries failed: the first part's failure; that its siblings were cancelled says nothing more."""
    event = schema.event
    deliveries = {part.id: delivery for delivery, parts in segments.items() for part in parts}
    ended = (
        select(event.c.segment_id, event.c.detail, event.c.what)
        .where(event.c.message_id == message, event.c.what.in_([state.value for state in RETURNED]))
        .order_by(event.c.id)
    )
    found: dict[int, tuple[bool, str]] = {}
    for line in connection.execute(ended):
        delivery = deliveries.get(line.segment_id)
        cancelled = line.what == State.CANCELLED
        if delivery is not None and (delivery not in found or (found[delivery][0] and not cancelled)):
            found[delivery] = (cancelled, line.detail)
    return {delivery: why for delivery, (_, why) in found.items()}


def _bounces(connection: Connection, message: int, segments: Mapping[int, Iterable[Any]]) -> dict[int, str]:
    """Why mails came back, by delivery."""
    event = schema.event
    deliveries = {part.id: delivery for delivery, parts in segments.items() for part in parts}
    lines = select(event.c.segment_id, event.c.detail).where(event.c.message_id == message)
    rows = connection.execute(lines.where(event.c.what == State.UNDELIVERED.value).order_by(event.c.id))
    return {deliveries[row.segment_id]: row.detail for row in rows if row.segment_id in deliveries}


def _last_tries(connection: Connection, message: int) -> dict[int, tuple[str, str]]:
    """Of deliveries that were not reached: what their last attempt came to, and the operator's code for it."""
    attempt, ever = schema.attempt, schema.ever
    statement = (
        select(ever.c.delivery_id, attempt.c.detail, attempt.c.code)
        .join(attempt, attempt.c.segment_id == ever.c.id)
        .where(ever.c.message_id == message, ever.c.state.not_in([state.value for state in PAID]))
        .order_by(attempt.c.at, attempt.c.segment_id, attempt.c.n)
    )
    rows = connection.execute(statement)
    return {row.delivery_id: (row.detail or row.code, row.code) for row in rows}


def _status(state: State, code: str, why: str) -> str:
    """RFC 3463: why it failed, as far as one of its codes, or what a mail server said, tells it."""
    if state == State.EXPIRED:
        return "5.4.7"
    if (said := _ENHANCED.search(why)) is not None:
        return said[0] if said[0].startswith("5") else "5.4.7"
    try:
        return "5.1.1" if int(code, 16) == _NO_SUCH_NUMBER else "5.0.0"
    except ValueError:
        return "5.0.0"
