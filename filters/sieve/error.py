"""Why a script cannot be run, and in which line."""

from __future__ import annotations

from filters.criteria import FilterError


class SieveError(FilterError):
    """A script that cannot be run: `line` counts from 1, `problem` is a sentence's end for people."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}", problem)
        self.line = line
