"""Between the daemon and PostgreSQL: lets everything through, but cuts connections just when they commit.

A COMMIT is passed on and carried out, its answer is not: whoever asked cannot know whether it happened. Or the
connection goes before the server saw it, and it did not.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Self

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # a simple query (PostgreSQL 15, 55.7 Message Formats)
_SOCKET = ".s.PGSQL.5432"


class CommitCutter:
    """`async with CommitCutter(folder, server, chance)`: PostgreSQL at the unix socket in `folder`.

    `share` of all COMMIT are cut: as many before the server has them as after it has answered.
    """

    def __init__(self, folder: Path, server: Path, chance: random.Random) -> None:
        self.folder = folder
        self.share = 0.0
        self.before = 0
        self.after = 0
        self._server = server
        self._chance = chance
        self._listening: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_unix_server(self._serve, str(self.folder / _SOCKET))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._listening.wait_closed()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        writers = [to_client]
        try:
            server, to_server = await asyncio.open_unix_connection(str(self._server / _SOCKET))
            writers.append(to_server)
            answers = asyncio.create_task(self._pass_on(server, to_client))
            try:
                await self._listen_to(client, to_server, answers)
            finally:
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            for writer in writers:
                writer.transport.abort()

    async def _listen_to(
        self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, answers: asyncio.Task[None]
    ) -> None:
        while octets := await client.read(65536):
            if octets.endswith(_COMMIT) and self._chance.random() < self.share:
                if self._chance.random() < 0.5:
                    self.before += 1
                    return
                answers.cancel()  # what the server says from here on is heard by nobody
                await asyncio.gather(answers, return_exceptions=True)
                self.after += 1
                to_server.write(octets)
                await to_server.drain()
                to_server.write_eof()
                return
            to_server.write(octets)
            await to_server.drain()

    async def _pass_on(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while octets := await server.read(65536):
                to_client.write(octets)
                await to_client.drain()
        to_client.transport.abort()
