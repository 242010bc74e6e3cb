"""The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038, clauses 6.2.1 and 6.2.1.1).

Septets are unpacked here, one to an octet, as they travel in an SMPP `short_message`. `c` with cedilla is not in the
alphabet, though old tables say so: the letter at 0x09 is the capital one.
"""

from __future__ import annotations

import codecs
import re

_ESCAPE = 0x1B

#: The default alphabet in the order of its septets; at 0x1B stands the escape to the extension table.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)

#: Septet after the escape -> its character. The page break (0x0A) is Unicode's form feed.
EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

# A charmap of one octet a character is what CPython encodes by in C, and it insists that octet 0 is NUL. So text goes
# through a private code page: a character of the extension table is its septet + 0x80, `@` stands at 0xFF, and 0 is a
# NUL, which the alphabet does not have.
_UNUSED = "\ufffe"
_AT = 0xFF


def _code_page() -> str:
    page = [_UNUSED] * 256
    for septet, character in enumerate(BASIC):
        if septet != _ESCAPE:
            page[septet] = character
    for septet, character in EXTENSION.items():
        page[septet | 0x80] = character
    page[0], page[_AT] = "\0", "@"
    return "".join(page)


_TO_PAGE = codecs.charmap_build(_code_page())
_AT_TO_SEPTET = bytes.maketrans(bytes((_AT,)), b"\0")
_EXTENDED = tuple((bytes((septet | 0x80,)), bytes((_ESCAPE, septet))) for septet in EXTENSION)

# For reading, the upper half is the extension table filled up with the basic one (clause 6.2.1.1: a receiver shows
# the basic character where the extension table has none), and a second escape is a space.
_FROM_SEPTETS = BASIC.replace("\x1b", " ") + "".join(
    EXTENSION.get(septet, " " if septet == _ESCAPE else character) for septet, character in enumerate(BASIC)
)
_ESCAPED = re.compile(rb"\x1b([\x00-\x7f]?)")


def encode(text: str) -> bytes | None:
    """The septets of a text, one an octet, or None if it has a character that the alphabet does not have."""
    try:
        page = codecs.charmap_encode(text, "strict", _TO_PAGE)[0]
    except UnicodeEncodeError:
        return None
    if 0 in page:
        return None
    if page.isascii():
        return page
    septets = page.translate(_AT_TO_SEPTET)
    if not septets.isascii():
        for extended, escaped in _EXTENDED:
            septets = septets.replace(extended, escaped)
    return septets


def decode(septets: bytes) -> str:
    """The text of unpacked septets; never raises.

    What the extension table does not have is read from the basic one, an escape without a septet after it is a space,
    and an octet that is no septet (above 0x7F) is U+FFFD.
    """
    if not septets.isascii():
        return "".join(
            decode(run) if run.isascii() else "\ufffd" * len(run)
            for run in re.findall(rb"[\x00-\x7f]+|[^\x00-\x7f]+", septets)
        )
    if _ESCAPE in septets:
        septets = _ESCAPED.sub(lambda pair: bytes((pair[1][0] | 0x80,)) if pair[1] else b" ", septets)
    return codecs.charmap_decode(septets, "strict", _FROM_SEPTETS)[0]
