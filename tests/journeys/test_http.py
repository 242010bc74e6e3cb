"""The HTTP API of the whole daemon: its own process, real connections, an SMS centre nobody here wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from gateway.message import PAID
from tests.peers.daemon_process import DaemonProcess, free_port, operator, until
from tests.peers.ledgers import Books
from tests.peers.node_smpp import NodeSmpp

pytestmark = pytest.mark.peer("node-smpp")

Serve = Callable[..., DaemonProcess]
MESSAGES = "/api/v1/messages"
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def with_console(daemon: DaemonProcess) -> DaemonProcess:
    """The same daemon, with a console on a port of its own."""
    daemon.config["console"] = {"listen": f"127.0.0.1:{free_port()}"}
    return daemon


async def client_of(daemon: DaemonProcess, account: str = "jean") -> httpx.AsyncClient:
    """A client with a token the command line made while the daemon runs."""
    code, secret, said = await daemon.verb("token", "add", account, "--name", "journey")
    assert code == 0, said
    base = f"http://{daemon.config['console']['listen']}"
    return httpx.AsyncClient(base_url=base, headers={"authorization": f"Bearer {secret.strip()}"}, timeout=30)


async def post(client: httpx.AsyncClient, n: int) -> httpx.Response:
    """Message n, under its key."""
    wanted = {"sms": [f"+32475{n:06d}"], "text": f"over HTTP {n}"}
    return await client.post(MESSAGES, json=wanted, headers={"idempotency-key": f"key {n}"})


class Pushing:
    """Sends messages 1, 2, 3 … over several connections until it may not any more; remembers which were taken."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.taken: dict[int, str] = {}
        self.begun = 0
        self.refused: list[int] = []
        self._client = client

    async def push(self) -> None:
        """Send until the daemon is gone."""
        while True:
            self.begun += 1
            n = self.begun
            try:
                answer = await post(self._client, n)
            except httpx.TransportError:
                return
            if answer.status_code == 202:
                self.taken[n] = answer.json()["id"]
            else:
                self.refused.append(answer.status_code)


async def test_what_was_sent_over_http_arrives_is_paid_and_told(serve: Serve, centre: NodeSmpp, books: Books) -> None:
    daemon = with_console(serve([operator(centre.port)]))
    await daemon.start()
    async with await client_of(daemon) as client:
        assert (await client.get("/readyz")).status_code == 200
        before = (await client.get("/api/v1/credit")).json()["left"]
        answers = await asyncio.gather(*(post(client, n // 2) for n in range(100)))
        assert {answer.status_code for answer in answers} == {202}, daemon.said()
        assert len({answer.json()["id"] for answer in answers}) == 50
        await centre.wait(50)
        await until(lambda: sum(books.states()[state] for state in PAID) == 50, why=books.states)
        assert before - (await client.get("/api/v1/credit")).json()["left"] == 50
        assert (await daemon.status())["http"]["state"] == "up"
        assert 'tocsin_messages_accepted_total{origin="api"} 50.0' in (await client.get("/metrics")).text
    assert set((await centre.accepted()).values()) == {1}
    assert books.faults_of_credit() == []


@on_sqlite
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_whatever_ends_it_what_was_taken_is_there_and_sent_once(
    serve: Serve, centre: NodeSmpp, books: Books, how: str
) -> None:
    daemon = with_console(serve([operator(centre.port, on_unknown="park")]))
    await daemon.start()
    async with await client_of(daemon) as client:
        pushing = Pushing(client)
        pushers = [asyncio.create_task(pushing.push()) for _ in range(10)]
        await until(lambda: len(pushing.taken) >= 100)
        if how == "stop":
            assert await daemon.stop() == 0, daemon.said()
        else:
            await daemon.kill()
        await asyncio.gather(*pushers)
        assert set(pushing.refused) <= {503}, daemon.said()
        assert {str(one.message) for one in books.segments()} >= set(pushing.taken.values())
        await daemon.start()
        again = {n: (await post(client, n)).json()["id"] for n in range(1, pushing.begun + 1)}
        assert {n: again[n] for n in pushing.taken} == pushing.taken
        await until(books.is_quiet, why=books.states)
    assert len({one.message for one in books.segments()}) == len(books.segments()) == pushing.begun
    assert max((await centre.accepted()).values()) == 1
    assert books.faults_of_credit() == []
