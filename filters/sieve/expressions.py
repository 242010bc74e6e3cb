"""Regular expressions as draft-ietf-sieve-regex has them, POSIX's extended ones, run on RE2.

Each is first written as RE2 reads it: letters of both cases where the comparator does not tell them apart (RE2's own
way would fold all of Unicode), and bracket expressions as POSIX reads them, where a backslash is a backslash.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import re2

#: Characters of an expression, and instructions of its program.
LONGEST, LARGEST = 2048, 4000


class ExpressionError(ValueError):
    """An expression that RE2 cannot run; the sentence says why."""


class Expression:
    """A compiled expression. `cost` is what a character of a value costs where captures are asked for."""

    def __init__(self, written: str) -> None:
        self._written = written
        self._plain = re2.compile(written, _options(captures=False))
        self.cost: int = self._plain.programsize

    @cached_property
    def _captures(self) -> Any:
        return re2.compile(self._written, _options(captures=True))

    def search(self, text: str) -> list[str] | None:
        """The part that matches, leftmost and longest, and its groups; None where none does."""
        if self._plain.search(text) is None:
            return None
        found = self._captures.search(text)
        return [found.group(0), *(group or "" for group in found.groups())]

    def fits(self, text: str) -> bool:
        """Whether any part matches."""
        return self._plain.search(text) is not None


@lru_cache(128)
def compiled(pattern: str, *, fold: bool) -> Expression:
    """The expression, capitals of ASCII like small letters where `fold`; `ExpressionError` where RE2 refuses it."""
    shown = repr(pattern[:80])
    if len(pattern) > LONGEST:
        raise ExpressionError(f"the regular expression has {len(pattern)} characters, and {LONGEST} are the most")
    try:
        expression = Expression(_Rewriter(pattern, fold).written())
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ExpressionError(f"RE2 cannot run the regular expression {shown}: {reason[:120]}") from None
    if expression.cost > LARGEST:
        raise ExpressionError(f"the regular expression {shown} repeats too much: make its {{…}} smaller")
    return expression


def _options(*, captures: bool) -> Any:
    options = re2.Options()
    options.longest_match = True
    options.dot_nl = True
    options.log_errors = False
    options.never_capture = not captures
    options.max_mem = 1 << 20
    return options


def _both(letter: str) -> str:
    return letter + letter.swapcase() if letter.isascii() and letter.isalpha() else letter


class _Rewriter:
    def __init__(self, pattern: str, fold: bool) -> None:
        self._pattern = pattern
        self._fold = fold
        self._at = 0

    def written(self) -> str:
        out: list[str] = []
        while self._at < len(self._pattern):
            mark = self._pattern[self._at]
            if mark == "[":
                out.append(self._bracket())
                continue
            if mark == "\\":
                out.append(self._escaped())
                continue
            if self._pattern.startswith("(?", self._at):
                raise ExpressionError(self._said("has a group that begins with (?, which POSIX does not know"))
            out.append(f"[{_both(mark)}]" if self._fold and mark.isascii() and mark.isalpha() else mark)
            self._at += 1
        return "".join(out)

    def _said(self, fault: str) -> str:
        return f"the regular expression {self._pattern[:80]!r} {fault}"

    def _escaped(self) -> str:
        pair = self._pattern[self._at : self._at + 2]
        self._at += 2
        if pair[1:] in ("Q", "C", "A", "z", "p", "P"):
            raise ExpressionError(self._said(f"has {pair}, which POSIX does not know"))
        return pair

    def _bracket(self) -> str:
        """A bracket expression (POSIX.1 section 9.3.5) for RE2."""
        out = ["["]
        at = self._at + 1
        if self._pattern[at : at + 1] == "^":
            out.append("^")
            at += 1
        first = True
        while True:
            mark = self._pattern[at : at + 1]
            if not mark:
                raise ExpressionError(self._said("has a [ that is never closed"))
            if mark == "]" and not first:
                self._at = at + 1
                return "".join(out) + "]"
            first = False
            if mark == "[" and self._pattern[at + 1 : at + 2] in (":", ".", "="):
                name, at = self._class(at)
                out.append(name)
                continue
            if self._pattern[at + 1 : at + 2] == "-" and self._pattern[at + 2 : at + 3] not in ("", "]"):
                out.append(self._range(mark, self._pattern[at + 2]))
                at += 3
                continue
            out += [_literal(one) for one in (_both(mark) if self._fold else mark)]
            at += 1

    def _class(self, at: int) -> tuple[str, int]:
        end = self._pattern.find("]", at + 2)
        name = self._pattern[at : end + 1]
        if end < 0 or not name.startswith("[:"):
            raise ExpressionError(self._said(f"has {name or '[.'}, which RE2 does not know"))
        if self._fold and name in ("[:upper:]", "[:lower:]"):
            name = "[:alpha:]"
        return name, end + 1

    def _range(self, low: str, high: str) -> str:
        if low > high:
            raise ExpressionError(self._said(f"has the range {low}-{high}, which is empty"))
        out = f"{_literal(low)}-{_literal(high)}"
        if self._fold:
            for begin, end in (("a", "z"), ("A", "Z")):
                inner_low, inner_high = max(low, begin), min(high, end)
                if inner_low <= inner_high:
                    out += f"{inner_low.swapcase()}-{inner_high.swapcase()}"
        return out


def _literal(character: str) -> str:
    return "\\" + character if character in "\\[]^-&~" else character
