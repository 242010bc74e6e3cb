"""The whole daemon on a link, watched: its books, what `status` said, and how much ever piled up in it."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from daemon import config
from daemon.assemble import House, transport_of
from gateway import accounts, verbs
from gateway.claims import MOST
from gateway.draft import Recipient, Request, prepare
from gateway.message import Channel, Origin, State
from gateway.routing import Route
from gateway.store.store import Store
from gateway.transports.base import Hub, Outcome, Transport
from gateway.transports.smpp.backoff import Patience
from gateway.transports.smpp.client import SmppTransport
from tests.peers.daemon_process import operator, toml
from tests.peers.ledgers import PAYERS, Books, add_payers
from tests.peers.presence import require

COUNT = 200
END = {State.ACCEPTED, State.DELIVERED, State.UNKNOWN}

#: What is in memory only while something is under way.
LEFT = ("outcomes", "claimed", "waiting", "variants", "sent", "unwritten", "arriving", "pdus", "buffered")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        require(mark.args[0])


class Scale:
    """Weighs everything in the daemon that could pile up, again and again, and keeps the most of each."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.most: Counter[str] = Counter()

    async def watch(self) -> None:
        """Now and then until cancelled, and before every outcome."""
        await self._house.ready.wait()
        dispatcher = self._house.dispatcher
        assert dispatcher is not None
        settled = dispatcher.settled

        def weighed(outcome: Outcome) -> None:
            self.weigh()
            settled(outcome)

        dispatcher.settled = weighed  # type: ignore[method-assign]
        while True:
            self.weigh()
            await asyncio.sleep(0.002)

    def weigh(self) -> Counter[str]:
        """What there is now, by its name."""
        now: Counter[str] = Counter()
        dispatcher = self._house.dispatcher
        if dispatcher is not None:
            now["outcomes"] = len(dispatcher.recorder._told)
            now["claimed"] = len(dispatcher._claimed)
            for feeder in dispatcher._feeders.values():
                if isinstance(feeder.transport, SmppTransport):
                    self._weigh_transport(feeder.transport, now)
        for name, count in now.items():
            self.most[name] = max(self.most[name], count)
        return now

    def _weigh_transport(self, transport: SmppTransport, now: Counter[str]) -> None:
        now["waiting"] += len(transport._waiting)
        now["variants"] += len(transport._variants)
        now["numbers"] += len(transport._recent)
        now["writes"] += len(transport._pace._written)
        now["places"] += len(transport._places)
        for place in transport._places:
            link = place.link
            if link is None:
                continue
            now["sent"] += len(link._sent)
            now["late"] += len(link._late)
            now["unwritten"] += len(link._unwritten)
            now["questions"] += len(link._asked)
            now["arriving"] += len(link._inbound._tasks)
            if link._session is not None:
                now["outstanding"] += len(link._session._outstanding) + len(link._session._overdue)
                now["pdus"] += len(link._session._out)
                now["octets"] += len(link._session._deframer._held)
            if link._transport is not None:
                now["buffered"] += link._transport.get_write_buffer_size()


