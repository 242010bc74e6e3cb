"""What a request would become: its deliveries, segments and units, and who could not be reached, and why.

Pure, and stores nothing; the command line's and the API's dry runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway import routing
from gateway.draft import Draft, Recipient, Request, prepare, route_for
from gateway.failure import RefusedError


@dataclass(frozen=True, slots=True)
class Refusal:
    """One recipient that would be refused; `to` is as it was written where it is no address."""

    to: str
    channel: str
    why: str


@dataclass(frozen=True, slots=True)
class Quote:
    """`draft` is what would be sent, None where nothing would; `why` says what speaks against all of it."""

    draft: Draft | None
    refused: tuple[Refusal, ...]
    why: str | None

    @property
    def units(self) -> int:
        """What it would cost."""
        return self.draft.units(self.draft.legs) if self.draft is not None else 0


def quote(
    request: Request, *, routes: Sequence[routing.Route], now: datetime, max_parts: int, transliterate: bool
) -> Quote:
    """What this request would become; every recipient is judged, not only the first that is wrong."""
    good: list[Recipient] = []
    refused: list[Refusal] = []
    for recipient in request.recipients:
        try:
            route_for(routes, recipient.channel, recipient.address)
            good.append(recipient)
        except RefusedError as error:
            refused.append(Refusal(recipient.address, recipient.channel.value, str(error)))
    if not good:
        return Quote(None, tuple(refused), None if refused else "there is no recipient")
    try:
        wanted = replace(request, recipients=tuple(good))
        draft = prepare(wanted, routes=routes, now=now, max_parts=max_parts, transliterate=transliterate)
    except RefusedError as error:
        return Quote(None, tuple(refused), str(error))
    return Quote(draft, tuple(refused), None)


def document(found: Quote) -> dict[str, Any]:
    """The same, ready for JSON: `texts` are the segments of each route's cut."""
    draft = found.draft
    legs = draft.legs if draft is not None else ()
    ways = draft.ways if draft is not None else {}
    return {
        "units": found.units,
        "deliveries": [
            {
                "to": leg.recipient.address,
                "channel": leg.recipient.channel.value,
                "name": leg.recipient.name,
                "route": leg.route,
                "segments": draft.parts(leg),
                "units": draft.units([leg]),
            }
            for leg in legs
            if draft is not None
        ],
        "refused": [{"to": one.to, "channel": one.channel, "why": one.why} for one in found.refused],
        "why": found.why,
        "texts": {
            route: {
                "encoding": way.cut.encoding,
                "length": way.cut.length,
                "segments": [{"text": part.text, "length": part.length} for part in way.cut.parts],
            }
            for route, way in ways.items()
        },
    }
