"""The GSM 7-bit alphabet, beside two tables that others wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
import smpplib.gsm
from hypothesis import given
from hypothesis import strategies as st

from gateway.text import alphabet

ALPHABET = "".join(character for character in alphabet.BASIC if character != "\x1b") + "".join(
    alphabet.EXTENSION.values()
)


def test_the_alphabet_has_127_characters_and_ten_more_behind_the_escape() -> None:
    assert len(alphabet.BASIC) == 128
    assert len(set(ALPHABET)) == 137
    assert alphabet.BASIC[0x1B] == "\x1b"


@pytest.mark.parametrize(
    ("character", "septets"),
    [
        ("@", "00"),
        ("$", "02"),
        ("Ç", "09"),
        ("Δ", "10"),
        ("_", "11"),
        ("\xa4", "24"),
        ("A", "41"),
        ("§", "5f"),
        ("à", "7f"),
        ("\n", "0a"),
        ("\r\n", "0d0a"),
        ("\f", "1b0a"),
        ("^", "1b14"),
        ("[", "1b3c"),
        ("€", "1b65"),
        ("@€@", "001b6500"),
    ],
)
def test_encodes_as_the_table_of_23_038_says(character: str, septets: str) -> None:
    assert alphabet.encode(character) == bytes.fromhex(septets)


@pytest.mark.parametrize(
    "character", ["`", "ç", "\t", "\xa0", "Α", "\0", "\x1b", "ÿ", "\ufffe", "\U0001f600", "\ud800"]
)
def test_what_is_not_in_the_alphabet_is_not_encoded(character: str) -> None:
    assert alphabet.encode(character) is None
    assert alphabet.encode(f"abc{character}@€") is None


@pytest.mark.parametrize("character", "ÇΓΔΘΛΞΠΣΦΨΩ")
def test_capital_c_with_cedilla_and_ten_greek_capitals_are_in_the_alphabet(character: str) -> None:
    assert alphabet.encode(character) is not None


@given(st.text(ALPHABET))
def test_decoding_undoes_encoding(text: str) -> None:
    septets = alphabet.encode(text)
    assert septets is not None
    assert alphabet.decode(septets) == text


@given(st.characters(codec="utf-8"))
def test_nothing_else_in_unicode_is_encoded(character: str) -> None:
    assert (alphabet.encode(character) is not None) == (character in ALPHABET)


@given(st.binary())
def test_any_octets_can_be_decoded(octets: bytes) -> None:
    text = alphabet.decode(octets)
    assert "\x1b" not in text
    assert len(text) <= len(octets)


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        ("41 1b", "A "),
        ("1b 1b 41", " A"),
        ("1b 41", "A"),
        ("1b 00", "@"),
        ("41 e9 ff 42", "A\ufffd\ufffdB"),
        ("1b e5", " \ufffd"),
    ],
)
def test_reads_damaged_septets_as_a_handset_would(septets: str, text: str) -> None:
    assert alphabet.decode(bytes.fromhex(septets)) == text


def test_agrees_with_smpplib_but_for_its_known_faults() -> None:
    """smpplib fills the gaps of its table with backticks: it sends one as section sign, and no section sign."""
    faults = {}
    for position, theirs in enumerate(smpplib.gsm.GSM_CHARACTER_TABLE):
        if position < 0x80:
            ours = alphabet.BASIC[position]
        else:
            ours = alphabet.EXTENSION.get(position - 0x80, "`")
        if ours != theirs:
            faults[position] = (ours, theirs)
    assert faults == {0x5F: ("§", "`"), 0x8A: ("\f", "`")}
    assert smpplib.gsm.gsm_encode("`") == b"\x5f"
    assert smpplib.gsm.gsm_encode("\x1b") == b"\x1b"


@pytest.mark.peer("perl")
def test_agrees_with_perls_encode_gsm0338_on_every_character_of_the_basic_plane() -> None:
    perl = _perl()
    script = (
        "use Encode; use JSON::PP; binmode STDOUT; my %t;"
        "for my $c (0..0xD7FF, 0xE000..0xFFFF) {"
        "  my $b = Encode::encode('gsm0338', chr $c, sub { '' });"
        "  $t{$c} = unpack('H*', $b) if length $b }"
        "print encode_json(\\%t)"
    )
    done = subprocess.run([perl, "-MEncode::GSM0338", "-e", script], capture_output=True, check=True, timeout=60)
    theirs = {chr(int(code)): bytes.fromhex(octets) for code, octets in json.loads(done.stdout).items()}
    assert theirs == {character: alphabet.encode(character) for character in ALPHABET}


def _perl() -> str:
    perl = shutil.which("perl")
    if perl is not None:
        known = subprocess.run([perl, "-MEncode::GSM0338", "-MJSON::PP", "-e", "1"], capture_output=True, check=False)
        if known.returncode == 0:
            return perl
    if os.environ.get("CI") == "true":
        pytest.fail("perl with Encode::GSM0338 is absent: make peers")
    pytest.skip("perl with Encode::GSM0338 is absent: make peers")
