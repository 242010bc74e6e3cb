"""References that tie the parts of a long message together, never shared by two long messages to one number at a time.

A handset puts parts together by the sender, the reference and the number of parts (3GPP TS 23.040 clause 9.2.3.24.1).
With an 8-bit reference there are only 256 of them, so the ones that are under way to a number are avoided.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select

from gateway.store import hot, schema

_segment = schema.segment

_UNDER_WAY = hot.Statement(
    select(_segment.c.address, _segment.c.reference).where(
        schema.LONG_UNDER_WAY, _segment.c.address.in_(bindparam("addresses", expanding=True))
    )
)


class References:
    """The references of one transaction: those in use read once, new ones given out in plain code."""

    def __init__(self, connection: Connection, addresses: Iterable[str]) -> None:
        """`addresses` are those that long messages are about to be sent to."""
        wanted = sorted(set(addresses))
        self._used: dict[str, set[int]] = {}
        if wanted:
            for row in _UNDER_WAY.all(connection, {"addresses": wanted}):
                self._used.setdefault(row.address, set()).add(row.reference)

    def take(self, address: str, start: int, *, bits: int) -> int:
        """A reference for one more long message to this number: `start`, cut to `bits`, or the next that is free.

        Where all are in use, it is `start`: the oldest parts have most likely been put together long ago.
        """
        size = 1 << bits
        used = self._used.setdefault(address, set())
        taken = {reference % size for reference in used}
        first = start % size
        free = next((n % size for n in range(first, first + size) if n % size not in taken), first)
        used.add(free)
        return free
