"""One of several processes that work on one store at once: takes in, claims and settles, over weeks in seconds.

python tests/gateway/hand.py URL NODE ACCOUNT...      it begins when its standard input ends
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from gateway import claims, intake, settlement
from gateway.claims import Claim
from gateway.draft import Recipient, Request, prepare
from gateway.message import Channel, Origin
from gateway.routing import Route
from gateway.settlement import Settle
from gateway.store.engine import open_engine, parse_url
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result

ROUTE = Route("one", frozenset({Channel.SMS}), "smpp")
START = datetime(2026, 3, 10, 12, tzinfo=UTC)


def work(store: Store, node: int, everybody: list[int]) -> dict[str, int]:
    """Forty rounds over a month; how many messages were taken and refused, and how many segments accepted."""
    chosen = random.Random(node)
    counts = {"taken": 0, "refused": 0, "accepted": 0}
    for n in range(40):
        now = START + timedelta(hours=18 * n)
        drafts = [_draft(chosen, everybody, now) for _ in range(5)]
        for answer in store.run_now(lambda c, some=drafts: intake.submit_many(c, some, store.identifiers)):  # type: ignore[misc]
            counts["taken" if isinstance(answer, intake.Taken) else "refused"] += 1
        outcomes = store.run_now(lambda c, at=now: _claim(c, node, at, chosen))  # type: ignore[misc]
        settle = Settle(outcomes, now, {}, 0.5, node)
        store.run_now(lambda c, one=settle: settlement.settle_many(c, [one]))  # type: ignore[misc]
        store.run_now(lambda c, at=now: (claims.promote(c, at), settlement.expire(c, at)))  # type: ignore[misc]
        counts["accepted"] += sum(outcome.result == Result.ACCEPTED for outcome in outcomes)
    return counts


def _draft(chosen: random.Random, everybody: list[int], now: datetime) -> Any:
    to = tuple(Recipient(Channel.SMS, f"+3247500000{n}") for n in chosen.sample(range(10), chosen.randint(1, 3)))
    at = now + timedelta(days=chosen.choice([0, 2, 30]))
    request = Request(chosen.choice(everybody), Origin.API, to, "x" * chosen.choice([10, 200]), at=at)
    return prepare(request, routes=[ROUTE], now=now, max_parts=6, transliterate=True)


def _claim(connection: Connection, node: int, now: datetime, chosen: random.Random) -> tuple[Outcome, ...]:
    (claimed,) = claims.claim_many(connection, [Claim("one", 8, node, now)])
    results = (Result.ACCEPTED, Result.ACCEPTED, Result.PERMANENT, Result.TRANSIENT, Result.THROTTLED)
    return tuple(Outcome(one.id, chosen.choice(results)) for one in claimed)


def main() -> None:
    """Do it, and print the counts."""
    url, node, *everybody = sys.argv[1:]
    store = Store(open_engine(parse_url(url)))
    print("ready", flush=True)
    sys.stdin.read()
    print(*work(store, int(node), [int(account) for account in everybody]).values(), flush=True)
    store.close()


if __name__ == "__main__":
    main()
