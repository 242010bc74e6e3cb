"""Text -> segments: which alphabet, where to cut, and the exact octets of every part.

GSM 7-bit is used where every character is in it, else UCS-2 (that is, UTF-16: handsets read surrogate pairs). A text
of more than one segment is cut so that nothing a reader sees as one character falls apart: never inside an escape
pair or a surrogate pair, and never inside a grapheme cluster (UAX #29) that fits a segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import regex

from gateway.failure import RefusedError
from gateway.text import alphabet, plain
from gateway.value import value

#: The `concat` of what goes out as a letter: the text is not cut, and its octets are made when it leaves.
LETTER = "letter"
#: A concatenation header counts its parts in one octet (3GPP TS 23.040, clause 9.2.3.24.1).
MAX_PARTS = 255


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What fits: septets of GSM 7-bit, or UTF-16 units of UCS-2, in a single segment and in one of many."""

    gsm7: int
    ucs2: int


# 140 octets hold 160 septets or 70 units. A header takes 6 octets, which with its fill bits is 7 septets or 3 units, or
# with a 16-bit reference 7 octets, 8 septets, 4 units (a unit is never cut).
_SINGLE = _Sizes(160, 70)
_PART = {
    "udh8": _Sizes(153, 67),
    "udh16": _Sizes(152, 66),
    # With SAR fields the SMS centre writes the header, and with message_payload it cuts the text as well: what the
    # handset gets, and the operator charges, are parts with the usual 8-bit reference.
    "sar": _Sizes(153, 67),
    "payload": _Sizes(153, 67),
}
_ESCAPE = 0x1B
# Bit 4 says that bits 0 and 1 are a message class, which is 0 (3GPP TS 23.038 clause 4): 0x10, or 0x18 in UCS-2.
_CLASS_0 = 0x10
# No character is composed of more than four (U+1F82 is one that is), so a longer text need not even be composed.
_MOST_COMPOSED = 4

# Characters that can belong to a cluster of several code points. A text without any is cut by arithmetic.
_JOINING = regex.compile(
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=L}\p{GCB=V}\p{GCB=T}\p{GCB=Regional_Indicator}]"
)
# Before each flag \X counts back over all flags before it; two by two from the left is the same, in linear time.
_CLUSTER = regex.compile(r"\p{GCB=Regional_Indicator}{2}[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*|\X")


@value
class Part:
    """One segment: its text, its length in septets or UTF-16 units, and its octets without a header.

    `body` is GSM 7-bit unpacked, one septet an octet, or UCS-2 in network order.
    """

    text: str
    length: int
    body: bytes


@value
class Cut:
    """A text cut into segments.

    `length` is that of the whole, in septets or UTF-16 units, headers not counted. `saved` is how many segments fewer
    there are because typographic characters were written plainly. `len(parts)` is what is charged, whatever `concat`.
    """

    encoding: str
    data_coding: int
    length: int
    parts: tuple[Part, ...]
    concat: str
    saved: int = 0

    @property
    def udhi(self) -> bool:
        """Whether `payloads` begin with a user data header (esm_class 0x40, SMPP 3.4 section 5.2.12)."""
        return len(self.parts) > 1 and self.concat in ("udh8", "udh16")

    def payloads(self, reference: int) -> list[bytes]:
        """What to put on the wire: the exact `short_message` of every part.

        `reference` tells the parts of one message from those of another to the same number; only its lowest 8 or 16
        bits travel. With SAR the parts have no header, and the link adds its fields; with `payload` the list has one
        element, the text in one piece, for the message_payload field.
        """
        if not self.udhi:
            bodies = [part.body for part in self.parts]
            return [b"".join(bodies)] if self.concat == "payload" else bodies
        count = len(self.parts)
        if self.concat == "udh8":
            start = bytes((0x05, 0x00, 0x03, reference & 0xFF, count))
        else:
            start = bytes((0x06, 0x08, 0x04, reference >> 8 & 0xFF, reference & 0xFF, count))
        return [start + bytes((n,)) + part.body for n, part in enumerate(self.parts, start=1)]


def cut(text: str, *, concat: str = "udh8", transliterate: bool = True, flash: bool = False) -> Cut:
    """The segments of a text.

    The text is composed first (Normalization Form C; a lone surrogate becomes U+FFFD). With `transliterate`,
    typographic characters are written plainly where that alone brings the text into GSM 7-bit and takes no more
    segments; otherwise it stays as it is. `concat` is how parts are tied together: udh8, udh16, sar or payload; what is
    a `letter` is not cut.

    With `flash` handsets are asked to show it at once and keep nothing: message class 0, 3GPP TS 23.038 clause 4.

    Raises RefusedError for a text with nothing in it (550 5.6.0) or of more than 255 parts (552 5.3.4).
    """
    sizes = _PART.get(concat)
    if sizes is None:
        return _whole(text, concat)
    septets, saved = alphabet.encode(text), 0
    if septets is None:  # what is all GSM 7-bit is composed already
        text, septets, saved = _composed(text, sizes, transliterate=transliterate)
    if not text:
        raise _nothing()
    message_class = _CLASS_0 if flash else 0
    if septets is not None:
        length = len(septets)
        single = length <= _SINGLE.gsm7
        parts = (Part(text, length, septets),) if single else _gsm7_parts(text, septets, sizes)
        return Cut("gsm7", message_class, length, parts, concat, saved)
    parts = _ucs2_parts(text, sizes)
    return Cut("ucs2", 0x08 | message_class, sum(part.length for part in parts), parts, concat)


