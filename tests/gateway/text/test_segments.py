"""Cutting: every case of the facts about text on the wire, octet by octet."""

from __future__ import annotations

import time

import pytest

from gateway import text
from gateway.failure import RefusedError

FAMILY = "👨‍👩‍👧"  # eight UTF-16 units, one thing to see
FLAG = "🇧🇪"  # four


def lengths(what: str, **options: object) -> list[int]:
    return [part.length for part in text.cut(what, **options).parts]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "concat", "units", "parts"),
    [
        ("a" * 160, "udh8", 160, [160]),
        ("a" * 161, "udh8", 161, [153, 8]),
        ("a" * 306, "udh8", 306, [153, 153]),
        ("a" * 307, "udh8", 307, [153, 153, 1]),
        ("a" * 306, "udh16", 306, [152, 152, 2]),
        ("a" * 159 + "€", "udh8", 161, [153, 8]),
        ("€" * 80, "udh8", 160, [160]),
        ("€" * 81, "udh8", 162, [152, 10]),
        ("€" * 81, "udh16", 162, [152, 10]),
        ("a" * 152 + "€" * 10, "udh8", 172, [152, 20]),
        ("\r\n", "udh8", 2, [2]),
        ("a" * 152 + "\r\n" + "a" * 9, "udh8", 163, [152, 11]),
        ("a" * 307, "sar", 307, [153, 153, 1]),
        ("a" * 307, "payload", 307, [153, 153, 1]),
    ],
)
def test_gsm_7_bit_is_cut_at_its_limits(what: str, concat: str, units: int, parts: list[int]) -> None:
    cut = text.cut(what, concat=concat)
    assert (cut.encoding, cut.data_coding, cut.length) == ("gsm7", 0, units)
    assert [part.length for part in cut.parts] == parts
    assert "".join(part.text for part in cut.parts) == what


@pytest.mark.parametrize(
    ("what", "concat", "units", "parts"),
    [
        ("ú" * 70, "udh8", 70, [70]),
        ("ú" * 71, "udh8", 71, [67, 4]),
        ("ú" * 71, "udh16", 71, [66, 5]),
        ("ж" * 66 + "\r\n" + "ж" * 9, "udh8", 77, [66, 11]),
        ("ж" * 66 + "😀" * 3, "udh8", 72, [66, 6]),
        ("😀" * 35, "udh8", 70, [70]),
        ("😀" * 36, "udh8", 72, [66, 6]),
        ("ж" * 64 + FLAG * 2, "udh8", 72, [64, 8]),
        ("ж" * 63 + FLAG + "\u0301жжж", "udh8", 71, [63, 8]),
        ("ж" * 60 + FAMILY + "ж" * 9, "udh8", 77, [60, 17]),
        ("ж" * 59 + FAMILY + "ж" * 9, "udh8", 76, [67, 9]),
    ],
)
def test_ucs_2_is_cut_at_its_limits_and_between_what_a_reader_sees(
    what: str, concat: str, units: int, parts: list[int]
) -> None:
    cut = text.cut(what, concat=concat)
    assert (cut.encoding, cut.data_coding, cut.length) == ("ucs2", 8, units)
    assert [part.length for part in cut.parts] == parts
    assert "".join(part.text for part in cut.parts) == what


def test_a_cluster_of_just_a_segment_stays_whole_and_a_longer_one_is_cut_between_code_points() -> None:
    whole = "a" + "\u0315" * 66
    assert lengths("ж" * 30 + whole) == [30, 67]
    longer = "a" + "\u0315" * 67
    assert lengths("ж" * 30 + longer) == [67, 31]
    astral = "😀" + "\U0001e023" * 40  # an emoji with combining Glagolitic letters, each two units
    cut = text.cut("ж" + astral)
    assert [part.length for part in cut.parts] == [67, 16]
    assert "".join(part.text for part in cut.parts) == "ж" + astral


def test_flags_without_end_are_cut_in_linear_time() -> None:
    assert lengths(FLAG * (255 * 16)) == [64] * 255
    began = time.process_time()
    with pytest.raises(RefusedError):
        text.cut(FLAG * 39_000)
    assert time.process_time() - began < 2  # counting back from each flag over all before it takes twenty seconds


