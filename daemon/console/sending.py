"""From what the API was asked to a draft: recipients judged one by one, credit and identity left to the store.

Most messages name nothing but numbers: those are judged here without the database (`plain`). Names of contacts and
lists, addresses and opt-outs are looked up (`composed`). The account, the configuration and the time are passed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon.console.models import MOST_RECIPIENTS, MessageWanted
from daemon.console.problems import ProblemError
from filters import durations
from gateway import compose, instants, names, numbers
from gateway.accounts import Account
from gateway.addressing import Wanted
from gateway.compose import Said
from gateway.draft import Draft, Recipient, Request, prepare, route_for
from gateway.failure import RefusedError
from gateway.message import Channel, Origin
from gateway.routing import Route
from gateway.value import value

_API, _SMS = Origin.API, Channel.SMS
_LONGEST_VALIDITY = timedelta(days=366)


@value
class Asked:
    """One message that was asked for, and by whom; `key` as the store knows it."""

    wanted: MessageWanted
    account: Account
    key: bytes | None
    region: str | None
    now: datetime

    @property
    def is_plain(self) -> bool:
        """Whether it names only numbers."""
        wanted = self.wanted
        return not (wanted.email or wanted.fax or wanted.lists) and names.are_numbers(wanted.sms)

    def said(self) -> Said:
        """What is to be said. `ProblemError` (422) says what is wrong with its time or its validity."""
        wanted = self.wanted
        return Said(
            text=wanted.text,
            subject=wanted.subject,
            at=None if wanted.at is None else _at(wanted.at, self.account, self.now),
            validity=None if wanted.validity is None else _validity(wanted.validity),
            urgent=wanted.urgent,
            flash=wanted.flash,
            key=self.key,
            origin=_API,
        )

    def recipients(self) -> Wanted:
        """For whom it is."""
        wanted = self.wanted
        return Wanted(tuple(wanted.sms), tuple(wanted.email), tuple(wanted.fax), tuple(wanted.lists))


def kept_key(key: bytes) -> bytes:
    """What the store knows an Idempotency-Key by."""
    return hashlib.sha256(b"api:" + key).digest()


def check(wanted: MessageWanted) -> None:
    """`ProblemError` (422) where there is nobody to send to, or there are too many."""
    count = len(wanted.sms) + len(wanted.email) + len(wanted.fax) + len(wanted.lists)
    if not count:
        raise ProblemError(422, 'there is no recipient: give "sms" a list of numbers')
    if count > MOST_RECIPIENTS:
        raise ProblemError(422, f"{count} recipients are too many: {MOST_RECIPIENTS} are the most of one message")


# Nothing but numbers --------------------------------------------------------------------------------------------------


def plain(asked: Asked, routes: Sequence[Route]) -> Draft:
    """The draft of a message to numbers. `ProblemError` (422) says what is wrong with which of them."""
    account, wanted = asked.account, asked.wanted
    at = None if wanted.at is None else _at(wanted.at, account, asked.now)
    validity = None if wanted.validity is None else _validity(wanted.validity)
    recipients: list[Recipient] = []
    wrong: list[_Wrong] = []
    region = account.region or asked.region
    for n, written in enumerate(wanted.sms):
        try:
            recipients.append(Recipient(_SMS, numbers.sms_number(written, region), written))
        except RefusedError as error:
            wrong.append(_Wrong(f"sms[{n}]", written, "sms", str(error)))
    request = Request(
        account=account.id,
        origin=_API,
        recipients=tuple(recipients),
        text=compose.signed(wanted.text or wanted.subject, account.signature),
        subject=wanted.subject,
        at=at,
        validity=validity,
        urgent=wanted.urgent,
        flash=wanted.flash,
        key=asked.key,
        content=_content(asked.said(), recipients) if asked.key is not None else None,
    )
    if wrong:
        raise _unsendable([*wrong, *_unroutable(request, wanted, routes)])
    try:
        return prepare(
            request, routes=routes, now=asked.now, max_parts=account.max_parts, transliterate=account.transliterate
        )
    except RefusedError as error:
        unroutable = list(_unroutable(request, wanted, routes))
        raise _unsendable(unroutable) if unroutable else _unsayable(error) from None


def opted_out(draft: Draft, asked: Asked, out: dict[str, str]) -> ProblemError:
    """The refusal of a draft some of whose recipients want nothing; `out` says why, by address."""
    places = _places(asked.wanted)
    named = ((one, out[one.address]) for one in draft.request.recipients if one.address in out)
    return _unsendable([_Wrong(places.get(one.name, "sms"), one.name, one.channel.value, why) for one, why in named])


def _unroutable(request: Request, wanted: MessageWanted, routes: Sequence[Route]) -> Iterator[_Wrong]:
    """Every recipient no route takes; `prepare` names only the first."""
    places = _places(wanted)
    for one in request.recipients:
        try:
            route_for(routes, one.channel, one.address)
        except RefusedError as error:
            yield _Wrong(places.get(one.name, "sms"), one.name, one.channel.value, str(error))


def _content(said: Said, recipients: Sequence[Recipient]) -> bytes:
    """The same as `compose.content_of` for numbers that are read already."""
    to = sorted({(one.channel.value, one.address) for one in recipients})
    at = said.at.isoformat() if said.at is not None else None
    how = [at, said.validity.total_seconds() if said.validity is not None else None, said.urgent, said.flash]
    return hashlib.sha256(json.dumps([to, [], said.text, said.subject, how]).encode()).digest()


# Names, lists and addresses -------------------------------------------------------------------------------------------


def composed(connection: Connection, asked: Asked, routes: Sequence[Route]) -> Draft:
    """The draft of a message to anybody. `ProblemError` (422) says what is wrong with which recipient."""
    said, wanted = keyed(asked), asked.recipients()
    found = compose.quote(connection, asked.account, wanted, said, routes=routes, region=asked.region, now=asked.now)
    if found.refused:
        places = _places(asked.wanted)
        raise _unsendable(
            [_Wrong(places.get(one.to, one.channel), one.to, one.channel, one.why) for one in found.refused]
        )
    if found.draft is None or found.why is not None:
        raise _unsayable(found.why or RefusedError("there is nothing to send"))
    return found.draft


def keyed(asked: Asked) -> Said:
    """What is to be said, with what its key stands for."""
    said = asked.said()
    if said.key is None:
        return said
    content = compose.content_of(asked.account, asked.recipients(), said, region=asked.region)
    return replace(said, content=content)


# What is wrong --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wrong:
    """One recipient that cannot be: where it stands in the body, as it was written, and why."""

    path: str
    recipient: str
    channel: str
    detail: str


def _places(wanted: MessageWanted) -> dict[str, str]:
    """Where each recipient stands in the body, the first time."""
    found: dict[str, str] = {}
    for name in ("sms", "email", "fax", "lists"):
        for n, written in enumerate(getattr(wanted, name)):
            for spelling in (written, written.strip()):
                found.setdefault(spelling, f"{name}[{n}]")
    return found


def _unsendable(wrong: Sequence[_Wrong]) -> ProblemError:
    told = "; ".join(one.detail.rstrip(".") for one in wrong[:3])
    more = f"; and {len(wrong) - 3} more" if wrong[3:] else ""
    errors = [
        {"recipient": one.recipient, "channel": one.channel, "path": one.path, "detail": one.detail} for one in wrong
    ]
    return ProblemError(422, f"{told}{more}", errors=errors)


def _unsayable(error: RefusedError) -> ProblemError:
    return ProblemError(error.http, str(error), errors=[{"path": "text", "detail": str(error)}])


def _at(text: str, account: Account, now: datetime) -> datetime:
    try:
        found = instants.read(text, account.zone)
    except (RefusedError, OverflowError) as error:
        why = str(error) if isinstance(error, RefusedError) else f"{text} is further away than can be counted"
    else:
        if found <= now + _LONGEST_VALIDITY:
            return found
        why = f"{text} is more than a year away"
    raise ProblemError(422, why, errors=[{"path": "at", "detail": why}])


def _validity(text: str) -> timedelta:
    try:
        found = durations.parse_fixed(text)
    except ValueError as error:
        why = f"{text!r}: {error}"
    else:
        if timedelta() < found <= _LONGEST_VALIDITY:
            return found
        why = f"{text!r}: choose more than no time at all, and a year at most"
    raise ProblemError(422, why, errors=[{"path": "validity", "detail": why}])
