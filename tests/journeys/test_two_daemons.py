"""Two daemons on one PostgreSQL: connections, rate and work shared; what one leaves, the other takes over.

The SMS centre, which nobody here wrote, counts connections and writes down when each submit_sm came.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, select

from gateway import accounts, presence, verbs
from gateway.draft import Recipient, Request, prepare
from gateway.intake import Taken, submit_many
from gateway.message import Channel, Origin, State
from gateway.routing import Route
from gateway.store import schema
from gateway.store.engine import open_engine, parse_url
from gateway.store.store import Store
from gateway.store.wake import kick
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.node_smpp import NodeSmpp

pytestmark = [
    pytest.mark.peer("node-smpp"),
    pytest.mark.peer("postgresql"),
    pytest.mark.timeout(120),
    pytest.mark.parametrize("database", ["postgresql"], indirect=True),
]

SERVE = Callable[..., DaemonProcess]
ROUTE = Route("operator", frozenset({Channel.SMS}), "smpp")


class Desk:
    """Puts messages on the queue beside the daemons."""

    def __init__(self, url: str) -> None:
        self.store: Store = verbs.open_store(open_engine(parse_url(url)))
        self._sent = 0

    def send(self, count: int) -> None:
        """So many messages, each to a number of its own, with a text of its own."""
        now = datetime.now(UTC)

        def work(connection: Connection) -> None:
            payer = accounts.find(connection, PAYERS[0].split("@")[0]).id
            drafts = []
            for n in range(self._sent, self._sent + count):
                to = (Recipient(Channel.SMS, f"+3247{n:07}"),)
                request = Request(payer, Origin.API, to, f"message {n}")
                drafts.append(prepare(request, routes=[ROUTE], now=now, max_parts=6, transliterate=True))
            for taken in submit_many(connection, drafts, self.store.identifiers):
                assert isinstance(taken, Taken), taken

        self.store.run_now(work)
        self._sent += count
        kick(self.store.engine)

    def slots(self) -> Counter[int]:
        """How many slots each node holds."""
        rows = self.store.read_now(lambda connection: connection.execute(select(schema.slot.c.node)).scalars().all())
        return Counter(rows)

    def nodes(self) -> dict[int, int]:
        """Node numbers by process number."""
        found = self.store.read_now(presence.alive_nodes)
        return {int(name.rpartition(":")[2]): number for number, name in found.items()}


@pytest.fixture
async def desk(database: str, books: Books) -> AsyncIterator[Desk]:
    one = Desk(database)
    yield one
    await one.store.aclose()


async def two(serve: SERVE, route: dict[str, Any]) -> tuple[DaemonProcess, DaemonProcess]:
    first, second = serve([route]), serve([route])
    await first.start()
    await second.start()
    return first, second


def settled(desk: Desk, shares: list[int]) -> Callable[[], bool]:
    return lambda: sorted(desk.slots().values()) == shares


async def test_connections_and_rate_are_shared_and_never_more_than_the_route_has(
    serve: SERVE, centre: NodeSmpp, books: Books, desk: Desk
) -> None:
    rate = 60
    first, second = await two(serve, operator(centre.port, binds=3, rate=float(rate), on_unknown="park"))
    await until(settled(desk, [1, 2]), 10, desk.slots)
    await until(lambda: centre.bound == 3, 10, lambda: centre.bound)
    desk.send(240)
    await until(lambda: books.states()[State.ACCEPTED] == 240, 30, books.states)
    assert centre.most == 3
    at = [one.at / 1e9 for one in centre.got]
    for n, start in enumerate(at):
        within = sum(1 for when in at[n:] if when < start + 1)
        assert within <= rate * 1.1 + 2, f"{within} submits in one second, the route's rate is {rate}"
    assert at[-1] - at[0] < 240 / rate * 1.5
    assert {one.status for one in centre.got} == {0}
    assert len({one.key for one in centre.got}) == len(centre.got) == 240
    assert await second.stop() == 0
    await until(settled(desk, [3]), 10, desk.slots)
    await until(lambda: centre.bound == 3, 10, lambda: centre.bound)
    assert centre.most == 3
    assert await first.stop() == 0
    assert desk.slots() == Counter()


async def test_with_one_connection_the_other_daemon_stands_by_and_says_so(
    serve: SERVE, centre: NodeSmpp, books: Books, desk: Desk
) -> None:
    first, second = await two(serve, operator(centre.port))

    def standing_by() -> bool:
        lines = desk.store.read_now(presence.status)
        return {line.state for line in lines if line.kind == "route"} == {"up", "standby"}

    await until(standing_by, 15, lambda: desk.store.read_now(presence.status))
    (line,) = [line for line in desk.store.read_now(presence.status) if line.state == "standby"]
    assert line.why.startswith("another daemon (")
    assert line.why.endswith(") holds its connections")
    assert centre.most == 1
    holder = {number: pid for pid, number in desk.nodes().items()}[next(iter(desk.slots()))]
    held = first if first.pid == holder else second
    desk.send(5)
    await until(lambda: books.states()[State.ACCEPTED] == 5, 15, books.states)
    assert await held.stop() == 0
    desk.send(5)
    await until(lambda: books.states()[State.ACCEPTED] == 10, 15, books.states)
    assert centre.most == 1


async def test_kill_minus_nine_hands_over_in_under_ten_seconds(
    serve: SERVE, centre: NodeSmpp, books: Books, desk: Desk
) -> None:
    first, second = await two(serve, operator(centre.port, window=10, on_unknown="park", unknown_wait="PT5M"))
    await until(settled(desk, [1]), 10, desk.slots)
    holder = {number: pid for pid, number in desk.nodes().items()}[next(iter(desk.slots()))]
    dying = first if first.pid == holder else second
    await centre.order("hold")
    desk.send(30)
    await centre.wait(10)
    await dying.kill()
    killed = time.monotonic()
    await centre.order("release")
    done = {State.UNKNOWN: 10, State.ACCEPTED: 20}
    await until(lambda: books.states() == done, 20, books.states)
    took = time.monotonic() - killed
    print(f"handed over in {took:.1f} s")
    assert took < 10
    keys = [one.key for one in centre.got]
    assert len(keys) == len(set(keys)) == 30
    assert centre.most == 1
    assert books.faults_of_credit() == []


async def test_a_frozen_daemon_that_wakes_after_its_lease_writes_nothing_late(
    serve: SERVE, centre: NodeSmpp, books: Books, desk: Desk
) -> None:
    route = operator(centre.port, rate=20.0, window=50, on_unknown="park", unknown_wait="PT5M")
    first, second = await two(serve, route)
    await until(settled(desk, [1]), 10, desk.slots)
    holder = {number: pid for pid, number in desk.nodes().items()}[next(iter(desk.slots()))]
    frozen = first if first.pid == holder else second
    # Without answers it can send a window at most, however late we are: there is always something it has not sent.
    await centre.order("hold")
    desk.send(200)
    await centre.wait(10)
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        await centre.order("release")
        before = [one for one in centre.got if one.client == centre.clients[0]]
        assert len(before) <= 50
        await until(lambda: len(centre.clients) == 2, 30)
        await centre.until(lambda: any(one.client == centre.clients[1] for one in centre.got), 30)
    finally:
        woken = time.monotonic_ns()
        os.kill(frozen.pid, signal.SIGCONT)
    await until(lambda: not books.states()[State.QUEUED] + books.states()[State.SUBMITTING], 40, books.states)
    late = [one for one in centre.got if one.client == centre.clients[0] and one.at > woken]
    assert late == []
    assert 10 <= sum(one.client == centre.clients[0] for one in centre.got) <= 50
    keys = [one.key for one in centre.got]
    assert len(keys) == len(set(keys)), "something was written twice"
    assert set(books.states()) <= {State.ACCEPTED, State.UNKNOWN}
    assert books.faults_of_credit() == []
    await until(settled(desk, [1]), 10, desk.slots)
