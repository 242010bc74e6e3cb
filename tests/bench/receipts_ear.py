"""Whom Kannel tells of receipts (dlr-url): answers every request by 200, as cheaply as Python can, and counts them.

Prints its port; then, for each line on its standard input, how many there were so far.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"


class Ear(asyncio.Protocol):
    """One connection; requests have no body."""

    heard = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        got = self._tail + data
        count = got.count(b"\r\n\r\n")
        self._tail = got[-3:] if not got.endswith(b"\r\n\r\n") else b""
        if count:
            Ear.heard += count
            self._transport.write(_ANSWER * count)


async def main() -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Ear, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while await asked.readline():
        print(Ear.heard, flush=True)


if __name__ == "__main__":
    uvloop.run(main())
