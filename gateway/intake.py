"""From drafts to rows: identity, credit, turns and the queue, in one transaction.

`submit_many` writes a set of drafts. After its commit, and only then, may anybody be told that a message is taken.
Who comes again with the same key gets the message that stands; recipients that are new are added to it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, insert, select, tuple_, update

from gateway import attachments, credit, reports
from gateway.claims import Grant
from gateway.draft import Draft, Leg, Recipient
from gateway.dsn import DELAY_AFTER, Asked, Condition
from gateway.failure import RefusedError
from gateway.message import State
from gateway.references import References
from gateway.store import hot, memory, schema
from gateway.store.identifiers import Identifiers
from gateway.text import Cut
from gateway.turns import Turns
from gateway.value import value

#: Above this many recipients a message is stored with a compact list, which a background job expands.
COMPACT = 1000
#: How many recipients of a compact list are expanded in one transaction.
CHUNK = 500


#: The turns of chunks that wait for their expansion; no route can have this name.
EXPANSION = ""


@value
class Taken:
    """A message that is committed. `seen` says it was there already; `units` and `deliveries` are what is new."""

    id: int
    seen: bool
    units: int
    deliveries: tuple[tuple[int, Recipient, int], ...] = field(default=())


class KeyUsedError(RefusedError):
    """An idempotency key came back with other content."""


class UsedBeforeError(RefusedError):
    """A mail that came before with other words: somebody sends a copy."""


_seen, _delivery, _message = schema.seen, schema.delivery, schema.message

_SEEN = hot.Statement(
    select(_seen).where(tuple_(_seen.c.account_id, _seen.c.key).in_(bindparam("keys", expanding=True)))
)
_STANDING = select(_delivery.c.message_id, _delivery.c.channel, _delivery.c.address).where(
    _delivery.c.message_id.in_(bindparam("messages", expanding=True))
)
_UNEXPANDED = select(schema.chunk.c.message_id, schema.chunk.c.n, schema.chunk.c.recipients).where(
    schema.chunk.c.message_id.in_(bindparam("messages", expanding=True))
)
_ASKED = select(_message.c.id, _message.c.dsn).where(_message.c.id.in_(bindparam("messages", expanding=True)))
_HOLDS = hot.Statement(select(schema.hold.c.kind, schema.hold.c.name))
_ADD_CHUNKS, _ADD_MESSAGES, _ADD_SEEN = map(hot.insert_into, (schema.chunk, _message, _seen))
_ADD_DELIVERIES = hot.insert_into(_delivery, "told")
_ADD_SEGMENTS = hot.insert_into(schema.segment, "peer_id", "peer_key", "finished")
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


@dataclass(slots=True)
class _Standing:
    """A message a key leads to: its recipients so far, what its sender asked, and the number of its next chunk."""

    id: int
    content: bytes | None
    identities: set[tuple[str, str]]
    asked: Asked = field(default_factory=Asked)
    chunks: int = 0


@dataclass(slots=True)
class Rows:
    """The rows of one transaction, gathered in plain code, written once."""

    message: list[dict[str, Any]] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    event: list[dict[str, Any]] = field(default_factory=list)
    delivery: list[dict[str, Any]] = field(default_factory=list)
    segment: list[dict[str, Any]] = field(default_factory=list)
    chunk: list[dict[str, Any]] = field(default_factory=list)
    more: list[dict[str, Any]] = field(default_factory=list)
    owed: list[dict[str, Any]] = field(default_factory=list)
    attachment: list[dict[str, Any]] = field(default_factory=list)

    def write(self, connection: Connection) -> None:
        """Insert everything, table after table."""
        _ADD_CHUNKS.write(connection, self.chunk)
        _ADD_DELIVERIES.write(connection, self.delivery)
        if self.event:
            connection.execute(insert(schema.event), self.event)
        _ADD_MESSAGES.write(connection, self.message)
        _ADD_SEEN.write(connection, self.seen)
        _ADD_SEGMENTS.write(connection, self.segment)
        if self.more:
            connection.execute(_MORE, self.more)
        if self.attachment:
            connection.execute(insert(schema.attachment), self.attachment)
        reports.expect(connection, self.owed)


def submit_many(
    connection: Connection,
    drafts: Sequence[Draft],
    identifiers: Identifiers,
    grants: Mapping[str, Grant] | None = None,
) -> list[Taken | RefusedError]:
    """Store a set of drafts: for each what was taken, or why not (then nothing of it was written).

    What a grant takes is stored as `submitting` at once, for its claim.
    """
    now = max(draft.created for draft in drafts)
    purses = credit.load(connection, (draft.request.account for draft in drafts), now)
    standing = _load_standing(connection, drafts)
    spent = _load_spent(connection, drafts)
    holds = current_holds(connection, purses)
    # A long list of which most is known already has few recipients left: then it is not compact any more.
    turns = Turns(
        connection,
        (
            (route, draft.request.account)
            for draft in drafts
            for route in ((EXPANSION, *draft.ways) if _compact(draft) else draft.ways)
        ),
    )
    need = sum(1 if _compact(draft) else 1 + len(draft.legs) + draft.segments for draft in drafts)
    ids = identifiers.supply(connection, need)
    references = References(connection, long_addresses(drafts))
    rows = Rows()
    answers: list[Taken | RefusedError] = []
    for draft in drafts:
        purse = purses.get(draft.request.account)
        if purse is None:
            answers.append(RefusedError("this account does not exist any more"))
            continue
        try:
            filler = Filler(draft, rows, turns, holds, ids, references, grants or {})
            answers.append(_submit(filler, purse, standing, spent))
        except RefusedError as refused:
            answers.append(refused)
    rows.write(connection)
    turns.save()
    _forget_empty(connection, rows.segment)
    credit.save(connection, purses.values())
    return answers


def _forget_empty(connection: Connection, segments: Sequence[Mapping[str, Any]]) -> None:
    """Something waits for its turn now."""
    empty = memory.of(connection, "empty")
    for row in segments if empty else ():
        if row["rank"] is not None and row["state"] == State.QUEUED:
            empty.pop(row["route"], None)


def long_addresses(drafts: Iterable[Draft]) -> Iterator[str]:
    """The numbers that get a message of several parts."""
    return (leg.recipient.address for draft in drafts for leg in draft.legs if draft.parts(leg) > 1)


def _compact(draft: Draft) -> bool:
    return len(draft.legs) > COMPACT


@dataclass(frozen=True, slots=True)
class Holds:
    """What the operator holds: routes by name, accounts and messages by id."""

    routes: frozenset[str]
    accounts: frozenset[int]
    messages: frozenset[int] = frozenset()

    def why(self, route: str, account: int, message: int) -> str | None:
        """What of these is held, in words; None where nothing is."""
        if route in self.routes:
            return f"route {route} is held"
        if account in self.accounts:
            return "the account is held"
        return "the message is held" if message in self.messages else None


def current_holds(connection: Connection, accounts: Iterable[int]) -> Holds:
    """The standing holds, as far as they concern these accounts."""
    standing = memory.of(connection, "hold")
    if "rows" not in standing:
        standing["rows"] = _HOLDS.all(connection, {})
    rows = standing["rows"]
    routes = frozenset(row.name for row in rows if row.kind == "route")
    messages = frozenset(int(row.name) for row in rows if row.kind == "message")
    names = [row.name for row in rows if row.kind == "account"]
    if not names:
        return Holds(routes, frozenset(), messages)
    account = schema.account
    held = select(account.c.id).where(account.c.id.in_(list(accounts)), account.c.name.in_(names))
    return Holds(routes, frozenset(connection.execute(held).scalars()), messages)


def _load_standing(connection: Connection, drafts: Sequence[Draft]) -> dict[tuple[int, bytes], _Standing]:
    keys = sorted({(d.request.account, d.request.key) for d in drafts if d.request.key is not None})
    if not keys:
        return {}
    found = {
        (row.account_id, row.key): _Standing(row.message_id, row.content, set())
        for row in _SEEN.all(connection, {"keys": keys})
    }
    if found:
        by_message = {one.id: one for one in found.values()}
        wanted = {"messages": sorted(by_message)}
        for kept in connection.execute(_ASKED, wanted):
            by_message[kept.id].asked = Asked.unpack(kept.dsn)
        # In this order: what is expanded between the two statements is seen by the second.
        for unexpanded in connection.execute(_UNEXPANDED, wanted):
            legs = json.loads(unexpanded.recipients)["legs"]
            known = by_message[unexpanded.message_id]
            known.identities.update((leg[0], leg[1]) for leg in legs)
            known.chunks = max(known.chunks, unexpanded.n + 1)
        for row in connection.execute(_STANDING, wanted):
            by_message[row.message_id].identities.add((row.channel, row.address))
    return found


def _load_spent(connection: Connection, drafts: Sequence[Draft]) -> set[tuple[int, bytes]]:
    """The keys of recipients that were used before."""
    keys = {(d.request.account, key) for d in drafts for leg in d.legs for key in leg.recipient.once}
    if not keys:
        return set()
    return {(row.account_id, row.key) for row in _SEEN.all(connection, {"keys": sorted(keys)})}


def _submit(
    filler: Filler,
    purse: credit.Purse,
    standing: dict[tuple[int, bytes], _Standing],
    spent: set[tuple[int, bytes]],
) -> Taken:
    request = filler.draft.request
    known = standing.get((request.account, request.key)) if request.key is not None else None
    legs: Sequence[Leg] = filler.draft.legs
    if known is not None:
        if request.content != known.content:
            raise KeyUsedError("this key was used before, for another message", http=409)
        if request.content is not None:  # whoever is on its lists by now: what was asked is the same
            return Taken(known.id, seen=True, units=0)
        legs = [leg for leg in legs if (leg.recipient.channel, leg.recipient.address) not in known.identities]
        if not legs:
            return Taken(known.id, seen=True, units=0)
    once = {(request.account, key) for leg in legs for key in leg.recipient.once}
    if not once.isdisjoint(spent):
        raise UsedBeforeError("this mail came before, with other words: a copy of it is not sent", smtp="550 5.7.1")
    message = known.id if known is not None else next(filler.ids)
    units = filler.draft.units(legs)
    now = filler.draft.created
    reserved = purse.reserve(
        units,
        now=now,
        due=filler.draft.due or now,
        message=message,
        reason=f"{len(legs)} recipients" if legs[1:] else "",
    )
    for account, key in sorted(once):
        spent.add((account, key))
        filler.add_key(message, key, None)
    if known is None:
        filler.add_message(message, len(legs))
        filler.add_left_out(message)
        if request.key is not None:
            asked = request.dsn or Asked()
            known = standing[request.account, request.key] = _Standing(message, request.content, set(), asked)
    else:
        known.asked = known.asked.and_also(request.dsn)
        filler.rows.more.append(
            {"message": message, "more": len(legs), "until": filler.expires, "asked": known.asked.pack()}
        )
    filler.add_owed(message, legs)
    if known is not None:
        known.identities.update((leg.recipient.channel, leg.recipient.address) for leg in legs)
    if len(legs) > COMPACT:
        first = known.chunks if known is not None else 0
        count = filler.add_chunks(message, legs, reserved, first=first)
        if known is not None:
            known.chunks = first + count
        return Taken(message, seen=False, units=units)
    deliveries = filler.add_deliveries(message, legs, reserved)
    return Taken(message, seen=False, units=units, deliveries=tuple(deliveries))


@dataclass(slots=True)
class Filler:
    """Makes the rows of one draft."""

    draft: Draft
    rows: Rows
    turns: Turns
    holds: Holds
    ids: Iterator[int]
    references: References
    grants: Mapping[str, Grant] = field(default_factory=dict)

    @property
    def expires(self) -> datetime:
        """When the last of its segments is over."""
        return max(way.expires for way in self.draft.ways.values())

    def add_message(self, message: int, recipients: int) -> None:
        request = self.draft.request
        self.rows.message.append(
            {
                "id": message,
                "account_id": request.account,
                "origin": request.origin.value,
                "created": self.draft.created,
                "subject": request.subject,
                "text": request.text,
                "at": request.at,
                "expires": self.expires,
                "urgent": request.urgent,
                "automatic": request.automatic,
                "report_to": request.report_to,
                "dsn": request.dsn.pack() if request.dsn is not None else None,
                "recipients": recipients,
            }
        )
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
            leaves = self.draft.due or self.draft.created
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
        self.rows.seen.append(
            {
                "account_id": self.draft.request.account,
                "key": key,
                "message_id": message,
                "content": content,
                "created": self.draft.created,
            }
        )

    def add_deliveries(
        self, message: int, legs: Sequence[Leg], reserved: credit.Reserved
    ) -> list[tuple[int, Recipient, int]]:
        allotment = reserved.allotment
        added = []
        held_back: Counter[str] = Counter()
        for leg in legs:
            delivery = next(self.ids)
            cut = self.draft.ways[leg.route].cut
            self.rows.delivery.append(
                {
                    "id": delivery,
                    "message_id": message,
                    "channel": leg.recipient.channel.value,
                    "address": leg.recipient.address,
                    "name": leg.recipient.name,
                }
            )
            parts = len(cut.parts)
            held = self.holds.why(leg.route, self.draft.request.account, message)
            if held is not None:
                held_back[held] += parts
            allotment -= self._add_segments(message, delivery, leg, allotment, reserved.period, held=held is not None)
            added.append((delivery, leg.recipient, parts))
        for why, count in held_back.items():
            detail = f"{count} segment{'s' if count != 1 else ''}: {why}"
            event = {"message_id": message, "segment_id": None, "at": self.draft.created, "what": "held"}
            self.rows.event.append({**event, "detail": detail})
        return added

    def _add_segments(
        self, message: int, delivery: int, leg: Leg, allotment: int, period: datetime | None, *, held: bool
    ) -> int:
        """The segments of one delivery; how many units of the allotment they draw, at most `allotment`."""
        way = self.draft.ways[leg.route]
        cut = way.cut
        parts = len(cut.parts)
        reference = self._reference(leg, cut, delivery)
        payloads = cut.payloads(reference or 0)
        # In one piece, for message_payload, it is still charged as the segments a handset counts.
        price = leg.price * (parts // len(payloads))
        grant = self.grants.get(leg.route)
        at_once = grant is not None and self.draft.due is None and not held and grant.takes(len(payloads), way.expires)
        state, rank = State.HELD.value, None
        if at_once:
            state, rank = State.SUBMITTING.value, self.turns.now(leg.route)
        elif not held:
            state, rank = State.QUEUED.value, self._rank(leg.route, parts)
        drawn_in_all = 0
        for n, payload in enumerate(payloads):
            drawn = min(price, allotment - drawn_in_all)
            drawn_in_all += drawn
            row = {
                "id": next(self.ids),
                "delivery_id": delivery,
                "message_id": message,
                "account_id": self.draft.request.account,
                "n": n + 1,
                "parts": len(payloads),
                "channel": leg.recipient.channel.value,
                "address": leg.recipient.address,
                "route": leg.route,
                "state": state,
                "rank": rank if rank is None or at_once else rank + n,
                "due": self.draft.due,
                "expires": way.expires,
                "attempts": 0,
                "payload": payload,
                "data_coding": cut.data_coding,
                "udhi": cut.udhi,
                "concat": cut.concat if parts > 1 else "",
                "reference": reference,
                "units": price,
                "allotment": drawn,
                "period": period if drawn else None,
                "urgent": self.draft.request.urgent,
                "resent": False,
                "node": None,
                "submitted": None,
            }
            if at_once and grant is not None:
                grant.take(row)
            self.rows.segment.append(row)
        return drawn_in_all

    def _reference(self, leg: Leg, cut: Cut, delivery: int) -> int | None:
        """What ties the parts of this delivery together; None where nothing has to."""
        if len(cut.parts) == 1 or cut.concat == "payload":
            return None
        return self.references.take(leg.recipient.address, delivery, bits=8 if cut.concat == "udh8" else 16)

    def _rank(self, route: str, parts: int) -> int | None:
        """The first rank of new segments; none where they wait for their time."""
        request = self.draft.request
        if self.draft.due is not None:
            return None
        return self.turns.take(route, request.account, parts, urgent=request.urgent)

    def add_chunks(self, message: int, legs: Sequence[Leg], reserved: credit.Reserved, *, first: int) -> int:
        """A compact list in chunks, numbered from `first`; how many."""
        allotment = reserved.allotment
        request = self.draft.request
        count = -(-len(legs) // CHUNK)
        rank = self.turns.take(EXPANSION, request.account, count, urgent=request.urgent)
        for n in range(count):
            some = legs[n * CHUNK : (n + 1) * CHUNK]
            units = self.draft.units(some)
            drawn = min(units, allotment)
            allotment -= drawn
            self.rows.chunk.append(
                {
                    "message_id": message,
                    "n": first + n,
                    "account_id": request.account,
                    "rank": rank + n,
                    "units": units,
                    "allotment": drawn,
                    "period": reserved.period if drawn else None,
                    "recipients": pack(self.draft, some),
                }
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