def _whole(text: str, concat: str) -> Cut:
    if concat != LETTER:
        raise ValueError(f"concat is {concat!r}: it must be one of {', '.join(_PART)}")
    if not text:
        raise _nothing()
    return Cut("utf-8", 0x00, len(text), (Part(text, len(text), b""),), LETTER)


def _composed(text: str, sizes: _Sizes, *, transliterate: bool) -> tuple[str, bytes | None, int]:
    """A text composed, and written plainly where that helps; its septets, where it has some; and what was saved."""
    if len(text) > MAX_PARTS * sizes.gsm7 * _MOST_COMPOSED:
        raise _too_long(text, sizes)
    text = plain.composed(text)
    septets = alphabet.encode(text)
    if septets is not None or not transliterate:
        return text, septets, 0
    plainer = plain.plain(text)
    septets = alphabet.encode(plainer)
    saved = len(_ucs2_texts(text, sizes)) - len(_gsm7_bodies(septets, sizes)) if septets is not None else 0
    if septets is None or saved < 0:  # an ellipsis is three septets: seventy of them fit one segment only as they are
        return text, None, 0
    return plainer, septets, saved


def _nothing() -> RefusedError:
    return RefusedError("There is nothing to say: the text is empty.", smtp="550 5.6.0")


def describe(cut: Cut, reference: int = 0) -> dict[str, Any]:
    """A cut as `tocsin try segments` prints it; `payload` is the hex of the part's `short_message`, header included."""
    payloads = cut.payloads(reference) if cut.concat != "payload" else [part.body for part in cut.parts]
    return {
        "encoding": cut.encoding,
        "data_coding": cut.data_coding,
        "length": cut.length,
        "saved": cut.saved,
        "segments": [
            {"text": part.text, "length": part.length, "payload": payload.hex()}
            for part, payload in zip(cut.parts, payloads, strict=True)
        ],
    }


def _gsm7_parts(text: str, septets: bytes, sizes: _Sizes) -> tuple[Part, ...]:
    bodies = _gsm7_bodies(septets, sizes)
    if len(bodies) > MAX_PARTS:
        raise _too_long(text, sizes)
    parts, at = [], 0
    for body in bodies:
        characters = len(body) - body.count(_ESCAPE)
        parts.append(Part(text[at : at + characters], len(body), body))
        at += characters
    return tuple(parts)


def _gsm7_bodies(septets: bytes, sizes: _Sizes) -> list[bytes]:
    """The septets in runs that fit; only escape pairs and CR LF, the one cluster GSM 7-bit has, are not to be cut."""
    if len(septets) <= _SINGLE.gsm7:
        return [septets]
    bodies, start = [], 0
    while start < len(septets):
        end = start + sizes.gsm7
        if end < len(septets) and (septets[end - 1] == _ESCAPE or septets[end - 1 : end + 1] == b"\r\n"):
            end -= 1
        bodies.append(septets[start:end])
        start = end
    return bodies


def _ucs2_parts(text: str, sizes: _Sizes) -> tuple[Part, ...]:
    texts = _ucs2_texts(text, sizes)
    if len(texts) > MAX_PARTS:
        raise _too_long(text, sizes)
    bodies = [each.encode("utf-16-be") for each in texts]
    return tuple(Part(each, len(body) // 2, body) for each, body in zip(texts, bodies, strict=True))


def _ucs2_texts(text: str, sizes: _Sizes) -> list[str]:
    """The text in runs that fit."""
    units = _units(text)
    if units <= _SINGLE.ucs2:
        return [text]
    size = sizes.ucs2
    if units > len(text) or _JOINING.search(text):
        return _by_cluster(text, size)
    texts, start = [], 0
    while start < len(text):
        end = start + size
        if text[end - 1 : end + 1] == "\r\n":
            end -= 1
        texts.append(text[start:end])
        start = end
    return texts


def _by_cluster(text: str, size: int) -> list[str]:
    """The text in runs of at most `size` UTF-16 units, cut between clusters, or inside one that is longer than that."""
    texts: list[str] = []
    run: list[str] = []
    used = 0
    for cluster in _CLUSTER.findall(text):
        for piece in (cluster,) if _units(cluster) <= size else cluster:
            length = _units(piece)
            if used + length > size:
                texts.append("".join(run))
                run, used = [], 0
            run.append(piece)
            used += length
    texts.append("".join(run))
    return texts


def _units(text: str) -> int:
    """How many UTF-16 units a text has, which is its length unless it leaves the Basic Multilingual Plane."""
    return len(text.encode("utf-16-be")) // 2


def _too_long(text: str, sizes: _Sizes) -> RefusedError:
    return RefusedError(
        f"The text is too long for SMS: it has {len(text)} characters. One message has at most {MAX_PARTS} parts, "
        f"which hold {MAX_PARTS * sizes.gsm7} characters of the GSM alphabet or {MAX_PARTS * sizes.ucs2} of others.",
        smtp="552 5.3.4",
    )
