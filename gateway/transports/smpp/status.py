"""What a command_status of the SMS centre means for the segment it answers (SMPP 3.4 section 5.1.3, table 5-2).

The table is the middle between two schools: those who take every unknown code for a final refusal, and lose messages,
and those who try everything again, and double them. A route may override any code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.transports.base import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gateway.transports.smpp.events import Answered
    from gateway.transports.smpp.link import Sent


class Class(StrEnum):
    """What has to be done."""

    ACCEPTED = "accepted"
    #: The whole link slows down; the segment was not taken and goes first again.
    THROTTLE = "throttle"
    #: A queue is full: the link's, or only that of this destination; the link tells by what else is accepted.
    QUEUE_FULL = "queue full"
    TRANSIENT = "transient"
    #: Nobody knows whether it is final: transient twice, then permanent. `meaning` says so by `tries`.
    DOUBTFUL = "doubtful"
    PERMANENT = "permanent"
    #: The session is not what we think it is: the segment comes back free of charge, and we bind anew.
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One code's meaning: what to do, how it is called, and a sentence for whoever sent the message.

    `code` is the code as people look it up: `0x00000058`.
    `tries` is how often a transient refusal by this code is worth trying here; None says nothing. After that another
    route is tried, or, where `elsewhere` is false, it has failed.
    """

    status: int
    code: str
    name: str
    what: Class
    text: str
    tries: int | None = None
    elsewhere: bool = True


_ACCEPTED = "The operator's SMS centre has the message."
_SLOWER = "The operator's SMS centre asked to be sent less at a time."
_BUSY = "The operator's SMS centre could not take the message this time."
_FULL = "The operator's SMS centre has no room for more messages to this number."
_SENDER = "The operator does not allow this sender."
_NUMBER = "The operator says that this number cannot get messages."
_DEFECT = "The operator's SMS centre could not read the message; this is a fault of the gateway."
_SERVICE = "The operator does not offer this service to the gateway."
_REFUSED = "The operator refused the message."
_TIME = "The operator does not accept the time until which the message is to be delivered."
_SESSION = "The connection to the operator's SMS centre had to be set up again."

_TABLE: dict[int, tuple[str, Class, str, int | None]] = {
    0x00: ("ROK", Class.ACCEPTED, _ACCEPTED, None),
    0x01: ("RINVMSGLEN", Class.PERMANENT, _DEFECT, None),
    0x02: ("RINVCMDLEN", Class.DOUBTFUL, _DEFECT, None),
    0x03: ("RINVCMDID", Class.DOUBTFUL, _DEFECT, None),
    0x04: ("RINVBNDSTS", Class.SESSION, _SESSION, None),
    0x05: ("RALYBND", Class.SESSION, _SESSION, None),
    0x06: ("RINVPRTFLG", Class.PERMANENT, _DEFECT, None),
    0x07: ("RINVREGDLVFLG", Class.PERMANENT, _DEFECT, None),
    0x08: ("RSYSERR", Class.TRANSIENT, _BUSY, 6),
    0x0A: ("RINVSRCADR", Class.PERMANENT, _SENDER, None),
    0x0B: ("RINVDSTADR", Class.PERMANENT, _NUMBER, None),
    0x0C: ("RINVMSGID", Class.DOUBTFUL, _BUSY, None),
    0x0D: ("RBINDFAIL", Class.SESSION, _SESSION, None),
    0x0E: ("RINVPASWD", Class.SESSION, _SESSION, None),
    0x0F: ("RINVSYSID", Class.SESSION, _SESSION, None),
    0x11: ("RCANCELFAIL", Class.DOUBTFUL, _BUSY, None),
    0x13: ("RREPLACEFAIL", Class.DOUBTFUL, _BUSY, None),
    0x14: ("RMSGQFUL", Class.QUEUE_FULL, _FULL, None),
    0x15: ("RINVSERTYP", Class.PERMANENT, _SERVICE, None),
    0x33: ("RINVNUMDESTS", Class.PERMANENT, _NUMBER, None),
    0x34: ("RINVDLNAME", Class.PERMANENT, _NUMBER, None),
    0x40: ("RINVDESTFLAG", Class.PERMANENT, _NUMBER, None),
    0x42: ("RINVSUBREP", Class.PERMANENT, _DEFECT, None),
    0x43: ("RINVESMCLASS", Class.PERMANENT, _DEFECT, None),
    0x44: ("RCNTSUBDL", Class.PERMANENT, _NUMBER, None),
    0x45: ("RSUBMITFAIL", Class.TRANSIENT, _BUSY, 3),
    0x48: ("RINVSRCTON", Class.PERMANENT, _SENDER, None),
    0x49: ("RINVSRCNPI", Class.PERMANENT, _SENDER, None),
    0x50: ("RINVDSTTON", Class.PERMANENT, _NUMBER, None),
    0x51: ("RINVDSTNPI", Class.PERMANENT, _NUMBER, None),
    0x53: ("RINVSYSTYP", Class.SESSION, _SESSION, None),
    0x54: ("RINVREPFLAG", Class.PERMANENT, _DEFECT, None),
    0x55: ("RINVNUMMSGS", Class.PERMANENT, _DEFECT, None),
    0x58: ("RTHROTTLED", Class.THROTTLE, _SLOWER, None),
    0x61: ("RINVSCHED", Class.PERMANENT, _TIME, None),
    0x62: ("RINVEXPIRY", Class.PERMANENT, _TIME, None),
    0x63: ("RINVDFTMSGID", Class.PERMANENT, _DEFECT, None),
    0x64: ("RX_T_APPN", Class.TRANSIENT, _BUSY, 6),
    0x65: ("RX_P_APPN", Class.PERMANENT, _REFUSED, None),
    0x66: ("RX_R_APPN", Class.PERMANENT, _REFUSED, None),
    0x67: ("RQUERYFAIL", Class.DOUBTFUL, _BUSY, None),
    0xC0: ("RINVOPTPARSTREAM", Class.PERMANENT, _DEFECT, None),
    0xC1: ("ROPTPARNOTALLWD", Class.PERMANENT, _DEFECT, None),
    0xC2: ("RINVPARLEN", Class.PERMANENT, _DEFECT, None),
    0xC3: ("RMISSINGOPTPARAM", Class.PERMANENT, _DEFECT, None),
    0xC4: ("RINVOPTPARAMVAL", Class.PERMANENT, _DEFECT, None),
    0xFE: ("RDELIVERYFAILURE", Class.TRANSIENT, _BUSY, 2),
    0xFF: ("RUNKNOWNERR", Class.TRANSIENT, _BUSY, 2),
    # Of SMPP 5.0, which centres send on 3.4 links too.
    0x100: ("RSERTYPUNAUTH", Class.PERMANENT, _SERVICE, None),
    0x101: ("RPROHIBITED", Class.PERMANENT, _SERVICE, None),
    0x102: ("RSERTYPUNAVAIL", Class.TRANSIENT, _BUSY, 6),
    0x103: ("RSERTYPDENIED", Class.PERMANENT, _SERVICE, None),
    0x104: ("RINVDCS", Class.PERMANENT, _DEFECT, None),
}

