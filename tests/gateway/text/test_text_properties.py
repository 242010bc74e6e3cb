"""What holds for every text: nothing is lost, nothing is cut apart, no segment is over its limit, none too many."""

from __future__ import annotations

import unicodedata

import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway import text
from gateway.text.alphabet import BASIC, EXTENSION

GSM = "".join(character for character in BASIC if character != "\x1b") + "".join(EXTENSION.values())
JOINED = [
    "👨‍👩‍👧‍👦",
    "🇧🇪",
    "👍🏽",
    "é̈̇",
    "\r\n",
    "각",
    "\u1100\u1161\u11a8",
    "क्षि",
    "\u0600\u0661",
    "❤️‍🔥",
    "a" + "\u0315" * 66,
    "a" + "\u0315" * 90,
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
]
LIMITS = {("gsm7", "udh8"): 153, ("gsm7", "udh16"): 152, ("ucs2", "udh8"): 67, ("ucs2", "udh16"): 66}

#: Texts long enough to be cut: runs of the alphabet, of anything, of what must stay together.
texts = (
    st.lists(
        st.one_of(
            st.text(GSM, max_size=200),
            st.text(st.sampled_from("€[]{}\r\na"), max_size=200),
            st.text(st.characters(codec="utf-8"), max_size=80),
            st.text(st.sampled_from("жø😀"), max_size=90),
            st.lists(st.sampled_from(JOINED), max_size=30).map("".join),
        ),
        min_size=1,
        max_size=6,
    )
    .map("".join)
    .map(lambda what: unicodedata.normalize("NFC", what))
    .filter(bool)
)
gsm_texts = st.lists(st.text(GSM, max_size=160), min_size=1, max_size=4).map("".join).filter(bool)
concats = st.sampled_from(["udh8", "udh16"])


def clusters(what: str) -> list[str]:
    return regex.findall(r"\X", what)


def units(what: str, encoding: str) -> int:
    if encoding == "gsm7":
        return len(what) + sum(character in EXTENSION.values() for character in what)
    return len(what.encode("utf-16-be")) // 2


@given(st.one_of(texts, gsm_texts), concats)
def test_decoding_every_payload_gives_the_text_again(what: str, concat: str) -> None:
    cut = text.cut(what, concat=concat, transliterate=False)
    read = [text.decode(payload, cut.data_coding, cut.udhi) for payload in cut.payloads(0x1234)]
    assert read == [part.text for part in cut.parts]
    assert "".join(read) == what


@given(st.one_of(texts, gsm_texts), concats)
def test_no_segment_is_over_140_octets_on_the_air(what: str, concat: str) -> None:
    cut = text.cut(what, concat=concat)
    for payload in cut.payloads(0):
        header = payload[0] + 1 if cut.udhi else 0
        body = len(payload) - header
        # A header is filled up to a septet's border (3GPP TS 23.040, clause 9.2.3.24).
        bits = -(-header * 8 // 7) * 7 + body * 7 if cut.encoding == "gsm7" else (header + body) * 8
        assert bits <= 140 * 8


@given(st.one_of(texts, gsm_texts), concats)
def test_parts_are_numbered_from_one_and_keep_the_reference(what: str, concat: str) -> None:
    cut = text.cut(what, concat=concat)
    payloads = cut.payloads(0x1234)
    assert len(payloads) == len(cut.parts)
    if not cut.udhi:
        assert len(payloads) == 1
        return
    start = b"\x05\x00\x03\x34" if concat == "udh8" else b"\x06\x08\x04\x12\x34"
    for n, (payload, part) in enumerate(zip(payloads, cut.parts, strict=True), start=1):
        assert payload == start + bytes((len(payloads), n)) + part.body


@given(st.one_of(texts, gsm_texts), concats)
@example("ж" * 66 + "😀", "udh8")
def test_no_pair_and_no_cluster_that_fits_is_cut(what: str, concat: str) -> None:
    cut = text.cut(what, concat=concat, transliterate=False)
    limit = LIMITS[cut.encoding, concat]
    borders, at = set(), 0
    for part in cut.parts:
        assert part.length == units(part.text, cut.encoding)
        at += len(part.text)
        borders.add(at)
    at = 0
    for cluster in clusters(what):
        inside = range(at + 1, at + len(cluster))
        at += len(cluster)
        if units(cluster, cut.encoding) <= limit:
            assert borders.isdisjoint(inside), f"{cluster!r} is cut"


@settings(max_examples=200)
@given(st.one_of(texts, gsm_texts), concats)
def test_every_part_is_as_full_as_it_can_be(what: str, concat: str) -> None:
    """So no cutting that keeps clusters whole needs fewer parts: a greedy one is the best for pieces in order."""
    cut = text.cut(what, concat=concat, transliterate=False)
    single = 160 if cut.encoding == "gsm7" else 70
    if cut.length <= single:
        assert len(cut.parts) == 1
        return
    limit = LIMITS[cut.encoding, concat]
    pieces: list[int] = []
    for cluster in clusters(what):
        length = units(cluster, cut.encoding)
        pieces.extend([length] if length <= limit else [units(character, cut.encoding) for character in cluster])
    filled = [0]
    for piece in pieces:
        if filled[-1] + piece > limit:
            filled.append(0)
        filled[-1] += piece
    assert [part.length for part in cut.parts] == filled


@given(texts, concats)
def test_transliteration_never_costs_a_segment(what: str, concat: str) -> None:
    as_it_is = text.cut(what, concat=concat, transliterate=False)
    plainly = text.cut(what, concat=concat)
    assert len(plainly.parts) == len(as_it_is.parts) - plainly.saved
    assert plainly.saved >= 0
