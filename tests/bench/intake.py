"""What the store costs: intakes a second with 1, 10 and 100 callers at once, and each hot verb by the size of its sets.

    python tests/bench/intake.py [--messages 2000] [--rounds 3] [--only sqlite or postgresql] [--directory D]

Both databases are as durable as in service: every commit is on the disk of `--directory` before anybody is told. The
rounds of all cases are interleaved and the median is shown; quote ratios of one run, not figures of two.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from gateway import accounts, claims, credit, intake, receipts, settlement, verbs
from gateway.claims import Claim
from gateway.draft import Draft, Recipient, Request, prepare
from gateway.message import Channel, Claimed, Origin
from gateway.receipts import Receive
from gateway.routing import Route
from gateway.settlement import Settle
from gateway.store import migrate
from gateway.store.engine import open_engine, parse_url
from gateway.store.store import Store
from gateway.transports.base import Outcome, Receipt, ReceiptState, Result

sys.path.insert(0, str(Path(__file__).parent.parent))
from conftest import Cluster, postgresql_binaries

ROUTE = Route("operator", frozenset({Channel.SMS}), "smpp")
ACCOUNTS = 20
SIZES = (1, 10, 100)
STEPS = ("prepare", "submit", "claim", "settle", "receive")


@dataclass
class Case:
    """One line of a table: its rounds so far."""

    seconds: list[float] = field(default_factory=list)  # a message, of the clock
    cpu: list[float] = field(default_factory=list)  # a message, of this process
    waits: list[float] = field(default_factory=list)  # of single callers

    def add(self, n: int, clock: float, cpu: float) -> None:
        """One round of n messages."""
        self.seconds.append(clock / n)
        self.cpu.append(cpu / n)


class Bench:
    """A store with accounts that can pay, and what is measured on it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._numbers = (f"+32475{n:06}" for n in itertools.cycle(range(1_000_000)))
        self._accounts = itertools.cycle(store.run_now(_people))
        self.cases: dict[tuple[str, int], Case] = {}

    def draft(self) -> Draft:
        """One message of one part to one number."""
        number = next(self._numbers)
        request = Request(
            next(self._accounts),
            Origin.MAIL,
            (Recipient(Channel.SMS, number),),
            "Dinner at eight?",
            key=number.encode(),
        )
        return prepare(request, routes=[ROUTE], now=datetime.now(UTC), max_parts=6, transliterate=True)

    def callers(self, n: int, messages: int) -> None:
        """So many callers at once, each with its next message as soon as the last is taken."""
        case = self.cases.setdefault(("callers", n), Case())
        left = iter(range(messages))

        async def call() -> None:
            for _ in left:
                began = time.perf_counter()
                taken = await self.store.do(verbs.SUBMIT, self.draft())
                case.waits.append(time.perf_counter() - began)
                assert isinstance(taken, intake.Taken)

        async def everybody() -> None:
            await asyncio.gather(*(call() for _ in range(n)))

        _timed(case, messages, lambda: asyncio.run(everybody()))

    def commits(self, messages: int) -> None:
        """The floor: as many commits of one row each."""

        def one(connection: Connection) -> None:
            connection.execute(text("UPDATE counter SET next = next + 1"))

        case = self.cases.setdefault(("commit", 1), Case())
        _timed(case, messages, lambda: [self.store.run_now(one) for _ in range(messages)])

    def verbs(self, size: int, messages: int) -> None:
        """Prepare, submit, claim and settle so many messages, in sets of this size."""
        sets = max(1, messages // size)
        n = sets * size
        drafts: list[list[Draft]] = []
        claimed: list[Sequence[Claimed]] = []

        def submit(some: Sequence[Draft]) -> Callable[[Connection], Any]:
            return lambda connection: intake.submit_many(connection, some, self.store.identifiers)

        def claim(connection: Connection) -> list[Claimed]:
            return claims.claim_many(connection, [Claim(ROUTE.name, size, 1, datetime.now(UTC))])[0]

        def settle(some: Sequence[Claimed]) -> Callable[[Connection], Any]:
            now = datetime.now(UTC)
            outcomes = tuple(Outcome(one.id, Result.ACCEPTED, peer_id=f"{one.id:x}", answered=now) for one in some)
            return lambda connection: settlement.settle_many(connection, [Settle(outcomes, now, {}, 0.5, 1)])

        def receive(some: Sequence[Claimed]) -> Callable[[Connection], Any]:
            now = datetime.now(UTC)
            told = [Receipt(ROUTE.name, f"{one.id:x}", one.to, "", ReceiptState.DELIVERED) for one in some]
            return lambda connection: receipts.receive_many(connection, [Receive(one, now) for one in told])

        steps: dict[str, Callable[[], Any]] = {
            "prepare": lambda: drafts.extend([self.draft() for _ in range(size)] for _ in range(sets)),
            "submit": lambda: [self.store.run_now(submit(some)) for some in drafts],
            "claim": lambda: claimed.extend(self.store.run_now(claim) for _ in range(sets)),
            "settle": lambda: [self.store.run_now(settle(some)) for some in claimed],
            "receive": lambda: [self.store.run_now(receive(some)) for some in claimed],
        }
        for name, step in steps.items():
            _timed(self.cases.setdefault((name, size), Case()), n, step)
        assert sum(map(len, claimed)) == n

    def empty(self) -> None:
        """Claim and settle whatever still waits, so that each round begins alike."""
        while claimed := self.store.run_now(
            lambda connection: claims.claim_many(connection, [Claim(ROUTE.name, 500, 1, datetime.now(UTC))])[0]
        ):
            outcomes = tuple(Outcome(one.id, Result.ACCEPTED) for one in claimed)
            settle = Settle(outcomes, datetime.now(UTC), {}, 0.5, 1)
            self.store.run_now(lambda connection, one=settle: settlement.settle_many(connection, [one]))  # type: ignore[misc]


def _timed(case: Case, n: int, act: Callable[[], Any]) -> None:
    clock, cpu = time.perf_counter(), time.process_time()
    act()
    case.add(n, time.perf_counter() - clock, time.process_time() - cpu)


def _people(connection: Connection) -> list[int]:
    now = datetime.now(UTC)
    made = [accounts.add(connection, f"account-{n}", now=now) for n in range(ACCOUNTS)]
    for account in made:
        credit.buy(connection, account, 100_000_000, reason="for the benchmark", now=now)
    return made


@contextlib.contextmanager
def opened_store(url: str) -> Iterator[Store]:
    engine = open_engine(parse_url(url))
    migrate.migrate(engine)
    store = verbs.open_store(engine)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def _databases(folder: Path, only: str | None, console: Console) -> Iterator[dict[str, Bench]]:
    with contextlib.ExitStack() as stack:
        found = {}
        if only != "postgresql":
            found["SQLite"] = Bench(stack.enter_context(opened_store(f"sqlite:///{folder / 'bench.db'}")))
        binaries = postgresql_binaries()
        if only != "sqlite" and binaries is None:
            console.print("PostgreSQL is not installed, so it is left out: make peers installs it")
        elif only != "sqlite" and binaries is not None:
            folder.chmod(0o755)  # the server runs as another user
            own = folder / "postgresql"
            own.mkdir()
            cluster = Cluster(own, binaries, durable=True)
            stack.callback(cluster.close)
            cluster.start()
            found["PostgreSQL"] = Bench(stack.enter_context(opened_store(cluster.url(cluster.create()))))
        yield found


def _show(benches: dict[str, Bench], console: Console) -> None:
    table = Table("", "callers", "intakes a second", "of bare commits", "CPU ms each", "p50 ms", "p99 ms")
    for name, bench in benches.items():
        floor = statistics.median(bench.cases["commit", 1].seconds)
        for n in SIZES:
            case = bench.cases["callers", n]
            each = statistics.median(case.seconds)
            waits = statistics.quantiles(case.waits, n=100)
            row = [f"{1 / each:,.0f}", f"{floor / each:.2f}", f"{1000 * statistics.median(case.cpu):.3f}"]
            table.add_row(name, str(n), *row, f"{1000 * waits[49]:.2f}", f"{1000 * waits[98]:.2f}")
    console.print(table)
    table = Table("microseconds a message", "in sets of", *STEPS)
    for name, bench in benches.items():
        for size in SIZES:
            cases = [bench.cases[verb, size] for verb in STEPS]
            figures = [
                f"{1e6 * statistics.median(case.seconds):.0f} ({1e6 * statistics.median(case.cpu):.0f} CPU)"
                for case in cases
            ]
            table.add_row(name, str(size), *figures)
    console.print(table)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=2000, help="a round and case")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--directory", type=Path, help="where the databases are kept meanwhile")
    options = parser.parse_args()
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-bench-", dir=options.directory) as folder,
        _databases(Path(folder), options.only, console) as benches,
    ):
        for _ in range(options.rounds):
            for n in SIZES:
                for bench in benches.values():
                    bench.callers(n, options.messages if n > 1 else options.messages // 4)
                    bench.empty()
                    bench.verbs(n, options.messages if n > 1 else options.messages // 4)
            for bench in benches.values():
                bench.commits(options.messages // 4)
        _show(benches, console)


if __name__ == "__main__":
    main()
