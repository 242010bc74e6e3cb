"""Texts from outside in one line of what can be shown: nothing in them can end a header and begin another."""

from __future__ import annotations

import unicodedata

#: What turns the direction of writing (UAX 9): a subject or a file's name could show something else than it says.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str, longest: int, *, keep_end: bool = False) -> str:
    """The text in one line, white space collapsed, without control characters and what turns the direction of writing.

    Joiners stay: Persian and emoji are written with them. Of what is longer than `longest` characters the beginning is
    kept, with `keep_end` also the last ten, for the sake of a file's ending.
    """
    words = " ".join(text.encode("utf-8", "replace").decode().split())
    clean = "".join("?" if _is_hidden(one) else one for one in words)
    if len(clean) <= longest:
        return clean
    return clean[: longest - 10] + clean[-10:] if keep_end else clean[:longest]


def _is_hidden(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    return character in _TURNING or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
