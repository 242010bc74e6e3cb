"""A text made to fit: cut to as many short messages as it may take, where a reader would cut it."""

from __future__ import annotations

import regex

from gateway.text.segments import cut

#: The most characters of a part, in whatever alphabet.
_PART = 160
#: So many characters are given up at most, to end with a word.
_WORD = 15
_CLUSTER = regex.compile(r"\X")
_TAIL = regex.compile(r"\s+\S*\Z")


def fit(text: str, parts: int, *, transliterate: bool = True, concat: str = "udh8") -> str:
    """The whole text where it takes at most so many parts, else as much of its beginning, with dots behind.

    A text that says nothing stays as it is. Time is linear in `parts`, whatever the length of the text.
    """
    if not text.strip():
        return text
    head = text[: (parts + 1) * _PART]
    whole = cut(head, concat=concat, transliterate=transliterate)
    if len(whole.parts) <= parts and len(head) == len(text):
        return text
    dots = "…" if whole.encoding == "ucs2" else "..."
    clusters = _CLUSTER.findall(head)
    least, most = 0, len(clusters)
    while most - least > 1:
        middle = (least + most) // 2
        shorter = "".join(clusters[:middle]).rstrip() + dots
        if len(cut(shorter, concat=concat, transliterate=transliterate).parts) <= parts:
            least = middle
        else:
            most = middle
    return _to_word("".join(clusters[:least])) + dots


def _to_word(text: str) -> str:
    """The text without the beginning of a word at its end, where that is short."""
    found = _TAIL.search(text)
    return text[: found.start()] if found is not None and len(found[0]) <= _WORD else text.rstrip()
