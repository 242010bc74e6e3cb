"""What the queue costs when it is long and when much history lies beside it, and how history is pruned meanwhile.

    python tests/bench/depth.py [--queued 1000000] [--history 10000000] [--url URL] [--directory D] [--prune 30]

Two stores are compared: one with 1,000 queued segments on a route that is held, one with `--queued` of them and
`--history` rows of what is over (a fifth of them each: messages, deliveries, segments, attempts, receipts). On both a
live route takes in, claims, settles and gets receipts, in rounds that are interleaved. Then the history is pruned for
`--prune` seconds (0: to its end), while the line goes on, and the line's delays are compared with those before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from intake import ROUTE, Bench, opened_store
from sqlalchemy import Connection

from daemon.board import Board
from daemon.housekeeping import Housekeeper
from filters import durations
from gateway import claims, intake, receipts, settlement, verbs
from gateway.claims import Claim
from gateway.message import Claimed
from gateway.receipts import Receive
from gateway.reports import Office
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.engine import is_sqlite
from gateway.store.store import Store
from gateway.transports.base import Outcome, Receipt, ReceiptState, Result

SIZE, SETS = 20, 25
FIRST = 1_000_000_000  # how far apart ids are: of messages, deliveries and segments that are made here, and the line's


def fill(store: Store, queued: int, messages: int) -> None:
    """Copies of one queued segment on a held route, and of one message that is over, with all that belongs to it."""
    model: int = store.read_now(lambda c: c.exec_driver_sql("SELECT min(id) FROM segment").scalar_one())
    old = int((datetime.now(UTC) - timedelta(days=400)).timestamp() * 1e6)
    over = {"state": "'delivered'", "rank": "NULL", "node": "NULL", "finished": f"{old} + k"}
    over |= {"peer_id": "'p' || k", "peer_key": "'p' || k", "expires": str(old)}
    waiting = {"route": "'held'", "rank": "k", "state": "'queued'", "node": "NULL", "peer_key": "NULL"}
    later = str(int((datetime.now(UTC) + timedelta(days=2)).timestamp() * 1e6))
    of_model = f"segment WHERE segment.id = {model}"
    about = f"(SELECT message_id FROM segment WHERE id = {model})"
    told = {"segment_id": f"{2 * FIRST} + k", "peer_id": "'p' || k", "peer_key": "'p' || k", "at": str(old)}
    for table, source, count, own in (
        ("segment", of_model, queued, {**waiting, "expires": later, **_ids(3 * FIRST)}),
        ("past", of_model, messages, {**over, **_ids(0)}),
        ("message", f"message WHERE message.id = {about}", messages, {"id": "k", "created": f"{old} + k"}),
        (
            "delivery",
            f"delivery WHERE delivery.message_id = {about}",
            messages,
            {"id": f"{FIRST} + k", "message_id": "k"},
        ),
        (
            "attempt",
            f"attempt WHERE attempt.segment_id = {model}",
            messages,
            {"segment_id": f"{2 * FIRST} + k", "n": "1"},
        ),
        ("receipt", f"receipt WHERE receipt.segment_id = {model}", messages, told),
    ):
        store.run_now(partial(_copy, table=table, source=source, count=count, own=own))
    if not is_sqlite(store.engine):  # as autovacuum does; nobody does so for SQLite
        store.run_now(lambda connection: connection.exec_driver_sql("ANALYZE").close())


def _ids(shift: int) -> dict[str, str]:
    return {
        "id": f"{2 * FIRST + shift} + k",
        "delivery_id": f"{FIRST + shift} + k",
        "message_id": f"k + {shift}" if shift else "k",
    }


def _copy(connection: Connection, table: str, source: str, count: int, own: dict[str, str]) -> None:
    if not count:
        return
    columns = [column.name for column in schema.metadata.tables[table].c]
    columns = [name for name in columns if not (table == "receipt" and name == "id")]
    origin = source.split()[0]
    values = [own.get(name, f'model."{name}"') for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    connection.exec_driver_sql(
        f"WITH RECURSIVE series(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM series WHERE k < {count}) "
        f'INSERT INTO "{table}" ({names}) SELECT {", ".join(values)} '
        f"FROM (SELECT {origin}.* FROM {source}) AS model, series"
    )


def prepared(store: Store, queued: int, history: int) -> Bench:
    """A store with a line that works and what lies beside it."""
    bench = Bench(store)
    ahead = (
        f"UPDATE counter SET next = {10 * FIRST}"
        if is_sqlite(store.engine)
        else f"SELECT setval('tocsin_id', {10 * FIRST})"
    )
    store.run_now(lambda connection: connection.exec_driver_sql(ahead).close())  # what is over came before
    line(bench, 1)
    began = time.perf_counter()
    fill(store, queued, history // 5)
    print(f"made {queued:,} queued segments and {history:,} rows of history in {time.perf_counter() - began:.0f} s")
    return bench


def line(bench: Bench, sets: int) -> dict[str, list[tuple[float, float]]]:
    """Messages through all four verbs, in sets of `SIZE`; seconds of the clock and the processor of every set."""
    taken: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, work: Callable[[Connection], Any]) -> Any:
        clock, cpu = time.perf_counter(), time.process_time()
        found = bench.store.run_now(work)
        taken.setdefault(name, []).append((time.perf_counter() - clock, time.process_time() - cpu))
        return found

    for _ in range(sets):
        drafts = [bench.draft() for _ in range(SIZE)]
        submit = partial(intake.submit_many, drafts=drafts, identifiers=bench.store.identifiers)
        timed("submit", submit)
        now = datetime.now(UTC)
        claim = Claim(ROUTE.name, SIZE, 1, now)
        claimed: Sequence[Claimed] = timed("claim", lambda c, claim=claim: claims.claim_many(c, [claim])[0])
        assert len(claimed) == SIZE
        outcomes = tuple(Outcome(one.id, Result.ACCEPTED, peer_id=f"{one.id:x}", answered=now) for one in claimed)
        settle = Settle(outcomes, now, {}, 0.5, 1)
        timed("settle", lambda c, settle=settle: settlement.settle_many(c, [settle]))
        told = [Receive(Receipt(ROUTE.name, f"{one.id:x}", one.to, "", ReceiptState.DELIVERED), now) for one in claimed]
        timed("receive", lambda c, told=told: receipts.receive_many(c, told))
    return taken


def compare(short: Bench, deep: Bench, rounds: int) -> None:
    """The verbs on both stores, interleaved."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {"short": {}, "deep": {}}
    for _ in range(rounds):
        for name, bench in (("short", short), ("deep", deep)):
            for verb, times in line(bench, SETS).items():
                found[name].setdefault(verb, []).extend(times)
    print(f"\nmicroseconds a message in sets of {SIZE}, medians of {rounds * SETS} sets: clock (processor)")
    for verb in found["short"]:
        middle = [
            [statistics.median(one[n] for one in found[name][verb]) / SIZE * 1e6 for n in (0, 1)]
            for name in ("short", "deep")
        ]
        (clock, cpu), (deep_clock, deep_cpu) = middle
        print(
            f"  {verb:8} short {clock:5.0f} ({cpu:4.0f})   deep {deep_clock:5.0f} ({deep_cpu:4.0f})   "
            f"ratio {deep_clock / clock:.2f} ({deep_cpu / cpu:.2f})"
        )


