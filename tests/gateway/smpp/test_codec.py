"""Octets and PDUs: our short way is smpplib's, nothing is cut in silence, nothing unreadable raises."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.transports.smpp import codec
from gateway.transports.smpp.pdu import (
    HEADER,
    LONGEST,
    Bind,
    BindAnswer,
    Command,
    Deframer,
    EncodeError,
    Malformed,
    MessageAnswer,
    Pdu,
    Query,
    QueryAnswer,
    ShortMessage,
    Tag,
    Unread,
    name_of,
)

octet = st.integers(0, 255)
sequences = st.integers(1, 0x7FFFFFFF)


def c_octets(longest: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=longest - 1)


tlvs = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=4).map(tuple)
short_messages = st.builds(
    ShortMessage,
    source=c_octets(21),
    source_ton=octet,
    source_npi=octet,
    destination=c_octets(21),
    dest_ton=octet,
    dest_npi=octet,
    short_message=st.binary(max_size=254),
    data_coding=octet,
    esm_class=octet,
    protocol_id=octet,
    priority_flag=octet,
    registered_delivery=octet,
    replace_if_present=octet,
    sm_default_msg_id=octet,
    service_type=c_octets(6),
    schedule_delivery_time=c_octets(17),
    validity_period=c_octets(17),
    tlvs=tlvs,
)
binds = st.builds(
    Bind,
    system_id=c_octets(16),
    password=c_octets(9),
    system_type=c_octets(13),
    interface_version=octet,
    addr_ton=octet,
    addr_npi=octet,
    address_range=c_octets(41),
)
message_commands = st.sampled_from([Command.SUBMIT_SM, Command.DELIVER_SM])


@given(message_commands, sequences, short_messages)
def test_a_short_message_is_written_as_smpplib_writes_it(command: int, sequence: int, body: ShortMessage) -> None:
    assert codec.encode(command, sequence, 0, body) == codec.encode_by_smpplib(command, sequence, 0, body)


@given(sequences, st.builds(MessageAnswer, c_octets(65), tlvs))
def test_an_answer_is_written_as_smpplib_writes_it(sequence: int, body: MessageAnswer) -> None:
    octets = codec.encode(Command.SUBMIT_SM_RESP, sequence, 0, body)
    assert octets == codec.encode_by_smpplib(Command.SUBMIT_SM_RESP, sequence, 0, body)
    assert codec.decode(octets) == Pdu(Command.SUBMIT_SM_RESP, 0, sequence, body)


@pytest.mark.parametrize(
    "command", [Command.ENQUIRE_LINK, Command.ENQUIRE_LINK_RESP, Command.UNBIND, Command.UNBIND_RESP]
)
def test_a_pdu_without_body_is_written_as_smpplib_writes_it(command: Command) -> None:
    from smpplib.command import factory

    pdu = factory(name_of(command), sequence=0)
    pdu.sequence, pdu.status = 77, 0
    assert codec.encode(command, 77) == pdu.generate()
    assert codec.decode(pdu.generate()) == Pdu(command, 0, 77, None)


@given(message_commands, sequences, short_messages)
def test_a_short_message_is_read_as_smpplib_reads_it(command: int, sequence: int, body: ShortMessage) -> None:
    octets = codec.encode_by_smpplib(command, sequence, 0, body)
    assert codec.decode(octets) == codec.decode_by_smpplib(octets) == Pdu(command, 0, sequence, body)


@given(message_commands, short_messages, st.data())
@settings(max_examples=300)
def test_a_damaged_short_message_is_read_as_smpplib_reads_it(
    command: int, body: ShortMessage, data: st.DataObject
) -> None:
    octets = bytearray(codec.encode(command, 1, 0, body))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(16, len(octets) - 1))
        octets[at] = data.draw(octet)
    cut = data.draw(st.integers(16, len(octets)))
    assert codec.decode(bytes(octets[:cut])) == codec.decode_by_smpplib(bytes(octets[:cut]))


@given(st.sampled_from([Command.BIND_TRANSMITTER, Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER]), sequences, binds)
def test_a_bind_survives_the_way_there_and_back(command: int, sequence: int, body: Bind) -> None:
    assert codec.decode(codec.encode(command, sequence, 0, body)) == Pdu(command, 0, sequence, body)


@given(sequences, st.builds(BindAnswer, c_octets(16), tlvs))
def test_a_bind_answer_survives_the_way_there_and_back(sequence: int, body: BindAnswer) -> None:
    command = Command.BIND_TRANSCEIVER_RESP
    assert codec.decode(codec.encode(command, sequence, 0, body)) == Pdu(command, 0, sequence, body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (ShortMessage(destination="1" * 21), "destination has 21 characters; SMPP 3.4 allows 20"),
        (ShortMessage(short_message=b"a" * 255), "short_message of 255 octets"),
        (ShortMessage(source="\N{GREEK CAPITAL LETTER OMEGA}mega"), "source has a character"),
        (ShortMessage(source="a\0b"), "source has a NUL inside"),
        (ShortMessage(data_coding=256), "one-octet field"),
        (ShortMessage(tlvs=((Tag.MESSAGE_PAYLOAD, b"a" * 65536),)), "0x0424 has 65536 octets"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_cut(body: ShortMessage, says: str) -> None:
    with pytest.raises(EncodeError, match=says):
        codec.encode(Command.SUBMIT_SM, 1, 0, body)


def test_a_password_that_is_too_long_is_refused_and_not_cut() -> None:
    with pytest.raises(EncodeError, match=r"password has 9 characters; SMPP 3.4 allows 8"):
        codec.encode(Command.BIND_TRANSCEIVER, 1, 0, Bind("tocsin", "123456789"))


def test_a_password_is_not_shown() -> None:
    assert "swordfish" not in repr(Pdu(Command.BIND_TRANSCEIVER, 0, 1, Bind("tocsin", "swordfish")))


@pytest.mark.parametrize(
    ("body", "message_id"),
    [
        (b"", ""),
        (b"\0", ""),
        (b"39f99dd5\0", "39f99dd5"),
        (b"39f99dd5", "39f99dd5"),  # without the NUL
        (b"39f99dd5\0\x04\x23\0\x03\x03\0\x01", "39f99dd5"),
        (b"39f99dd5\0\x04\x23\xff\xff", "39f99dd5"),  # an optional parameter longer than the PDU
    ],
)
def test_an_answer_is_an_answer_whatever_follows_its_header(body: bytes, message_id: str) -> None:
    octets = HEADER.pack(16 + len(body), Command.SUBMIT_SM_RESP, 0, 5) + body
    read = codec.decode(octets)
    assert isinstance(read.body, MessageAnswer)
    assert (read.sequence, read.body.message_id) == (5, message_id)


def test_a_refusal_has_no_body() -> None:
    assert codec.encode(Command.SUBMIT_SM_RESP, 5, 0x58, MessageAnswer("1")) == HEADER.pack(16, 0x80000004, 0x58, 5)


def test_an_optional_parameter_that_the_command_does_not_have_is_kept() -> None:
    # ussd_service_op in a deliver_sm: smpplib alone raises KeyError here.
    body = ShortMessage(tlvs=((0x0501, b"\x01"), (0x1403, b"vendor")))
    read = codec.decode(codec.encode(Command.DELIVER_SM, 1, 0, body))
    assert read.body == body
    assert codec.decode_by_smpplib(codec.encode(Command.DELIVER_SM, 1, 0, body)).body == body


def test_stray_zeros_behind_a_short_message_are_let_pass() -> None:
    octets = bytearray(codec.encode(Command.DELIVER_SM, 1, 0, ShortMessage(short_message=b"hi"))) + b"\0"
    octets[3] += 1
    assert codec.decode(bytes(octets)).body == ShortMessage(short_message=b"hi")


def test_a_data_sm_is_read_as_a_short_message() -> None:
    body = b"\0" + b"\x01\x01491701234567\0" + b"\x01\x0132475000000\0" + b"\x04\0\0"
    body += struct.pack(">HH", Tag.MESSAGE_PAYLOAD, 2) + b"hi"
    read = codec.decode(HEADER.pack(16 + len(body), Command.DATA_SM, 0, 3) + body).body
    assert isinstance(read, ShortMessage)
    assert (read.source, read.destination, read.esm_class, read.payload) == ("491701234567", "32475000000", 4, b"hi")


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        (0x00000999, b"", 0x03),
        (Command.DELIVER_SM, b"", 0x02),
        (Command.DELIVER_SM, b"abc", 0x02),
        (Command.DELIVER_SM, b"\0" * 16 + b"\xff", 0x02),  # sm_length 255, and nothing behind
        (Command.DELIVER_SM, b"\0" * 17 + b"\x04\x24\x00\x09hi", 0xC0),
        (Command.DELIVER_SM, b"\0" * 17 + b"xyz", 0xC0),
        (Command.BIND_TRANSCEIVER, b"no end", 0x02),
        (Command.BIND_TRANSCEIVER, b"id\0pw\0", 0x02),
    ],
)
def test_what_cannot_be_read_says_so_with_its_number(command: int, body: bytes, status: int) -> None:
    read = codec.decode(HEADER.pack(16 + len(body), command, 0, 42) + body)
    assert isinstance(read.body, Malformed)
    assert (read.command, read.sequence, read.body.status) == (command, 42, status)


def test_a_command_we_know_and_do_not_use_is_left_unread() -> None:
    assert codec.decode(HEADER.pack(18, Command.CANCEL_SM, 0, 1) + b"\0\0").body == Unread(b"\0\0")


def test_a_query_and_its_answer_are_written_and_read_as_the_tables_say() -> None:
    query = Query("0af3", "32475000000", 1, 1)
    octets = codec.encode(Command.QUERY_SM, 7, body=query)
    assert octets[16:] == b"0af3\0\x01\x0132475000000\0"
    assert codec.decode(octets).body == query
    answer = QueryAnswer("0af3", "261123120000000+", 2, 0)
    octets = codec.encode(Command.QUERY_SM_RESP, 7, body=answer)
    assert octets[16:] == b"0af3" + b"\0" + b"261123120000000+" + b"\0" + b"\x02\x00"
    assert codec.decode(octets).body == answer
    assert codec.decode(codec.encode(Command.QUERY_SM_RESP, 7, 0x67, answer)).body == QueryAnswer()
    assert isinstance(codec.decode(HEADER.pack(20, Command.QUERY_SM_RESP, 0, 7) + b"0af3").body, Malformed)


commands = st.sampled_from([int(command) for command in Command]) | st.integers(0, 0xFFFFFFFF)


@given(commands, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=300))
@settings(max_examples=500)
@example(Command.BIND_TRANSCEIVER_RESP, 0, 1, b"no end")
def test_nothing_raises(command: int, status: int, sequence: int, body: bytes) -> None:
    read = codec.decode(HEADER.pack(16 + len(body), command, status, sequence) + body)
    assert (read.command, read.status, read.sequence) == (command, status, sequence)


# Framing


@given(st.lists(st.binary(max_size=50), max_size=10), st.data())
def test_pdus_come_out_of_a_stream_however_it_was_split(bodies: list[bytes], data: st.DataObject) -> None:
    pdus = [HEADER.pack(16 + len(body), 0x15, 0, n) + body for n, body in enumerate(bodies)]
    stream = b"".join(pdus)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    deframer = Deframer()
    found: list[bytes] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        complete, fault = deframer.feed(stream[begin:end])
        assert fault is None
        found += complete
    assert found == pdus


@pytest.mark.parametrize("length", [0, 1, 15, LONGEST + 1, 0xFFFFFFFF])
def test_an_absurd_length_is_a_fault_after_what_was_right(length: int) -> None:
    good = codec.encode(Command.ENQUIRE_LINK, 1)
    complete, fault = Deframer().feed(good + struct.pack(">I", length))
    assert complete == [good]
    assert f"{length} octets" in str(fault)


def test_the_longest_pdu_is_no_fault() -> None:
    octets = HEADER.pack(LONGEST, Command.DELIVER_SM, 0, 1) + bytes(LONGEST - 16)
    complete, fault = Deframer().feed(octets)
    assert (complete, fault) == ([octets], None)
