"""What the house counts and measures while it works: plain numbers, as cheap as numbers are.

One object a house, made where the house is put together. The store tells it of every set it has committed, the console
of every request it answered. It is read when somebody asks for `/metrics` (`daemon.console.metrics`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway import verbs
from gateway.claims import Claim
from gateway.draft import Draft
from gateway.intake import Taken
from gateway.message import Claimed
from gateway.receipts import Receive
from gateway.settlement import Settle, Settled
from gateway.store import schema
from gateway.store.carrier import Member
from gateway.store.errors import StoreError
from gateway.store.store import Store

#: Bounds of what is measured in seconds, and of how many members a set has.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
#: Of how many messages a second it is looked up how long they waited; of more, some are taken.
_LOOKED_UP = 100


class Histogram:
    """How often a value fell at or below each of some bounds, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Measures:
    """Everything that is counted, by names that are few: origins, routes, states, templates of paths."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.receipts: Counter[tuple[str, str]] = Counter()
        self.waited = Histogram(SECONDS)
        self.answered: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self.commits = Histogram(SECONDS)
        self.failed = 0
        self.sets: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SIZES))
        #: The watched mailboxes of this daemon by state; empty where it watches none.
        self.mailboxes: Counter[str] = Counter()
        self.requests: Counter[tuple[str, int]] = Counter()
        self.request_seconds: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        #: The route of each segment that is with a transport.
        self._routes: dict[int, str] = {}
        self._claimed: dict[int, datetime] = {}
        self._count: Mapping[str, Callable[[Any, Any], None]] = {
            verbs.SUBMIT: self._taken,
            verbs.CLAIM: self._claim,
            verbs.SETTLE: self._settle,
            verbs.RECEIVE: self._receive,
        }

    # Requests ---------------------------------------------------------------------------------------------------------

    def request(self, template: str, status: int, seconds: float) -> None:
        """One HTTP request was answered."""
        self.requests[template, status] += 1
        self.request_seconds[template].add(seconds)

    # Sets -------------------------------------------------------------------------------------------------------------

    def committed(self, members: Sequence[Member], results: Sequence[Any], seconds: float) -> None:
        """A set of the store's was committed, or could not be. Called for every set: nothing here may be slow."""
        self.commits.add(seconds)
        sizes: dict[str, int] = {}
        for member, result in zip(members, results, strict=True):
            verb = member.verb
            sizes[verb] = sizes.get(verb, 0) + 1
            if isinstance(result, BaseException):
                self.failed += isinstance(result, StoreError)
            elif (count := self._count.get(verb)) is not None:
                count(member.argument, result)
        for verb, size in sizes.items():
            self.sets[verb].add(size)

    def _taken(self, draft: Draft, taken: Taken) -> None:
        if not taken.seen:
            self.messages[draft.request.origin] += 1

    def _claim(self, claim: Claim, claimed: Sequence[Claimed]) -> None:
        routes, looked_up = self._routes, self._claimed
        for segment in claimed:
            routes[segment.id] = segment.route
            if len(looked_up) < _LOOKED_UP and segment.n == 1 and not segment.attempts:
                looked_up[segment.message] = claim.now

    def _settle(self, settle: Settle, _: Settled) -> None:
        routes, counts, answered = self._routes, self.outcomes, self.answered
        for outcome in settle.outcomes:
            route = routes.pop(outcome.segment, "")  # none: it was counted before, as unknown
            counts[route, outcome.result] += 1
            if outcome.written is not None and outcome.answered is not None:
                answered[route].add((outcome.answered - outcome.written).total_seconds())

    def _receive(self, receive: Receive, _: Any) -> None:
        self.receipts[receive.receipt.route, receive.receipt.state] += 1

    def in_flight(self) -> Counter[str]:
        """How many segments of each route are with its transport, or their outcome is not recorded yet."""
        return Counter(self._routes.values())

    # Waits ------------------------------------------------------------------------------------------------------------

    async def look(self, store: Store) -> None:
        """Look up how long the messages that were just claimed had waited; `StoreError` where that cannot be."""
        claimed, self._claimed = self._claimed, {}
        if not claimed:
            return

        def work(connection: Connection) -> list[Any]:
            message = schema.message
            statement = select(message.c.id, message.c.created)
            return list(connection.execute(statement.where(message.c.id.in_(claimed), message.c.at.is_(None))))

        for number, created in await store.read(work):
            self.waited.add(max((claimed[number] - created).total_seconds(), 0.0))