class Line:
    """One message every 10 ms through intake, claim and settlement, and how long each took."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.delays: list[float] = []

    async def run(self, seconds: float) -> list[float]:
        """The delays of so many seconds."""
        self.delays = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            await self._one()
            self.delays.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)
        return self.delays

    async def _one(self) -> None:
        store = self._bench.store
        now = datetime.now(UTC)
        await store.do(verbs.SUBMIT, self._bench.draft())
        claimed = await store.do(verbs.CLAIM, Claim(ROUTE.name, 10, 1, now))
        outcomes = tuple(Outcome(one.id, Result.ACCEPTED, answered=now) for one in claimed)
        await store.do(verbs.SETTLE, Settle(outcomes, now, {}, 0.5, 1))


def _said(delays: Sequence[float]) -> str:
    ordered = sorted(delays)
    worst = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"median {ordered[len(ordered) // 2] * 1e3:.1f} ms, p99 {worst * 1e3:.1f}, worst {ordered[-1] * 1e3:.0f}"


async def prune(bench: Bench, seconds: float) -> None:
    """Erase what is a year old as the daemon does, beside a line that works."""
    store = bench.store
    keeper = Housekeeper(
        store,
        Board(lambda: datetime.now(UTC)),
        1,
        lambda _at: None,
        lambda _routes: None,
        lambda: Office("sms.example.org", [ROUTE]),
        lambda: durations.parse("P1Y"),
        lambda _health: None,
        now=lambda: datetime.now(UTC),
    )

    def left(connection: Connection) -> int:
        count: int = connection.exec_driver_sql("SELECT count(*) FROM past").scalar_one()
        return count

    one = Line(bench)
    print(f"\nthe line alone:            {_said(await one.run(5))}")
    before, began = await store.read(left), time.monotonic()
    erasing = asyncio.create_task(keeper._erase(datetime.now(UTC) - timedelta(days=365)))
    running = asyncio.create_task(one.run(seconds or 1e9))
    await asyncio.wait({running, erasing}, return_when=asyncio.FIRST_COMPLETED)
    took = time.monotonic() - began
    for task in (running, erasing):
        task.cancel()
    await asyncio.gather(running, erasing, return_exceptions=True)
    gone = before - await store.read(left)
    print(f"while history is pruned:   {_said(one.delays)}")
    print(f"pruned {gone:,} messages ({5 * gone:,} rows) in {took:.0f} s: {5 * gone / took:,.0f} rows a second")


@contextlib.contextmanager
def stores(directory: Path | None, url: str) -> Iterator[tuple[Store, Store]]:
    """Two stores: on SQLite, or the one of `url` and another beside it on SQLite."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-", dir=directory)))
        short = stack.enter_context(opened_store(f"sqlite:///{place / 'short.db'}"))
        yield short, stack.enter_context(opened_store(url or f"sqlite:///{place / 'deep.db'}"))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--queued", type=int, default=1_000_000)
    parser.add_argument("--history", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--prune", type=float, default=30.0, help="seconds; 0 for all of it")
    parser.add_argument("--url", default="", help="an empty database for the deep store, instead of SQLite")
    parser.add_argument("--directory", type=Path, help="where the stores are kept meanwhile")
    options = parser.parse_args()
    with stores(options.directory, options.url) as (first, second):
        short, deep = prepared(first, 1000, 0), prepared(second, options.queued, options.history)
        compare(short, deep, options.rounds)
        if options.history:
            asyncio.run(prune(deep, options.prune))


if __name__ == "__main__":
    main()
