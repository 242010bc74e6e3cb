"""From what the API was asked to a draft: recipients judged one by one, credit and identity left to the store.

Pure: the account, the configuration and the time are passed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.config import Configuration
from daemon.console.models import MOST_RECIPIENTS, MessageWanted
from daemon.console.problems import ProblemError
from filters import durations
from gateway import instants, numbers
from gateway.accounts import Account
from gateway.draft import Draft, Recipient, Request, prepare, route_for
from gateway.failure import RefusedError
from gateway.message import Channel, Origin
from gateway.routing import Route

_LONGEST_VALIDITY = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Wrong:
    """One recipient that cannot be: where it stands in the body, as it was written, and why."""

    path: str
    recipient: str
    channel: str
    detail: str

    def document(self) -> dict[str, str]:
        """The same, ready for JSON."""
        return {"recipient": self.recipient, "channel": self.channel, "path": self.path, "detail": self.detail}


def draft_of(
    wanted: MessageWanted,
    account: Account,
    config: Configuration,
    routes: Sequence[Route],
    *,
    key: bytes | None,
    now: datetime,
) -> Draft:
    """The draft of a message that was asked for. `ProblemError` (422) says what is wrong with which recipient."""
    recipients, wrong = _recipients(wanted, account, config)
    if not recipients and not wrong:
        raise ProblemError(422, 'there is no recipient: give "sms" a list of numbers')
    if len(recipients) > MOST_RECIPIENTS:
        raise ProblemError(
            422, f"{len(recipients)} recipients are too many: {MOST_RECIPIENTS} are the most of one message"
        )
    said = wanted.text or wanted.subject
    request = Request(
        account=account.id,
        origin=Origin.API,
        recipients=tuple(recipients),
        text=f"{said}\n{account.signature}" if said and account.signature else said,
        subject=wanted.subject,
        at=_at(wanted.at, account, now),
        validity=_validity(wanted.validity),
        urgent=wanted.urgent,
        flash=wanted.flash,
        key=hashlib.sha256(b"api:" + key).digest() if key is not None else None,
        content=_content(wanted, recipients) if key is not None else None,
    )
    if wrong:
        raise _unsendable([*wrong, *_unroutable(request, wanted, routes)])
    try:
        return prepare(
            request, routes=routes, now=now, max_parts=account.max_parts, transliterate=account.transliterate
        )
    except RefusedError as error:
        unroutable = list(_unroutable(request, wanted, routes))
        if unroutable:
            raise _unsendable(unroutable) from None
        raise ProblemError(422, f"{error}", errors=[{"path": "text", "detail": str(error)}]) from None


def _recipients(wanted: MessageWanted, account: Account, config: Configuration) -> tuple[list[Recipient], list[Wrong]]:
    """Whom it is for, and who of those cannot be meant."""
    recipients: list[Recipient] = []
    wrong: list[Wrong] = []
    region = account.region or config.listen.region
    for n, written in enumerate(wanted.sms):
        try:
            recipients.append(Recipient(Channel.SMS, numbers.sms_number(written, region), written))
        except RefusedError as error:
            wrong.append(Wrong(f"sms[{n}]", written, "sms", str(error)))
    for channel, some in ((Channel.EMAIL, wanted.email), (Channel.FAX, wanted.fax)):
        wrong += (
            Wrong(f"{channel}[{n}]", written, channel.value, _not_yet(config, channel, written))
            for n, written in enumerate(some)
        )
    for n, name in enumerate(wanted.lists):
        why = f"there is no list {name}: this version has no lists yet, name the recipients"
        wrong.append(Wrong(f"lists[{n}]", name, "list", why))
    return recipients, wrong


def _not_yet(config: Configuration, channel: Channel, written: str) -> str:
    """Why what is no SMS is refused: mostly because no route carries it."""
    try:
        route_for(config.routes, channel, written)
    except RefusedError as error:
        return str(error)
    return f"{written} cannot be reached: this version sends only SMS from here"


def _unroutable(request: Request, wanted: MessageWanted, routes: Sequence[Route]) -> Iterator[Wrong]:
    """Every recipient no route takes; `prepare` names only the first."""
    places = {written: n for n, written in reversed(list(enumerate(wanted.sms)))}
    for one in request.recipients:
        try:
            route_for(routes, one.channel, one.address)
        except RefusedError as error:
            path = f"{one.channel}[{places[one.name]}]" if one.name in places else one.channel.value
            yield Wrong(path, one.name or one.address, one.channel.value, str(error))


def _unsendable(wrong: list[Wrong]) -> ProblemError:
    told = "; ".join(one.detail.rstrip(".") for one in wrong[:3])
    more = f"; and {len(wrong) - 3} more" if wrong[3:] else ""
    return ProblemError(422, f"{told}{more}", errors=[one.document() for one in wrong])


def _at(text: str | None, account: Account, now: datetime) -> datetime | None:
    if text is None:
        return None
    try:
        found = instants.read(text, account.zone)
    except (RefusedError, OverflowError) as error:
        why = str(error) if isinstance(error, RefusedError) else f"{text} is further away than can be counted"
    else:
        if found <= now + _LONGEST_VALIDITY:
            return found
        why = f"{text} is more than a year away"
    raise ProblemError(422, why, errors=[{"path": "at", "detail": why}])


def _validity(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        found = durations.parse_fixed(text)
    except ValueError as error:
        why = f"{text!r}: {error}"
    else:
        if timedelta() < found <= _LONGEST_VALIDITY:
            return found
        why = f"{text!r}: choose more than no time at all, and a year at most"
    raise ProblemError(422, why, errors=[{"path": "validity", "detail": why}])


def _content(wanted: MessageWanted, recipients: list[Recipient]) -> bytes:
    """What a key stands for: the same key with anything else of this changed is refused."""
    to = sorted((one.channel.value, one.address) for one in recipients)
    rest = [wanted.text, wanted.subject, wanted.at, wanted.validity, wanted.urgent, wanted.flash]
    return hashlib.sha256(json.dumps([to, *rest]).encode()).digest()
