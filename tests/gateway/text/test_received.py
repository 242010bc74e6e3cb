"""Reading what handsets and SMS centres send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import text


@pytest.mark.parametrize(
    ("payload", "data_coding", "udhi", "read"),
    [
        ("48690040", 0x00, False, "Hi@¡"),
        ("4869", 0x01, False, "Hi"),
        ("48e9", 0x03, False, "Hé"),
        ("0436d83dde00", 0x08, False, "ж😀"),
        ("0436d83d", 0x08, False, "ж\ufffd"),
        ("043604", 0x08, False, "ж\ufffd"),
        ("b6d1", 0x06, False, "Жб"),
        ("48e9", 0x00, False, "Hé"),
        ("050003ab0201" + "4869", 0x00, True, "Hi"),
        ("06080400ab0201" + "0436", 0x08, True, "ж"),
        ("1b65", 0xF0, False, "€"),
        ("0436", 0x18, False, "ж"),
        ("48e9", 0xF5, False, "Hé"),
        ("0436", 0xE0, False, "ж"),
        ("48", 0xC0, False, "H"),
        ("7f48", 0x00, True, "àH"),
        ("", 0x00, True, ""),
    ],
)
def test_reads_each_coding(payload: str, data_coding: int, udhi: bool, read: str) -> None:
    assert text.decode(bytes.fromhex(payload), data_coding, udhi) == read


@given(st.binary(), st.integers(0, 255), st.booleans())
def test_any_octets_under_any_coding_can_be_read(payload: bytes, data_coding: int, udhi: bool) -> None:
    assert isinstance(text.decode(payload, data_coding, udhi), str)
