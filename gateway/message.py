"""The words of the queue: what a message, a delivery and a segment are, and every legal change of a segment's state.

Plain frozen values and one table. The rows that hold them are in `gateway/store/schema.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from gateway.value import value


class Channel(StrEnum):
    """How a recipient is reached."""

    SMS = "sms"
    EMAIL = "email"
    FAX = "fax"


class Origin(StrEnum):
    """Where a message came from."""

    MAIL = "mail"
    FILTER = "filter"
    REMINDER = "reminder"
    AGENDA = "agenda"
    DIGEST = "digest"
    REPORT = "report"
    VERDICT = "verdict"
    CONSOLE = "console"
    API = "api"
    CLI = "cli"


class State(StrEnum):
    """The state of one segment, and, by `delivery_state`, of a delivery."""

    QUEUED = "queued"
    HELD = "held"
    SUBMITTING = "submitting"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


#: Every legal change of a segment's state; what is not here does not happen.
CHANGES: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.QUEUED: frozenset({State.SUBMITTING, State.HELD, State.CANCELLED, State.EXPIRED, State.FAILED}),
        State.HELD: frozenset({State.QUEUED, State.CANCELLED, State.EXPIRED}),
        State.SUBMITTING: frozenset({State.ACCEPTED, State.QUEUED, State.FAILED, State.UNKNOWN}),
        State.UNKNOWN: frozenset({State.ACCEPTED, State.DELIVERED, State.UNDELIVERED, State.FAILED, State.QUEUED}),
        State.ACCEPTED: frozenset({State.DELIVERED, State.UNDELIVERED}),
        State.DELIVERED: frozenset(),
        State.UNDELIVERED: frozenset(),
        State.FAILED: frozenset(),
        State.EXPIRED: frozenset(),
        State.CANCELLED: frozenset(),
    }
)

#: The order in which segments' states decide what their delivery is called.
PRECEDENCE: tuple[State, ...] = (
    State.SUBMITTING,
    State.QUEUED,
    State.HELD,
    State.UNKNOWN,
    State.FAILED,
    State.EXPIRED,
    State.CANCELLED,
    State.UNDELIVERED,
    State.ACCEPTED,
    State.DELIVERED,
)

#: States in which a segment's units are still taken aside.
OPEN: frozenset[State] = frozenset({State.QUEUED, State.HELD, State.SUBMITTING, State.UNKNOWN})
#: States the SMS centre has answered for: the units are spent.
PAID: frozenset[State] = frozenset({State.ACCEPTED, State.DELIVERED, State.UNDELIVERED})
#: States in which nothing was sent, and the units went back.
RETURNED: frozenset[State] = frozenset({State.FAILED, State.EXPIRED, State.CANCELLED})


class IllegalChangeError(Exception):
    """A defect: somebody tried to move a segment where no arrow leads."""


def may_become(before: State, after: State) -> bool:
    """Whether the table allows this change."""
    return after in CHANGES[before]


def change(before: State, after: State) -> State:
    """`after`, or `IllegalChangeError` where the table has no such change."""
    if after not in CHANGES[before]:
        raise IllegalChangeError(f"a segment cannot go from {before} to {after}")
    return after


def delivery_state(states: Iterable[State]) -> State:
    """The state of a delivery from those of its segments: the first present in the order above.

    A delivery that has no segment yet (its message is still being expanded) is queued.
    """
    present = set(states)
    return next((state for state in PRECEDENCE if state in present), State.QUEUED)


@value
class Claimed:
    """One segment taken from the queue: everything a transport needs to say it, and nothing it must look up.

    `payload` is the exact `short_message` of an SMS (user data header included, GSM 7-bit unpacked, one septet an
    octet), at most 140 octets in UCS-2 or 160 in GSM 7-bit. `concat` is how parts are tied together (`udh8`, `udh16`,
    whose header is in the payload, `sar`, whose fields the link adds, with `reference`, `n` and `of`; `payload`, where
    the whole text is in one piece for message_payload), empty for a message of one part. `seconds_left` counts down to
    the end of the validity.
    """

    id: int
    message: int
    account: int
    n: int
    of: int
    to: str
    route: str
    payload: bytes
    data_coding: int
    udhi: bool
    attempts: int
    resent: bool
    urgent: bool
    seconds_left: float
    concat: str = ""
    reference: int = 0
