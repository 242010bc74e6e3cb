"""The SMS centre nobody here wrote: node-smpp in a process of its own, given orders by lines (`sink.js`)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_SCRIPT = Path(__file__).with_name("sink.js")


@dataclass(frozen=True, slots=True)
class Got:
    """One submit_sm as node-smpp read it; `status` is None where it was never answered."""

    to: str
    part: int
    parts: int
    data_coding: int
    text: str
    status: int | None

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells it from every other: number, part and text."""
        return self.to, self.part, self.text


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the SMS centre got, and its counters."""

    got: list[Got]
    binds: int
    receipts: int
    answered: int
    refused: int
    held: int
    owed: int
    faults: list[str]

    def counts(self) -> Counter[tuple[str, int, str]]:
        """How often each part of each message came that was not turned away."""
        return Counter(one.key for one in self.got if not one.status)


class NodeSmpp:
    """`async with NodeSmpp() as centre`: it listens at `centre.port` until the end, whatever happens to its clients."""

    def __init__(self) -> None:
        self.port = 0
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            "node", str(_SCRIPT), stdin=pipe, stdout=pipe, limit=256 * 1024 * 1024
        )
        hello = self._asked[0] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())
        self.port = (await asyncio.wait_for(hello, 20))["port"]
        return self

    async def __aexit__(self, *_: object) -> None:
        process, reading = self._process, self._reading
        assert process is not None
        assert process.stdin is not None
        assert reading is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading
        self._process = None

    async def set(self, **behaviour: Any) -> None:
        """Change how it behaves, see `behaviour` in sink.js."""
        await self._order("set", **behaviour)

    async def wait(self, count: int, seconds: float = 30) -> None:
        """Returns once it got this many submit_sm in all."""
        await asyncio.wait_for(self._order("wait", count=count), seconds)

    async def receipts_answered(self, count: int, seconds: float = 30) -> None:
        """Returns once this many of its receipts were answered."""
        await asyncio.wait_for(self._order("wait_answered", count=count), seconds)

    async def report(self) -> Report:
        """What it got so far."""
        answer = await self._order("report")
        return Report([Got(*one) for one in answer.pop("got")], **answer)

    async def release(self) -> None:
        """Answer what was held."""
        await self._order("release")

    async def drop(self) -> None:
        """Cut every connection."""
        await self._order("drop")

    async def close(self) -> None:
        """Stop listening, cut every connection."""
        await self._order("close")

    async def listen(self) -> None:
        """Listen again, at the same port."""
        await self._order("listen")

    async def deliver(self, **fields: Any) -> None:
        """Send one deliver_sm."""
        await self._order("deliver", **fields)

    async def _order(self, what: str, **fields: Any) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._ids)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": number, "do": what, **fields}).encode() + b"\n")
        return await answer

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            asked = self._asked.pop(answer.pop("id"), None)
            if asked is not None and not asked.done():
                asked.set_result(answer)
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ConnectionError("node-smpp ended"))
                asked.exception()
