"""What an SMS centre does on bad days, and the whole daemon under it: dispatcher, store, link.

For each: nothing lost, nothing twice, the credit exact, nothing piled up, healed without a hand, and a sentence in
`status` that says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from daemon import config
from daemon.assemble import House, transport_of
from gateway import accounts, verbs
from gateway.draft import Recipient, Request, prepare
from gateway.message import Channel, Origin, State
from gateway.routing import Route
from gateway.store.store import Store
from gateway.transports.base import Hub, Transport
from gateway.transports.smpp.backoff import Patience
from gateway.transports.smpp.centre import Centre
from gateway.transports.smpp.client import SmppTransport
from tests.peers.daemon_process import operator, toml
from tests.peers.ledgers import PAYERS, Books, add_payers

COUNT = 200
END = {State.ACCEPTED, State.DELIVERED, State.UNKNOWN}
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class Daemon:
    """The house, its books, and everything its route ever said in `status`."""

    def __init__(self, house: House, store: Store, books: Books) -> None:
        self.house = house
        self.books = books
        self.said: list[tuple[str, str]] = []
        self._store = store
        self._sent = 0
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
        for n in range(self._sent, self._sent + count):
            to = (Recipient(Channel.SMS, f"+3247{n:07}"),)
            request = Request(account, Origin.API, to, f"message {n}")
            draft = prepare(request, routes=self.house.routes(), now=now, max_parts=6, transliterate=True)
            await self._store.do(verbs.SUBMIT, draft)
            if n % 50 == 0:
                self.house._work(None)
        self._sent += count
        self.house._work(None)

    async def rests(self, seconds: float = 30) -> Counter[str]:
        """Returns the states of all segments once nothing waits and nothing is in flight."""
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(self.books.is_quiet):  # noqa: ASYNC110 - rows give no signal
                await asyncio.sleep(0.05)
        return self.books.states()

    def check(self, centre: Centre, *, unknown: int = 0) -> None:
        """Nothing lost, nothing twice, the credit exact, nothing piled up."""
        segments = self.books.segments()
        assert len(segments) == self._sent
        assert {one.state for one in segments} <= END
        states = Counter(one.state for one in segments)
        assert states[State.UNKNOWN] <= unknown, states
        taken = Counter(one.text for one in centre.received if not one.status)
        assert [text for text, times in taken.items() if times > 1] == []
        paid = {one.text for one in segments if one.state != State.UNKNOWN}
        assert paid <= taken.keys()
        assert self.books.faults_of_credit() == []
        dispatcher = self.house.dispatcher
        assert dispatcher is not None
        assert (dispatcher.recorder._told, dispatcher._claimed) == ([], {})

    def told(self, words: str, *states: str) -> None:
        """`status` gave this as the reason at some time."""
        found = [(state, why) for state, why in self.said if words in why]
        assert found, f"{words!r} is nowhere in {sorted(set(self.said))}"
        assert not states or {state for state, _ in found} & set(states), found


Start = Callable[..., Awaitable[Daemon]]


@pytest.fixture
async def daemon(database: str, open_store: Callable[..., Store], tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the daemon on a route to this port; `settings` are those of the route, `tls` what it trusts."""
    add_payers(database)
    books = Books(database)
    running: list[tuple[House, asyncio.Task[None]]] = []

    async def start(port: int, trust: ssl.SSLContext | None = None, **settings: Any) -> Daemon:
        def make(route: Route, hub: Hub) -> Transport:
            if route.transport != "smpp":
                return transport_of(route, hub)
            return SmppTransport(route, hub, patience=Patience(first=0.05, longest=0.3, proof=0.5), tls=trust)

        path = tmp_path / "tocsin.toml"
        route = operator(port, on_unknown="park", unknown_wait="PT1S", **settings)
        path.write_text(toml({"store": {"url": database}, "route": [route]}))
        store = open_store()
        house = House(config.load(path), store, make=make)
        one = Daemon(house, store, books)
        running.append((house, asyncio.create_task(house.run())))
        await house.ready.wait()
        return one

    yield start
    for house, task in running:
        house.stop()
        await asyncio.wait_for(task, 30)
    books.engine.dispose()


