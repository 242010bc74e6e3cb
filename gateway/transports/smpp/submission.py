"""From a claimed segment to the submit_sm that says it: addresses, validity, flags (SMPP 3.4 section 4.4.1)."""

from __future__ import annotations

import struct
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from gateway.transports.smpp.codec import (
    LONGEST_SHORT_MESSAGE,
    body_octets,
    c_octets,
    short_message_format,
    short_message_octets,
)
from gateway.transports.smpp.pdu import Command, EncodeError, Query, ShortMessage, Tag

if TYPE_CHECKING:
    from gateway.message import Claimed
    from gateway.routing import Route
    from gateway.transports.smpp.pdu import Tlvs

# Type of number and numbering plan (tables 5-3 and 5-4).
_INTERNATIONAL = 1
_NATIONAL = 2
_NETWORK_SPECIFIC = 3
_ALPHANUMERIC = 5
_ISDN = 1

_UDHI = 0x40  # esm_class, table 5-12: the user data begins with a header (3GPP TS 23.040 clause 9.2.3.24)
_RECEIPT = 0x01  # registered_delivery, table 5-13: a receipt, whatever the outcome
_LONGEST_ALPHANUMERIC = 11  # 3GPP TS 23.040 clause 9.1.2.5: 140 bits of 7-bit characters in twenty semi-octets
_SHORT_CODE = 6  # digits; what is longer is a telephone number
_LONGEST_VALIDITY = 63 * 7 * 86400  # 3GPP TS 23.040 clause 9.2.3.12.1: 63 weeks


#: Parts that are tied together, if they are, by what is in their text already.
_IN_TEXT = frozenset({"", "udh8", "udh16"})

#: The source address, its ton, its npi; the schedule, the validity (table 5-2).
_SENDER_REFUSED = frozenset({0x0A, 0x48, 0x49})
_TIME_REFUSED = frozenset({0x61, 0x62})


class Variant(StrEnum):
    """How a segment is said the second time, in words for the log."""

    NUMERIC_SENDER = "with the numeric sender"
    NO_VALIDITY = "without a validity_period"


class Address(NamedTuple):
    """An address as it stands in a PDU."""

    digits: str
    ton: int
    npi: int


def sender_address(sender: str, ton: int | None = None, npi: int | None = None) -> Address:
    """The source address of a route's `sender`; `ton` and `npi` where the configuration gives them, else derived.

    `+32475000000` and `32475000000` are international, `0475000000` national, up to six digits a short code, anything
    else is a name. Empty leaves the choice to the SMS centre. Raises `EncodeError` for a name of more than 11
    characters.
    """
    derived = _derive(sender)
    return Address(derived.digits, derived.ton if ton is None else ton, derived.npi if npi is None else npi)


def _derive(sender: str) -> Address:
    digits = sender.removeprefix("+")
    if not sender:
        return Address("", 0, 0)
    if not (digits.isascii() and digits.isdigit()):
        if len(sender) > _LONGEST_ALPHANUMERIC:
            raise EncodeError(
                f'the sender "{sender}" has {len(sender)} characters; a name may have {_LONGEST_ALPHANUMERIC}'
            )
        return Address(sender, _ALPHANUMERIC, 0)
    if sender.startswith("+"):
        return Address(digits, _INTERNATIONAL, _ISDN)
    if digits.startswith("00"):
        return Address(digits[2:], _INTERNATIONAL, _ISDN)
    if len(digits) <= _SHORT_CODE:
        return Address(digits, _NETWORK_SPECIFIC, 0)
    if digits.startswith("0"):
        return Address(digits, _NATIONAL, _ISDN)
    return Address(digits, _INTERNATIONAL, _ISDN)


def e164(address: str, ton: int) -> str:
    """A handset's address in a deliver_sm as E.164 where it is international, as it stands where it is not.

    Centres write the same number with ton 1 and 0, with `+`, with `00` and bare.
    """
    if ton == _INTERNATIONAL and address.isdigit() and address.isascii() and address[0] != "0":
        return "+" + address  # what nearly all of them write
    digits = address.removeprefix("+")
    digits = digits.removeprefix("00")
    if not (digits.isascii() and digits.isdigit()) or digits.startswith("0"):
        return address
    written_so = digits != address or ton == _INTERNATIONAL
    return "+" + digits if written_so or (ton == 0 and len(digits) > _SHORT_CODE) else address


def validity(seconds: float) -> str:
    """A validity_period: how long from now, in the relative form (section 7.1.1.2), at least a second.

    Days beyond 30 are written as months of 30 days: some centres take no day above 31.
    """
    days, left = divmod(max(1, min(int(seconds), _LONGEST_VALIDITY)), 86400)
    years, days = divmod(days, 365)
    months, days = divmod(days, 30)
    hours, left = divmod(left, 3600)
    minutes, left = divmod(left, 60)
    return f"{years:02}{months:02}{days:02}{hours:02}{minutes:02}{left:02}000R"


