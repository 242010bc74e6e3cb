"""What a transport is: the contract every way out keeps, in prose and as types.

A transport carries segments over one route. It has two verbs.

`run()` keeps the way open until it is cancelled: it connects, binds, probes, reconnects with backoff, and says how
it is through `Hub.state`. A peer that is away is no error; `run()` ends only by cancellation, or by a defect.

`submit(segments)` hands over segments that are already durably `submitting`. It never blocks, never alters what it
is given, and never raises for what a peer does. For every segment handed over it calls `Hub.settled` exactly once,
with an outcome:

- ACCEPTED: the peer answered that it has it; `peer_id` is the id it gave (it may be empty);
- THROTTLED: the peer asked to be slower; the segment was certainly not taken; it goes first again;
- TRANSIENT: certainly not taken, worth another try later;
- PERMANENT: certainly not taken, and will not be;
- UNSENT: not one octet of it was handed to the connection, so certainly not taken; not counted as an attempt;
- UNKNOWN: it was written, and the answer was lost. Should the answer come all the same, a second `settled` tells it.

The dispatcher hands over no more than `room()` segments at a time; `Hub.more_room` tells it to ask again. `room()`
is 0 while nothing can be sent, and keeps the route's rate. `drain(seconds)` stops taking segments, waits that long
for answers that are outstanding, and settles the rest as UNKNOWN.

What the peer says by itself, receipts and incoming messages, goes to the Hub and is answered to the peer only after
the Hub's awaitable is done, which is after the commit; if it raises, the peer is told to try again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from gateway.message import Claimed
from gateway.value import value


class Result(StrEnum):
    """How one try to hand a segment over ended."""

    ACCEPTED = "accepted"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNSENT = "unsent"
    UNKNOWN = "unknown"


@value
class Outcome:
    """What became of one segment handed to a transport.

    `code` is the peer's own (`0x00000058`), `text` a sentence for the sender, `detail` for the log. `written` is when
    the octets went to the connection, `answered` when the answer came (both aware UTC; None where it did not happen).

    Of a TRANSIENT outcome, `tries` is how often this route is worth trying with such an answer, None for as long as the
    validity lasts, and `elsewhere` whether another route may be tried then; if not, it has failed.
    """

    segment: int
    result: Result
    code: str = ""
    text: str = ""
    detail: str = ""
    peer_id: str = ""
    written: datetime | None = None
    answered: datetime | None = None
    tries: int | None = None
    elsewhere: bool = True


class ReceiptState(StrEnum):
    """What the operator says of a message it took (SMPP 3.4 section 5.2.28, and `rejected` of the text form)."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    DELETED = "deleted"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    ENROUTE = "enroute"
    UNKNOWN = "unknown"


@value
class Receipt:
    """One delivery receipt, read. `to` is the handset it speaks of, `id` as the operator wrote it (it may be empty).

    `submitted` and `done` are as the receipt wrote them (10, 12 or 14 digits), or empty. `reference` is an echoed
    user_message_reference, the low 16 bits of the segment's id, where the SMS centre sends it back.
    """

    route: str
    id: str
    to: str
    sender: str
    state: ReceiptState
    error: str = ""
    submitted: str = ""
    done: str = ""
    reference: int | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message from a handset that is no receipt. `text` is decoded as well as `data_coding` allows."""

    route: str
    sender: str
    to: str
    text: str
    payload: bytes
    data_coding: int
    esm_class: int


class LinkState(StrEnum):
    """How a route is, for `tocsin status`."""

    UP = "up"
    CONNECTING = "connecting"
    DOWN = "down"
    THROTTLED = "throttled"
    REFUSED = "refused"
    STOPPED = "stopped"
    #: Another daemon has all of the route's connections; this one takes over when it goes.
    STANDBY = "standby"


class Hub(Protocol):
    """What a transport may say to the house; all of it is quick, and called on the event loop."""

    def settled(self, outcome: Outcome) -> None:
        """One segment's outcome. Recording is the Hub's worry: it keeps what cannot be written yet."""

    def more_room(self, route: str) -> None:
        """`room()` has become greater than 0 or has grown."""

    def state(self, route: str, state: LinkState, why: str) -> None:
        """The route's state, and why, in one plain sentence."""

    def receipt(self, receipt: Receipt) -> Awaitable[Any]:
        """Done when the receipt is committed."""

    def incoming(self, incoming: Incoming) -> Awaitable[Any]:
        """Done when the message is committed."""


class Transport(Protocol):
    """One way out, as described at the top of this module."""

    async def run(self) -> None:
        """Keep the way open until cancelled."""

    def room(self) -> int:
        """How many segments it would take this moment."""

    def submit(self, segments: Sequence[Claimed]) -> None:
        """Take these, and settle each exactly once."""

    async def drain(self, seconds: float) -> None:
        """Take no more; wait at most this long for answers; settle what is left as UNKNOWN; say goodbye."""


@runtime_checkable
class Shared(Protocol):
    """A transport whose connections and rate several daemons share, beside its being a `Transport`."""

    @property
    def connections(self) -> int:
        """How many slots of the route it uses: connections open, opening, or not closed yet."""

    @property
    def rate(self) -> float | None:
        """Segments a second it goes at now; None is no limit."""

    def resize(self, connections: int, rate: float | None, why: str = "") -> None:
        """Use so many slots and this rate from now on; what is too many is left in good order.

        `why` is told as the reason where there is none left.
        """

    def renew(self, until: float) -> None:
        """Hand nothing to a connection after this instant of CLOCK_BOOTTIME, which goes on while we are frozen."""


@dataclass(frozen=True, slots=True)
class Question:
    """What became of this? A segment the peer accepted under `peer_id`, for the handset `to`, and never spoke of."""

    segment: int
    peer_id: str
    to: str


@runtime_checkable
class Asker(Protocol):
    """A transport that can ask what became of something, beside its being a `Transport`."""

    def may_ask(self) -> int:
        """How many questions it would take this moment."""

    def ask(self, questions: Sequence[Question]) -> None:
        """Ask these when there is time; an answer that is final goes to `Hub.receipt`."""
