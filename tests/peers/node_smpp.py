"""The SMS centre nobody here wrote: node-smpp in a process of its own, given orders by lines (`sink.js`)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_SCRIPT = Path(__file__).with_name("sink.js")


@dataclass(frozen=True, slots=True)
class Got:
    """One submit_sm as node-smpp read it; `status` is what it was answered, None where it never was.

    `client` is the number of its connection, `at` when it came, in nanoseconds of the machine's monotonic clock.
    """

    to: str
    text: str
    udh: bytes
    data_coding: int
    status: int | None
    registered_delivery: int
    client: int
    at: int

    @property
    def part(self) -> int:
        """Which part of its message it is (3GPP TS 23.040 section 9.2.3.24.1, 8-bit reference)."""
        return self.udh[4] if self.udh[:1] == b"\x00" else 1

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells it from every other: number, part and text."""
        return self.to, self.part, self.text


class NodeSmpp:
    """`async with NodeSmpp() as centre`: it listens at `centre.port` until the end, whatever happens to its clients.

    `got` has every submit_sm so far, `receipts` counts those of its receipts that were answered.
    """

    def __init__(self, *options: str) -> None:
        self.port = 0
        self.got: list[Got] = []
        self.binds = 0
        self.receipts = 0
        self.clients: list[int] = []  # connections that were ever bound, in order
        self.most = 0  # bound at once
        self._bound: set[int] = set()
        self._options = options
        self._counts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._done: asyncio.Queue[str] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            "node", str(_SCRIPT), *self._options, stdin=pipe, stdout=pipe, limit=64 * 1024 * 1024
        )
        self._reading = asyncio.create_task(self._read())
        await asyncio.wait_for(self._done.get(), 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._reading is not None
        self._process.kill()
        await self._process.wait()
        await self._reading

    @property
    def bound(self) -> int:
        """How many connections are bound now."""
        return len(self._bound)

    # Waiting for it

    async def until(self, come: Callable[[], bool], seconds: float = 30) -> None:
        """Returns once this is true of what it said."""

        async def wait() -> None:
            async with self._changed:
                await self._changed.wait_for(come)

        await asyncio.wait_for(wait(), seconds)

    async def wait(self, count: int, seconds: float = 30) -> None:
        """Returns once it got this many submit_sm in all."""
        await self.until(lambda: len(self.got) >= count, seconds)

    async def counts(self) -> dict[str, Any]:
        """Its own counters; everything it said before is heard by then."""
        self.tell("counts")
        return await asyncio.wait_for(self._counts.get(), 20)

    async def accepted(self) -> Counter[tuple[str, int, str]]:
        """How often it accepted each part of each message, or left it unanswered."""
        await self.counts()
        return Counter(one.key for one in self.got if not one.status)

    # Orders

    async def order(self, do: str, **more: Any) -> None:
        """Give an order; returns when it is done."""
        self.tell(do, **more)
        await asyncio.wait_for(self._done.get(), 20)

    def tell(self, do: str, **more: Any) -> None:
        """Give an order that is not answered."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")

    # What it says

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._hear(json.loads(line))
            async with self._changed:
                self._changed.notify_all()

    def _hear(self, said: dict[str, Any]) -> None:
        match said["event"]:
            case "submit":
                udh = bytes.fromhex(said["udh"])
                wanted = said["registered_delivery"]
                self.got.append(
                    Got(
                        said["to"],
                        said["text"],
                        udh,
                        said["data_coding"],
                        said["status"],
                        wanted,
                        said["client"],
                        said["at"],
                    )
                )
            case "bind":
                self.binds += 1
                self.clients.append(said["client"])
                self._bound.add(said["client"])
                self.most = max(self.most, len(self._bound))
            case "close":
                self._bound.discard(said["client"])
            case "receipt":
                self.receipts += 1
            case "counts":
                self._counts.put_nowait(said)
            case "listening":
                self.port = said["port"]
                self._done.put_nowait("listen")
            case "done":
                self._done.put_nowait(said["of"])
