"""What an SMS centre sends by itself: receipts and messages, recorded first and answered afterwards.

Of each deliver_sm the Hub is asked to record it; it is answered ESME_ROK when that is done, ESME_RX_T_APPN when it
failed: the centre keeps it and sends it again. The number of those being recorded is bounded. At `LIMIT` the connection
is not read any further, so that a burst waits in the network; if that lasts `PATIENCE` seconds it is read again, for
the answers of our own submits must not wait for a store that is away, and what is over the limit is refused for now.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway import text
from gateway.transports.base import Incoming, Receipt
from gateway.transports.smpp.receipt import read_receipt
from gateway.transports.smpp.submission import e164

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.transports.base import Hub
    from gateway.transports.smpp.events import Arrived
    from gateway.transports.smpp.pdu import ShortMessage

log = logging.getLogger(__name__)

#: deliver_sm being recorded at once, a connection, before reading stops.
LIMIT = 500
PATIENCE = 1.0

_OK = 0x00
_TEMPORARY = 0x64  # ESME_RX_T_APPN
_UDHI = 0x40


class Inbound:
    """The deliver_sm of one connection.

    `answer` sends one's answer, `hold` stops and resumes reading, `idle` is called whenever nothing is left to do.
    """

    def __init__(
        self,
        route: str,
        hub: Hub,
        *,
        answer: Callable[[Arrived, int], None],
        hold: Callable[[bool], None],
        idle: Callable[[], None],
    ) -> None:
        self._route = route
        self._hub = hub
        self._answer = answer
        self._hold = hold
        self._idle = idle
        self._tasks: set[asyncio.Future[Any]] = set()
        self._patience: asyncio.TimerHandle | None = None
        self._stuck = False
        self._failing = False

    @property
    def busy(self) -> bool:
        """Whether something is being recorded."""
        return bool(self._tasks)

    def arrived(self, request: Arrived) -> None:
        """Record what arrived, and answer it then."""
        if self._stuck and len(self._tasks) >= LIMIT:
            self._answer(request, _TEMPORARY)
            return
        try:
            said = heard(self._route, request.message)
            recorded = self._hub.receipt(said) if isinstance(said, Receipt) else self._hub.incoming(said)
        except Exception as error:  # whatever it is, the centre must keep what we could not
            self._put_off(request, error)
            return
        task = recorded if isinstance(recorded, asyncio.Future) else asyncio.ensure_future(recorded)
        self._tasks.add(task)
        task.add_done_callback(partial(self._recorded, request))
        if len(self._tasks) == LIMIT and not self._stuck:
            self._hold(True)
            self._patience = asyncio.get_running_loop().call_later(PATIENCE, self._lose_patience)

    def stop(self) -> None:
        """Give up what is being recorded: the centre got no answer, and will send it again."""
        for task in self._tasks:
            task.cancel()
        self._stop_waiting()

    def _put_off(self, request: Arrived, error: BaseException) -> None:
        """The centre keeps it and tries again."""
        self._answer(request, _TEMPORARY)
        log.log(
            logging.DEBUG if self._failing else logging.WARNING,
            "route %s: what the SMS centre delivered could not be recorded (%s); it was asked to try again",
            self._route,
            type(error).__name__,
            extra={"action": "smpp_deliver_deferred"},
        )
        self._failing = True

    def _recorded(self, request: Arrived, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():  # else the connection is gone, or the daemon stops: nobody hears an answer
            error = task.exception()
            if error is None:
                self._failing = False
                self._answer(request, _OK)
            else:
                self._put_off(request, error)
        if (self._stuck or self._patience is not None) and len(self._tasks) <= LIMIT // 2:
            self._stop_waiting()
            self._stuck = False
            self._hold(False)
        if not self._tasks:
            self._idle()

    def _lose_patience(self) -> None:
        self._patience = None
        self._stuck = True
        self._hold(False)
        log.warning(
            "route %s: %d deliver_sm wait to be recorded; more are put off",
            self._route,
            len(self._tasks),
            extra={"action": "smpp_deliver_stuck"},
        )

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def heard(route: str, message: ShortMessage) -> Receipt | Incoming:
    """What a deliver_sm says: a receipt where it can be read as one, an incoming message where not."""
    sender = e164(message.source, message.source_ton)
    to = e164(message.destination, message.dest_ton)
    read = read_receipt(message)
    if read is None:
        payload = message.payload
        udhi = bool(message.esm_class & _UDHI)
        words = text.decode(payload, message.data_coding, udhi)
        return Incoming(route, sender, to, words, payload, message.data_coding, message.esm_class)
    # A receipt comes from the handset it speaks of (section 5.2.12.2 of the fields of deliver_sm).
    reference = int.from_bytes(read.reference, "big") if read.reference else None
    return Receipt(route, read.id, sender, to, read.state, read.error, read.submitted, read.done, reference)
