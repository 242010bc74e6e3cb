"""From a segment to a submit_sm."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message import Channel, Claimed
from gateway.routing import Route
from gateway.transports.smpp.codec import decode, encode
from gateway.transports.smpp.pdu import Command, EncodeError, Tag
from gateway.transports.smpp.submission import Submission, Variant, e164, sender_address, validity

ROUTE = Route("operator", frozenset({Channel.SMS}), "smpp", sender="+32475000000")
SEGMENT = Claimed(
    id=0x12345, message=1, account=1, n=1, of=1, to="+32475123456", route="operator", payload=b"hello",
    data_coding=0, udhi=False, attempts=0, resent=False, urgent=False, seconds_left=86400.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("sender", "address"),
    [
        ("", ("", 0, 0)),
        ("+32475000000", ("32475000000", 1, 1)),
        ("32475000000", ("32475000000", 1, 1)),
        ("0032475000000", ("32475000000", 1, 1)),
        ("0475000000", ("0475000000", 2, 1)),
        ("8850", ("8850", 3, 0)),
        ("Tocsin", ("Tocsin", 5, 0)),
        ("ACME 24/7", ("ACME 24/7", 5, 0)),
    ],
)
def test_ton_and_npi_follow_from_the_sender(sender: str, address: tuple[str, int, int]) -> None:
    assert sender_address(sender) == address


def test_ton_and_npi_can_be_said() -> None:
    assert sender_address("8850", 6, 9) == ("8850", 6, 9)
    assert sender_address("8850", ton=0) == ("8850", 0, 0)


def test_a_name_that_no_handset_shows_is_refused_at_once() -> None:
    with pytest.raises(EncodeError, match="12 characters; a name may have 11"):
        Submission(replace(ROUTE, sender="Tocsin Alert"))


def test_a_segment_is_said_as_it_is() -> None:
    message = Submission(ROUTE).message(SEGMENT)
    assert (message.destination, message.dest_ton, message.dest_npi) == ("32475123456", 1, 1)
    assert (message.source, message.source_ton, message.source_npi) == ("32475000000", 1, 1)
    assert (message.short_message, message.data_coding, message.esm_class) == (b"hello", 0, 0)
    assert (message.registered_delivery, message.protocol_id, message.priority_flag) == (1, 0, 0)
    assert message.validity_period == "000001000000000R"
    assert message.tlv(Tag.USER_MESSAGE_REFERENCE) == b"\x23\x45"


def test_header_urgency_receipts_and_protocol_are_passed_on() -> None:
    submission = Submission(replace(ROUTE, receipts=False, protocol_id=0x22))
    message = submission.message(replace(SEGMENT, udhi=True, urgent=True, data_coding=8))
    assert (message.esm_class, message.priority_flag, message.data_coding) == (0x40, 1, 8)
    assert (message.registered_delivery, message.protocol_id) == (0, 0x22)


def test_a_text_in_one_piece_travels_in_message_payload_alone() -> None:
    whole = b"0123456789" * 40
    message = Submission(ROUTE).message(replace(SEGMENT, concat="payload", payload=whole))
    assert (message.short_message, message.tlv(Tag.MESSAGE_PAYLOAD)) == (b"", whole)
    assert message.esm_class == 0
    octets = encode(Command.SUBMIT_SM, 1, body=message)
    assert decode(octets).body == message
    assert b"\0" + struct.pack(">HHH", Tag.USER_MESSAGE_REFERENCE, 2, 0x2345) in octets  # sm_length is 0


def test_parts_tied_by_sar_have_its_fields_and_no_header() -> None:
    message = Submission(ROUTE).message(replace(SEGMENT, concat="sar", reference=0xABCD, n=2, of=3))
    assert (message.short_message, message.esm_class) == (b"hello", 0)
    assert message.tlvs[1:] == (
        (Tag.SAR_MSG_REF_NUM, b"\xab\xcd"),
        (Tag.SAR_TOTAL_SEGMENTS, b"\x03"),
        (Tag.SAR_SEGMENT_SEQNUM, b"\x02"),
    )


@pytest.mark.parametrize("concat", ["udh8", "udh16"])
def test_parts_with_a_header_have_no_sar_fields(concat: str) -> None:
    message = Submission(ROUTE).message(replace(SEGMENT, concat=concat, udhi=True, reference=7, n=1, of=2))
    assert message.esm_class == 0x40
    assert [tag for tag, _ in message.tlvs] == [Tag.USER_MESSAGE_REFERENCE]


SEGMENTS = st.builds(
    replace,
    st.just(SEGMENT),
    id=st.integers(1, 2**40),
    n=st.integers(1, 255),
    of=st.integers(1, 255),
    to=st.from_regex(r"\+?[0-9]{1,22}|[%\0éĀ]{0,3}", fullmatch=True),
    payload=st.binary(max_size=300) | st.binary(min_size=250, max_size=260),
    data_coding=st.sampled_from([0, 8, 0xF5, 256]),
    udhi=st.booleans(),
    urgent=st.booleans(),
    seconds_left=st.floats(-10, 1e9),
    concat=st.sampled_from(["", "udh8", "udh16", "sar", "payload"]),
    reference=st.integers(0, 2**20),
)


@given(SEGMENTS, st.sampled_from(["+32475000000", "100% news", ""]), st.none() | st.sampled_from(list(Variant)))
def test_the_octets_of_a_segment_are_those_of_its_message(
    segment: Claimed, sender: str, variant: Variant | None
) -> None:
    submission = Submission(replace(ROUTE, sender=sender, numeric_sender="8850", protocol_id=0x25))  # 0x25 is `%`
    try:
        octets = encode(Command.SUBMIT_SM, 7, body=submission.message(segment, variant))
    except EncodeError as refused:
        with pytest.raises(EncodeError, match=re.escape(str(refused))):
            submission.body(segment, variant)
    else:
        assert encode(Command.SUBMIT_SM, 7, body=submission.body(segment, variant)) == octets


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-5.0, "000000000001000R"),
        (0.5, "000000000001000R"),
        (59.9, "000000000059000R"),
        (3600.0, "000000010000000R"),
        (30 * 86400.0, "000100000000000R"),
        (365 * 86400.0, "010000000000000R"),
        (1e9, "010216000000000R"),
    ],
)
def test_validity_is_written_in_the_relative_form(seconds: float, written: str) -> None:
    assert validity(seconds) == written


@given(st.floats(-1e3, 1e10))
def test_validity_is_always_of_a_form_a_strict_centre_takes(seconds: float) -> None:
    found = re.fullmatch(r"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)000R", validity(seconds))
    assert found
    years, months, days, hours, minutes, secs = map(int, found.groups())
    assert (years, months <= 12, days <= 30, hours < 24, minutes < 60, secs < 60) == (years, *[True] * 5)
    total = years * 365 * 86400 + months * 30 * 86400 + days * 86400 + hours * 3600 + minutes * 60 + secs
    assert total == max(1, min(int(seconds), 441 * 86400))


@pytest.mark.parametrize(
    ("address", "ton", "number"),
    [
        ("32475123456", 1, "+32475123456"),
        ("+32475123456", 1, "+32475123456"),
        ("0032475123456", 0, "+32475123456"),
        ("32475123456", 0, "+32475123456"),
        ("0475123456", 2, "0475123456"),
        ("0475123456", 1, "0475123456"),
        ("8850", 0, "8850"),
        ("8850", 3, "8850"),
        ("Tocsin", 5, "Tocsin"),
        ("", 0, ""),
    ],
)
def test_a_handsets_number_is_read_however_the_centre_writes_it(address: str, ton: int, number: str) -> None:
    assert e164(address, ton) == number


@given(st.from_regex(r"[1-9][0-9]{0,20}", fullmatch=True))
def test_an_international_number_is_the_same_in_every_way_of_writing_it(digits: str) -> None:
    assert e164(digits, 1) == e164("+" + digits, 1) == e164("00" + digits, 0) == "+" + digits
