"""Octets to PDUs and back.

smpplib makes and reads the mandatory parameters of every PDU, and is the reference: what it says is right. Two things
are done here without it, and tests hold both equal to it, octet by octet:

- The three bodies that every message costs (submit_sm, its answer, deliver_sm) and the PDUs without a body have a
  short way by `bytes` formatting and a pattern, some twenty times faster. Where it meets anything odd it steps aside.
- Optional parameters are plain tag, length, value (SMPP 3.4 section 5.3). smpplib raises for one that it knows and
  does not expect in this command, which real SMS centres send, and reads a number of unexpected length wrongly.

`decode` never raises: what cannot be read comes back as `Malformed`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import fields
from typing import Any

from smpplib import command as smpplib_command

from gateway.transports.smpp.pdu import (
    HEADER,
    RESPONSE,
    Bind,
    BindAnswer,
    Body,
    Command,
    EncodeError,
    Malformed,
    MessageAnswer,
    Pdu,
    Query,
    QueryAnswer,
    ShortMessage,
    Tlvs,
    Unread,
    is_known,
    name_of,
)

_TAG_AND_LENGTH = struct.Struct(">HH")

_INVALID_LENGTH = 0x02
_INVALID_COMMAND = 0x03
_INVALID_OPTIONAL = 0xC0

# Numbers, for what every message costs: a member of an enumeration is slower to look up, and to compare.
_OFTEN_ASKED = frozenset({int(Command.SUBMIT_SM), int(Command.DELIVER_SM)})
_OFTEN_ANSWERED = frozenset({int(Command.SUBMIT_SM_RESP), int(Command.DELIVER_SM_RESP)})

_BINDS = frozenset({Command.BIND_TRANSMITTER, Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER})
_MESSAGES = frozenset({Command.SUBMIT_SM, Command.DELIVER_SM, Command.DATA_SM})
_BIND_ANSWERS = frozenset(command | RESPONSE for command in _BINDS)
_MESSAGE_ANSWERS = frozenset(command | RESPONSE for command in _MESSAGES)
_BODILESS = frozenset(
    {
        Command.ENQUIRE_LINK,
        Command.ENQUIRE_LINK_RESP,
        Command.UNBIND,
        Command.UNBIND_RESP,
        Command.GENERIC_NACK,
    }
)

#: Our names of a body's fields -> those of SMPP 3.4, which are smpplib's.
_SPELLING = {
    "source": "source_addr",
    "source_ton": "source_addr_ton",
    "source_npi": "source_addr_npi",
    "destination": "destination_addr",
    "dest_ton": "dest_addr_ton",
    "dest_npi": "dest_addr_npi",
    "replace_if_present": "replace_if_present_flag",
}
#: The longest value of each text field, its closing NUL included (section 4, the tables of each PDU).
_LONGEST = {
    "system_id": 16,
    "password": 9,
    "system_type": 13,
    "address_range": 41,
    "service_type": 6,
    "source": 21,
    "destination": 21,
    "schedule_delivery_time": 17,
    "validity_period": 17,
    "message_id": 65,
    "final_date": 17,
}
LONGEST_SHORT_MESSAGE = 254

#: The mandatory parameters of submit_sm and deliver_sm up to the short_message (tables 4-10 and 4-15).
_MANDATORY = re.compile(
    rb"([^\0]*+)\0(..)([^\0]*+)\0(..)([^\0]*+)\0(...)([^\0]*+)\0([^\0]*+)\0(.....)",
    re.DOTALL,
)

#: The fields of each kind of body, by our names, all but the optional parameters.
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind) if one.name != "tlvs")
    for kind in (Bind, BindAnswer, ShortMessage, MessageAnswer, Query, QueryAnswer)
}


def encode(command: int, sequence: int, status: int = 0, body: Body | bytes = None) -> bytes:
    """The octets of one PDU; a body may be in octets already.

    Raises `EncodeError` for a value that does not fit its field: nothing is cut off in silence.
    """
    if body is None or (status and command & RESPONSE):
        return HEADER.pack(16, command, status, sequence)  # a refusal has no body (4.1.2, 4.4.2)
    octets = body if isinstance(body, bytes) else body_octets(command, body)
    return HEADER.pack(16 + len(octets), command, status, sequence) + octets


def body_octets(command: int, body: Body) -> bytes:
    """The octets of a body, without a header. Raises as `encode` does."""
    if isinstance(body, ShortMessage) and command != Command.DATA_SM:
        mandatory = short_message_octets(body)
    elif isinstance(body, MessageAnswer):
        mandatory = c_octets("message_id", body.message_id) + b"\0"
    elif isinstance(body, Malformed | Unread):
        raise EncodeError(f"{name_of(command)} with a body nobody could read cannot be written")
    else:
        mandatory = _mandatory_by_smpplib(command, body)
    tlvs: Tlvs = getattr(body, "tlvs", ())
    return mandatory + b"".join([_tlv_octets(tag, value) for tag, value in tlvs]) if tlvs else mandatory


def encode_by_smpplib(command: int, sequence: int, status: int, body: Body) -> bytes:
    """As `encode`, the mandatory parameters by smpplib alone: what the short way is held against."""
    mandatory = b"" if body is None else _mandatory_by_smpplib(command, body)
    tlvs: Tlvs = getattr(body, "tlvs", ())
    octets = mandatory + b"".join([_tlv_octets(tag, value) for tag, value in tlvs])
    return HEADER.pack(16 + len(octets), command, status, sequence) + octets


def short_message_octets(body: ShortMessage) -> bytes:
    """The mandatory parameters of submit_sm and deliver_sm, the short way (tables 4-10 and 4-15)."""
    text = body.short_message
    if len(text) > LONGEST_SHORT_MESSAGE:
        raise EncodeError(f"a short_message of {len(text)} octets does not fit: {LONGEST_SHORT_MESSAGE} is the most")
    try:
        return short_message_format(body) % (
            c_octets("destination", body.destination),
            body.esm_class,
            body.priority_flag,
            c_octets("validity_period", body.validity_period),
            body.data_coding,
            len(text),
            text,
        )
    except OverflowError as error:
        raise EncodeError(f"a one-octet field of a short message holds no octet: {error}") from None


def short_message_format(common: ShortMessage) -> bytes:
    """What short messages have in common, as a format for `%` that takes what is each one's own.

    That is destination, esm_class, priority_flag, validity_period, data_coding, the length of the text, and the text;
    destination and validity_period as octets. Raises `EncodeError`, and `OverflowError` for what is no octet.
    """
    parts = (
        b"%b\0%c%c" % (c_octets("service_type", common.service_type), common.source_ton, common.source_npi),
        b"%b\0%c%c" % (c_octets("source", common.source), common.dest_ton, common.dest_npi),
        b"%c" % common.protocol_id,
        c_octets("schedule_delivery_time", common.schedule_delivery_time),
        b"%c%c" % (common.registered_delivery, common.replace_if_present),
        b"%c" % common.sm_default_msg_id,
    )
    return b"%b%b%%b\0%%c%b%%c%b\0%%b\0%b%%c%b%%c%%b" % tuple([part.replace(b"%", b"%%") for part in parts])


def c_octets(name: str, value: str) -> bytes:
    """A C-octet string without its NUL (section 3.1)."""
    if not value:
        return b""
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:
        raise EncodeError(f"{name} has a character that SMPP cannot carry there") from None
    if len(octets) >= _LONGEST[name]:
        raise EncodeError(f"{name} has {len(octets)} characters; SMPP 3.4 allows {_LONGEST[name] - 1}")
    if 0 in octets:
        raise EncodeError(f"{name} has a NUL inside")
    return octets


def _tlv_octets(tag: int, value: bytes) -> bytes:
    if len(value) > 0xFFFF:
        raise EncodeError(f"optional parameter 0x{tag:04X} has {len(value)} octets; 65535 is the most")
    return _TAG_AND_LENGTH.pack(tag, len(value)) + value


def _mandatory_by_smpplib(command: int, body: Body) -> bytes:
    """The mandatory parameters as smpplib writes them. Its own limits cut in silence, so ours are checked before."""
    values: dict[str, Any] = {}
    for name in _FIELDS[type(body)]:
        value = getattr(body, name)
        if isinstance(value, str):
            c_octets(name, value)
        values[_SPELLING.get(name, name)] = value
    if len(values.get("short_message", b"")) > LONGEST_SHORT_MESSAGE:
        raise EncodeError(f"a short_message does not fit: {LONGEST_SHORT_MESSAGE} octets are the most")
    writer = smpplib_command.factory(name_of(command), sequence=0)
    for name, value in values.items():
        setattr(writer, name, value)  # the constructor would keep its own interface_version
    try:
        return bytes(writer.generate_params())
    except struct.error as error:
        raise EncodeError(f"a number of {name_of(command)} does not fit its field: {error}") from None


def decode(octets: bytes) -> Pdu:
    """One PDU from exactly its octets (at least the 16 of the header). Never raises."""
    _, command, status, sequence = HEADER.unpack_from(octets)
    return Pdu(command, status, sequence, body_of(command, status, octets))


def body_of(command: int, status: int, octets: bytes) -> Body:
    """The body of the PDU that has these octets, given what its header says. Never raises."""
    if command in _OFTEN_ANSWERED:
        return _message_answer(octets)
    if command in _OFTEN_ASKED:
        body = _short_message(octets)
        if body is not None:
            return body
    return _body(command, status, octets)


def decode_by_smpplib(octets: bytes) -> Pdu:
    """As `decode`, the mandatory parameters by smpplib alone: what the short way is held against."""
    _, command, status, sequence = HEADER.unpack_from(octets)
    return Pdu(command, status, sequence, _body(command, status, octets))


def _body(command: int, status: int, octets: bytes) -> Body:
    if not is_known(command):
        return Malformed(f"0x{command:08X} is no command of SMPP 3.4", _INVALID_COMMAND)
    if command in _BODILESS:
        return None
    if command in _MESSAGE_ANSWERS:
        return _message_answer(octets)
    if command in _BINDS:
        return _read(Bind, command, octets)
    if command in _MESSAGES:
        return _read(ShortMessage, command, octets)
    if command in _BIND_ANSWERS:
        # What a centre puts behind its answer matters less than the answer: an unreadable body is no body.
        answer = _read(BindAnswer, command, octets) if len(octets) > 16 else None
        return answer if isinstance(answer, BindAnswer) else BindAnswer()
    if command == Command.QUERY_SM:
        return _read(Query, command, octets)
    if command == Command.QUERY_SM_RESP:
        return _read(QueryAnswer, command, octets) if status == 0 else QueryAnswer()
    return Unread(octets[16:])


def message_id(octets: bytes) -> str:
    """The message_id of a submit_sm_resp, from the octets of the whole PDU; some centres leave out its NUL."""
    end = octets.find(0, 16)
    return octets[16 : end if end >= 0 else None].decode("latin-1")


def _message_answer(octets: bytes) -> MessageAnswer:
    """The body of a submit_sm_resp, read as far as it goes.

    An answer that has our sequence number is an answer, whatever follows: centres leave the body out, leave the NUL
    out, or send one with a refusal (section 4.4.2 says none then).
    """
    behind = octets.find(0, 16) + 1
    tlvs = _read_tlvs(octets, behind) if 0 < behind < len(octets) else ()
    return MessageAnswer(message_id(octets), tlvs if isinstance(tlvs, tuple) else ())


def _short_message(octets: bytes) -> ShortMessage | None:
    """The body of submit_sm or deliver_sm, the short way; None where there is anything odd about it."""
    found = _MANDATORY.match(octets, 16)
    if found is None:
        return None
    service, source_kind, source, dest_kind, destination, flags, schedule, validity, last = found.groups()
    begin = found.end()
    end = begin + last[4]
    if end > len(octets):
        return None
    tlvs: Tlvs = ()
    if end < len(octets):
        read = _read_tlvs(octets, end)
        if isinstance(read, Malformed):
            return None
        tlvs = read
    return ShortMessage(  # in the order of its fields: names would cost half as much again
        source.decode("latin-1"),
        source_kind[0],
        source_kind[1],
        destination.decode("latin-1"),
        dest_kind[0],
        dest_kind[1],
        octets[begin:end],
        last[2],  # data_coding
        flags[0],  # esm_class
        flags[1],  # protocol_id
        flags[2],  # priority_flag
        last[0],  # registered_delivery
        last[1],  # replace_if_present
        last[3],  # sm_default_msg_id
        service.decode("latin-1") if service else "",
        schedule.decode("latin-1") if schedule else "",
        validity.decode("latin-1") if validity else "",
        tlvs,
    )


def _read(kind: type[Bind | BindAnswer | ShortMessage | Query | QueryAnswer], command: int, octets: bytes) -> Body:
    """A body of this kind, its mandatory parameters by smpplib, its optional ones by us."""
    name = name_of(command)
    reader = smpplib_command.factory(name, sequence=0)
    behind: list[bytes] = []
    reader.parse_optional_params = behind.append
    try:
        reader.parse(octets)
    except (struct.error, IndexError, TypeError) as error:
        return Malformed(f"{name} cannot be read: {error}", _INVALID_LENGTH)
    values: dict[str, Any] = {}
    length = 0
    for field in _FIELDS[kind]:
        spelled = _SPELLING.get(field, field)
        if spelled not in reader.params:
            continue  # data_sm has fewer fields
        value = getattr(reader, spelled)
        if value is None and not (field == "short_message" and reader.sm_length == 0):
            return Malformed(f"{name} ends before its {spelled}", _INVALID_LENGTH)
        if isinstance(value, bytes) and field != "short_message":
            value = value.decode("latin-1")
            length += 1
        values[field] = b"" if value is None else value
        length += 1 if isinstance(value, int) else len(values[field])
    if "short_message" in values:
        length += 1
        if len(values["short_message"]) != reader.sm_length:
            return Malformed(f"{name} announces a longer short_message than it has", _INVALID_LENGTH)
    # smpplib does not notice that a text has no NUL, and starts again from the beginning: the lengths tell.
    if 16 + length + sum(map(len, behind)) != len(octets):
        return Malformed(f"{name} has a text without end", _INVALID_LENGTH)
    tlvs = _read_tlvs(behind[0]) if behind else ()
    if isinstance(tlvs, Malformed):
        return tlvs
    return Bind(**values) if kind is Bind else kind(**values | {"tlvs": tlvs})


def _read_tlvs(octets: bytes, at: int = 0) -> Tlvs | Malformed:
    """Optional parameters from `at` to the end (section 5.3).

    Up to three stray zero octets behind them are let pass: centres send them.
    """
    tlvs: list[tuple[int, bytes]] = []
    end = len(octets)
    while end - at >= 4:
        tag, length = _TAG_AND_LENGTH.unpack_from(octets, at)
        at += 4
        if at + length > end:
            return Malformed(f"the optional parameter 0x{tag:04X} is longer than the PDU", _INVALID_OPTIONAL)
        tlvs.append((tag, octets[at : at + length]))
        at += length
    if at < end and any(octets[at:]):
        return Malformed("octets that are no optional parameter stand at the end", _INVALID_OPTIONAL)
    return tuple(tlvs)