async def test_it_throttles_a_third(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        for n in range(40):
            centre.answer_with(0x58 if n % 10 < 3 else 0)
        one = await daemon(centre.port, window=20)
        await one.send(40)
        assert await one.rests() == {State.ACCEPTED: 40}
        one.check(centre)
        one.told("the SMS centre asked to be slower (0x00000058 RTHROTTLED)", "throttled")
        # What throttling left of the rate is shown, and its level is kept for the next messages.
        async with asyncio.timeout(10):
            while not (report := one.house.board.get("route", "operator")) or not report.rate:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert report.rate.endswith("/s")


async def test_it_answers_five_seconds_late(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        centre.delay = 5.0
        one = await daemon(centre.port, window=100)
        await one.send(100)
        assert await one.rests() == {State.ACCEPTED: 100}
        one.check(centre)


async def test_it_answers_out_of_order(daemon: Start) -> None:
    async with Centre() as centre:
        centre.reverse(10)
        one = await daemon(centre.port, window=10)
        await one.send(10)
        await one.rests()
        one.check(centre)


async def test_it_drops_the_link_every_hundred_messages(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        for _ in range(3):
            centre.drop_after(100)
            await one.send(110)
            await one.rests()
        one.check(centre, unknown=30)
        one.told("the SMS centre closed the connection", "down")


async def test_the_network_dies_without_a_word(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10, enquire_link=0.3, response_timeout=0.5)
        await one.send(20)
        await one.rests()
        centre.read(False)  # half open: nothing is read any more, nothing is closed
        await one.send(20)
        await one.rests()
        one.check(centre, unknown=10)
        # Whichever is noticed first: the answers that do not come, or that of enquire_link.
        assert {why.split(";")[0] for state, why in one.said if state == "down"} & {
            "the SMS centre left a submit_sm without an answer for 0.5 s",
            "the peer is dead: enquire_link had no answer for 0.5 seconds",
        }


async def test_it_sends_garbage_and_absurd_lengths(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        for rubbish in (b"\xff" * 64, b"\x00\x00\x00\x05hello", b"\x7f\xff\xff\xff" + bytes(12), bytes(16)):
            await centre.bound()
            centre.send(rubbish)
            await one.send(20)
            await one.rests()
        one.check(centre, unknown=40)
        one.told("does not speak SMPP, or lost its place", "down")


async def test_it_splits_its_bytes_and_sends_what_nobody_asked_for(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        await centre.bound()
        question = bytes.fromhex("00000010 00000015 00000000 00000001")  # enquire_link
        answer = bytes.fromhex("00000011 80000004 00000000 7ffffff0 00")
        for octet in question + answer:
            centre.send(bytes((octet,)))
            await asyncio.sleep(0)
        await one.send(20)
        assert await one.rests() == {State.ACCEPTED: 20}
        one.check(centre)
        assert len(centre.binds) == 1


async def test_it_unbinds_at_will(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        for _ in range(3):
            await centre.bound()
            await one.send(30)
            centre.unbind()
            await one.rests()
        await one.rests()
        one.check(centre, unknown=30)
        one.told("the SMS centre unbound us", "down")


@pytest.mark.parametrize("bind", ["transceiver", "pair"])
async def test_receipts_come_before_the_answers_and_on_the_other_connection(daemon: Start, bind: str) -> None:
    async with Centre() as centre:
        centre.receipts_first = True
        one = await daemon(centre.port, window=10, bind=bind)
        await centre.bound(2 if bind == "pair" else 1)
        await one.send(50)
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(one.books.states)) != {State.DELIVERED: 50}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        one.check(centre)


async def test_it_answers_by_generic_nack(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        one = await daemon(centre.port, window=10)
        await centre.bound()
        centre.stay_silent(1)
        await one.send(1)
        await centre.taken(1)
        centre.send(bytes.fromhex("00000010 80000000 00000008 00000002"))  # RSYSERR, for the first submit_sm
        states = await one.rests(40)
        assert states == {State.ACCEPTED: 1}
        assert [taken.status for taken in centre.received] == [None, 0]
        assert one.books.faults_of_credit() == []


async def test_it_never_answers(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        centre.stay_silent()
        one = await daemon(centre.port, window=10, response_timeout=0.4)
        await one.send(30)
        states = await one.rests()
        assert states == {State.UNKNOWN: 30}
        one.check(centre, unknown=30)
        one.told("left a submit_sm without an answer for 0.4 s", "down")
        centre.speak()
        await one.send(10)
        assert (await one.rests())[State.ACCEPTED] == 10
        one.check(centre, unknown=30)


async def test_it_accepts_connections_and_closes_them_at_once(daemon: Start) -> None:
    async with Centre(receipts=False) as centre:
        centre.slams = True
        one = await daemon(centre.port, window=10)
        await one.send(20)
        async with asyncio.timeout(10):
            while centre.most < 1 or len(one.said) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert one.books.states() == {State.QUEUED: 20}
        one.told("; trying again in", "down")
        centre.slams = False
        assert await one.rests() == {State.ACCEPTED: 20}
        one.check(centre)


async def test_its_certificate_has_another_name(daemon: Start, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make_certificate(key, certificate, "DNS:other.example.org")
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    async with Centre(receipts=False, tls=served) as centre:
        one = await daemon(centre.port, ssl.create_default_context(cafile=certificate), tls=True)
        await one.send(5)
        async with asyncio.timeout(10):
            while not any("cannot be trusted" in why for _, why in one.said):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        one.told("the certificate of 127.0.0.1", "down")
        assert one.books.states() == {State.QUEUED: 5}
        assert centre.total == 0


def make_certificate(key: Path, certificate: Path, name: str) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=smsc.test"]
    command += ["-addext", f"subjectAltName={name}", "-keyout", str(key), "-out", str(certificate)]
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(command, check=True, capture_output=True)
        return
    from tests.peers.presence import absent

    absent("openssl")
