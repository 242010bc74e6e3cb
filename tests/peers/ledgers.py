"""What the store says at the end of a journey: segments by state, and whether the credit is exact."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, func, select

from gateway import accounts, credit, text
from gateway.message import OPEN, PAID, State
from gateway.store import schema
from gateway.store.engine import open_engine, parse_url, reads

PAYERS = ("jean@example.org", "marie@example.org", "omar@example.org")


def add_payers(
    url: str, *, monthly: int = 200, bought: int = 1_000_000, zone: str = "UTC", now: datetime | None = None
) -> None:
    """Accounts that send from `PAYERS`, with an allotment and a provision, opened `now` or at that instant."""
    now = now or datetime.now(UTC)

    def work(connection: Connection) -> None:
        accounts.add_plan(connection, "basic", monthly)
        for address in PAYERS:
            name = address.split("@")[0]
            number = accounts.add(connection, name, now=now, addresses=[address], plan="basic", settings={"zone": zone})
            if bought:
                credit.buy(connection, number, bought, reason="bought", now=now)

    engine = open_engine(parse_url(url))
    try:
        with engine.begin() as connection:
            work(connection)
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of the queue, as far as a journey's end looks at it."""

    id: int
    message: int
    address: str
    n: int
    text: str
    state: State
    units: int
    resent: bool

    @property
    def key(self) -> tuple[str, int, str]:
        """What node-smpp calls it."""
        return self.address[1:], self.n, self.text


class Books:
    """The store's rows, read beside the daemon."""

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot of it all, on a connection of its own: the database may have been away, or two threads look."""
        engine = open_engine(self.url, connections=2)
        try:
            with engine.connect().execution_options(**reads(engine)) as connection:
                yield connection
        finally:
            engine.dispose()

    def segments(self) -> list[Segment]:
        """Every segment for a handset."""
        row = schema.segment.c
        wanted = select(row).where(row.channel == "sms").order_by(row.id)
        with self.reading() as connection:
            return [
                Segment(
                    one.id,
                    one.message_id,
                    one.address,
                    one.n,
                    text.decode(one.payload, one.data_coding, one.udhi),
                    State(one.state),
                    one.units,
                    one.resent,
                )
                for one in connection.execute(wanted)
            ]

    def rows(self) -> list[Any]:
        """Every segment for a handset, whole, with its `text`."""
        row = schema.segment.c
        with self.reading() as connection:
            found = connection.execute(select(schema.segment).where(row.channel == "sms").order_by(row.id)).mappings()
            return [
                SimpleNamespace(**one, text=text.decode(one["payload"], one["data_coding"], one["udhi"]))
                for one in found
            ]

    def attempts(self) -> list[Any]:
        """Every attempt, in order."""
        with self.reading() as connection:
            return list(connection.execute(select(schema.attempt).order_by(*schema.attempt.primary_key)))

    def states(self) -> Counter[str]:
        """How many segments there are of each state."""
        row = schema.segment.c
        with self.reading() as connection:
            return Counter(dict(connection.execute(select(row.state, func.count()).group_by(row.state)).all()))  # type: ignore[arg-type]

    def is_quiet(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        states = self.states()
        return not (states[State.QUEUED] or states[State.SUBMITTING])

    def report(self, name: str) -> tuple[str, str]:
        """State and reason of a route or listener, as the daemon last wrote them; empty where it has not yet."""
        row = schema.component.c
        with self.reading() as connection:
            one = connection.execute(select(row.state, row.why).where(row.name == name)).first()
        return (one.state, one.why) if one is not None else ("", "")

    def faults_of_credit(self) -> list[str]:
        """Every way in which pots, ledger and segments disagree; nothing where the credit is exact."""
        ledger, segment = schema.ledger.c, schema.segment.c
        faults: list[str] = []
        with self.reading() as connection:
            entries: Counter[int] = Counter()
            for one in connection.execute(select(ledger.account_id, ledger.units)):
                entries[one.account_id] += one.units
            paid: Counter[int] = Counter()
            open_: Counter[int] = Counter()
            for one in connection.execute(select(segment.account_id, segment.state, segment.units)):
                (paid if one.state in PAID else open_ if one.state in OPEN else Counter())[one.account_id] += one.units
            pots = self._pots(connection)
        for account, (left, used, reserved) in pots.items():
            if entries[account] != left:
                faults.append(f"account {account}: the ledger says {entries[account]}, the pots {left}")
            if used != paid[account]:
                faults.append(f"account {account}: {used} units used, {paid[account]} accepted")
            if reserved != open_[account]:
                faults.append(f"account {account}: {reserved} units reserved, {open_[account]} open")
            if min(left, used, reserved) < 0:
                faults.append(f"account {account}: below zero: {left}, {used}, {reserved}")
        return faults

    def _pots(self, connection: Connection) -> dict[int, tuple[int, int, int]]:
        pots: dict[int, tuple[int, int, int]] = {}
        for one in connection.execute(select(schema.provision)):
            pots[one.account_id] = (one.bought - one.used - one.reserved, one.used, one.reserved)
        for one in connection.execute(select(schema.period)):
            left, used, reserved = pots[one.account_id]
            here = one.granted - one.used - one.reserved - one.lapsed
            pots[one.account_id] = (left + here, used + one.used, reserved + one.reserved)
        return pots
