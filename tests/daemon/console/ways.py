"""The short way and the usual one side by side: wires without a socket, and answers that can be compared."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from daemon.console.api import link
from daemon.console.operations import MESSAGES
from daemon.console.protocol import Connection, Phase
from daemon.console.server import Server
from daemon.console.swift import SwiftConnection
from gateway import verbs

if TYPE_CHECKING:
    from tests.daemon.console.conftest import Console

#: Field values that no two answers have in common.
_PASSING = re.compile(rb"^(date|x-request-id|location|content-length): [^\r]*", re.MULTILINE)
_IDS = ("id", "request_id")


@dataclass(frozen=True)
class Answer:
    """An answer as it went over the wire."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    @property
    def document(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def fields(self) -> dict[str, str]:
        lines = self.head.decode().split("\r\n")[1:-2]
        found = dict(line.split(": ", 1) for line in lines)
        assert len(found) == len(lines), self.head
        return found

    def alike(self) -> tuple[bytes, Any]:
        """What is the same in every answer to the same request; what is not is looked at by itself."""
        fields, document = self.fields, self.document
        parsedate_to_datetime(fields["date"])
        if self.status == 202:
            assert fields["location"] == f"{MESSAGES}/{document['id']}"
        if "x-request-id" in fields:
            assert re.fullmatch("[0-9a-f]{8}-[0-9]+", fields["x-request-id"])
            assert self.status < 400 or document["request_id"] == fields["x-request-id"]
        return _PASSING.sub(rb"\1", self.head), _without_ids(document)


def _without_ids(document: Any) -> Any:
    if isinstance(document, list):
        return [_without_ids(one) for one in document]
    if not isinstance(document, dict):
        return document
    if isinstance(document.get("deliveries"), str):
        assert document["deliveries"] == link(document["id"])
        document = {**document, "deliveries": link("")}
    return {
        name: None if name in _IDS and isinstance(value, str) else _without_ids(value)
        for name, value in document.items()
    }


def read(octets: bytes) -> tuple[list[Answer], bytes]:
    """The answers that are whole, and what is left over."""
    found = []
    while (end := octets.find(b"\r\n\r\n")) >= 0:
        head = octets[: end + 4]
        length = re.search(rb"^content-length: ([0-9]+)\r$", head, re.MULTILINE)
        size = int(length[1]) if length else 0
        assert length or head.startswith(b"HTTP/1.1 100 ")
        if len(octets) < len(head) + size:
            break
        found.append(Answer(head, octets[len(head) : len(head) + size]))
        octets = octets[len(head) + size :]
    return found, octets


def request(token: str | None, body: Any, *fields: str, line: str = f"POST {MESSAGES} HTTP/1.1") -> bytes:
    """A whole request. A body that is no octets is written as JSON; `fields` replace those of the same name."""
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual = ["Host: x", "Content-Type: application/json", f"Content-Length: {len(octets)}"]
    usual += [f"Authorization: Bearer {token}"] if token is not None else []
    named = {field.partition(":")[0].lower() for field in fields}
    lines = [line, *(field for field in usual if field.partition(":")[0].lower() not in named), *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + octets


class Line(asyncio.Transport):
    """The server's end of a connection, and no socket: what is fed to it comes in exactly these pieces.

    It keeps the contract of transports: nothing comes while reading is paused, and who writes more than is read is told
    to pause. `reads` says whether the peer reads.
    """

    HIGH = 64 * 1024

    def __init__(self, server: Server, kind: Callable[[Server], Connection] = SwiftConnection) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 80)})
        self.loop = asyncio.get_running_loop()
        self.closed = self.reading_paused = self.writing_paused = False
        self.reads = True
        self.unread = 0
        self._written = bytearray()
        self._stirred = asyncio.Event()
        self.connection = kind(server)
        self.connection.connection_made(self)

    # The peer's side --------------------------------------------------------------------------------------------------

    async def feed(self, *pieces: bytes) -> None:
        """Send these pieces, each as soon as the server reads."""
        for piece in pieces:
            await self.until(lambda: self.closed or not self.reading_paused)
            if self.closed:
                return
            self.connection.data_received(piece)

    async def answers(self, count: int) -> list[Answer]:
        """Everything that was answered, once there are so many answers."""
        await self.until(lambda: len(read(bytes(self._written))[0]) >= count)
        found, rest = read(bytes(self._written))
        assert rest == b""
        return found

    async def settled(self) -> None:
        """No request that has come is without its answer."""
        await self.until(lambda: self.closed or self.connection.phase is not Phase.ANSWER)

    async def end(self) -> list[Answer]:
        """Everything that was answered, once the server has hung up."""
        await self.until(lambda: self.closed)
        found, rest = read(bytes(self._written))
        assert rest == b""
        return found

    def read_on(self) -> None:
        """Read what was not read yet, and from now on."""
        self.reads, self.unread = True, 0
        if self.writing_paused:
            self.writing_paused = False
            self.connection.resume_writing()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._stirred.clear()
                await self._stirred.wait()

    # What the server does ---------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, f"written after the end: {bytes(data)!r}"
        self._written += data
        self._stirred.set()
        if not self.reads:
            self.unread += len(data)
            if self.unread > self.HIGH and not self.writing_paused:
                self.writing_paused = True
                self.connection.pause_writing()

    def pause_reading(self) -> None:
        self.reading_paused = True
        self._stirred.set()

    def resume_reading(self) -> None:
        self.reading_paused = False
        self._stirred.set()

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._stirred.set()
            self.loop.call_soon(self.connection.connection_lost, None)

    abort = close


class Held:
    """What the store says to a message is held back until it is let go."""

    def __init__(self, console: Console) -> None:
        self._store = console.house.store
        self._ask = self._store.ask
        self._held: list[tuple[asyncio.Future[Any], asyncio.Future[Any]]] = []
        self._came = asyncio.Semaphore(0)
        self._store.ask = self._hold  # type: ignore[method-assign]

    def _hold(self, verb: str, argument: Any, *, patience: float = 0.0) -> asyncio.Future[Any]:
        done = self._ask(verb, argument, patience=patience)
        if verb != verbs.SUBMIT:
            return done
        later = asyncio.get_running_loop().create_future()
        self._held.append((done, later))
        self._came.release()
        return later

    async def asked(self, times: int = 1) -> None:
        """So many more messages have come to the store, and are in it."""
        async with asyncio.timeout(20):
            for _ in range(times):
                await self._came.acquire()
            await asyncio.gather(*(done for done, _ in self._held), return_exceptions=True)

    def let_go(self, order: Callable[[list[Any]], Iterable[Any]] = iter) -> None:
        """Say what was held back, in this order."""
        held, self._held = self._held, []
        for done, later in order(held):
            done.add_done_callback(partial(_pass_on, later))

    def stop(self) -> None:
        """Hold nothing any more."""
        self._store.ask = self._ask  # type: ignore[method-assign]
        self.let_go()


def _pass_on(later: asyncio.Future[Any], done: asyncio.Future[Any]) -> None:
    error = done.exception()
    if later.done():
        return
    if error is None:
        later.set_result(done.result())
    else:
        later.set_exception(error)
