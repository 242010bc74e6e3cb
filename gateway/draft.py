"""From a request to a draft: recipients, routes, text and price, decided without a database.

`prepare` is pure: it finds each recipient's route, cuts the text, fixes the price, and refuses what cannot be sent.
What it returns is what `gateway.intake` stores.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway import routing, text
from gateway.attachments import Attachment
from gateway.dsn import Asked
from gateway.failure import RefusedError
from gateway.message import Channel, Origin
from gateway.value import value


@value
class Recipient:
    """One address of one channel; `name` is what was written, where that was not the address.

    `once` are keys (SHA-256) that another message of the account must not have used: what a mail that anybody could
    send again is known by. `via` is the list it stands on, where nobody named it himself.
    """

    channel: Channel
    address: str
    name: str = ""
    once: tuple[bytes, ...] = ()
    via: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Who is on a list and gets nothing, and why, in one sentence; `to` is what he is called."""

    to: str
    via: str
    channel: str
    why: str

    def __str__(self) -> str:
        return f"{self.to} (list {self.via}) was left out: {self.why.rstrip('.')}"

    @classmethod
    def read(cls, detail: str) -> LeftOut | None:
        """From what `str` made of it, without its channel; None for anything else."""
        found = re.fullmatch(r"(.*?) \(list (.*?)\) was left out: (.*)", detail, re.DOTALL)
        return cls(found[1], found[2], "", found[3]) if found is not None else None


@value
class Request:
    """What somebody wants said.

    `key` is the request's identity within the account (invariant I3), at most 64 octets, None for none; `content` the
    SHA-256 of what it may only be used for (idempotency keys), None where a copy adds its new recipients instead.
    `left_out` are members of lists who get nothing, for the timeline and the report to name.
    `attachments` go along with its e-mails; whoever gets it otherwise gets the text alone.
    `flash` asks handsets to show it at once and keep nothing (message class 0, 3GPP TS 23.038 clause 4).
    """

    account: int
    origin: Origin
    recipients: tuple[Recipient, ...]
    text: str
    subject: str = ""
    key: bytes | None = None
    content: bytes | None = None
    at: datetime | None = None
    validity: timedelta | None = None
    urgent: bool = False
    flash: bool = False
    left_out: tuple[LeftOut, ...] = ()
    automatic: bool = False
    report_to: str | None = None
    dsn: Asked | None = None
    attachments: tuple[Attachment, ...] = ()


@value
class Leg:
    """One recipient with its route and what one segment costs there."""

    recipient: Recipient
    route: str
    price: int


@value
class Way:
    """How the text goes over one route: cut for it, and good until `expires`."""

    cut: text.Cut
    concat: str
    transliterate: bool
    expires: datetime


@value
class Draft:
    """A request that can be sent: every leg has a route, the text is cut for each of them."""

    request: Request
    created: datetime
    legs: Sequence[Leg]
    ways: Mapping[str, Way]

    @property
    def due(self) -> datetime | None:
        """When it is to leave, where that is later than its creation."""
        at = self.request.at
        return at if at is not None and at > self.created else None

    def parts(self, leg: Leg) -> int:
        """How many segments this leg has."""
        return len(self.ways[leg.route].cut.parts)

    @property
    def segments(self) -> int:
        """How many segments there are in all."""
        return sum(map(self.parts, self.legs))

    def units(self, legs: Iterable[Leg]) -> int:
        """What these legs cost."""
        units = 0
        for leg in legs:
            units += leg.price * len(self.ways[leg.route].cut.parts)
        return units


def prepare(
    request: Request,
    *,
    routes: Sequence[routing.Route],
    now: datetime,
    max_parts: int,
    transliterate: bool,
) -> Draft:
    """The draft of a request. `RefusedError` says which recipient or what of the text cannot be sent, and why."""
    names = "".join([one.name for one in request.recipients])
    if not _is_plain(f"{request.text}{request.subject}{request.report_to or ''}{names}"):
        request = _storable(request)
    due = max(request.at, now) if request.at is not None else now
    legs: dict[tuple[Channel, str], Leg] = {}
    ways: dict[str, Way] = {}
    for recipient in request.recipients:
        channel, address = recipient.channel, recipient.address
        if (channel, address) in legs:
            continue
        route = routing.choose(routes, channel, address)
        if route is None:
            raise _unreachable(routes, channel, address)
        if route.name not in ways:
            ways[route.name] = _way(request, route, due, max_parts=max_parts, transliterate=transliterate)
        legs[channel, address] = Leg(recipient, route.name, route.units(address))
    if not legs:
        raise RefusedError("there is no recipient", smtp="554 5.5.1")
    if request.attachments and all(way.cut.concat != text.LETTER for way in ways.values()):
        raise RefusedError(
            f"{request.attachments[0].name} cannot go along: attachments go with e-mails over an smtp route, and none "
            "of the recipients gets one",
            smtp="550 5.6.1",
        )
    return Draft(request, now, tuple(legs.values()), ways)


def route_for(routes: Sequence[routing.Route], channel: Channel, address: str) -> routing.Route:
    """The route this recipient takes; `RefusedError` (550 5.1.2) says why there is none."""
    route = routing.choose(routes, channel, address)
    if route is None:
        raise _unreachable(routes, channel, address)
    return route


def _unreachable(routes: Sequence[routing.Route], channel: Channel, address: str) -> RefusedError:
    considered = routing.consider(routes, channel, address)
    able = [one for one in considered if channel in one.route.channels]
    if not able:
        return RefusedError(f"no route here carries {channel}, so {address} cannot be reached", smtp="550 5.1.2")
    why = "; ".join(f"{one.route.name}: {one.why}" for one in able)
    hint = ""
    if channel == Channel.SMS and address.startswith("+1"):
        hint = " (North American operators usually refuse messages that were not sent from a handset)"
    return RefusedError(f"no route takes {address}: {why}{hint}", smtp="550 5.1.2")


def _storable(request: Request) -> Request:
    """The same request in characters every database can keep: no NUL, no surrogate that stands alone."""
    return replace(
        request,
        recipients=tuple(
            one if _kept(one.name) == one.name else replace(one, name=_kept(one.name)) for one in request.recipients
        ),
        left_out=tuple(replace(one, to=_kept(one.to), why=_kept(one.why)) for one in request.left_out),
        text=_kept(request.text),
        subject=_kept(request.subject),
        report_to=None if request.report_to is None else _kept(request.report_to),
    )


def _is_plain(written: str) -> bool:
    return written.isascii() and "\0" not in written


def _kept(written: str) -> str:
    if _is_plain(written):
        return written
    return written.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _way(request: Request, route: routing.Route, due: datetime, *, max_parts: int, transliterate: bool) -> Way:
    concat = route.cutting
    cut = text.cut(request.text, concat=concat, transliterate=transliterate, flash=request.flash)
    if len(cut.parts) > max_parts:
        raise RefusedError(
            f"the text needs {len(cut.parts)} SMS, this account allows {max_parts}: make it shorter", smtp="552 5.3.4"
        )
    return Way(cut, concat, transliterate, due + (request.validity or route.validity))
