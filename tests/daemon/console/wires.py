"""Connections to a console on which anything may be written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.console.operations import MESSAGES

if TYPE_CHECKING:
    from tests.daemon.console.conftest import Console


class Wire:
    """A connection on which anything may be written."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: its status, header fields and body."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            body = await self.reader.readexactly(int(fields.get("content-length", "0")))
            return int(lines[0].split()[1]), fields, body

    async def ended(self) -> bytes:
        """What comes until the other end hangs up."""
        async with asyncio.timeout(20):
            return await self.reader.read()


Dial = Callable[[], Awaitable[Wire]]


def limit(console: Console, **limits: float) -> None:
    """Other bounds, from now on."""
    assert console.house.console is not None
    console.house.console.limits = replace(console.house.console.limits, **limits)  # type: ignore[arg-type]


def post(console: Console, body: bytes, *, length: int | None = None, more: str = "") -> bytes:
    """A request as it goes over the wire."""
    head = (
        f"POST {MESSAGES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {console.tokens['ann']}\r\n"
        f"Content-Type: application/json\r\n{more}"
    )
    if "chunked" not in more:
        head += f"Content-Length: {len(body) if length is None else length}\r\n"
    return head.encode() + b"\r\n" + body
