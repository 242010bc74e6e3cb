"""What a session tells its owner: frozen values, one a thing that happened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.value import value

if TYPE_CHECKING:
    from gateway.transports.smpp.pdu import Bind, Query, QueryAnswer, ShortMessage


class Role(StrEnum):
    """Which end of the connection this is (section 2.1)."""

    ESME = "esme"
    CENTRE = "centre"


class Mode(StrEnum):
    """What a session is bound for (section 2.2)."""

    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"
    TRANSCEIVER = "transceiver"


@dataclass(frozen=True, slots=True)
class Bound:
    """We are bound. `version` is the centre's sc_interface_version, None where it did not say (then it is 3.3)."""

    mode: Mode
    system_id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class BindRefused:
    """The centre refused our bind."""

    status: int


@dataclass(frozen=True, slots=True)
class BindRequested:
    """An ESME wants to be bound: `accept` or `refuse`."""

    mode: Mode
    bind: Bind


@value
class Answered:
    """The answer to the request `sequence` of ours. `nack`: it was a generic_nack.

    `late`: it comes after `TimedOut` was told. `report` is what the answer to a query_sm says.
    """

    sequence: int
    status: int
    message_id: str = ""
    nack: bool = False
    late: bool = False
    report: QueryAnswer | None = None


@dataclass(frozen=True, slots=True)
class Queried:
    """A query_sm of the peer's, to be answered by `report`."""

    sequence: int
    query: Query


@value
class Arrived:
    """A submit_sm, deliver_sm or data_sm of the peer's, to be answered by `answer`."""

    command: int
    sequence: int
    message: ShortMessage


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No answer to the request `sequence` of ours came in time."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Unbound:
    """Goodbye was said and answered, by the peer's wish or by ours. Close when nothing is outstanding."""

    by_peer: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """The session is over and the connection has to be closed; `why` is one plain sentence, without its capital
    and its full stop, to be part of a longer one."""

    why: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something that has no consequence, for the log."""

    command: int
    sequence: int
    status: int
    why: str


Event = Bound | BindRefused | BindRequested | Answered | Arrived | Queried | TimedOut | Unbound | Fault | Ignored
