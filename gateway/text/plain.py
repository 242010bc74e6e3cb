"""Texts made fit to be cut: well-formed, composed, and plainer where that saves segments."""

from __future__ import annotations

import unicodedata

import regex

# Composing sorts each run of combining marks by insertion, in quadratic time: 80,000 marks take five seconds. No
# script needs runs like that (UAX #15, clause 13, draws the line at 30), so a longer run is composed in pieces.
# What is composed already stays as it is, for every piece of it is composed too.
_LONG_RUN = regex.compile(r"(?<!\p{M})\p{M}{256}")
_PIECES = regex.compile(r"\P{M}+\p{M}{0,128}|\p{M}{1,128}")

_HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"
_SINGLE_QUOTES = "\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\u02bc"
_DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u301d\u301e\u301f"
_SPACES = "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_LINE_BREAKS = "\v\x85\u2028\u2029"
# Soft hyphen, zero-width space, joiners, direction marks, word joiner, byte order mark, variation selectors 15 and 16.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufe0e\ufe0f\ufeff"
)
_PLAIN = {
    **dict.fromkeys(map(ord, _HYPHENS), "-"),
    **dict.fromkeys(map(ord, _SINGLE_QUOTES), "'"),
    **dict.fromkeys(map(ord, _DOUBLE_QUOTES), '"'),
    **dict.fromkeys(map(ord, _SPACES), " "),
    **dict.fromkeys(map(ord, _LINE_BREAKS), "\n"),
    **dict.fromkeys(map(ord, _INVISIBLE), ""),
    0x2022: "*",  # bullet
    0x2024: ".",  # one dot leader
    0x2025: "..",
    0x2026: "...",
}


def composed(text: str) -> str:
    """The text in Normalization Form C; surrogates that make a pair are joined, a lone one becomes U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode("utf-16-le")
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if _LONG_RUN.search(text):
        return "".join(unicodedata.normalize("NFC", piece) for piece in _PIECES.findall(text))
    return unicodedata.normalize("NFC", text)


def plain(text: str) -> str:
    """The text with quotes, dashes, ellipses, spaces, bullets in their plain forms, and without invisible characters.

    Letters are not touched: this changes how a text looks, not what it says.
    """
    return text.translate(_PLAIN)
