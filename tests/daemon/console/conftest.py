"""A house with a console on a real socket: store, dispatcher, a stand-in SMS centre, accounts with their tokens."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection

from daemon.assemble import House
from daemon.console.server import Server
from gateway import accounts, credit, tokens
from gateway.tokens import digest_of
from gateway.transports.smpp.centre import Centre
from tests.daemon.console.ways import Held
from tests.daemon.console.wires import Dial, Wire
from tests.peers.houses import house

#: Who has an account: settings and units.
PEOPLE: dict[str, tuple[dict[str, Any], int]] = {
    "ann": ({"region": "BE", "zone": "Europe/Brussels"}, 1_000_000),
    "bob": ({"region": "FR"}, 100),
    "poor": ({}, 1),
    "brief": ({"max_parts": 1, "signature": "Brief"}, 100),
}
MESSAGES = "/api/v1/messages"


@dataclass
class Console:
    """A console that serves, and who may ask it."""

    house: House
    centre: Centre
    base: str
    tokens: dict[str, str]
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Where HTTP is spoken."""
        host, _, port = self.house.bound["http"][0].rpartition(":")
        return host, int(port)

    @property
    def server(self) -> Server:
        """What speaks HTTP."""
        assert self.house.console is not None
        return self.house.console

    def client(self, name: str | None = "ann") -> httpx.AsyncClient:
        """A client with this account's token; None has no token."""
        headers = {"authorization": f"Bearer {self.tokens[name]}"} if name is not None else {}
        one = httpx.AsyncClient(base_url=self.base, headers=headers, timeout=30)
        self.clients.append(one)
        return one

    async def run(self, work: Callable[[Connection], Any]) -> Any:
        """Do something to the store, as the command line would."""
        return await self.house.store.run(work)

    async def settled(self, client: httpx.AsyncClient, message: str, seconds: float = 15) -> dict[str, Any]:
        """The message, once it is with the operator."""
        for _ in range(int(seconds / 0.02)):
            told: dict[str, Any] = (await client.get(f"{MESSAGES}/{message}")).json()
            if told["state"] not in ("queued", "submitting"):
                return told
            await asyncio.sleep(0.02)
        raise AssertionError(f"it is not settled after {seconds} seconds: {told}")


def _people(connection: Connection) -> dict[str, str]:
    now = datetime.now(UTC)
    made = {}
    for name, (settings, units) in PEOPLE.items():
        number = accounts.add(connection, name, now=now, settings=settings)
        credit.buy(connection, number, units, reason="bought", now=now)
        made[name] = tokens.add(connection, name, "test", now=now)
    return made


@asynccontextmanager
async def running(
    folder: Path, template: Path, *, mail: int | None = None, sockets: Any = None, **console: Any
) -> AsyncIterator[Console]:
    """A house below `folder`, on a copy of the store `template`; `console` are further keys of `[console]`.

    E-mails go to the port `mail`; with None there is no route for them.
    """
    store = folder / "tocsin.db"
    shutil.copy(template, store)
    made: dict[str, str] = {}
    async with Centre() as centre:
        operator = {"name": "operator", "channels": ["sms"], "transport": "smpp", "host": "127.0.0.1"}
        post = {"name": "post", "channels": ["email"], "transport": "smtp", "host": "127.0.0.1"}
        config: dict[str, Any] = {
            "store": {"url": f"sqlite:///{store}"},
            "listen": {"max_size": 4 * 1024 * 1024},
            "console": {"listen": "127.0.0.1:0", **console},
            "route": [
                {**operator, "port": centre.port, "sender": "32475000000", "not_prefixes": ["+1"]},
                *([{**post, "port": mail, "sender": "tocsin@example.org"}] if mail else []),
            ],
        }
        async with house(
            folder / "tocsin.toml", config, sockets=sockets, opened=lambda opened: made.update(opened.run_now(_people))
        ) as one:
            found = Console(one, centre, f"http://{one.bound['http'][0]}".replace("http://unix:", "http://"), made)
            try:
                yield found
            finally:
                for client in found.clients:
                    await client.aclose()


@pytest.fixture(scope="session")
def template(_migrated_file: Path) -> Path:
    """A store that is empty and at head, to be copied."""
    return _migrated_file


@pytest.fixture
async def console(tmp_path: Path, template: Path) -> AsyncIterator[Console]:
    """A console that serves."""
    async with running(tmp_path, template) as one:
        yield one


@pytest.fixture
async def ann(console: Console) -> httpx.AsyncClient:
    """A client with ann's token."""
    return console.client()


@pytest.fixture
async def dial(console: Console) -> AsyncIterator[Dial]:
    """Opens connections; all are closed at the test's end."""
    made: list[Wire] = []

    async def opened() -> Wire:
        made.append(Wire(*await asyncio.open_connection(*console.address)))
        return made[-1]

    yield opened
    for one in made:
        one.writer.transport.abort()
        with contextlib.suppress(OSError):
            await one.writer.wait_closed()


@pytest.fixture
async def wire(dial: Dial) -> Wire:
    """One connection."""
    return await dial()


@pytest.fixture
async def short(console: Console, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each whole request went the short way, on connections made from now on.

    Every token is remembered, for as long as the test takes.
    """
    monkeypatch.setattr("daemon.console.bearers._GOOD", 600.0)
    server = console.server
    for token in console.tokens.values():
        await server.config.app._taker._api.bearers.find(digest_of(token.encode()))  # type: ignore[union-attr]
    begin, gone = server.begin, []
    assert begin is not None

    def noted(*told: Any) -> bool:
        gone.append(begin(*told))
        return gone[-1]

    server.begin = noted
    return gone


@pytest.fixture
def held(console: Console) -> Iterator[Held]:
    """What the store says to messages is held back."""
    one = Held(console)
    yield one
    one.stop()


@contextmanager
def failing(console: Console, way: str, error: Exception) -> Iterator[None]:
    """Meanwhile the store's `way` (do, read, run) fails like this."""
    store = console.house.store
    before = getattr(store, way)

    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    setattr(store, way, fail)
    try:
        yield
    finally:
        setattr(store, way, before)


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer that is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "server" not in answer.headers
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["detail"]
    assert found["title"]
    assert "Traceback" not in answer.text
    return found
