"""What another server found out about a mail: the header field Authentication-Results (RFC 8601).

Its values come from strangers' mails, copied there by software that does not always quote them. So the grammar is kept
where a kinder reading could be abused: a comment that touches a value, a property said twice, rubbish between results
make the field say nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from filters import domains
from filters.address_list import end_of_comment
from filters.guard import Field

NAME = "authentication-results"

#: Longest value that is read, in characters, and how deep its comments nest. Real ones are a tenth of it.
_LONGEST, _DEPTH = 16 * 1024, 20

_BLANK = re.compile(r"[ \t\r\n]+")
_KEYWORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_DIGITS = re.compile(r"[0-9]{1,9}")
_BARE = re.compile(r"[^\s();\"\\\x00-\x1f\x7f\ufffd]+")
_QUOTED = re.compile(r'"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x1f\x7f])*)"')
_PAIR = re.compile(r"\\(.)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,6}(?:\.[0-9]{1,9})?\Z")


class _BrokenError(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Result:
    """One method's result, both lower case (`dkim`, `pass`); properties as (`header.d`, value), the key lower case."""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()

    def value(self, key: str) -> str:
        """The value of a property, empty where it is missing."""
        return next((value for name, value in self.properties if name == key), "")

    def domain(self, key: str) -> str:
        """The canonical domain of a property that holds a domain or an address; empty where it holds none."""
        return domains.canonical(self.value(key).rpartition("@")[2])


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """One field: who says it, what; `fault` is why it cannot be relied on, and then there are no results."""

    authserv_id: str
    results: tuple[Result, ...] = ()
    fault: str = ""

    def of(self, method: str) -> list[Result]:
        """Every result of a method."""
        return [result for result in self.results if result.method == method]

    @property
    def dmarc(self) -> str:
        """The DMARC result, empty where there is none, or more than one."""
        found = self.of("dmarc")
        return found[0].result if len(found) == 1 else ""

    @property
    def dkim(self) -> str:
        """`pass` where any signature passed, else the first DKIM result; empty where there is none."""
        found = [result.result for result in self.of("dkim")]
        return "pass" if "pass" in found else (found[0] if found else "")

    @property
    def spf(self) -> str:
        """The SPF result, that of the reverse-path before that of the greeting; empty where there is none."""
        found = self.of("spf")
        of_path = [one for one in found if one.value("smtp.mailfrom") or one.value("smtp.mfrom")]
        return (of_path or found)[0].result if found else ""

    @property
    def spam_score(self) -> float | None:
        """A spam filter's score. No method is registered for it: a property named score, or a `spam` that is one."""
        for result in self.results:
            for key, value in result.properties:
                if key.rpartition(".")[2] == "score" and _NUMBER.match(value):
                    return float(value)
        for result in self.results:
            if "spam" in result.method and _NUMBER.match(result.result):
                return float(result.result)
        return None


def topmost(fields: Iterable[Field], authserv_id: str) -> AuthenticationResults | None:
    """The first field of the mail that this authserv-id wrote, whatever it says; None where there is none.

    Fields below it are another server's word, or a forger's. Ids are compared without regard to ASCII case, and a name
    in Unicode with its ASCII form (RFC 8601 section 2.5); nothing that only looks alike is the same.
    """
    ours = _comparable(authserv_id)
    for field in fields:
        if field.name == NAME:
            found = _written_by(field.value)
            if found and _comparable(found) == ours:
                return read(field.value)
    return None


def authserv_ids(fields: Iterable[Field], most: int) -> list[str]:
    """Who wrote the first fields, topmost first; empty for one whose author cannot be read."""
    values = islice((field.value for field in fields if field.name == NAME), most)
    return [_written_by(value) for value in values]


def _written_by(value: str) -> str:
    """The authserv-id alone; empty where it cannot be read."""
    try:
        return _Reader(value).authserv_id()
    except _BrokenError:
        return ""


def _comparable(authserv_id: str) -> str:
    return domains.canonical(authserv_id) or authserv_id


