"""The HTTP API to send: who asks, what is wanted, and what became of it.

`submit` is the hot path, and knows only ASGI; the others are asked through Starlette, and answer plain documents.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from daemon.config import Configuration
from daemon.console.bearers import Bearers
from daemon.console.models import MessageWanted
from daemon.console.problems import ProblemError
from daemon.console.rates import Rates
from daemon.console.sending import draft_of
from gateway import credit, instants, intake, outline, story, tokens, verbs
from gateway.accounts import Account
from gateway.credit import NotEnoughError
from gateway.draft import Draft
from gateway.failure import RefusedError
from gateway.message import State
from gateway.routing import Route
from gateway.store.errors import StoreError, StoreLostError
from gateway.store.store import Store, Work

T = TypeVar("T")

Receive = Callable[[], Awaitable[Any]]
#: Bodies above this size are read, and their messages made, in a thread, and a few at once.
_LARGE, _AT_ONCE = 64 * 1024, 2
#: Seconds after which whoever found the store away is to ask again.
_AGAIN = 5.0
_MEDIA_TYPE = b"application/json"
_LONGEST_KEY = 255


class Api:
    """What the accounts may ask of the daemon."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], Configuration],
        routes: Callable[[], Sequence[Route]],
        taken: Callable[[Sequence[str]], None],
        *,
        now: Callable[[], datetime],
    ) -> None:
        """`config` and `routes` are those in force; `taken` is told, after the commit, which routes have work."""
        self.store = store
        self.now = now
        self._config = config
        self._routes = routes
        self._taken = taken
        self._bearers = Bearers(store)
        self._rates = Rates()
        self._large = asyncio.Semaphore(_AT_ONCE)

    # Who asks ---------------------------------------------------------------------------------------------------------

    async def account(self, authorization: bytes | None) -> Account:
        """The account a request speaks for. `ProblemError`: 401, 429, or 503 where nobody can tell."""
        if authorization is None:
            why = "this needs a bearer token: Authorization: Bearer TOKEN (tocsin token add ACCOUNT makes one)"
            raise ProblemError(401, why, fields={"www-authenticate": 'Bearer realm="tocsin"'})
        scheme, _, secret = authorization.partition(b" ")
        account = None
        if scheme.lower() == b"bearer":
            digest = tokens.digest_of(secret.strip())
            account = self._bearers.remembered(digest)
            if account is None and tokens.looks_like_one(secret.strip()):
                account = await self._find(digest)
        if account is None:
            fields = {"www-authenticate": 'Bearer realm="tocsin", error="invalid_token"'}
            raise ProblemError(401, "this bearer token is not known, or was revoked", fields=fields)
        rate = self._config().console.rate
        if rate is not None and (wait := self._rates.wait(account.id, rate, time.monotonic())):
            raise ProblemError(429, f"more than {rate:g} requests a second: wait a moment", retry_after=wait)
        return account

    async def _find(self, digest: bytes) -> Account | None:
        try:
            return await self._bearers.find(digest)
        except StoreError:
            raise _away() from None

    # Sending ----------------------------------------------------------------------------------------------------------

    async def submit(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> dict[str, Any]:
        """Take a message; returns what is answered, after its commit."""
        authorization = media_type = key = length = None
        for name, value in headers:
            if name == b"authorization":
                authorization = value
            elif name == b"content-type":
                media_type = value
            elif name == b"idempotency-key":
                key = value
            elif name == b"content-length":
                length = value
        account = await self.account(authorization)
        if media_type is not None and media_type.partition(b";")[0].strip().lower() != _MEDIA_TYPE:
            raise ProblemError(
                415, "the body must be JSON: Content-Type: application/json", fields={"accept": "application/json"}
            )
        if key is not None and not (0 < len(key) <= _LONGEST_KEY and key.isascii()):
            raise ProblemError(400, f"Idempotency-Key must be 1 to {_LONGEST_KEY} characters of ASCII")
        most = self._config().listen.max_size
        if length is not None and (len(length) > 18 or int(length) > most):
            raise _too_large(most)
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body") and len(body) <= _LARGE:
            return await self._take(self._draft(body, account, key))
        async with self._large:
            body = await _rest(message, receive, most)
            return await self._take(await asyncio.to_thread(self._draft, body, account, key))

    def _draft(self, body: bytes, account: Account, key: bytes | None) -> Draft:
        try:
            wanted = MessageWanted.model_validate_json(body)
        except ValidationError as error:
            raise _invalid(error) from None
        return draft_of(wanted, account, self._config(), self._routes(), key=key, now=self.now())

    async def _take(self, draft: Draft) -> dict[str, Any]:
        try:
            taken: intake.Taken = await self.store.do(verbs.SUBMIT, draft)
        except NotEnoughError as error:
            raise ProblemError(402, f"{error}; nothing is charged", needed=error.needed, left=error.left) from None
        except RefusedError as error:
            raise ProblemError(error.http, str(error)) from None
        except StoreLostError:
            why = "whether the message was taken is not known: ask again with the same Idempotency-Key"
            raise ProblemError(503, why, retry_after=_AGAIN) from None
        except StoreError:
            raise _away("the message was not taken, and nothing is charged: ") from None
        if taken.seen:
            return await self._standing(taken.id, draft)
        self._taken(list(draft.ways))
        number = str(taken.id)
        return {
            "id": number,
            "units": taken.units,
            "deliveries": [
                {"id": str(delivery), "to": to.address, "channel": to.channel.value, "segments": segments}
                for delivery, to, segments in taken.deliveries
            ]
            or link(number),
        }

    async def _standing(self, message: int, draft: Draft) -> dict[str, Any]:
        """What was answered when the message was taken, from its rows; the same request has made the same parts."""
        stands = await self.read(partial(outline.standing, message=message, inline=intake.COMPACT))
        parts = {(leg.recipient.channel.value, leg.recipient.address): draft.parts(leg) for leg in draft.legs}
        return {
            "id": str(message),
            "units": stands.units,
            "deliveries": link(str(message))
            if stands.deliveries is None
            else [
                {"id": str(number), "to": to, "channel": channel, "segments": parts.get((channel, to), count)}
                for number, channel, to, count in stands.deliveries
            ],
        }

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
        work = partial(story.page, wanted=wanted, before=_cursor(cursor), limit=limit, inline=intake.COMPACT)
        page = await self.read(work)
        documents = [_linked(dict(one)) for one in page.documents]
        return {"messages": documents, "cursor": None if page.before is None else str(page.before)}

    async def credit(self, account: Account) -> dict[str, Any]:
        """What the account has left; a period that has begun meanwhile is granted by asking."""
        now = self.now()
        try:
            found = await self.store.run(lambda connection: credit.show(connection, account.id, now))
        except StoreError:
            raise _away() from None
        except KeyError:
            raise ProblemError(404, "this account does not exist any more") from None
        ends = found["allotment"]["ends"]
        return {**found, "allotment": {**found["allotment"], "ends": instants.write_or_none(ends)}}

    async def read(self, work: Work[T]) -> T:
        """What a work reads; `ProblemError` 503 where the store is away."""
        try:
            return await self.store.read(work)
        except StoreError:
            raise _away() from None

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


def _away(beginning: str = "") -> ProblemError:
    return ProblemError(503, f"{beginning}the store cannot be used now, try again in a moment", retry_after=_AGAIN)


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"the body is above {most} octets: send several messages")


