"""Lines of plain text: which are quoted, which are blank, where one paragraph ends and the next begins."""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUOTED = re.compile(r"\s{0,3}>(?!=)")
_QUOTE_MARKS = re.compile(r"\A\s{0,3}>[>\s]*")
_SENTENCE = re.compile(r"[.!?:][\s*_\"')\]]*\Z")


def is_quoted(line: str) -> bool:
    """Whether a line begins as quoted lines do."""
    return _QUOTED.match(line) is not None


def unquoted(line: str) -> str:
    """The line without its quotation marks, however many."""
    return _QUOTE_MARKS.sub("", line)


def first_filled(lines: list[str], start: int) -> int:
    """The index of the first line at or after `start` that is not blank, or the number of lines."""
    while start < len(lines) and not lines[start].strip():
        start += 1
    return start


def last_filled(lines: list[str]) -> int:
    """The number of lines without the blank ones at the end."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return end


def ends_sentence(line: str) -> bool:
    """Whether a line ends where a sentence may end."""
    return _SENTENCE.search(line) is not None


def runs(lines: list[str]) -> Iterator[list[str]]:
    """The lines in runs: of blank lines, of quoted lines, of others."""
    start = 0
    for index in range(1, len(lines) + 1):
        if index == len(lines) or _kind(lines[index]) != _kind(lines[start]):
            yield lines[start:index]
            start = index


def _kind(line: str) -> int:
    return 0 if not line.strip() else 1 if is_quoted(line) else 2
