"""What a PDU is (SMPP 3.4 section 3 and 4), and how PDUs are cut out of a stream of octets.

A PDU is a header of four 32-bit numbers and a body. Bodies are plain frozen values; `codec` turns them into octets and
back. Text fields are C-octet strings: they are read and written as Latin-1, so that no octet is ever lost.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.value import value

HEADER = struct.Struct(">IIII")
_LENGTH = struct.Struct(">I")
#: The header alone (section 3.2).
SHORTEST = HEADER.size
#: Larger than any PDU of sense: a message_payload of 64 KiB minus one would come close, and no SMS centre sends one.
LONGEST = 64 * 1024
#: The bit that makes a command_id a response (section 5.1.2.1).
RESPONSE = 0x80000000


class Command(IntEnum):
    """Every command_id of SMPP 3.4 (section 5.1.2.1)."""

    BIND_RECEIVER = 0x00000001
    BIND_TRANSMITTER = 0x00000002
    QUERY_SM = 0x00000003
    SUBMIT_SM = 0x00000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    REPLACE_SM = 0x00000007
    CANCEL_SM = 0x00000008
    BIND_TRANSCEIVER = 0x00000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    SUBMIT_MULTI = 0x00000021
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    GENERIC_NACK = 0x80000000
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER_RESP = 0x80000002
    QUERY_SM_RESP = 0x80000003
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    REPLACE_SM_RESP = 0x80000007
    CANCEL_SM_RESP = 0x80000008
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK_RESP = 0x80000015
    SUBMIT_MULTI_RESP = 0x80000021
    DATA_SM_RESP = 0x80000103


class Tag(IntEnum):
    """The optional parameters this gateway uses (section 5.3.2)."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


#: Optional parameters in the order of the wire: (tag, value).
Tlvs = tuple[tuple[int, bytes], ...]


_KNOWN = frozenset(int(command) for command in Command)


def is_known(command: int) -> bool:
    """Whether SMPP 3.4 has this command_id."""
    return command in _KNOWN


def name_of(command: int) -> str:
    """`submit_sm` for 4; `command 0x00000999` for what SMPP 3.4 does not know."""
    try:
        return Command(command).name.lower()
    except ValueError:
        return f"command 0x{command:08X}"


class EncodeError(ValueError):
    """A value that does not fit its field (a defect, or a configuration nobody could send); `str()` says which."""


@dataclass(frozen=True, slots=True)
class Bind:
    """The body of bind_transmitter, bind_receiver and bind_transceiver (sections 4.1.1, 4.1.3, 4.1.5)."""

    system_id: str
    password: str = field(default="", repr=False)
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


@dataclass(frozen=True, slots=True)
class BindAnswer:
    """The body of the three bind responses (sections 4.1.2, 4.1.4, 4.1.6)."""

    system_id: str = ""
    tlvs: Tlvs = ()


@value
class ShortMessage:
    """The body of submit_sm, of deliver_sm and, as far as it has these fields, of data_sm (4.4.1, 4.6.1, 4.7.1).

    `short_message` is at most 254 octets; where it is empty the text may be in the TLV `message_payload`.
    """

    source: str = ""
    source_ton: int = 0
    source_npi: int = 0
    destination: str = ""
    dest_ton: int = 0
    dest_npi: int = 0
    short_message: bytes = b""
    data_coding: int = 0
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    registered_delivery: int = 0
    replace_if_present: int = 0
    sm_default_msg_id: int = 0
    service_type: str = ""
    schedule_delivery_time: str = ""
    validity_period: str = ""
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> bytes | None:
        """The value of the first optional parameter of this tag, or None."""
        for known, octets in self.tlvs:
            if known == tag:
                return octets
        return None

    @property
    def payload(self) -> bytes:
        """The user data, wherever it travels: short_message, or message_payload (section 5.3.2.32)."""
        return self.short_message or self.tlv(Tag.MESSAGE_PAYLOAD) or b""


@value
class MessageAnswer:
    """The body of submit_sm_resp, deliver_sm_resp and data_sm_resp (4.4.2, 4.6.2, 4.7.2)."""

    message_id: str = ""
    tlvs: Tlvs = ()


@dataclass(frozen=True, slots=True)
class Query:
    """The body of query_sm (4.8.1): which message, by its id and the source address it was submitted with."""

    message_id: str
    source: str = ""
    source_ton: int = 0
    source_npi: int = 0
    tlvs: Tlvs = ()


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The body of query_sm_resp (4.8.2); `final_date` as section 7.1.1 writes times, empty before there is one."""

    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0
    tlvs: Tlvs = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """The body of a command we know by name and do not use."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """A body, or a command_id, that cannot be read: why, and the command_status that says so to the peer."""

    why: str
    status: int


#: None is the empty body of enquire_link, unbind and their responses, of generic_nack, and of any refusal.
Body = Bind | BindAnswer | ShortMessage | MessageAnswer | Query | QueryAnswer | Unread | Malformed | None


@value
class Pdu:
    """One PDU, read."""

    command: int
    status: int
    sequence: int
    body: Body = None


class FramingError(Exception):
    """The stream says a PDU has a length no PDU has: where the next one begins can no longer be known."""


class Deframer:
    """Cuts PDUs out of a stream, however it was split on the way.

    Holds at most one PDU that is not complete yet, so never more than `LONGEST` octets.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted = 0  # fewer octets than these make no PDU of what is held

    def feed(self, octets: bytes) -> tuple[list[bytes], FramingError | None]:
        """The PDUs that are complete now, in order, and, after them, what is wrong with the stream, if anything is.

        After an error nothing more can be fed: the connection has to go.
        """
        if self._held:
            self._held += octets
            if len(self._held) < self._wanted:
                return [], None
            octets = bytes(self._held)
            self._held.clear()
        complete: list[bytes] = []
        begin, end = 0, len(octets)
        wanted = 4
        while end - begin >= 4:
            (length,) = _LENGTH.unpack_from(octets, begin)
            if not SHORTEST <= length <= LONGEST:
                why = f"a PDU of {length} octets was announced; the least is 16, the most {LONGEST}"
                return complete, FramingError(why)
            if begin + length > end:
                wanted = length
                break
            complete.append(octets[begin : begin + length])
            begin += length
        if begin < end:
            self._held += octets[begin:]
            self._wanted = wanted
        return complete, None
