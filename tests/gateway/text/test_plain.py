"""Typographic characters are written plainly where that saves segments, and nowhere else."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import text
from gateway.text import alphabet, plain


@pytest.mark.parametrize(
    ("typographic", "plainly"),
    [
        ("“Don’t” ‚so‘ „hier“ «là» ‹ici›", '"Don\'t" \'so\' "hier" "là" \'ici\''),
        ("8–10 — or ‑ − 3", "8-10 - or - - 3"),
        ("wait…", "wait..."),
        ("10\xa0€\u202f!\u2009", "10 € ! "),
        ("a\tb", "a b"),
        ("zero\u200bwidth\u200d\ufeff\u2060 soft\xadhyphen", "zerowidth softhyphen"),
        ("one\u2028two", "one\ntwo"),
        ("• milk", "* milk"),
    ],
)
def test_typographic_characters_have_plain_forms(typographic: str, plainly: str) -> None:
    cut = text.cut(typographic)
    assert (cut.encoding, cut.parts[0].text) == ("gsm7", plainly)
    kept = text.cut(typographic, transliterate=False)
    assert (kept.encoding, kept.parts[0].text) == ("ucs2", typographic)


def test_the_saving_is_told() -> None:
    assert text.cut("“" + "a" * 71).saved == 1
    assert text.cut("“" + "a" * 50).saved == 0
    assert text.cut("“" + "a" * 159).saved == 2
    assert text.cut("“" + "a" * 71, transliterate=False).saved == 0
    assert text.cut("a" * 161).saved == 0


@pytest.mark.parametrize("what", ["“ж”", "garçon…", "a\u200bç", "`—`", "5 – 6 😀"])
def test_a_text_that_needs_ucs_2_anyway_keeps_its_typography(what: str) -> None:
    cut = text.cut(what)
    assert (cut.encoding, cut.parts[0].text, cut.saved) == ("ucs2", what, 0)


def test_a_text_that_would_grow_by_it_keeps_its_typography() -> None:
    cut = text.cut("…" * 70)
    assert (cut.encoding, len(cut.parts), cut.saved) == ("ucs2", 1, 0)


@given(st.text())
def test_writing_plainly_touches_no_letter_and_no_digit(what: str) -> None:
    def letters(of: str) -> str:
        return "".join(c for c in of if unicodedata.category(c)[0] in "LN" and c != "\u02bc")

    assert letters(plain.plain(what)) == letters(what)
    assert plain.plain(plain.plain(what)) == plain.plain(what)


@given(st.text(st.characters(codec="utf-8")))
def test_composing_is_normalization_form_c(what: str) -> None:
    assert plain.composed(what) == unicodedata.normalize("NFC", what)


def test_long_runs_of_marks_are_composed_in_linear_time_and_stay_as_they_are_when_composed() -> None:
    hostile = "e" + "\u0301\u0323" * 50_000
    began = time.process_time()
    composed = plain.composed(hostile)
    assert time.process_time() - began < 2  # sorting them all took eight seconds
    assert composed.startswith("ẹ\u0323")
    assert len(composed) == len(hostile) - 1
    already = "x" + "\u0323" * 300 + "\u0301" * 300
    assert unicodedata.is_normalized("NFC", already)
    assert plain.composed(already) == already


def test_what_is_replaced_is_not_in_the_alphabet_and_its_plain_form_is() -> None:
    for code, replacement in plain._PLAIN.items():
        assert alphabet.encode(chr(code)) is None
        assert alphabet.encode(replacement) is not None
