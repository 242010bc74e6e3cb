"""Who asks the HTTP API, and what became of his messages: plain documents. What he sends is taken in `taking`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from daemon.config import Configuration
from daemon.console.bearers import Bearers
from daemon.console.problems import ProblemError
from daemon.console.rates import Rates
from gateway import credit, instants, intake, story, tokens
from gateway.accounts import Account
from gateway.failure import RefusedError
from gateway.message import State
from gateway.store.errors import StoreError
from gateway.store.store import Store, Work

T = TypeVar("T")

#: The most recipients of one page of messages: what is written as JSON keeps everybody else waiting meanwhile.
_PAGE_RECIPIENTS = 2000
#: Seconds after which whoever found the store away is to ask again.
AGAIN = 5.0


class Api:
    """What the accounts may ask of the daemon."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Configuration],
        *,
        now: Callable[[], datetime],
    ) -> None:
        """`config` is the one in force."""
        self.store = store
        self.now = now
        self.config = config
        self.bearers = Bearers(store)
        self._rates = Rates()

    # Who asks ---------------------------------------------------------------------------------------------------------

    async def account(self, authorization: bytes | None) -> Account:
        """The account a request speaks for. `ProblemError`: 401, 429, or 503 where nobody can tell."""
        if authorization is None:
            why = "this needs a bearer token: Authorization: Bearer TOKEN (tocsin token add ACCOUNT makes one)"
            raise ProblemError(401, why, fields={"www-authenticate": 'Bearer realm="tocsin"'})
        secret, account = tokens.secret_of(authorization), None
        if secret is not None:
            digest = tokens.digest_of(secret)
            account = self.bearers.remembered(digest)
            if account is None and tokens.looks_like_one(secret):
                account = await self._find(digest)
        if account is None:
            fields = {"www-authenticate": 'Bearer realm="tocsin", error="invalid_token"'}
            raise ProblemError(401, "this bearer token is not known, or was revoked", fields=fields)
        rate = self.config().console.rate
        if rate is not None and (wait := self._rates.wait(account.id, rate, time.monotonic())):
            raise ProblemError(429, f"more than {rate:g} requests a second: wait a moment", retry_after=wait)
        return account

    async def _find(self, digest: bytes) -> Account | None:
        try:
            return await self.bearers.find(digest)
        except StoreError:
            raise away() from None

    # Asking -----------------------------------------------------------------------------------------------------------

    async def message(self, account: Account, message: str) -> dict[str, Any]:
        """One message and what became of it."""
        work = partial(story.show, message=_number(message), account=account.id, inline=intake.COMPACT)
        return _linked(await self._found(work, message))

    async def deliveries(self, account: Account, message: str, cursor: str | None, limit: int) -> dict[str, Any]:
        """A page of a message's recipients."""
        after = _cursor(cursor) or 0
        work = partial(story.deliveries, message=_number(message), account=account.id, after=after, limit=limit)
        page: story.Page = await self._found(work, message)
        return {"deliveries": page.documents, "cursor": None if page.before is None else str(page.before)}

    async def messages(
        self, account: Account, state: str | None, since: str | None, cursor: str | None, limit: int
    ) -> dict[str, Any]:
        """A page of the account's messages, newest first."""
        if state is not None and state not in list(State):
            raise _bad_query("state", f"{state!r} is no state: choose one of {', '.join(State)}")
        try:
            moment = None if since is None else instants.read(since, account.zone)
        except (RefusedError, OverflowError) as error:
            raise _bad_query("since", str(error)) from None
        wanted = story.Wanted(account.id, None if state is None else State(state), moment)
        work = partial(
            story.page,
            wanted=wanted,
            before=_cursor(cursor),
            limit=limit,
            inline=intake.COMPACT,
            recipients=_PAGE_RECIPIENTS,
        )
        page = await self.read(work)
        documents = [_linked(dict(one)) for one in page.documents]
        return {"messages": documents, "cursor": None if page.before is None else str(page.before)}

    async def credit(self, account: Account) -> dict[str, Any]:
        """What the account has left; a period that has begun meanwhile is granted by asking."""
        now = self.now()
        try:
            found = await self.store.run(lambda connection: credit.show(connection, account.id, now))
        except StoreError:
            raise away() from None
        except KeyError:
            raise ProblemError(404, "this account does not exist any more") from None
        ends = found["allotment"]["ends"]
        return {**found, "allotment": {**found["allotment"], "ends": instants.write_or_none(ends)}}

    async def read(self, work: Work[T]) -> T:
        """What a work reads; `ProblemError` 503 where the store is away."""
        try:
            return await self.store.read(work)
        except StoreError:
            raise away() from None

    async def _found(self, work: Work[T], message: str) -> T:
        try:
            return await self.read(work)
        except RefusedError:
            raise _unknown(message) from None


def _linked(document: dict[str, Any]) -> dict[str, Any]:
    """The same, with a link in place of more deliveries than are shown at once."""
    if document["recipients"] > intake.COMPACT:
        document["deliveries"] = link(document["id"])
    return document


def _number(message: str) -> int:
    if not (message.isascii() and message.isdecimal() and len(message) <= 18):
        raise _unknown(message)
    return int(message)


def _unknown(message: str) -> ProblemError:
    return ProblemError(404, f"this account has no message {message[:40]}")


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise _bad_query("cursor", "this is no cursor: take it from the page before")
    return int(text)


def _bad_query(name: str, why: str) -> ProblemError:
    return ProblemError(422, why, errors=[{"path": f"query.{name}", "detail": why}])


def away(beginning: str = "") -> ProblemError:
    return ProblemError(503, f"{beginning}the store cannot be used now, try again in a moment", retry_after=AGAIN)


def link(message: str) -> str:
    """Where the recipients of a large message are read."""
    return f"/api/v1/messages/{message}/deliveries"
