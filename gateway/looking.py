"""Reads that are shared: whoever asks while a read is on its way waits for the next, which answers all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from sqlalchemy import Connection

from gateway.store.store import Store

T = TypeVar("T")


class Shared(Generic[T]):
    """Answers by key, each from a read that began after it was asked for: never older, and never one read each."""

    def __init__(self, store: Store, read: Callable[[Connection, int], T]) -> None:
        self._store = store
        self._read = read
        self._asked: dict[int, asyncio.Future[T]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def ask(self, key: int) -> T:
        """What the read finds for this key."""
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
            if self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._answer(), name="shared-reads")
        return await asyncio.shield(answer)

    async def _answer(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            keys = sorted(asked)
            try:
                found = await self._store.read(partial(self._read_all, keys))
            except BaseException as error:
                for answer in [*asked.values(), *(() if isinstance(error, Exception) else self._asked.values())]:
                    if isinstance(error, Exception):
                        answer.set_exception(error)
                        answer.exception()  # whoever waits has it too
                    else:
                        answer.cancel()
                if not isinstance(error, Exception):
                    raise
            else:
                for key, one in zip(keys, found, strict=True):
                    asked[key].set_result(one)

    def _read_all(self, keys: Sequence[int], connection: Connection) -> list[T]:
        return [self._read(connection, key) for key in keys]
