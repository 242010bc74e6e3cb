"""Reading delivery receipts (SMPP 3.4 section 5.2.12.2, 5.3.2 and appendix B), in every dialect.

The optional parameters are believed first: `receipted_message_id`, `message_state`, `network_error_code`. What they do
not say is taken from the text, whose form the specification leaves to the vendor: fields in any order, any case, any
of them missing but a state, `text:` anywhere and anything in it, in octets or in UCS-2, with an esm_class that does not
say receipt at all.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.transports.base import Receipt, ReceiptState
from gateway.transports.smpp.pdu import ShortMessage, Tag
from gateway.value import value

if TYPE_CHECKING:
    from gateway.routing import Route
    from gateway.transports.base import Question
    from gateway.transports.smpp.pdu import QueryAnswer

#: The message type in esm_class (table 5-11): bits 5 to 2.
_MESSAGE_TYPE = 0x3C
_DELIVERY_RECEIPT = 0x04
_INTERMEDIATE_NOTIFICATION = 0x20
_RECEIPTS = frozenset({_DELIVERY_RECEIPT, _INTERMEDIATE_NOTIFICATION})

#: message_state (table 5-10; 0 and 9 of SMPP 5.0, table 4-64).
_STATES = {
    0: ReceiptState.ENROUTE,
    1: ReceiptState.ENROUTE,
    2: ReceiptState.DELIVERED,
    3: ReceiptState.EXPIRED,
    4: ReceiptState.DELETED,
    5: ReceiptState.UNDELIVERED,
    6: ReceiptState.ACCEPTED,
    7: ReceiptState.UNKNOWN,
    8: ReceiptState.REJECTED,
    9: ReceiptState.UNDELIVERED,
}
#: `stat:` (table B-2, and what centres write beside it); longer spellings by their beginning.
_WORDS = {
    "DELIV": ReceiptState.DELIVERED,
    "EXPIRED": ReceiptState.EXPIRED,
    "DELETED": ReceiptState.DELETED,
    "UNDELIV": ReceiptState.UNDELIVERED,
    "FAIL": ReceiptState.UNDELIVERED,
    "SKIPPED": ReceiptState.UNDELIVERED,
    "ACCEPT": ReceiptState.ACCEPTED,
    "ACKED": ReceiptState.ACCEPTED,
    "REJECT": ReceiptState.REJECTED,
    "DND_REJECT": ReceiptState.REJECTED,
    "ENROUTE": ReceiptState.ENROUTE,
    "BUFF": ReceiptState.ENROUTE,
    "SCHEDULED": ReceiptState.ENROUTE,
    "UNKNOWN": ReceiptState.UNKNOWN,
}

_FIELD = re.compile(r"(?<![^\W_])(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text)\s*:", re.IGNORECASE)
#: The form of appendix B, as most centres write it: read at once, with the same outcome as field by field.
_USUAL = re.compile(
    r"id:([\dA-Za-z-]++)(?: sub:\d++ dlvrd:\d++)?"
    r" submit date:(\d{10}(?:\d\d){0,2}) done date:(\d{10}(?:\d\d){0,2}) stat:([A-Za-z]++) err:([\dA-Za-z]++)"
    r"(?: [Tt]ext:|$)",
    re.ASCII,
)
_DATE = re.compile(r"\d{14}|\d{12}|\d{10}")
#: `362d9701 2`: the id and message_state, as some centres write what their optional parameters say.
_BARE = re.compile(r"\s*([\dA-Fa-f-]{4,64}) ([0-9])\s*\0?")
_LONGEST_ID = 64
# Numbers: members of an enumeration are slower to look up.
_RECEIPTED_ID, _REFERENCE = int(Tag.RECEIPTED_MESSAGE_ID), int(Tag.USER_MESSAGE_REFERENCE)
_STATE, _NETWORK_ERROR = int(Tag.MESSAGE_STATE), int(Tag.NETWORK_ERROR_CODE)
_UCS2 = 0x08


@value
class ReceiptFields:
    """What a receipt says. Everything but the state may be empty; the dates are as it wrote them.

    `reference` is the user_message_reference, in octets.
    """

    id: str
    state: ReceiptState
    error: str = ""
    submitted: str = ""
    done: str = ""
    reference: bytes = b""


def read_receipt(message: ShortMessage) -> ReceiptFields | None:
    """What this deliver_sm (or data_sm) reports, or None where it is no receipt.

    With an esm_class that says receipt, a state is enough. Without, either a receipted_message_id must be there, or
    the text must have an id, a state and one field more: a handset can write `stat:DELIVRD`, too.
    """
    text = text_of(message.short_message or message.payload, message.data_coding)
    said = text_fields(text)
    marked = message.esm_class & _MESSAGE_TYPE in _RECEIPTS
    if marked and not said and (bare := _BARE.fullmatch(text)) is not None:
        said = {"id": bare[1], "stat": bare[2]}
    tlvs = dict(message.tlvs[::-1])  # of two of the same tag the first counts
    receipted = _c_octets(tlvs.get(_RECEIPTED_ID))
    state_octets = tlvs.get(_STATE)
    state = _STATES.get(int.from_bytes(state_octets, "big")) if state_octets else None
    if state is None and "stat" in said:
        state = word_state(said["stat"]) or (ReceiptState.UNKNOWN if marked else None)
    convincing = marked or receipted or ("id" in said and "stat" in said and len(said) > 2)
    if state is None or not convincing:
        return None
    return ReceiptFields(
        (receipted or said.get("id", ""))[:_LONGEST_ID],
        state,
        (_NETWORK_ERROR in tlvs and _network_error(tlvs[_NETWORK_ERROR])) or said.get("err", ""),
        said.get("submit", ""),
        said.get("done", ""),
        tlvs.get(_REFERENCE, b""),
    )


def read_report(route: Route, question: Question, answer: QueryAnswer) -> Receipt | None:
    """What the answer to a query_sm reports, as the receipt that never came; None where nothing is final yet."""
    state = _STATES.get(answer.message_state, ReceiptState.UNKNOWN)
    if state in (ReceiptState.ENROUTE, ReceiptState.ACCEPTED, ReceiptState.UNKNOWN):
        return None
    date = answer.final_date[:12]  # section 7.1.1.1: YYMMDDhhmmss, then tenths and the zone
    return Receipt(
        route=route.name,
        id=question.peer_id,
        to=question.to,
        sender=route.sender,
        state=state,
        error=f"{answer.error_code:03d}" if answer.error_code else "",
        done=date if _DATE.fullmatch(date) else "",
    )


def describe(payload: bytes) -> dict[str, str | None] | None:
    """What the short_message of a receipt says, as `tocsin try receipt` prints it; None where it says no state.

    The operator does not tell the zone of its dates: they are read as UTC.
    """
    read = read_receipt(ShortMessage(short_message=payload, esm_class=_DELIVERY_RECEIPT))
    if read is None:
        return None
    return {
        "id": read.id or None,
        "state": read.state.value,
        "error": read.error or None,
        "submitted": _written(read.submitted),
        "done": _written(read.done),
    }


def _written(date: str) -> str | None:
    found = instant(date)
    return f"{found:%Y-%m-%dT%H:%M:%SZ}" if found is not None else None


def instant(written: str) -> datetime | None:
    """A receipt's date, read as UTC: YYMMDDhhmm, with seconds, with the century, or both; None for what is none.

    Of twelve digits both readings may be possible; those that begin with this century are taken to say so.
    """
    with_century, with_seconds = "%Y%m%d%H%M", "%y%m%d%H%M%S"
    forms = {
        10: ("%y%m%d%H%M",),
        12: (with_century, with_seconds) if written.startswith("20") else (with_seconds, with_century),
        14: ("%Y%m%d%H%M%S",),
    }
    for form in forms.get(len(written), ()):
        with contextlib.suppress(ValueError):
            return datetime.strptime(written, form).replace(tzinfo=UTC)
    return None


def text_fields(text: str) -> dict[str, str]:
    """The fields of a receipt's text: `id, submit, done, stat, err` and others, as far as they are there.

    `text:` may hold words that look like fields, and real fields may follow it: what stands before it wins, and of
    what stands after it the last.
    """
    usual = _USUAL.match(text)
    if usual is not None:
        number, submit, done, stat, err = usual.groups()
        return {"id": number, "submit": submit, "done": done, "stat": stat, "err": err}
    return field_by_field(text)


def field_by_field(text: str) -> dict[str, str]:
    """As `text_fields`, in any order and form, and with `sub` and `dlvrd`."""
    fields: dict[str, str] = {}
    later: dict[str, str] = {}
    found = list(_FIELD.finditer(text))
    into = fields
    for field, following in zip(found, [*found, None][1:], strict=True):
        name = field[1].lower().replace("_", " ").split()[0].removesuffix("date")
        if name == "text":
            into = later
            continue
        raw = text[field.end() : following.start() if following else len(text)].strip()
        if into is later or name not in into:
            into[name] = _value(name, raw)
    return later | fields


def word_state(word: str) -> ReceiptState | None:
    """The state that `stat:` names, by word or by number; None for a word nobody knows."""
    if word.isascii() and word.isdigit():
        return _STATES.get(int(word))
    upper = word.upper()
    return next((state for begin, state in _WORDS.items() if upper.startswith(begin)), None)


def text_of(payload: bytes, data_coding: int) -> str:
    """The text of a receipt: Latin-1 keeps every octet; UCS-2 where it is said, or where every other octet is NUL.

    Some write UCS-2 with the low octet first, some with a byte order mark: what is plain ASCII tells which it is.
    """
    if 0 not in payload:
        return payload.decode("latin-1")
    if payload[:2] in (b"\xfe\xff", b"\xff\xfe") and payload[2:].count(0) * 3 > len(payload):
        return payload.decode("utf-16", errors="replace")
    if payload[1:2] == b"\0" and payload[3:4] == b"\0" and payload[:1] != b"\0":
        return payload.decode("utf-16-le", errors="replace")
    wide = payload[:1] == b"\0" and payload[2:3] == b"\0"
    if wide or (data_coding == _UCS2 and 0 in payload):
        return payload.decode("utf-16-be", errors="replace")
    return payload.decode("latin-1")


def _value(name: str, raw: str) -> str:
    if name in ("submit", "done"):
        date = _DATE.match(raw)
        return date[0] if date else ""
    return raw.split()[0].rstrip(",;|\0") if raw.split() else ""


def _c_octets(octets: bytes | None) -> str:
    return octets.split(b"\0", 1)[0].decode("latin-1").strip() if octets else ""


def _network_error(octets: bytes) -> str:
    """network_error_code (5.3.2.31): one octet of network type, two of code, written as the text form would."""
    return f"{int.from_bytes(octets[1:3], 'big'):03d}" if len(octets) == 3 else ""
