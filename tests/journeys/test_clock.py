"""The clock jumps, forward over a period's end and back again, while messages are open: the credit stays exact."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.message import State
from gateway.store import schema
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.houses import house
from tests.peers.ledgers import PAYERS, Books, add_payers
from tests.peers.mail_client import Mail, Senders
from tests.peers.node_smpp import NodeSmpp

pytestmark = pytest.mark.peer("node-smpp")

#: Half a minute before January ends in Brussels.
START = datetime(2026, 1, 31, 22, 59, 30, tzinfo=UTC)
END = datetime(2026, 1, 31, 23, tzinfo=UTC)
MONTHLY, BOUGHT = 6, 4


class Clock:
    """A clock that goes on by itself, and can be set."""

    def __init__(self, start: datetime) -> None:
        self._offset = start - datetime.now(UTC)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def move(self, **by: float) -> None:
        """Forward or back, as `timedelta` takes it."""
        self._offset += timedelta(**by)


class Clerk(Books):
    """Books whose credit is looked through after every step."""

    def exact(self) -> None:
        """Nothing is negative, everything adds up, and each period starts where the one before ended."""
        assert self.faults_of_credit() == []
        row = schema.period.c
        with self.reading() as connection:
            periods = connection.execute(select(schema.period).order_by(row.account_id, row.starts)).all()
        for before, after in pairwise(periods):
            assert before.account_id != after.account_id or before.ends == after.starts
        for one in periods:
            assert min(one.used, one.reserved, one.lapsed) >= 0
            assert one.used + one.reserved + one.lapsed <= one.granted

    def period(self, starts: datetime) -> tuple[int, int, int]:
        """Used, reserved and lapsed units of the first payer's period."""
        row = schema.period.c
        with self.reading() as connection:
            first = connection.execute(select(row.account_id).order_by(row.account_id)).scalar()
            wanted = select(row.used, row.reserved, row.lapsed)
            one = connection.execute(wanted.where(row.account_id == first, row.starts == starts)).one()
        return one.used, one.reserved, one.lapsed


def one_by_one() -> Iterator[Mail]:
    """Mails of one unit each, all by the same payer."""
    chance = random.Random(1)
    for n in range(1, 1000):
        yield Mail(n, PAYERS[0], (f"+32475{n:06d}",), f"mail {n} says {chance.getrandbits(64):016x}")


async def test_a_period_ends_while_messages_are_open_and_the_clock_is_set_back(
    database: str, centre: NodeSmpp, tmp_path: Path
) -> None:
    add_payers(database, monthly=MONTHLY, bought=BOUGHT, zone="Europe/Brussels", now=START - timedelta(hours=1))
    first = START - timedelta(hours=1)
    books, clock, stream = Clerk(database), Clock(START), one_by_one()
    route = operator(centre.port, on_unknown="park", window=2, validity="P1D")
    daemon = DaemonProcess(tmp_path, database, [route])
    senders = Senders(daemon.smtp)

    async def mail(count: int) -> None:
        senders.left += islice(stream, count)
        assert await senders.pour(connections=1)

    async with house(daemon.path, daemon.config, now=clock):
        # Four units of January: two in flight without an answer, two waiting.
        await centre.order("hold")
        await mail(4)
        await centre.wait(2)
        assert books.period(first) == (0, 4, 0)
        books.exact()

        # January ends. What is mailed now draws on February; what January had left has lapsed.
        clock.move(minutes=1)
        await mail(1)
        assert books.period(first) == (0, 4, 2)
        assert books.period(END) == (0, 1, 0)
        books.exact()

        # Three of January are accepted; one is refused, and its unit lapses when it comes back.
        await centre.order("refuse", to="32475000003", status=0x0B)
        await centre.order("release")
        await until(books.is_quiet, why=books.states)
        assert books.states() == {State.ACCEPTED: 4, State.FAILED: 1}
        assert books.period(first) == (3, 0, 3)
        assert books.period(END) == (1, 0, 0)
        books.exact()

        # The clock is set back into January: no period is opened again, and none becomes negative.
        clock.move(hours=-1)
        await mail(2)
        await until(books.is_quiet, why=books.states)
        assert books.period(first) == (3, 0, 3)
        assert books.period(END) == (3, 0, 0)
        books.exact()

        # What waits while its validity runs out is given back; what waits over two months' ends lapses with its month.
        await centre.order("close")
        await mail(3)
        assert books.period(END) == (3, 3, 0)
        clock.move(days=65)
        await until(lambda: books.states()[State.EXPIRED] == 3, why=books.states)
        assert books.period(END) == (3, 0, 3)
        books.exact()
        clock.move(days=-64)
        await centre.order("listen")
        await mail(MONTHLY + 1)
        await until(books.is_quiet, 60, books.states)
        assert books.states()[State.ACCEPTED] == 6 + MONTHLY + 1
        books.exact()

        # And all the rest can be spent, but not one unit more.
        senders.left += islice(stream, BOUGHT)
        assert await senders.pour(connections=1)
        assert [reply[:9] for reply in senders.refused] == ["552 5.2.2"], senders.refused
        await until(books.is_quiet, why=books.states)
        books.exact()
