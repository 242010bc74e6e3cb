"""From words to commands, tests and arguments (RFC 5228 section 8.2); what they mean is not asked here.

The words are sievelib's; its parser is not used. It refuses half of the extensions that are offered (:index, :mime,
foreverypart, spamtest, duplicate, :list …), takes any name in a require and one in the middle of a script, keeps its
commands in one registry of the process, and forgets in which line they stood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from filters.sieve.error import SieveError
from filters.sieve.lexer import Token, tokens

#: How deep blocks and tests nest, each (RFC 5228 section 2.10.5 asks for 15 of either).
DEPTH = 32

Kind: TypeAlias = Literal["tag", "number", "string", "list"]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument; `list` is one in brackets: its value is a tuple of strings, and `lines` says where each stands."""

    kind: Kind
    value: str | int | tuple[str, ...]
    line: int
    lines: tuple[int, ...] = ()

    @property
    def shown(self) -> str:
        """As a sentence calls it."""
        names = {"tag": str(self.value), "number": "a number", "string": "a string", "list": "a list of strings"}
        return names[self.kind]


@dataclass(frozen=True, slots=True)
class Command:
    """A command or a test as written: `tests` are those that follow its arguments, `listed` whether in parentheses."""

    name: str
    line: int
    column: int
    arguments: tuple[Argument, ...]
    tests: tuple[Command, ...] = ()
    listed: bool = False
    block: tuple[Command, ...] | None = None


def read(text: str) -> tuple[Command, ...]:
    """The commands of a script in their order; `SieveError` where the grammar is broken."""
    reader = _Reader(tokens(text.removeprefix("\ufeff")))
    found = reader.commands(0)
    reader.expect("end", "the script goes on after a block that was never opened: a } is too many")
    return found


class _Reader:
    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._at = 0

    @property
    def _next(self) -> Token:
        return self._words[self._at]

    def _accept(self, kind: str) -> Token | None:
        word = self._words[self._at]
        if word.kind != kind:
            return None
        self._at += 1
        return word

    def expect(self, kind: str, problem: str, line: int = 0) -> Token:
        """The next word, which has to be of this kind."""
        word = self._accept(kind)
        if word is None:
            raise SieveError(line or self._next.line, problem)
        return word

    def commands(self, depth: int) -> tuple[Command, ...]:
        """Commands up to the end of their block."""
        found = []
        while self._next.kind not in ("right_cbracket", "end"):
            found.append(self._command(depth))
        return tuple(found)

    def _command(self, depth: int) -> Command:
        word = self._next
        if word.kind != "identifier":
            raise SieveError(word.line, f"a command is due, and {_shown(word)} stands there")
        if depth > DEPTH:
            raise SieveError(word.line, f"blocks are nested deeper than {DEPTH}")
        self._at += 1
        arguments, tests, listed = self._arguments(0)
        if opened := self._accept("left_cbracket"):
            block = self.commands(depth + 1)
            self.expect("right_cbracket", "the block that begins here is never closed: a } is missing", opened.line)
            return Command(str(word.value), word.line, word.column, arguments, tests, listed, block)
        if self._accept("semicolon") is None:
            last = self._words[self._at - 1]
            stands = f"{_shown(self._next)} stands there" if self._next.kind != "end" else "the script ends"
            line = last.line if self._next.kind != "string" else self._next.line
            raise SieveError(line, f"after {_shown(last)} a semicolon or a block is due, and {stands}")
        return Command(str(word.value), word.line, word.column, arguments, tests, listed)

    def _arguments(self, depth: int) -> tuple[tuple[Argument, ...], tuple[Command, ...], bool]:
        arguments: list[Argument] = []
        while True:
            word = self._next
            if word.kind in ("string", "multiline"):
                arguments.append(Argument("string", word.value, word.line))
            elif word.kind == "tag":
                arguments.append(Argument("tag", word.value, word.line))
            elif word.kind == "number":
                arguments.append(Argument("number", word.value, word.line))
            elif word.kind == "left_bracket":
                arguments.append(self._list())
                continue
            else:
                break
            self._at += 1
        if self._next.kind == "identifier":
            return tuple(arguments), (self._test(depth + 1),), False
        if self._accept("left_parenthesis"):
            return tuple(arguments), self._tests(depth + 1), True
        return tuple(arguments), (), False

    def _list(self) -> Argument:
        opened = self._words[self._at]
        self._at += 1
        found: list[str] = []
        lines: list[int] = []
        while True:
            word = self._accept("string") or self._accept("multiline")
            if word is None:
                raise SieveError(
                    self._next.line, f"a string is due in this list, and {_shown(self._next)} stands there"
                )
            found.append(str(word.value))
            lines.append(word.line)
            if self._accept("right_bracket"):
                return Argument("list", tuple(found), opened.line, tuple(lines))
            self.expect("comma", f"a comma or ] is due in this list, and {_shown(self._next)} stands there")

    def _tests(self, depth: int) -> tuple[Command, ...]:
        found = [self._test(depth)]
        while not self._accept("right_parenthesis"):
            self.expect("comma", f"a comma or ) is due after this test, and {_shown(self._next)} stands there")
            found.append(self._test(depth))
        return tuple(found)

    def _test(self, depth: int) -> Command:
        word = self._next
        if word.kind != "identifier":
            raise SieveError(word.line, f"a test is due, and {_shown(word)} stands there")
        if depth > DEPTH:
            raise SieveError(word.line, f"tests are nested deeper than {DEPTH}")
        self._at += 1
        arguments, tests, listed = self._arguments(depth)
        return Command(str(word.value), word.line, word.column, arguments, tests, listed)


def _shown(word: Token) -> str:
    if word.kind == "end":
        return "the end of the script"
    if word.kind in ("string", "multiline"):
        text = str(word.value)
        return f'"{text[:30]}{"..." if len(text) > 30 else ""}"'
    return str(word.value)