#: A code that is in no table.
_NOBODYS: tuple[str, Class, str, int | None] = ("", Class.DOUBTFUL, _REFUSED, None)
#: The try at which a doubtful code is final: it is transient twice.
_DOUBTFUL_TRIES = 3

#: Refusals of a bind that no waiting mends: the operator has to look; centres lock accounts that knock on.
CREDENTIALS: frozenset[int] = frozenset({0x0E, 0x0F, 0x53})

#: What a route may say a code means (`[[route]] status`).
OVERRIDES: Mapping[str, Class] = {
    "accepted": Class.ACCEPTED,
    "transient": Class.TRANSIENT,
    "permanent": Class.PERMANENT,
    "throttle": Class.THROTTLE,
}


def meaning(status: int, overrides: Mapping[int, str] | None = None) -> Meaning:
    """What this command_status means.

    A code that nobody here knows, the vendors' own (0x400 to 0x4FF) among them, is doubtful, and gets no name.
    """
    override = overrides.get(status) if overrides else None
    if override is not None:
        name, _, text, _ = _TABLE.get(status, _NOBODYS)
        return Meaning(status, _code(status), name, OVERRIDES[override], text)
    return _MEANINGS.get(status) or _meant(status, *_NOBODYS)


def _code(status: int) -> str:
    return f"0x{status:08X}"


def _meant(status: int, name: str, what: Class, text: str, tries: int | None) -> Meaning:
    if what is Class.DOUBTFUL:
        return Meaning(status, _code(status), name, Class.TRANSIENT, text, _DOUBTFUL_TRIES, elsewhere=False)
    return Meaning(status, _code(status), name, what, text, tries)


_MEANINGS = {status: _meant(status, *row) for status, row in _TABLE.items()}

#: What a class is to whoever handed the segment over.
RESULTS = {
    Class.ACCEPTED: Result.ACCEPTED,
    Class.THROTTLE: Result.THROTTLED,
    Class.TRANSIENT: Result.TRANSIENT,
    Class.PERMANENT: Result.PERMANENT,
    Class.SESSION: Result.UNSENT,
}


def outcome_of(sent: Sent, said: Meaning, result: Result, answer: Answered, answered: datetime) -> Outcome:
    """What became of a segment that was answered so."""
    detail = "" if result is Result.ACCEPTED else f"{said.name or 'a code of the vendor'}{' (nack)' * answer.nack}"
    return Outcome(
        sent.segment.id,
        result,
        said.code,
        said.text,
        detail,
        answer.message_id,
        sent.written,
        answered,
        said.tries if result is Result.TRANSIENT else None,
        said.elsewhere,
    )