class Daemon:
    """The house, its books, everything its route ever said in `status`, and what ever piled up."""

    def __init__(self, house: House, store: Store, books: Books, window: int) -> None:
        self.house = house
        self.books = books
        self.said: list[tuple[str, str]] = []
        self.scale = Scale(house)
        self._store = store
        self._sent = 0
        self._window = window
        board_set = house.board.set

        def heard(kind: str, name: str, state: str, why: str = "", **more: Any) -> None:
            if kind == "route":
                self.said.append((state, why))
            board_set(kind, name, state, why, **more)

        house.board.set = heard  # type: ignore[method-assign]

    async def send(self, count: int = COUNT) -> None:
        """So many messages, each to a number of its own with a text of its own."""
        now = datetime.now(UTC)

        def payer(connection: Connection) -> int:
            return accounts.find(connection, PAYERS[0].split("@")[0]).id

        account = await self._store.read(payer)
        drafts = []
        for n in range(self._sent, self._sent + count):
            to = (Recipient(Channel.SMS, f"+3247{n:07}"),)
            request = Request(account, Origin.API, to, f"message {n}")
            routes = self.house.routes()
            drafts.append(prepare(request, routes=routes, now=now, max_parts=6, transliterate=True))
        for first in range(0, count, 50):
            await asyncio.gather(*(self._store.do(verbs.SUBMIT, draft) for draft in drafts[first : first + 50]))
            self.house._work(None)
        self._sent += count

    async def rests(self, seconds: float = 30) -> Counter[str]:
        """Returns the states of all segments once nothing waits and nothing is in flight."""
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(self.books.is_quiet):  # noqa: ASYNC110 - rows give no signal
                await asyncio.sleep(0.05)
        # The rows are quiet a moment before the last answer has gone out: what is left in memory goes with it.
        await self.until(lambda: not any(count for name, count in self.scale.weigh().items() if name in LEFT))
        return self.books.states()

    async def until(self, come: Callable[[], bool], seconds: float = 20) -> None:
        """Returns once this is so."""
        async with asyncio.timeout(seconds):
            while not come():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def until_states(self, wanted: dict[str, int], seconds: float = 30) -> None:
        """Returns once the segments are in these states."""
        async with asyncio.timeout(seconds):
            while await asyncio.to_thread(self.books.states) != wanted:  # noqa: ASYNC110 - rows give no signal
                await asyncio.sleep(0.05)

    def check(self, taken: Iterable[str], *, unknown: int = 0) -> None:
        """Nothing lost, nothing twice, the credit exact, nothing piled up; `taken` is what the centre took."""
        counted = Counter(taken)
        segments = self.books.segments()
        assert len(segments) == self._sent
        assert {one.state for one in segments} <= END
        states = Counter(one.state for one in segments)
        assert states[State.UNKNOWN] <= unknown, states
        assert [text for text, times in counted.items() if times > 1] == []
        paid = {one.text for one in segments if one.state != State.UNKNOWN}
        assert paid <= counted.keys()
        assert self.books.faults_of_credit() == []
        self.check_size()

    def check_size(self) -> None:
        """Nothing was ever greater than the window allows, and nothing is left."""
        left = self.scale.weigh()
        for name in LEFT:
            assert left[name] == 0, (name, left)
        routes, most = len(self.house.routes()), self.scale.most
        window = self._window * routes
        # A window in flight, and what is claimed anew meanwhile; answers gather until a set of them is full.
        bounds = {"claimed": 2 * window, "outcomes": MOST + window, "octets": 64 * 1024, "buffered": 64 * 1024}
        bounds |= {"numbers": 2 * routes, "places": 2 * routes, "questions": routes}
        bounds |= {"arriving": 500, "pdus": 1000, "writes": 2000}
        for name, count in most.items():
            assert count <= bounds.get(name, window), (name, most)

    def told(self, words: str, *states: str) -> None:
        """`status` gave this as the reason at some time, in one sentence."""
        found = [(state, why) for state, why in self.said if words in why]
        assert found, f"{words!r} is nowhere in {sorted(set(self.said))}"
        assert not states or {state for state, _ in found} & set(states), found
        assert all("\n" not in why and len(why) < 250 for _, why in found)

    def is_well(self) -> None:
        """The link is up again, and says so."""
        report = self.house.board.get("route", "operator")
        assert report is not None
        assert report.state in ("up", "throttled"), report


Start = Callable[..., Awaitable[Daemon]]


@pytest.fixture
async def daemon(database: str, open_store: Callable[..., Store], tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the daemon on a route to this port; `settings` are those of the route, `tls` what it trusts.

    With `others`, more routes: what differs in each from the first, its name and port at least.
    """
    add_payers(database)
    books = Books(database)
    running: list[tuple[House, asyncio.Task[None], asyncio.Task[None]]] = []

    async def start(
        port: int, trust: ssl.SSLContext | None = None, others: Iterable[dict[str, Any]] = (), **settings: Any
    ) -> Daemon:
        def make(route: Route, hub: Hub) -> Transport:
            if route.transport != "smpp":
                return transport_of(route, hub)
            return SmppTransport(route, hub, patience=Patience(first=0.05, longest=0.3, proof=0.5), tls=trust)

        path = tmp_path / "tocsin.toml"
        route = operator(port, on_unknown="park", unknown_wait="PT1S", **settings)
        path.write_text(toml({"store": {"url": database}, "route": [route, *({**route, **more} for more in others)]}))
        store = open_store()
        house = House(config.load(path), store, make=make)
        one = Daemon(house, store, books, int(settings.get("window", 10)))
        running.append((house, asyncio.create_task(house.run()), asyncio.create_task(one.scale.watch())))
        await house.ready.wait()
        return one

    yield start
    for house, task, watching in running:
        house.stop()
        await asyncio.wait_for(task, 30)
        watching.cancel()