def test_a_header_with_an_8_bit_reference_stands_before_each_part() -> None:
    payloads = text.cut("a" * 161).payloads(0x1AB)
    assert [payload[:6].hex() for payload in payloads] == ["050003ab0201", "050003ab0202"]
    assert [len(payload) for payload in payloads] == [6 + 153, 6 + 8]


def test_a_header_with_a_16_bit_reference_stands_before_each_part() -> None:
    payloads = text.cut("ж" * 71, concat="udh16").payloads(0x1ABCD)
    assert [payload[:7].hex() for payload in payloads] == ["060804abcd0201", "060804abcd0202"]
    assert [len(payload) for payload in payloads] == [7 + 132, 7 + 10]


def test_a_single_segment_has_no_header() -> None:
    cut = text.cut("a" * 160)
    assert not cut.udhi
    assert cut.payloads(7) == [b"a" * 160]


@pytest.mark.parametrize("concat", ["udh8", "udh16", "sar", "payload", text.LETTER])
def test_what_fits_into_one_part_is_its_octets_however_parts_are_tied_together(concat: str) -> None:
    """Intake takes it so, without asking for payloads."""
    cut = text.cut("hello, Zoë {}", concat=concat)
    assert cut.payloads(7) == [cut.parts[0].body]
    assert not cut.udhi


def test_sar_parts_have_no_header_and_a_message_payload_is_in_one_piece() -> None:
    sar = text.cut("a" * 161, concat="sar")
    assert not sar.udhi
    assert sar.payloads(7) == [b"a" * 153, b"a" * 8]
    payload = text.cut("a" * 161, concat="payload")
    assert not payload.udhi
    assert payload.payloads(7) == [b"a" * 161]
    assert len(payload.parts) == 2


def test_a_message_of_255_parts_is_cut_and_a_longer_one_refused() -> None:
    cut = text.cut("a" * (153 * 255))
    assert len(cut.parts) == 255
    assert cut.payloads(0)[-1][:6].hex() == "05000300ffff"
    assert len(text.cut("ж" * (67 * 255)).parts) == 255
    for what in ("a" * (153 * 255 + 1), "ж" * (67 * 255 + 1), "€" * (76 * 255 + 1), "x" * 10_000_000, "ж" * 10_000_000):
        with pytest.raises(RefusedError, match="at most 255 parts") as refused:
            text.cut(what)
        assert refused.value.smtp == "552 5.3.4"


def test_an_empty_text_is_refused() -> None:
    for what in ("", "\u200b\ufeff"):
        with pytest.raises(RefusedError, match="nothing to say") as refused:
            text.cut(what)
        assert refused.value.smtp == "550 5.6.0"


def test_an_unknown_way_of_concatenation_is_a_defect() -> None:
    with pytest.raises(ValueError, match="udh8, udh16, sar, payload"):
        text.cut("a", concat="udh32")


def test_a_form_feed_is_the_page_break_of_the_extension_table() -> None:
    assert text.cut("\f").payloads(0) == [b"\x1b\x0a"]


def test_text_is_composed_first() -> None:
    cut = text.cut("cafe\u0301")
    assert (cut.encoding, cut.length, cut.parts[0].text) == ("gsm7", 4, "café")
    assert text.cut("\u2126 \u212b").payloads(0) == [b"\x15 \x0e"]  # the ohm and ångström signs are letters


def test_a_lone_surrogate_becomes_the_replacement_character_and_a_pair_one_character() -> None:
    assert text.cut("a\ud83d").parts[0].body == b"\0a\xff\xfd"
    assert text.cut("\ude00\ud83d").parts[0].body == b"\xff\xfd\xff\xfd"
    assert text.cut("\ud83d\ude00").parts[0].text == "😀"


def test_describes_a_cut_as_try_segments_prints_it() -> None:
    assert text.describe(text.cut("a" * 152 + "€ 5“x”")) == {
        "encoding": "gsm7",
        "data_coding": 0,
        "length": 159,
        "saved": 2,
        "segments": [
            {"text": "a" * 152 + '€ 5"x"', "length": 159, "payload": "61" * 152 + "1b652035227822"},
        ],
    }
    described = text.describe(text.cut("ж" * 71, concat="udh16"))
    assert [segment["length"] for segment in described["segments"]] == [66, 5]
    assert described["segments"][1]["payload"] == "06080400000202" + "0436" * 5
    assert len(text.describe(text.cut("a" * 161, concat="payload"))["segments"]) == 2
