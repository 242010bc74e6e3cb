"""From drafts to rows: identity, credit, turns and the queue, in one transaction.

`submit_many` writes a set of drafts. After its commit, and only then, may anybody be told that a message is taken.
Who comes again with the same key gets the message that stands; recipients that are new are added to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, tuple_

from gateway import credit, held
from gateway.claims import Grant
from gateway.draft import Draft, Leg, Recipient
from gateway.dsn import Asked
from gateway.failure import RefusedError
from gateway.filling import EXPANSION, Filler, Rows
from gateway.references import References
from gateway.store import hot, schema
from gateway.store.identifiers import Identifiers
from gateway.store.schema.base import from_stamp
from gateway.turns import Turns
from gateway.value import value

#: Above this many recipients a message is stored with a compact list, which a background job expands.
COMPACT = 1000


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


@dataclass(slots=True)
class _Standing:
    """A message a key leads to: its recipients so far, what its sender asked, and the number of its next chunk."""

    id: int
    content: bytes | None
    identities: set[tuple[str, str]]
    asked: Asked = field(default_factory=Asked)
    chunks: int = 0


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
    holds = held.current(connection, purses)
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
