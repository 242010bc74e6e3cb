"""How texts are compared: Unicode NFKC and casefold, accents folded, white space collapsed."""

from __future__ import annotations

import unicodedata


def fold(text: str, *, accents: bool = False) -> str:
    """The text as it is compared; with `accents` they count. Time is linear for what `filters.charsets` let through."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        if not accents:
            plain = "".join(mark for mark in unicodedata.normalize("NFD", text) if unicodedata.combining(mark) < 200)
            text = unicodedata.normalize("NFC", plain)
    else:
        text = text.casefold()
    return " ".join(text.split())
