"""From drafts to rows: identity, credit, turns and the queue, in one transaction.

`submit_many` writes a set of drafts. After its commit, and only then, may anybody be told that a message is taken.
Who comes again with the same key gets the message that stands; recipients that are new are added to it.
"""

from __future__ import annotations

import json
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
from gateway.store.schema.base import from_stamp, stamp
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


@dataclass(slots=True)
class _Standing:
    """A message a key leads to: its recipients so far, what its sender asked, and the number of its next chunk."""

    id: int
    content: bytes | None
    identities: set[tuple[str, str]]
    asked: Asked = field(default_factory=Asked)
    chunks: int = 0


#: A row that a hot statement puts: its values in the order of the table's columns, instants as `stamp` has them.
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


def submit_many(
    connection: Connection,
    drafts: Sequence[Draft],
    identifiers: Identifiers,
    grants: Mapping[str, Grant] | None = None,
) -> list[Taken | RefusedError]:
    """Store a set of drafts: for each what was taken, or why not (then nothing of it was written).

    What a grant takes is stored as `submitting` at once, for its claim.
    """
    wanted = _Wanted.by(drafts)
    purses = credit.load(connection, wanted.accounts, wanted.now)
    standing = _load_standing(connection, wanted.keys) if wanted.keys else {}
    spent = _load_spent(connection, wanted.once) if wanted.once else None
    holds = current_holds(connection, purses)
    turns = Turns(connection, wanted.turns)
    references = References(connection, wanted.long)
    ids = identifiers.supply(connection, wanted.identifiers)
    filler = Filler(Rows(), turns, holds, ids, references, grants or {})
    answers: list[Taken | RefusedError] = []
    for draft in drafts:
        purse = purses.get(draft.request.account)
        if purse is None:
            answers.append(RefusedError("this account does not exist any more"))
            continue
        try:
            answers.append(_submit(filler.of(draft), purse, standing, spent))
        except RefusedError as refused:
            answers.append(refused)
    filler.rows.write(connection)
    turns.save()
    credit.save(connection, purses.values())
    return answers


@dataclass(slots=True)
class _Wanted:
    """What the drafts of a set need to know, found in one go.

    `turns` are routes with accounts, `once` the keys of recipients, `long` the numbers that get several parts,
    `identifiers` how many are wanted.
    """

    now: datetime
    accounts: set[int] = field(default_factory=set)
    keys: set[tuple[int, bytes]] = field(default_factory=set)
    once: set[tuple[int, bytes]] = field(default_factory=set)
    turns: set[tuple[str, int]] = field(default_factory=set)
    long: set[str] = field(default_factory=set)
    identifiers: int = 0

    @classmethod
    def by(cls, drafts: Sequence[Draft]) -> _Wanted:
        """What these drafts need."""
        wanted = cls(drafts[0].created)
        for draft in drafts:
            request, ways, account = draft.request, draft.ways, draft.request.account
            if draft.created > wanted.now:
                wanted.now = draft.created
            wanted.accounts.add(account)
            if request.key is not None:
                wanted.keys.add((account, request.key))
            for route in ways:
                wanted.turns.add((route, account))
            segments = 0
            for leg in draft.legs:
                parts = len(ways[leg.route].cut.parts)
                segments += parts
                if parts > 1:
                    wanted.long.add(leg.recipient.address)
                for key in leg.recipient.once:
                    wanted.once.add((account, key))
            # A long list of which most is known already has few recipients left: then it is not compact any more.
            if len(draft.legs) > COMPACT:
                wanted.turns.add((EXPANSION, account))
                wanted.identifiers += 1
            else:
                wanted.identifiers += 1 + len(draft.legs) + segments
        return wanted


def long_addresses(drafts: Iterable[Draft]) -> Iterator[str]:
    """The numbers that get a message of several parts."""
    return (leg.recipient.address for draft in drafts for leg in draft.legs if draft.parts(leg) > 1)


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


#: What most of the time is held.
NOTHING = Holds(frozenset(), frozenset())


def current_holds(connection: Connection, accounts: Iterable[int]) -> Holds:
    """The standing holds, as far as they concern these accounts."""
    standing = memory.of(connection, "hold")
    if "rows" not in standing:
        standing["rows"] = _HOLDS.all(connection, {})
    rows = standing["rows"]
    if not rows:
        return NOTHING
    routes = frozenset(row.name for row in rows if row.kind == "route")
    messages = frozenset(int(row.name) for row in rows if row.kind == "message")
    names = [row.name for row in rows if row.kind == "account"]
    if not names:
        return Holds(routes, frozenset(), messages)
    account = schema.account
    held = select(account.c.id).where(account.c.id.in_(list(accounts)), account.c.name.in_(names))
    return Holds(routes, frozenset(connection.execute(held).scalars()), messages)


def _load_standing(connection: Connection, keys: Iterable[tuple[int, bytes]]) -> dict[tuple[int, bytes], _Standing]:
    """The messages these keys lead to."""
    found = {
        (row.account_id, row.key): _Standing(row.message_id, row.content, set())
        for row in _SEEN.all(connection, {"keys": sorted(keys)})
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


def _load_spent(connection: Connection, keys: Iterable[tuple[int, bytes]]) -> set[tuple[int, bytes]]:
    """Those of these keys of recipients that were used before."""
    return {(row.account_id, row.key) for row in _SEEN.all(connection, {"keys": sorted(keys)})}


def _submit(
    filler: Filler,
    purse: credit.Purse,
    standing: dict[tuple[int, bytes], _Standing],
    spent: set[tuple[int, bytes]] | None,
) -> Taken:
    """Take in the filler's draft; `spent` are the keys of recipients that were used, None where no draft has any."""
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
    once: list[tuple[int, bytes]] = []
    if spent is not None:
        once = sorted({(request.account, key) for leg in legs for key in leg.recipient.once})
        if not spent.isdisjoint(once):
            raise UsedBeforeError("this mail came before, with other words: a copy of it is not sent", smtp="550 5.7.1")
    message = known.id if known is not None else next(filler.ids)
    units = filler.draft.units(legs)
    now = filler.draft.created
    reserved = purse.reserve(
        units,
        now=now,
        due=filler.due or now,
        message=message,
        reason=f"{len(legs)} recipients" if len(legs) > 1 else "",
    )
    if spent is not None:
        for account, key in once:
            spent.add((account, key))
            filler.add_key(message, key, None)
    if known is None:
        filler.add_message(message, len(legs))
        if request.left_out:
            filler.add_left_out(message)
        if request.key is not None:
            asked = request.dsn or Asked()
            known = standing[request.account, request.key] = _Standing(message, request.content, set(), asked)
    else:
        known.asked = known.asked.and_also(request.dsn)
        filler.rows.more.append(
            {"message": message, "more": len(legs), "until": from_stamp(filler.expires), "asked": known.asked.pack()}
        )
    if request.dsn is not None:
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
    return Taken(message, False, units, tuple(deliveries))


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
