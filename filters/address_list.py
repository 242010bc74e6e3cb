"""Address fields to the letter of RFC 5322 section 3.4, for decisions that rest on who is named.

What a mail shows is read kindly elsewhere. Here, whatever two readers could take for two different mailboxes is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from filters import domains

_BLANK = re.compile(r"[ \t]+")
_QUOTED = re.compile(r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x1f\x7f])*)"')
_WORD = re.compile(r"[^\s()<>\[\]:;@\\,\"\x00-\x1f\x7f]+")
_DOTTED = re.compile(r"[^.]+(?:\.[^.]+)*\Z")
_MARK = re.compile(r"[()\\]")
_PAIR = re.compile(r"\\(.)")

#: Comments nest at most this deep; a mailbox and a list have at most this many characters.
_DEPTH, _LONGEST_MAILBOX, _LONGEST = 20, 4096, 64 * 1024


class _UnreadableError(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An addr-spec: the local part without quotation marks, the domain canonical (`filters.domains`)."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def folded(self) -> str:
        """The address as it is compared: in lower case."""
        return str(self).lower()


#: What a token is: `word`, `quoted`, `blank` (white space and comments), or the special character itself.
_Token = tuple[str, str]


def mailbox(value: str) -> Mailbox | None:
    """The one mailbox this value is, as From has it; None for several, a group, or what is not clear beyond doubt.

    The value is unfolded; octets above 127 may stand as surrogate escapes. Time is linear.
    """
    if len(value) > _LONGEST_MAILBOX:
        return None
    try:
        reader = _Reader(_tokens(value))
        found = reader.mailbox()
        reader.skip()
    except _UnreadableError:
        return None
    return found if reader.kind == "" else None


def mailboxes(value: str) -> list[Mailbox] | None:
    """Every mailbox of an address list, those in groups too; None where any of it cannot be read."""
    try:
        reader = _Reader(_tokens(value))
        return reader.addresses()
    except _UnreadableError:
        return None


def _tokens(value: str) -> list[_Token]:
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if not value.isascii() else value
    if len(text) > _LONGEST:
        raise _UnreadableError
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        if found := _BLANK.match(text, at):
            tokens.append(("blank", ""))
            at = found.end()
        elif text[at] == "(":
            at = end_of_comment(text, at, depth=_DEPTH)
            if not at:
                raise _UnreadableError
            tokens.append(("blank", ""))
        elif found := _QUOTED.match(text, at):
            tokens.append(("quoted", _PAIR.sub(r"\1", found[1])))
            at = found.end()
        elif found := _WORD.match(text, at):
            tokens.append(("word", found[0]))
            at = found.end()
        elif text[at] in "<>:;@,":
            tokens.append((text[at], ""))
            at += 1
        else:
            raise _UnreadableError
    return tokens


def end_of_comment(text: str, start: int, *, depth: int) -> int:
    """The position after the comment that begins at `start` (RFC 5322 section 3.2.2); 0 for one that does not end."""
    level, at = 0, start
    while found := _MARK.search(text, at):
        at, mark = found.start(), found[0]
        if mark == "\\":
            at += 1
        elif mark == "(":
            level += 1
            if level > depth:
                return 0
        elif mark == ")":
            level -= 1
            if not level:
                return at + 1
        at += 1
    return 0


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def kind(self) -> str:
        """What the next token is; empty at the end."""
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        text = self._tokens[self._at][1]
        self._at += 1
        return text

    def skip(self) -> None:
        """Go past white space and comments."""
        while self.kind == "blank":
            self._at += 1

    def addresses(self) -> list[Mailbox]:
        """The whole list; empty elements count as nothing (RFC 5322 section 4.4)."""
        found: list[Mailbox] = []
        in_group = False
        while True:
            self.skip()
            if not self.kind:
                if in_group:
                    raise _UnreadableError
                return found
            if self.kind == ",":
                self._at += 1
            elif self.kind == ";" and in_group:
                in_group = False
                self._at += 1
            elif not in_group and self._group():
                in_group = True
            else:
                found.append(self.mailbox())
                self.skip()
                if self.kind not in ("", ",", ";"):
                    raise _UnreadableError

    def _group(self) -> bool:
        """Go past the name of a group and its colon; where there is none, stay."""
        at = self._at
        while self.kind in ("word", "quoted", "blank"):
            self._at += 1
        if self.kind == ":" and at < self._at:
            self._at += 1
            return True
        self._at = at
        return False

    def mailbox(self) -> Mailbox:
        """One mailbox: an addr-spec, or one in angle brackets after a display name."""
        self.skip()
        at = self._at
        while self.kind in ("word", "quoted", "blank"):
            self._at += 1
        if self.kind != "<":
            self._at = at
            return self._addr_spec()
        self._at += 1
        self.skip()
        found = self._addr_spec()
        self.skip()
        if self.kind != ">":
            raise _UnreadableError
        self._at += 1
        return found

    def _addr_spec(self) -> Mailbox:
        """A local part, `@` and a domain, without anything between them."""
        kind = self.kind
        if kind not in ("word", "quoted"):
            raise _UnreadableError
        local = self._take()
        if self.kind != "@" or (kind == "word" and not _DOTTED.match(local)) or not local or "\ufffd" in local:
            raise _UnreadableError
        self._at += 1
        if self.kind != "word":
            raise _UnreadableError
        domain = domains.canonical(self._take())
        if not domain or self.kind in ("word", "quoted", "@"):
            raise _UnreadableError
        return Mailbox(local, domain)
