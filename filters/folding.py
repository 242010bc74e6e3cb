"""How texts are compared: Unicode NFKC and casefold, accents folded, white space collapsed (CONTRACT, "Filters")."""

from __future__ import annotations

import unicodedata

import regex

from filters.punctuation import plain

#: Marks above, below and through a letter. Those of classes below 200 are letters' business: voiced kana, viramas,
#: vowel signs of Hebrew and Arabic; without them another word stands there.
_CLASSES = (1, 202, 214, 216, 218, 220, 222, 224, 226, 228, 230, 232, 233, 234, 240)
_ACCENTS = regex.compile("[" + "".join(rf"\p{{ccc={number}}}" for number in _CLASSES) + "]+")
#: Letters whose accent is part of them: Unicode takes none of these apart.
_STROKES = str.maketrans("øłđħŧı", "oldhti")


def fold(text: str, *, accents: bool = False) -> str:
    """The text as it is compared, on one line; with `accents` they count.

    Time is linear in what `filters.charsets` lets through, which heaps no marks on one letter.
    """
    return " ".join(fold_piece(text, accents=accents).split())


def fold_piece(text: str, *, accents: bool = False) -> str:
    """The same for a piece of a text: white space stays as it is."""
    if text.isascii():
        return text.lower()
    # Quotes, dashes and spaces of typography do not count; NFKC makes some of them, and of others what is none.
    # Casefolding undoes the normal form here and there (U+0345, for one), so it is made again.
    text = plain(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain(text)).casefold()))
    if accents:
        return text
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text))).translate(_STROKES)
