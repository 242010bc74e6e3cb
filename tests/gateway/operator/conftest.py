"""A scene of messages on a store, whose way is taken step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway import accounts, claims, credit, draft, expansion, intake, receipts, settlement
from gateway.message import Channel, Claimed, Origin
from gateway.routing import Route
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Receipt, ReceiptState, Result

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROUTES = (
    Route("operator", frozenset({Channel.SMS}), "smpp"),
    Route("france", frozenset({Channel.SMS}), "smpp", prefixes=("+33",), price=2),
)


class Scene:
    """A store with accounts jean and marie, 10,000 units each; `now` is moved by hand."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOW
        self.accounts: dict[str, int] = {}
        for name in ("jean", "marie"):
            self.add(name)

    def add(self, name: str, plan: int = 0) -> None:
        """A new account, with a plan of so many units a month."""
        self.accounts[name] = self.store.run_now(lambda connection: self._person(connection, name, plan))

    def _person(self, connection: Any, name: str, plan: int) -> int:
        if plan:
            accounts.add_plan(connection, f"of-{name}", plan)
        account = accounts.add(connection, name, now=NOW, plan=f"of-{name}" if plan else None)
        credit.buy(connection, account, 10_000, reason="test", now=NOW)
        return account

    def later(self, **time: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**time)
        return self.now

    def send(self, *numbers: str, text: str = "Hello", by: str = "jean", **more: Any) -> int:
        """Take a message in; its id."""
        recipients = tuple(draft.Recipient(Channel.SMS, number) for number in numbers)
        request = draft.Request(self.accounts[by], Origin.CLI, recipients, text, **more)
        prepared = draft.prepare(request, routes=ROUTES, now=self.now, max_parts=20, transliterate=True)
        taken = self.store.run_now(lambda c: intake.submit_many(c, [prepared], self.store.identifiers)[0])
        assert isinstance(taken, intake.Taken), taken
        return taken.id

    def claim(self, route: str = "operator", limit: int = 100) -> list[Claimed]:
        """Take segments from the queue."""
        return self.store.run_now(lambda c: claims.claim_many(c, [claims.Claim(route, limit, 1, self.now)])[0])

    def settle(self, segments: Iterable[Claimed], result: Result, *, code: str = "", text: str = "") -> None:
        """Answer for claimed segments, a second later."""
        written = self.now
        self.later(seconds=1)
        outcomes = tuple(
            Outcome(one.id, result, code=code, text=text, peer_id=f"id{one.id}", written=written, answered=self.now)
            for one in segments
        )
        waits = {route.name: self.now + timedelta(minutes=2) for route in ROUTES}
        self.store.run_now(
            lambda c: settlement.settle_many(c, [settlement.Settle(outcomes, self.now, waits, 0.0, node=1)])
        )

    def receive(self, segment: Claimed, state: ReceiptState, error: str = "") -> None:
        """A receipt comes."""
        receipt = Receipt(segment.route, f"id{segment.id}", segment.to, "", state, error)
        self.store.run_now(lambda c: receipts.receive_many(c, [receipts.Receive(receipt, self.now)]))

    def promote(self) -> None:
        """Give turns to what has become due."""
        self.store.run_now(lambda c: claims.promote(c, self.now))

    def expand(self, most: int = 1000) -> int:
        """Expand lists of recipients, at most so many chunks; how many there were."""
        for chunks in range(most):
            if self.store.run_now(lambda c: expansion.expand_next(c, self.store.identifiers)) is None:
                return chunks
        return most

    def states(self, message: int) -> list[str]:
        """The states of a message's segments, in order."""
        segment = schema.segment
        wanted = select(segment.c.state).where(segment.c.message_id == message).order_by(segment.c.id)
        return self.store.read_now(lambda c: list(c.execute(wanted).scalars()))

    def segments(self, message: int) -> list[int]:
        """The ids of a message's segments, in order."""
        segment = schema.segment
        wanted = select(segment.c.id).where(segment.c.message_id == message).order_by(segment.c.id)
        return self.store.read_now(lambda c: list(c.execute(wanted).scalars()))

    def left(self, name: str = "jean") -> int:
        """Units left, by the pots; the ledger must say the same."""
        account = self.accounts[name]
        shown = self.store.run_now(lambda c: credit.show(c, account, self.now))
        ledger = select(func.sum(schema.ledger.c.units)).where(schema.ledger.c.account_id == account)
        assert self.store.read_now(lambda c: c.execute(ledger).scalar_one()) == shown["left"]
        left: int = shown["left"]
        return left


def numbers(count: int, start: int = 0, prefix: str = "+32475") -> Sequence[str]:
    """As many different numbers."""
    return [f"{prefix}{n:06}" for n in range(start, start + count)]


@pytest.fixture
def scene(store: Store) -> Scene:
    """The scene, on each database in turn."""
    return Scene(store)


@pytest.fixture
def many() -> Any:
    """`many(1200)`: as many different numbers."""
    return numbers
