"""The words of a Sieve script, each with its place (RFC 5228 section 8.1).

sievelib's lexer does the work, with its own rules for all but four: its multi-line strings end too late or too early,
its strings refuse an escaped line break, its numbers touch words, and its comments may not end at a bare line feed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sievelib.parser import Lexer, ParseError, Parser

from filters.sieve.error import SieveError

#: Octets of a script.
LONGEST = 256 * 1024

_MULTILINE = (
    rb"[tT][eE][xX][tT]:[ \t]*(?:#[^\n]*)?\r?\n(?:(?!\.\r?(?:\n|\Z))[^\n]*\n)*\.(?:\r?\n|\r?\Z)"  # no such line inside
)
_OWN = {
    b"hash_comment": rb"#[^\n]*",
    b"multiline": _MULTILINE,
    b"string": rb'"[^"\\]*(?:\\[\s\S][^"\\]*)*"',
    b"number": rb"[0-9]+[KMGkmg]?(?![A-Za-z0-9_])",
}
_RULES = [(name, _OWN.get(name, pattern)) for name, pattern in Parser.lrules]
_COMMENTS = frozenset({"hash_comment", "bracket_comment"})
_ESCAPED = re.compile(r"\\([\s\S])")
_FACTORS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
#: The largest number (RFC 5228 section 2.4.1 asks for 2147483647).
_LARGEST = (1 << 63) - 1


class Token(NamedTuple):
    """A word: its kind as sievelib names it, its value (a string without its quotation marks), its place from 1."""

    kind: str
    value: str | int
    line: int
    column: int


def tokens(text: str) -> list[Token]:
    """Every word but comments, and at last one of kind `end`; `SieveError` at what is none."""
    octets = text.encode("utf-8", "replace")
    if len(octets) > LONGEST:
        raise SieveError(1, f"the script has {len(octets)} octets, and {LONGEST} are the most that are read")
    place = _Place(octets)
    if b"\0" in octets:
        line, _ = place.at(octets.index(b"\0"))
        raise SieveError(line, "there is a NUL character: a script is plain text")
    return [*_scanned(octets, place), Token("end", "", *place.at(max(len(octets.rstrip()), place.last)))]


class _Place:
    """Tells the lines and columns of positions that only grow."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._line, self._column = 1, 1
        self.last = 0

    def at(self, position: int) -> tuple[int, int]:
        """The line, and the column in characters, both from 1."""
        passed = self._octets[self.last : position]
        breaks = passed.count(b"\n")
        if breaks:
            self._line += breaks
            self._column = 1
            passed = passed[passed.rindex(b"\n") + 1 :]
        self._column += len(passed.decode("utf-8", "ignore"))
        self.last = position
        return self._line, self._column


def _scanned(octets: bytes, place: _Place) -> Iterator[Token]:
    lexer = Lexer(_RULES)
    try:
        for kind, written in lexer.scan(octets):
            if kind not in _COMMENTS:
                line, column = place.at(lexer.pos)
                yield Token(kind, _value(kind, written.decode("utf-8", "replace"), line), line, column)
    except ParseError:
        rest = octets[lexer.pos : lexer.pos + 40]
        raise SieveError(place.at(lexer.pos)[0], _unknown(rest)) from None


def _value(kind: str, written: str, line: int) -> str | int:
    if kind == "string":
        return _ESCAPED.sub(r"\1", written[1:-1].replace("\r\n", "\n"))
    if kind == "multiline":
        body = written.replace("\r\n", "\n").split("\n", 1)[1].removesuffix("\n").removesuffix(".")
        return "\n".join(part[1:] if part.startswith("..") else part for part in body.split("\n"))
    if kind == "number":
        factor = _FACTORS.get(written[-1].lower(), 1)
        number = int(written[:20].rstrip("KMGkmg")) * factor
        if len(written) > 20 or number > _LARGEST:
            raise SieveError(line, f"the number {written[:24]} is too large")
        return number
    return written.lower() if kind in ("identifier", "tag") else written


def _unknown(rest: bytes) -> str:
    if rest.startswith(b'"'):
        return "a string begins here and never ends: a quotation mark is missing"
    if rest.startswith(b"/*"):
        return "a comment begins here and never ends: */ is missing"
    word = rest.decode("utf-8", "replace").split()[0] if rest.split() else ""
    if word.startswith(":"):
        return (
            "a colon stands alone: was a multi-line string meant, with text: alone in its line and . alone in the last?"
        )
    return f"{word!r} is no word of Sieve"
