"""Long lists of recipients, expanded into the queue a chunk at a time, in fair turn between accounts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from gateway import credit, held, text, turns
from gateway.draft import Draft, Leg, Recipient, Request, Way
from gateway.filling import EXPANSION, Filler, Rows
from gateway.message import Channel, Origin
from gateway.references import References
from gateway.store import schema
from gateway.store.identifiers import Identifiers

_chunk, _message = schema.chunk, schema.message

_NEXT = select(_chunk).order_by(_chunk.c.rank, _chunk.c.message_id).limit(1).with_for_update(skip_locked=True)


@dataclass(frozen=True, slots=True)
class Expanded:
    """One chunk put into the queue: the routes it gave work."""

    message: int
    recipients: int
    routes: frozenset[str]


def expand_next(connection: Connection, identifiers: Identifiers) -> Expanded | None:
    """Put the next chunk into the queue; None where there is none. Its credit was reserved at intake."""
    chunk = connection.execute(_NEXT).one_or_none()
    if chunk is None:
        return None
    draft = draft_of(connection, chunk.message_id, chunk.recipients)
    order = turns.Turns(connection, ((route, chunk.account_id) for route in draft.ways))
    wanted = sum(1 + draft.parts(leg) for leg in draft.legs)
    holds = held.current(connection, [chunk.account_id])
    rows = Rows()
    references = References(connection, (leg.recipient.address for leg in draft.legs if draft.parts(leg) > 1))
    filler = Filler(rows, order, holds, iter(identifiers.take(connection, wanted)), references).of(draft)
    filler.add_deliveries(chunk.message_id, draft.legs, credit.Reserved(chunk.units, chunk.allotment, chunk.period))
    connection.execute(delete(_chunk).where(_chunk.c.message_id == chunk.message_id, _chunk.c.n == chunk.n))
    rows.write(connection)
    order.save()
    turns.advance(connection, {EXPANSION: chunk.rank})
    return Expanded(chunk.message_id, len(draft.legs), frozenset(draft.ways))


def draft_of(connection: Connection, message: int, packed: str) -> Draft:
    """The draft of one chunk, as it was at intake: the text is cut again in the same way."""
    row = connection.execute(select(_message).where(_message.c.id == message)).one()
    content = json.loads(packed)
    legs = [
        Leg(Recipient(Channel(channel), address, name), route, price)
        for channel, address, name, route, price in content["legs"]
    ]
    ways = {
        name: Way(
            text.cut(row.text, concat=concat, transliterate=transliterate, flash=bool(flash)),
            concat,
            transliterate,
            datetime.fromisoformat(expires),
        )
        for name, (concat, transliterate, expires, *flash) in content["ways"].items()
    }
    request = Request(
        account=row.account_id,
        origin=Origin(row.origin),
        recipients=tuple(leg.recipient for leg in legs),
        text=row.text,
        subject=row.subject,
        at=row.at,
        urgent=row.urgent,
    )
    return Draft(request, row.created, legs, ways)
