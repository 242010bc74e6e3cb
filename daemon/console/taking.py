"""`POST /api/v1/messages`, the hot path: from a request's octets to a committed message. It knows only ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from pydantic import TypeAdapter, ValidationError

from daemon.console import sending
from daemon.console.api import AGAIN, Api, away, link
from daemon.console.heads import MEDIA_TYPE, Head
from daemon.console.models import MessageWanted
from daemon.console.problems import ProblemError
from daemon.console.sending import Asked
from gateway import compose, intake, optouts, outline, verbs
from gateway.accounts import Account
from gateway.credit import NotEnoughError
from gateway.draft import Draft, Recipient
from gateway.failure import RefusedError
from gateway.message import Channel
from gateway.routing import Route
from gateway.store.errors import StoreError, StoreLostError

Receive = Callable[[], Awaitable[Any]]
#: A message that was taken: its id, and the document that tells of it.
Told = tuple[int, bytes]
#: Bodies above this size are read a few at once, and their messages made in a thread, fewer at once.
_LARGE, _READ, _MADE = 64 * 1024, 4, 2
_LONGEST_KEY = 255
_read = TypeAdapter(MessageWanted).validator.validate_json


class Taker:
    """Takes messages in."""

    def __init__(self, api: Api, routes: Callable[[], Sequence[Route]], taken: Callable[[Sequence[str]], None]) -> None:
        """`routes` are those in force; `taken` is told, after the commit, which of them have work."""
        self._api = api
        self._routes = routes
        self._taken = taken
        self._reading = asyncio.Semaphore(_READ)
        self._making = asyncio.Semaphore(_MADE)

    async def submit(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> Told:
        """Take a message; returns what is answered, after its commit."""
        head = Head.of(headers)
        account = await self._api.account(head.authorization)
        most = self._api.config().listen.max_size
        _check(head, most)
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body") and len(body) <= _LARGE:
            return await self._take(self._asked(body, account, head.key), large=False)
        async with self._reading:
            body = await _rest(message, receive, most)
            async with self._making:
                return await self._take(self._asked(body, account, head.key), large=True)

    def begin(self, bearer: bytes, body: bytes) -> tuple[asyncio.Future[intake.Taken], Draft] | None:
        """Take a message that needs nothing of the store but to be stored: its future, for `answer` or `refusal`.

        `bearer` is what `Head.bearer` says of whoever asks. None, and nothing done, where anything else is to be asked,
        or something is wrong: `submit` does that, and says what.
        """
        config, bearers = self._api.config(), self._api.bearers
        account = bearers.remembered(bearer) if config.console.rate is None else None
        if account is None or bearers.anybody_opted_out or len(body) > min(_LARGE, config.listen.max_size):
            return None
        try:
            asked = self._asked(body, account, None)
            if not asked.is_plain:
                return None
            draft = sending.plain(asked, self._routes())
            return self._api.store.ask(verbs.SUBMIT, draft), draft
        except Exception:  # a defect too: `submit` meets it again, and it is told of there
            return None

    def answer(self, draft: Draft, taken: intake.Taken) -> Told:
        """What is answered to a message that was just taken, after its commit."""
        self._taken(list(draft.ways))
        return taken.id, document(taken.id, taken.units, taken.deliveries)

    def refusal(self, error: Exception) -> Exception:
        """What is said where the store did not take a message: a `ProblemError`, but for a defect."""
        if isinstance(error, NotEnoughError):
            return ProblemError(402, f"{error}; nothing is charged", needed=error.needed, left=error.left)
        if isinstance(error, RefusedError):
            return ProblemError(error.http, str(error))
        if isinstance(error, StoreLostError):
            why = "whether the message was taken is not known: ask again with the same Idempotency-Key"
            return ProblemError(503, why, retry_after=AGAIN)
        if isinstance(error, StoreError):
            return away("the message was not taken, and nothing is charged: ")
        return error

    def _asked(self, body: bytes, account: Account, key: bytes | None) -> Asked:
        try:
            wanted: MessageWanted = _read(body)
        except ValidationError as error:
            raise _invalid(error) from None
        sending.check(wanted)
        kept = None if key is None else sending.kept_key(key)
        return Asked(wanted, account, kept, self._api.config().listen.region, self._api.now())

    async def _take(self, asked: Asked, *, large: bool) -> Told:
        try:
            draft = await self._draft(asked, large=large)
        except ProblemError as problem:
            known = await self._known(asked) if problem.status == 422 and asked.key is not None else None
            if known is None:
                raise
            return await self._standing(known, None)
        taken = await self._submit(draft)
        if taken.seen:
            return await self._standing(taken.id, draft)
        return self.answer(draft, taken)

    async def _draft(self, asked: Asked, *, large: bool) -> Draft:
        routes = self._routes()
        if not asked.is_plain:
            return await self._api.read(partial(sending.composed, asked=asked, routes=routes))
        draft = await asyncio.to_thread(sending.plain, asked, routes) if large else sending.plain(asked, routes)
        if self._api.bearers.anybody_opted_out:
            addresses = [leg.recipient.address for leg in draft.legs]
            out = await self._api.read(partial(optouts.among, account=asked.account.id, addresses=addresses))
            if out:
                raise sending.opted_out(draft, asked, out)
        return draft

    async def _submit(self, draft: Draft) -> intake.Taken:
        try:
            taken: intake.Taken = await self._api.store.do(verbs.SUBMIT, draft)
        except (RefusedError, StoreError) as error:
            raise self.refusal(error) from None
        return taken

    # The same again ---------------------------------------------------------------------------------------------------

    async def _known(self, asked: Asked) -> int | None:
        """The message a key was used for, though it could not be sent any more; `ProblemError` 409 for another."""
        try:
            said = sending.keyed(asked)
        except ProblemError:
            return None
        try:
            return await self._api.read(partial(compose.repeated, account=asked.account, said=said))
        except RefusedError as error:
            raise ProblemError(error.http, str(error)) from None

    async def _standing(self, message: int, draft: Draft | None) -> Told:
        """What was answered when the message was taken, from its rows; the same request has made the same parts."""
        stands = await self._api.read(partial(outline.standing, message=message, inline=intake.COMPACT))
        legs = draft.legs if draft is not None else ()
        parts = {(leg.recipient.channel.value, leg.recipient.address): draft.parts(leg) for leg in legs if draft}
        deliveries = [
            (number, Recipient(Channel(channel), to), parts.get((channel, to), count))
            for number, channel, to, count in stands.deliveries or ()
        ]
        return message, document(message, stands.units, deliveries)


def document(message: int, units: int, deliveries: Iterable[tuple[int, Recipient, int]]) -> bytes:
    """The JSON that tells of a message (`models.MessageTaken`), as `json.dumps` writes it.

    `deliveries` are the id, the address and the segments of each; a link stands where there is none. Nothing but an
    address can have anything in it that JSON must escape.
    """
    listed = ", ".join(
        [
            f'{{"id": "{number}", "to": {quoted(to.address)}, "channel": "{to.channel}", "segments": {segments}}}'
            for number, to, segments in deliveries
        ]
    )
    told = f"[{listed}]" if listed else quoted(link(str(message)))
    return f'{{"id": "{message}", "units": {units}, "deliveries": {told}}}'.encode()


def _check(head: Head, most: int) -> None:
    """`ProblemError` for what the header fields say already."""
    media_type, key, length = head.media_type, head.key, head.length
    if media_type is not None and media_type.partition(b";")[0].strip().lower() != MEDIA_TYPE:
        why = "the body must be JSON: Content-Type: application/json"
        raise ProblemError(415, why, fields={"accept": "application/json"})
    if key is not None and not (0 < len(key) <= _LONGEST_KEY and key.isascii()):
        raise ProblemError(400, f"Idempotency-Key must be 1 to {_LONGEST_KEY} characters of ASCII")
    if length is not None and (len(length) > 18 or int(length) > most):
        raise _too_large(most)


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
