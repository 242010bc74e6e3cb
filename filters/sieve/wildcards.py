"""Strings with `*` and `?` in them, and what stood for each (RFC 5228 section 2.7.1, RFC 5229 section 3.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from filters.sieve.comparators import Comparator

#: One place between stars: the text, and where in it any character may stand.
_ANY = "\0?"


@dataclass(frozen=True, slots=True)
class _Segment:
    """What stands between two stars: characters, each as long as one, and which of them may be any."""

    text: str
    any: tuple[int, ...]
    pattern: re.Pattern[str] | None

    def begins(self, text: str, at: int) -> bool:
        """Whether it stands here."""
        if self.pattern is None:
            return text.startswith(self.text, at)
        return self.pattern.match(text, at) is not None

    def find(self, text: str, at: int, end: int) -> int:
        """Where it stands first, or -1."""
        if self.pattern is None:
            return text.find(self.text, at, end)
        found = self.pattern.search(text, at, end)
        return found.start() if found else -1

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A string to match whole values with, folded already. `cost` is what a character of a value costs."""

    segments: tuple[_Segment, ...]
    cost: int

    def match(self, text: str) -> list[tuple[int, int]] | None:
        """From where to where each wildcard's text goes, the leftmost as short as can be; None where it fits not."""
        first, last = self.segments[0], self.segments[-1]
        if len(self.segments) == 1:
            fits = len(text) == len(first) and first.begins(text, 0)
            return [(at, at + 1) for at in first.any] if fits else None
        end = len(text) - len(last)
        if end < len(first) or not first.begins(text, 0) or not last.begins(text, end):
            return None
        spans = [(at, at + 1) for at in first.any]
        at = len(first)
        for segment in self.segments[1:-1]:
            found = segment.find(text, at, end)
            if found < 0:
                return None
            spans.append((at, found))
            spans += [(found + one, found + one + 1) for one in segment.any]
            at = found + len(segment)
        spans.append((at, end))
        spans += [(end + one, end + one + 1) for one in last.any]
        return spans


@lru_cache(512)
def wildcard(key: str, comparator: Comparator) -> Wildcard:
    """The key read: a backslash takes the meaning of the character after it."""
    segments: list[list[str]] = [[]]
    at = 0
    while at < len(key):
        mark = key[at]
        if mark == "\\" and at + 1 < len(key):
            at += 1
            segments[-1] += comparator.fold(key[at])
        elif mark == "*":
            segments.append([])
        elif mark == "?":
            segments[-1].append(_ANY)
        else:
            segments[-1] += comparator.fold(mark)
        at += 1
    read = tuple(map(_segment, segments))
    slow = max((len(one) for one in read if one.pattern is not None), default=1)
    return Wildcard(read, slow)


def _segment(marks: list[str]) -> _Segment:
    free = tuple(index for index, mark in enumerate(marks) if mark is _ANY)
    text = "".join("?" if mark is _ANY else mark for mark in marks)
    if not free:
        return _Segment(text, free, None)
    pattern = "".join("." if mark is _ANY else re.escape(mark) for mark in marks)
    return _Segment(text, free, re.compile(pattern, re.DOTALL))
