"""What a request would become: its deliveries, segments and units, and who could not be reached, and why.

Pure, and stores nothing; the command line's and the API's dry runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from gateway import routing
from gateway.draft import Draft, LeftOut, Recipient, Request, prepare, route_for
from gateway.failure import RefusedError
from gateway.text import LETTER


@dataclass(frozen=True, slots=True)
class Refusal:
    """One recipient that would be refused; `to` is as it was written where it is no address.

    `channel` is `list` for a list; `smtp` the reply code and the enhanced status.
    """

    to: str
    channel: str
    why: str
    smtp: str = "550 5.1.1"


@dataclass(frozen=True, slots=True)
class Quote:
    """`draft` is what would be sent, None where nothing would; `why` says what speaks against all of it.

    `left_out` are members of lists that get nothing, while the others do.
    """

    draft: Draft | None
    refused: tuple[Refusal, ...]
    why: RefusedError | None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def units(self) -> int:
        """What it would cost."""
        return self.draft.units(self.draft.legs) if self.draft is not None else 0

    def objection(self, left: int | None = None) -> RefusedError | None:
        """Why it would be refused, None where it would not; `left` is the credit, None where that is not to be asked.

        Several refused recipients make one sentence, whose reply is that of the first.
        """
        if self.refused:
            sentences = "; ".join(dict.fromkeys(one.why.rstrip(".") for one in self.refused))
            return RefusedError(sentences, smtp=self.refused[0].smtp)
        if self.why is None and left is not None and self.units > left:
            needed = f"{self.units} unit{'s' if self.units != 1 else ''}"
            return RefusedError(f"not enough credit: {needed} needed, {left} left", smtp="552 5.2.2", http=402)
        return self.why


def quote(
    request: Request, *, routes: Sequence[routing.Route], now: datetime, max_parts: int, transliterate: bool
) -> Quote:
    """What this request would become; every recipient is judged, not only the first that is wrong."""
    good: list[Recipient] = []
    refused: list[Refusal] = []
    left_out = list(request.left_out)
    for recipient in request.recipients:
        try:
            route_for(routes, recipient.channel, recipient.address)
            good.append(recipient)
        except RefusedError as error:
            if recipient.via:
                who = recipient.name or recipient.address
                left_out.append(LeftOut(who, recipient.via, recipient.channel.value, str(error)))
            else:
                refused.append(Refusal(recipient.address, recipient.channel.value, str(error), error.smtp))
    if not good:
        return Quote(None, tuple(refused), (None if refused else nobody(left_out)), tuple(left_out))
    wanted = replace(request, recipients=tuple(good), left_out=tuple(left_out))
    try:
        draft = prepare(wanted, routes=routes, now=now, max_parts=max_parts, transliterate=transliterate)
    except RefusedError as error:
        return Quote(None, tuple(refused), error, wanted.left_out)
    return Quote(draft, tuple(refused), None, wanted.left_out)


def nobody(left_out: Sequence[LeftOut]) -> RefusedError:
    """Why nobody is left: there was nobody, or all of them are `left_out`."""
    if not left_out:
        return RefusedError("there is no recipient", smtp="554 5.5.1")
    others = f", and {len(left_out) - 1} more likewise" if left_out[1:] else ""
    first = left_out[0]
    return RefusedError(
        f"nobody on the list {first.via} can be reached: {first.to}: {first.why.rstrip('.')}{others}", smtp="550 5.1.1"
    )


def document(found: Quote) -> dict[str, Any]:
    """The same, ready for JSON: `texts` are the segments of each route's cut; a letter is not cut."""
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
                "list": leg.recipient.via or None,
                "route": leg.route,
                "segments": draft.parts(leg),
                "units": draft.units([leg]),
            }
            for leg in legs
            if draft is not None
        ],
        "refused": [{"to": one.to, "channel": one.channel, "why": one.why} for one in found.refused],
        "left_out": [{"to": one.to, "list": one.via, "channel": one.channel, "why": one.why} for one in found.left_out],
        "why": str(found.why) if found.why is not None else None,
        "texts": {
            route: {
                "encoding": way.cut.encoding,
                "length": way.cut.length,
                "segments": [{"text": part.text, "length": part.length} for part in way.cut.parts],
            }
            for route, way in ways.items()
            if way.cut.concat != LETTER
        },
    }