@lru_cache(maxsize=64)  # what leaves in the same second has the same
def _validity_octets(seconds: int) -> bytes:
    return validity(seconds).encode("ascii")


class Submission:
    """Makes the submit_sm of one route's segments. What is the same for all of them is worked out once."""

    def __init__(self, route: Route) -> None:
        self._source = sender_address(route.sender, route.sender_ton, route.sender_npi)
        self._numeric = sender_address(route.numeric_sender) if route.numeric_sender else None
        self._registered_delivery = _RECEIPT if route.receipts else 0
        self._protocol_id = route.protocol_id
        common = ShortMessage(
            *self._source,
            dest_ton=_INTERNATIONAL,
            dest_npi=_ISDN,
            protocol_id=self._protocol_id,
            registered_delivery=self._registered_delivery,
        )
        short_message_octets(common)  # refuses what no segment could be sent with
        reference = struct.pack(">HH", Tag.USER_MESSAGE_REFERENCE, 2) + b"%c%c"
        self._plain = short_message_format(common) + reference

    def other_way(self, status: int) -> Variant | None:
        """How what was refused by this command_status may be said once more, or None."""
        if status in _SENDER_REFUSED and self._numeric is not None and self._numeric != self._source:
            return Variant.NUMERIC_SENDER
        return Variant.NO_VALIDITY if status in _TIME_REFUSED else None

    def query(self, message_id: str) -> Query:
        """The query_sm of a message: its source address has to be that of the submit_sm (section 4.8.1)."""
        return Query(message_id, self._source.digits, self._source.ton, self._source.npi)

    def body(self, segment: Claimed, variant: Variant | None = None) -> bytes:
        """The body of the submit_sm of one segment, in octets: those of its `message`.

        Most segments are said the same way, by a format made once. Raises `EncodeError` for what SMPP cannot carry.
        """
        text, number = segment.payload, segment.id
        if variant is None and segment.concat in _IN_TEXT and len(text) <= LONGEST_SHORT_MESSAGE:
            try:
                return self._plain % (
                    c_octets("destination", segment.to.removeprefix("+")),
                    _UDHI if segment.udhi else 0,
                    1 if segment.urgent else 0,
                    _validity_octets(int(segment.seconds_left)),
                    segment.data_coding,
                    len(text),
                    text,
                    number >> 8 & 0xFF,
                    number & 0xFF,
                )
            except OverflowError:
                pass  # what is no octet is refused below, as it is in every message
        return body_octets(Command.SUBMIT_SM, self.message(segment, variant))

    def message(self, segment: Claimed, variant: Variant | None = None) -> ShortMessage:
        """The submit_sm of one segment.

        A text in one piece travels in message_payload, and then short_message is empty (section 4.4.1, sm_length).
        Parts tied by SAR carry the sar_ fields (sections 5.3.2.22 to 24) and no user data header.

        The user_message_reference (section 5.3.2.17) is the low 16 bits of the segment's id; a centre that echoes it
        in its receipt tells which segment it speaks of, even where its answer was lost.
        """
        source = self._numeric if variant is Variant.NUMERIC_SENDER and self._numeric else self._source
        return ShortMessage(
            source=source.digits,
            source_ton=source.ton,
            source_npi=source.npi,
            destination=segment.to.removeprefix("+"),
            dest_ton=_INTERNATIONAL,
            dest_npi=_ISDN,
            short_message=b"" if segment.concat == "payload" else segment.payload,
            data_coding=segment.data_coding,
            esm_class=_UDHI if segment.udhi else 0,
            protocol_id=self._protocol_id,
            priority_flag=1 if segment.urgent else 0,
            registered_delivery=self._registered_delivery,
            validity_period="" if variant is Variant.NO_VALIDITY else validity(segment.seconds_left),
            tlvs=((Tag.USER_MESSAGE_REFERENCE, struct.pack(">H", segment.id & 0xFFFF)), *_tied(segment)),
        )


def _tied(segment: Claimed) -> Tlvs:
    """The optional parameters that tie a long text together."""
    if segment.concat == "payload":
        return ((Tag.MESSAGE_PAYLOAD, segment.payload),)
    if segment.concat == "sar":
        return (
            (Tag.SAR_MSG_REF_NUM, struct.pack(">H", segment.reference & 0xFFFF)),
            (Tag.SAR_TOTAL_SEGMENTS, bytes((segment.of,))),
            (Tag.SAR_SEGMENT_SEQNUM, bytes((segment.n,))),
        )
    return ()
