"""Whose bearer token is this? Remembered for a moment, so that the hot path need not ask the database.

A token is known by its SHA-256 digest. What was looked up is believed for two seconds, and looked up again behind the
scenes after one, all tokens in use in one statement: a token that was revoked, or an account that was changed, is so
here within two seconds, and so is somebody's first opt-out. That a token is unknown is never remembered: a new one
works at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from functools import partial
from itertools import islice

from sqlalchemy import Connection

from gateway import optouts, tokens
from gateway.accounts import Account
from gateway.store.errors import StoreError
from gateway.store.store import Store

_FRESH, _GOOD = 1.0, 2.0
#: Tokens remembered, the longest unused forgotten first; tokens looked up in one statement.
_MOST, _TOGETHER = 10_000, 500


class _Known:
    __slots__ = ("account", "asked", "used")

    def __init__(self, account: Account, asked: float) -> None:
        self.account = account
        self.asked = asked
        self.used = True


class Bearers:
    """The tokens of the accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._wanted: dict[bytes, asyncio.Future[Account | None]] = {}
        #: Whether anybody had opted out of anything when tokens were last looked up.
        self.anybody_opted_out = False
        self._looking: asyncio.Task[None] | None = None

    def remembered(self, digest: bytes) -> Account | None:
        """The account of a token that was looked up a moment ago; None where it has to be looked up."""
        known = self._known.get(digest)
        if known is None:
            return None
        age = time.monotonic() - known.asked
        if age >= _GOOD:
            return None
        known.used = True
        if age >= _FRESH:
            self._look()
        return known.account

    async def find(self, digest: bytes) -> Account | None:
        """The account of a token, None where it is not good. `StoreError` where nobody can tell."""
        waiting = self._wanted.get(digest)
        if waiting is None:
            waiting = self._wanted[digest] = asyncio.get_running_loop().create_future()
        self._look()
        return await asyncio.shield(waiting)  # one that goes away takes nothing from others who wait for the same

    def _look(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_up(), name="bearer tokens")

    async def _look_up(self) -> None:
        """Look up what is wanted, together with what is in use and not fresh any more, until nothing is wanted."""
        while True:
            now = time.monotonic()
            wanted = dict(islice(self._wanted.items(), _TOGETHER))
            for digest in wanted:
                del self._wanted[digest]
            used = (digest for digest, one in self._known.items() if one.used and now - one.asked >= _FRESH / 2)
            asked = [*wanted, *islice(used, _TOGETHER)]
            try:
                found, self.anybody_opted_out = await self._store.read(partial(_look_up, digests=asked))
            except Exception as error:
                _fail(wanted.values(), error)
                if not isinstance(error, StoreError):
                    raise
            else:
                self._learn(asked, found, now)
                for digest, waiting in wanted.items():
                    waiting.set_result(found.get(digest))
            if not self._wanted:
                return

    def _learn(self, asked: list[bytes], found: dict[bytes, Account], now: float) -> None:
        for digest in asked:
            account = found.get(digest)
            if account is None:
                self._known.pop(digest, None)
                continue
            known = self._known.get(digest)
            if known is None:
                self._known[digest] = _Known(account, now)
            else:
                known.account, known.asked, known.used = account, now, False
                self._known.move_to_end(digest)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)


def _look_up(connection: Connection, digests: Collection[bytes]) -> tuple[dict[bytes, Account], bool]:
    return tokens.accounts_of(connection, digests), optouts.anybody(connection)


def _fail(waiting: Iterable[asyncio.Future[Account | None]], error: Exception) -> None:
    for one in waiting:
        one.set_exception(error)
        one.exception()  # whoever asked may have gone: then nobody is to be told
