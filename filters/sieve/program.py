"""A script ready to run: calls of commands and tests with their arguments sorted, and the steps between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from filters.sieve.matching import Match
from filters.sieve.strings import Text, Texts

#: What an argument may hold: a number, a string, strings, or nothing for a tag that stands alone.
Value: TypeAlias = int | Text | Texts | None


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A command or test: `tags` by name without their colon, `given` what follows them in order."""

    name: str
    line: int
    column: int
    tags: Mapping[str, Value] = field(default_factory=dict)
    given: tuple[Value, ...] = ()
    match: Match = field(default_factory=Match)
    tests: tuple[Call, ...] = ()

    @property
    def place(self) -> str:
        """As a trace names it."""
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True, eq=False)
class If:
    """The first branch whose test is true is run; None is the test of else."""

    branches: tuple[tuple[Call | None, tuple[Step, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """Run once for each part of the mail (foreverypart)."""

    call: Call
    name: str
    block: tuple[Step, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Act:
    """An action, or a control that acts: set, stop, break."""

    call: Call


Step: TypeAlias = If | Loop | Act
Block: TypeAlias = tuple[Step, ...]
