"""The rows of drafts: made in plain code, written once.

A row that a hot statement puts is made as it goes to the driver: its values in the order of the table's columns,
instants as `stamp` has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, insert, update

from gateway import attachments, credit, reports
from gateway.claims import Grant
from gateway.draft import Draft, Leg, Recipient
from gateway.dsn import DELAY_AFTER, Condition
from gateway.held import NOTHING, Holds
from gateway.message import State
from gateway.references import References
from gateway.store import hot, memory, schema
from gateway.store.schema.base import stamp
from gateway.text import Cut
from gateway.turns import Turns

#: How many recipients of a compact list are expanded in one transaction.
CHUNK = 500
#: The turns of chunks that wait for their expansion; no route can have this name.
EXPANSION = ""

_message = schema.message
_ADD_MESSAGES = hot.insert_into(
    _message,
    *("id", "account_id", "origin", "created", "subject", "text", "at", "expires", "urgent", "automatic", "report_to"),
    *("dsn", "recipients"),
)
_ADD_SEEN = hot.insert_into(schema.seen, "account_id", "key", "message_id", "content", "created")
_ADD_DELIVERIES = hot.insert_into(schema.delivery, "id", "message_id", "channel", "address", "name")
#: `claims.Grant.take` reads these rows, too.
_ADD_SEGMENTS = hot.insert_into(
    schema.segment,
    *("id", "delivery_id", "message_id", "account_id", "n", "parts", "channel", "address", "route", "state", "rank"),
    *("due", "expires", "attempts", "payload", "data_coding", "udhi", "concat", "reference", "units", "allotment"),
    *("period", "urgent", "resent", "node", "submitted"),
)
_ADD_CHUNKS = hot.insert_into(
    schema.chunk, "message_id", "n", "account_id", "rank", "units", "allotment", "period", "recipients"
)
_QUEUED, _HELD, _SUBMITTING = State.QUEUED.value, State.HELD.value, State.SUBMITTING.value
_until = bindparam("until", type_=schema.Instant())
_MORE = (
    update(_message)
    .where(_message.c.id == bindparam("message"))
    .values(
        recipients=_message.c.recipients + bindparam("more"),
        dsn=bindparam("asked"),
        expires=case((_message.c.expires < _until, _until), else_=_message.c.expires),
    )
)

Row = tuple[Any, ...]


@dataclass(slots=True)
class Rows:
    """The rows of one transaction, gathered in plain code, written once."""

    message: list[Row] = field(default_factory=list)
    seen: list[Row] = field(default_factory=list)
    delivery: list[Row] = field(default_factory=list)
    segment: list[Row] = field(default_factory=list)
    chunk: list[Row] = field(default_factory=list)
    event: list[dict[str, Any]] = field(default_factory=list)
    more: list[dict[str, Any]] = field(default_factory=list)
    owed: list[dict[str, Any]] = field(default_factory=list)
    attachment: list[dict[str, Any]] = field(default_factory=list)
    #: The routes on which something waits for its turn now.
    ready: set[str] = field(default_factory=set)

    def write(self, connection: Connection) -> None:
        """Insert everything, table after table."""
        if self.chunk:
            _ADD_CHUNKS.put(connection, self.chunk)
        if self.delivery:
            _ADD_DELIVERIES.put(connection, self.delivery)
        if self.event:
            connection.execute(insert(schema.event), self.event)
        if self.message:
            _ADD_MESSAGES.put(connection, self.message)
        if self.seen:
            _ADD_SEEN.put(connection, self.seen)
        if self.segment:
            _ADD_SEGMENTS.put(connection, self.segment)
        if self.more:
            connection.execute(_MORE, self.more)
        if self.attachment:
            connection.execute(insert(schema.attachment), self.attachment)
        if self.owed:
            reports.expect(connection, self.owed)
        if self.ready:
            empty = memory.of(connection, "empty")
            for route in self.ready:
                empty.pop(route, None)


@dataclass(slots=True)
class Filler:
    """Makes the rows of drafts, one after the other (`of`)."""

    rows: Rows
    turns: Turns
    holds: Holds
    ids: Iterator[int]
    references: References
    grants: Mapping[str, Grant] = field(default_factory=dict)
    #: The draft whose rows are made, and of it, as stamps: its creation, when its segments expire by their routes, and
    #: when the last of them does.
    draft: Draft = field(init=False)
    due: datetime | None = field(init=False)
    created: int = field(init=False)
    over: dict[str, int] = field(init=False)
    expires: int = field(init=False)

    def of(self, draft: Draft) -> Filler:
        """The same, for the rows of this draft."""
        self.draft, self.due, self.created = draft, draft.due, stamp(draft.created)
        self.over, self.expires = {}, 0
        for name, way in draft.ways.items():
            self.over[name] = over = stamp(way.expires)
            if over > self.expires:
                self.expires = over
        return self

    def add_message(self, message: int, recipients: int) -> None:
        request = self.draft.request
        self.rows.message.append(
            (
                message,
                request.account,
                request.origin._value_,
                self.created,
                request.subject,
                request.text,
                stamp(request.at) if request.at is not None else None,
                self.expires,
                request.urgent,
                request.automatic,
                request.report_to,
                request.dsn.pack() if request.dsn is not None else None,
                recipients,
            )
        )
        if request.attachments:
            self.rows.attachment += attachments.rows(message, request.attachments)
        if request.key is not None:
            self.add_key(message, request.key, request.content)

    def add_owed(self, message: int, legs: Sequence[Leg]) -> None:
        """Note that the sender is to be told of success or delay, where he asked for it (RFC 3461 section 4.1)."""
        request = self.draft.request
        if request.dsn is None or request.report_to is None or request.automatic:
            return
        told = {wanted for leg in legs for wanted in request.dsn.wish(leg.recipient.address).conditions}
        if told & {Condition.SUCCESS, Condition.DELAY}:
            leaves = self.due or self.draft.created
            delay = leaves + DELAY_AFTER if Condition.DELAY in told else None
            self.rows.owed.append({"message_id": message, "since": self.draft.created, "delay": delay})

    def add_left_out(self, message: int) -> None:
        """Note who of a list gets nothing, for the timeline, and for the report to its sender."""
        request = self.draft.request
        event = {"message_id": message, "segment_id": None, "at": self.draft.created, "what": "failed"}
        self.rows.event += [{**event, "detail": str(one)} for one in request.left_out]
        if request.left_out and request.report_to is not None and not request.automatic:
            self.rows.owed.append({"message_id": message, "since": self.draft.created, "delay": None})

    def add_key(self, message: int, key: bytes, content: bytes | None) -> None:
        """Remember what must not be taken twice (invariant I3)."""
        self.rows.seen.append((self.draft.request.account, key, message, content, self.created))

    def add_deliveries(
        self, message: int, legs: Sequence[Leg], reserved: credit.Reserved
    ) -> list[tuple[int, Recipient, int]]:
        allotment = reserved.allotment
        period = stamp(reserved.period) if reserved.period is not None else None
        added = []
        held_back: dict[str, int] = {}
        for leg in legs:
            delivery = next(self.ids)
            recipient = leg.recipient
            parts = len(self.draft.ways[leg.route].cut.parts)
            self.rows.delivery.append((delivery, message, recipient.channel._value_, recipient.address, recipient.name))
            held = None
            if self.holds is not NOTHING:
                held = self.holds.why(leg.route, self.draft.request.account, message)
                if held is not None:
                    held_back[held] = held_back.get(held, 0) + parts
            allotment -= self._add_segments(message, delivery, leg, allotment, period, held=held is not None)
            added.append((delivery, recipient, parts))
        for why, count in held_back.items():
            detail = f"{count} segment{'s' if count != 1 else ''}: {why}"
            event = {"message_id": message, "segment_id": None, "at": self.draft.created, "what": "held"}
            self.rows.event.append({**event, "detail": detail})
        return added

    def _add_segments(
        self, message: int, delivery: int, leg: Leg, allotment: int, period: int | None, *, held: bool
    ) -> int:
        """The segments of one delivery; how many units of the allotment they draw, at most `allotment`."""
        request, to, cut = self.draft.request, leg.recipient, self.draft.ways[leg.route].cut
        parts = len(cut.parts)
        reference, udhi, concat, payloads = None, False, "", [cut.parts[0].body]
        if parts > 1:  # else there is nothing to tie together
            reference, udhi, concat = self._reference(leg, cut, delivery), cut.udhi, cut.concat
            payloads = cut.payloads(reference or 0)
        count = len(payloads)
        # In one piece, for message_payload, it is still charged as the segments a handset counts.
        price = leg.price * (parts // count)
        grant, state, rank, step = self._turn(leg.route, parts, count, held=held)
        node, submitted = (grant.claim.node, grant.at) if grant is not None else (None, None)
        due = stamp(self.due) if self.due is not None else None
        drawn_in_all = 0
        for n, payload in enumerate(payloads):
            drawn = min(price, allotment - drawn_in_all)
            drawn_in_all += drawn
            row = (
                next(self.ids),
                delivery,
                message,
                request.account,
                n + 1,
                count,
                to.channel._value_,
                to.address,
                leg.route,
                state,
                rank + n * step if rank is not None else None,
                due,
                self.over[leg.route],
                0,  # attempts
                payload,
                cut.data_coding,
                udhi,
                concat,
                reference,
                price,
                drawn,
                period if drawn else None,
                request.urgent,
                False,  # resent
                node,
                submitted,
            )
            if grant is not None:
                grant.take(row)
            self.rows.segment.append(row)
        return drawn_in_all

    def _turn(self, route: str, parts: int, count: int, *, held: bool) -> tuple[Grant | None, str, int | None, int]:
        """What claims these segments at once, if anything; their state, the first's rank, and from one to the next."""
        if held:
            return None, _HELD, None, 0
        if self.due is not None:
            return None, _QUEUED, None, 0
        grant = self.grants.get(route)
        if grant is not None and grant.takes(count, self.over[route]):
            return grant, _SUBMITTING, self.turns.now(route), 0
        self.rows.ready.add(route)
        request = self.draft.request
        return None, _QUEUED, self.turns.take(route, request.account, parts, urgent=request.urgent), 1

    def _reference(self, leg: Leg, cut: Cut, delivery: int) -> int | None:
        """What ties the parts of this delivery together; None where nothing has to."""
        if cut.concat == "payload":
            return None
        return self.references.take(leg.recipient.address, delivery, bits=8 if cut.concat == "udh8" else 16)

    def add_chunks(self, message: int, legs: Sequence[Leg], reserved: credit.Reserved, *, first: int) -> int:
        """A compact list in chunks, numbered from `first`; how many."""
        allotment = reserved.allotment
        period = stamp(reserved.period) if reserved.period is not None else None
        request = self.draft.request
        count = -(-len(legs) // CHUNK)
        rank = self.turns.take(EXPANSION, request.account, count, urgent=request.urgent)
        for n in range(count):
            some = legs[n * CHUNK : (n + 1) * CHUNK]
            units = self.draft.units(some)
            drawn = min(units, allotment)
            allotment -= drawn
            recipients = pack(self.draft, some)
            self.rows.chunk.append(
                (message, first + n, request.account, rank + n, units, drawn, period if drawn else None, recipients)
            )
        return count


def pack(draft: Draft, legs: Sequence[Leg]) -> str:
    """The compact form of some legs, with all that their expansion needs beside the message's row."""
    names = sorted({leg.route for leg in legs})
    ways = {name: draft.ways[name] for name in names}
    flash = [True] if draft.request.flash else []
    return json.dumps(
        {
            "ways": {name: [w.concat, w.transliterate, w.expires.isoformat(), *flash] for name, w in ways.items()},
            "legs": [
                [leg.recipient.channel, leg.recipient.address, leg.recipient.name, leg.route, leg.price] for leg in legs
            ],
        },
        separators=(",", ":"),
    )