def read(value: str) -> AuthenticationResults:
    """Read a field's value, unfolded; octets above 127 may be surrogate escapes. Never raises; time is linear."""
    reader = _Reader(value)
    authserv_id = ""
    try:
        authserv_id = reader.authserv_id()
        if len(value) > _LONGEST:
            raise _BrokenError("it is too long")
        return AuthenticationResults(authserv_id, tuple(reader.results()))
    except _BrokenError as error:
        return AuthenticationResults(authserv_id, fault=str(error))


class _Reader:
    """Reads one value from left to right."""

    def __init__(self, value: str) -> None:
        text = value[:_LONGEST]
        if not text.isascii():
            text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        self._text = text
        self._at = 0

    def authserv_id(self) -> str:
        """Who says it (section 2.2, `authserv-id`)."""
        self._blank()
        found = self._value()
        if not found or not (self._blank() or self._peek() in ("", ";")):
            raise _BrokenError("it does not begin with an authserv-id")
        return found

    def results(self) -> list[Result]:
        """What it says (section 2.2, after the `authserv-id`)."""
        version = self._match(_DIGITS)
        if version not in ("", "1"):
            raise _BrokenError(f"its version is {version}, and 1 is known")
        self._blank()
        found: list[Result] = []
        none = False
        while self._peek():
            if not self._accept(";"):
                raise _BrokenError("something stands where a semicolon is due")
            self._blank()
            if self._peek() in ("", ";"):
                continue
            method = self._match(_KEYWORD).lower()
            self._blank()
            if method == "none" and self._peek() in ("", ";"):
                none = True
                continue
            found.append(self._result(method))
        if none and found:
            raise _BrokenError("it says none, and yet has results")
        return [result for result in found if result.method]

    def _result(self, method: str) -> Result:
        """The rest of a `resinfo`; with an empty method where its version is not known (section 2.6)."""
        known = True
        if self._accept("/"):
            self._blank()
            known = self._match(_DIGITS) == "1"
            self._blank()
        if not method or not self._accept("="):
            raise _BrokenError("a result is not written method=result")
        self._blank()
        result = self._match(_BARE).lower()
        if not result or not (self._blank() or self._peek() in ("", ";")):
            raise _BrokenError(f"the result of {method} cannot be read")
        properties: list[tuple[str, str]] = []
        while self._peek() not in ("", ";"):
            properties.append(self._property(method))
        keys = [key for key, _ in properties]
        if len(set(keys)) < len(keys):
            raise _BrokenError(f"a property of {method} is said twice")
        return Result(method if known else "", result, tuple(properties))

    def _property(self, method: str) -> tuple[str, str]:
        """A `propspec` or `reasonspec`, with the white space after it; some servers write `action=none`."""
        broken = _BrokenError(f"a property of {method} is not written type.name=value")
        key = self._match(_KEYWORD)
        self._blank()
        if self._accept("."):
            self._blank()
            name = self._match(_KEYWORD)
            self._blank()
            if not name:
                raise broken
            key = f"{key}.{name}"
        if not key or not self._accept("="):
            raise broken
        self._blank()
        value = self._value()
        if self._peek() == "(":  # example.org(.evil.example: where does the domain end?
            raise _BrokenError(f"a comment touches {key} of {method}")
        if not (self._blank() or self._peek() in ("", ";")):
            raise broken
        return key.lower(), value

    def _value(self) -> str:
        """A token, a quoted string, or an address whose local part is one (`pvalue`); may be empty."""
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            return self._match(_BARE)
        self._at = found.end()
        quoted = _PAIR.sub(r"\1", found[1])
        return quoted + self._match(_BARE) if self._peek() == "@" else quoted

    def _blank(self) -> bool:
        """Go past white space and comments; whether there was any."""
        start = self._at
        while True:
            self._match(_BLANK)
            if self._peek() != "(":
                return self._at > start
            self._at = end_of_comment(self._text, self._at, depth=_DEPTH) or self._end_badly()

    def _end_badly(self) -> int:
        raise _BrokenError("a comment does not end")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _accept(self, mark: str) -> bool:
        if self._peek() != mark:
            return False
        self._at += 1
        return True

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]