_SENTENCES = {
    "extra_forbidden": "there is no such member",
    "string_type": "write a text",
    "list_type": "write a list",
    "bool_type": "write true or false",
    "model_type": "the body must be an object",
    "string_too_short": "this is empty",
}
#: How many members that are wrong are named.
_NAMED = 100


def _invalid(error: ValidationError) -> ProblemError:
    """What is wrong with a body: 400 where it is no JSON, 422 where it is not what is asked for."""
    errors = []
    for one in error.errors(include_url=False, include_context=True, include_input=False)[:_NAMED]:
        if one["type"] == "json_invalid":
            return ProblemError(400, f"the body is no JSON: {one.get('ctx', {}).get('error', 'it cannot be read')}")
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in one["loc"]).lstrip(".")
        why = _SENTENCES.get(one["type"], one["msg"])
        errors.append({"path": path, "detail": f"{path[:100]}: {why}" if path else why})
    return ProblemError(422, "; ".join(one["detail"] for one in errors[:3]), errors=errors)


def link(message: str) -> str:
    """Where the recipients of a large message are read."""
    return f"/api/v1/messages/{message}/deliveries"


async def _rest(message: Any, receive: Receive, most: int) -> bytes:
    """The whole body, from its first part on."""
    parts = [message.get("body", b"")]
    size = len(parts[0])
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise _too_large(most)
    return b"".join(parts)


class GoneError(Exception):
    """Whoever asked has hung up; there is nobody to answer."""
