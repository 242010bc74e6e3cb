"""Mail to the postmaster, from the door to the queue; strangers' mail within limits.

Anybody may write to the postmaster (RFC 5321 section 4.5.1). So that nobody fills the store that way, whoever nothing
speaks for may do so a number of times an hour, all such peers together, and not at length.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from daemon.door import Taken
from filters.mail import Mail
from gateway import forwarding
from gateway.failure import RefusedError
from gateway.reports import Office
from gateway.store.store import Store

log = logging.getLogger(__name__)

#: How many mails of strangers are taken in an hour, and how large each may be, in octets.
_MOST, _HOUR, _LARGEST = 60, 3600.0, 1_048_576


class Postmaster:
    """Forwards to the address that `office` names."""

    def __init__(
        self,
        store: Store,
        office: Callable[[], Office],
        taken: Callable[[Sequence[str]], None],
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`taken` is told, after the commit, which routes have work; `clock` counts seconds."""
        self._store = store
        self._office = office
        self._taken = taken
        self._now = now
        self._clock = clock
        self._strangers: deque[float] = deque(maxlen=_MOST)

    def check(self, *, stranger: bool) -> None:
        """`RefusedError` where no mail can be taken now: 451 4.3.5 without a route, 452 4.3.1 for too many."""
        if forwarding.destination(self._office()) is None:
            log.warning("mail for the postmaster cannot be forwarded", extra={"action": "postmaster_unreachable"})
            raise RefusedError("Mail to the postmaster cannot be forwarded at the moment", smtp="451 4.3.5")
        if stranger and len(self._strangers) == _MOST and self._clock() - self._strangers[0] < _HOUR:
            log.warning("too much mail for the postmaster", extra={"action": "postmaster_flooded"})
            raise RefusedError("Too much mail comes for the postmaster: please try again later", smtp="452 4.3.1")

    async def forward(self, octets: bytes, mail: Mail, arrival: forwarding.Arrival, *, stranger: bool) -> Taken:
        """Returns after the commit; `RefusedError` for what goes in a circle or is too much."""
        self.check(stranger=stranger)
        if stranger and len(octets) > _LARGEST:
            raise RefusedError(
                f"This mail is too large for the postmaster: at most {_LARGEST} octets are taken", smtp="552 5.3.4"
            )
        office = self._office()
        forwarding.check_for_loop(mail, office.domain)
        if stranger:
            self._strangers.append(self._clock())
        found = await self._store.run(
            lambda connection: forwarding.queue(
                connection,
                self._store.identifiers,
                office,
                octets,
                subject=mail.subject,
                arrival=arrival,
                now=self._now(),
            )
        )
        self._taken([found.route])
        return Taken(str(found.message), found.seen)
