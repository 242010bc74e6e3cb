"""Perl's Net::SMPP as an SMS centre, in a process of its own (`net_smpp.pl`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

_SCRIPT = Path(__file__).with_name("net_smpp.pl")


@contextlib.asynccontextmanager
async def perl(mode: str) -> AsyncIterator[tuple[int, list[list[str]]]]:
    """Net::SMPP as a centre that behaves so: its port, and what it got, line by line: number, text, answer."""
    process = await asyncio.create_subprocess_exec("perl", _SCRIPT, mode, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 20))
    got: list[list[str]] = []

    async def read() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            got.append(line.decode().rstrip("\n").split("\t"))

    reading = asyncio.create_task(read())
    try:
        yield port, got
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading
