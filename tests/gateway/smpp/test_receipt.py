"""Receipts in the dialects real SMS centres write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transports.base import ReceiptState
from gateway.transports.smpp.pdu import ShortMessage, Tag
from gateway.transports.smpp.receipt import (
    ReceiptFields,
    describe,
    field_by_field,
    read_receipt,
    text_fields,
    word_state,
)

D = ReceiptState.DELIVERED


def receipt(text: bytes | str, esm_class: int = 0x04, **more: object) -> ReceiptFields | None:
    octets = text.encode("latin-1") if isinstance(text, str) else text
    return read_receipt(ShortMessage(short_message=octets, esm_class=esm_class, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("esm_class", [0x04, 0x00, 0x20, 0x44 & ~0x40])
@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            "id:1891273321 sub:001 dlvrd:001 submit date:1305050826 done date:1305050826 stat:DELIVRD err:000 "
            "text:DLVRD TO MOBILE",
            ReceiptFields("1891273321", D, "000", "1305050826", "1305050826"),
        ),
        (
            "id:c87c2273-7edb-4bc7-8d3a-7f57f21b625e submit date:201506201641 done date:201506201641 stat:DELIVRD "
            "err:000",
            ReceiptFields("c87c2273-7edb-4bc7-8d3a-7f57f21b625e", D, "000", "201506201641", "201506201641"),
        ),
        (
            "sub:001 id:74e02ee1-0000 err:000 dlvrd:001 done date:110206193110 submit date:110206193041 text: "
            "stat:DELIVRD",
            ReceiptFields("74e02ee1-0000", D, "000", "110206193041", "110206193110"),
        ),
        (
            b"id:68673723 sub:1 dlvrd:13 submit date:1909301545 done date:1909301545 stat:DELIVRD err:0 Text:\x03\xff",
            ReceiptFields("68673723", D, "0", "1909301545", "1909301545"),
        ),
        (
            "ID:7 SUB:001 DLVRD:000 SUBMIT DATE:20190930154501 DONE DATE:20190930154502 STAT:UNDELIV ERR:A1F TEXT:x",
            ReceiptFields("7", ReceiptState.UNDELIVERED, "A1F", "20190930154501", "20190930154502"),
        ),
        ("id:1 stat:DELIVRD err:027 submit_date:tomorrow", ReceiptFields("1", D, "027")),
    ],
)
def test_the_text_is_read_in_every_dialect(text: bytes | str, fields: ReceiptFields, esm_class: int) -> None:
    assert receipt(text, esm_class) == fields


def test_the_optional_parameters_are_believed_first() -> None:
    tlvs = (
        (Tag.RECEIPTED_MESSAGE_ID, b"362d9701\0"),
        (Tag.MESSAGE_STATE, b"\x05"),
        (Tag.NETWORK_ERROR_CODE, b"\x03\x00\x1b"),
    )
    text = "id:999 stat:DELIVRD err:000 done date:1305050826"
    expected = ReceiptFields("362d9701", ReceiptState.UNDELIVERED, "027", "", "1305050826")
    assert receipt(text, tlvs=tlvs) == expected


@pytest.mark.parametrize("esm_class", [0x00, 0x04])
def test_optional_parameters_alone_are_a_receipt(esm_class: int) -> None:
    tlvs = ((Tag.RECEIPTED_MESSAGE_ID, b"362d9701"), (Tag.MESSAGE_STATE, b"\x02"))
    assert receipt("362d9701 2", esm_class, tlvs=tlvs) == ReceiptFields("362d9701", D)


def test_a_receipt_may_be_in_ucs2_and_in_message_payload() -> None:
    text = "id:abc stat:EXPIRED err:000".encode("utf-16-be")
    expected = ReceiptFields("abc", ReceiptState.EXPIRED, "000")
    assert receipt(text, data_coding=8) == expected
    assert receipt(text, data_coding=0) == expected
    assert receipt(b"", tlvs=((Tag.MESSAGE_PAYLOAD, text),), data_coding=8) == expected


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("DELIVRD", D),
        ("delivered", D),
        ("EXPIRED", ReceiptState.EXPIRED),
        ("DELETED", ReceiptState.DELETED),
        ("UNDELIV", ReceiptState.UNDELIVERED),
        ("UNDELIVERABLE", ReceiptState.UNDELIVERED),
        ("FAILED", ReceiptState.UNDELIVERED),
        ("ACCEPTD", ReceiptState.ACCEPTED),
        ("ACKED", ReceiptState.ACCEPTED),
        ("BUFFRED", ReceiptState.ENROUTE),
        ("ENROUTE", ReceiptState.ENROUTE),
        ("REJECTD", ReceiptState.REJECTED),
        ("DND_REJECTED", ReceiptState.REJECTED),
        ("UNKNOWN", ReceiptState.UNKNOWN),
        ("2", D),
        ("BANANA", None),
    ],
)
def test_states_are_known_by_word_and_number(word: str, state: ReceiptState | None) -> None:
    assert word_state(word) is state


def test_a_receipt_with_a_state_nobody_knows_is_still_a_receipt() -> None:
    assert receipt("id:1 stat:BANANA") == ReceiptFields("1", ReceiptState.UNKNOWN)


def test_only_a_state_is_needed_where_the_centre_says_that_it_is_a_receipt() -> None:
    assert receipt("stat:DELIVRD") == ReceiptFields("", D)


@pytest.mark.parametrize(
    ("text", "esm_class"),
    [
        ("", 0x04),
        ("id:1 sub:001 dlvrd:001", 0x04),  # no state: kept as a message, not lost
        ("hello", 0x04),
        ("stat:DELIVRD", 0x00),
        ("my id:1 has stat:DELIVRD", 0x00),
        ("grid:1 stat:BANANA err:0", 0x00),
        ("id:1 stat:BANANA err:0", 0x00),
    ],
)
def test_what_is_no_receipt_is_none(text: str, esm_class: int) -> None:
    assert receipt(text, esm_class) is None


def test_fields_inside_the_quoted_text_do_not_count_where_real_ones_stand_before() -> None:
    said = receipt("id:1 stat:UNDELIV err:001 text:id:2 stat:DELIVRD err:000")
    assert said == ReceiptFields("1", ReceiptState.UNDELIVERED, "001")


def test_an_id_may_be_longer_than_64_bits() -> None:
    said = receipt("id:99999999999999999999999999 stat:DELIVRD")
    assert said is not None
    assert said.id == "9" * 26


usual = st.from_regex(
    r"\Aid:[0-9a-f-]{1,8}( sub:\d{1,3})?( dlvrd:\d+)? submit date:(\d{10}|\d{12}|\d{14}) done date:\d{10,14} "
    r"stat:[A-Z]{1,9} err:\w{1,3}( text:.*)?\Z"
)


@given(usual | st.builds(lambda text, cut: text[cut:] + text[:cut], usual, st.integers(0, 60)))
@settings(max_examples=300)
def test_the_usual_form_is_read_as_field_by_field(text: str) -> None:
    slow = field_by_field(text)
    quick = text_fields(text)
    assert quick == {name: slow[name] for name in slow if name in quick}
    assert {"id", "stat"} & quick.keys() == {"id", "stat"} & slow.keys()


@given(st.binary(max_size=254), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=70), st.binary(max_size=4))
@settings(max_examples=300)
def test_nothing_raises(text: bytes, coding: int, esm_class: int, message_id: bytes, state: bytes) -> None:
    tlvs = ((Tag.RECEIPTED_MESSAGE_ID, message_id), (Tag.MESSAGE_STATE, state), (Tag.NETWORK_ERROR_CODE, state))
    receipt(b"id:1 stat:" + text, esm_class, data_coding=coding, tlvs=tlvs)
    receipt(text, esm_class, data_coding=coding)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1305050826", "2013-05-05T08:26:00Z"),
        ("130505082612", "2013-05-05T08:26:12Z"),
        ("201506201641", "2015-06-20T16:41:00Z"),
        ("110206193110", "2011-02-06T19:31:10Z"),
        ("20130505082612", "2013-05-05T08:26:12Z"),
        ("9999999999", None),
        ("", None),
    ],
)
def test_dates_of_10_12_and_14_digits_are_told_as_instants(written: str, read: str | None) -> None:
    said = describe(f"id:1 submit date:{written} stat:DELIVRD done date:{written}".encode())
    assert said == {"id": "1", "state": "delivered", "error": None, "submitted": read, "done": read}


def test_an_id_and_a_number_are_a_receipt_only_where_the_centre_says_that_it_is_one() -> None:
    assert receipt("362d9701 2") == ReceiptFields("362d9701", D)
    assert receipt("362d9701 5") == ReceiptFields("362d9701", ReceiptState.UNDELIVERED)
    assert receipt("362d9701 2", 0x00) is None
    assert receipt("call me at 2") is None


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16"])
def test_ucs2_with_its_octets_the_other_way_round_is_read(coding: str) -> None:
    assert receipt("id:abc sub:001 stat:EXPIRED err:000".encode(coding), data_coding=8) == ReceiptFields(
        "abc", ReceiptState.EXPIRED, "000"
    )


def test_fields_after_the_quoted_text_go_before_those_it_seems_to_have() -> None:
    said = receipt("text:my id:2 stat:UNDELIV id:1 sub:001 stat:DELIVRD err:000")
    assert said == ReceiptFields("1", D, "000")


def test_fields_may_be_parted_by_commas_and_semicolons() -> None:
    assert receipt("id:1f,sub:001,stat:DELIVRD;err:00A;") == ReceiptFields("1f", D, "00A")
