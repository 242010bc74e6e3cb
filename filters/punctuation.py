"""Typographic marks in their plain forms: how a text looks changes, not what it says."""

from __future__ import annotations

import re

_PLAIN = {
    **dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣－"), "-"),
    **dict.fromkeys(map(ord, "‘’‚‛′‵‹›ʼ´"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″‶«»〝〞〟"), '"'),
    **dict.fromkeys(map(ord, "\u00a0\u1680\u202f\u205f\u3000"), " "),
    **dict.fromkeys(range(0x2000, 0x200B), " "),
    **dict.fromkeys(map(ord, "•‣⁃●○◦▪▫■□"), "-"),
    0x2024: ".",
    0x2025: "..",
    0x2026: "...",
    0x2044: "/",
}
#: The space French sets inside its quotation marks.
_OPENED = re.compile(r"(?<!\w)«\s")
_CLOSED = re.compile(r"\s»(?!\w)")


def plain(text: str) -> str:
    """The text with quotation marks, dashes, ellipses, bullets and spaces as a keyboard has them."""
    if text.isascii():
        return text
    return _CLOSED.sub('"', _OPENED.sub('"', text)).translate(_PLAIN)
