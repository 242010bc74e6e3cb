"""What is said of a message without its recipients one by one: its state, and what its taking in was answered with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gateway.message import State, delivery_state
from gateway.store import schema

_message, _delivery, _segment, _chunk = schema.message, schema.delivery, schema.ever, schema.chunk


def states(connection: Connection, messages: Sequence[int]) -> dict[int, State]:
    """The state of each message, from its segments'."""
    if not messages:
        return {}
    present: dict[int, list[State]] = {message: [] for message in messages}
    of_segments = select(_segment.c.message_id, _segment.c.state).where(_segment.c.message_id.in_(messages)).distinct()
    for row in connection.execute(of_segments):
        present[row.message_id].append(State(row.state))
    unexpanded = select(_chunk.c.message_id).where(_chunk.c.message_id.in_(messages)).distinct()
    for number in connection.execute(unexpanded).scalars():
        present[number].append(State.QUEUED)
    # One that has neither was cancelled before any of it was expanded.
    return {message: delivery_state(some) if some else State.CANCELLED for message, some in present.items()}


@dataclass(frozen=True, slots=True)
class Standing:
    """A message as it was taken in: `deliveries` are (id, channel, address, segments), None above `inline`."""

    recipients: int
    units: int
    deliveries: Sequence[tuple[int, str, str, int]] | None


def standing(connection: Connection, message: int, *, inline: int) -> Standing:
    """What a message was taken in as."""
    recipients = connection.execute(select(_message.c.recipients).where(_message.c.id == message)).scalar() or 0
    units: int = 0
    for table in (_segment, _chunk):
        asked = select(func.coalesce(func.sum(table.c.units), 0)).where(table.c.message_id == message)
        units += int(connection.execute(asked).scalar_one())  # PostgreSQL adds up to a numeric
    if recipients > inline:
        return Standing(recipients, units, None)
    counted = (
        select(_delivery.c.id, _delivery.c.channel, _delivery.c.address, func.count(_segment.c.id).label("n"))
        .join(_segment, (_segment.c.message_id == message) & (_segment.c.delivery_id == _delivery.c.id), isouter=True)
        .where(_delivery.c.message_id == message)
        .group_by(_delivery.c.id, _delivery.c.channel, _delivery.c.address)
        .order_by(_delivery.c.id)
    )
    rows = connection.execute(counted).all()
    return Standing(recipients, units, [(row.id, row.channel, row.address, row.n) for row in rows])
