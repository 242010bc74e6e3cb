"""Strings of scripts: what is written, and what it becomes when variables are put in (RFC 5229 section 3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote

#: Characters of a variable's value; what is longer is cut (RFC 5229 section 6 asks for 4000).
LONGEST_VALUE = 16 * 1024
#: The highest numbered variable (RFC 5229 section 6 asks for 9).
LAST_CAPTURE = 31

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*|[0-9]+)\}")
_NAMESPACE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)+\}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_HEX = re.compile(r"\$\{hex:((?:\s*[0-9A-Fa-f]{1,2})(?:\s+[0-9A-Fa-f]{1,2})*)\s*\}", re.IGNORECASE)
_UNICODE = re.compile(r"\$\{unicode:(\s*[0-9A-Fa-f]{1,20}(?:\s+[0-9A-Fa-f]{1,20})*)\s*\}", re.IGNORECASE)


@dataclass(slots=True)
class Variables:
    """What stands for names, in lower case, and for numbers: the parts of the value that matched last."""

    named: dict[str, str] = field(default_factory=dict)
    captures: Sequence[str] = ()

    def value(self, name: str) -> str:
        """The value; of one never set, empty."""
        if name.isdigit():
            index = int(name)
            return self.captures[index] if index < len(self.captures) else ""
        return self.named.get(name, "")


@dataclass(frozen=True, slots=True)
class Template:
    """A string with variables in it: texts and, at odd places, names of variables in lower case."""

    pieces: tuple[str, ...]

    def expand(self, variables: Variables, *, without: frozenset[str] = frozenset()) -> str:
        """The string with the values put in; those of `without` are left empty."""
        out = [
            piece if not index % 2 else ("" if piece in without else variables.value(piece))
            for index, piece in enumerate(self.pieces)
        ]
        return "".join(out)

    @property
    def names(self) -> frozenset[str]:
        """The variables in it."""
        return frozenset(self.pieces[1::2])


@dataclass(frozen=True, slots=True)
class Templates:
    """A list of strings, some with variables in them."""

    items: tuple[str | Template, ...]

    def expand(self, variables: Variables) -> tuple[str, ...]:
        """The strings with the values put in."""
        return tuple(item if isinstance(item, str) else item.expand(variables) for item in self.items)


Text: TypeAlias = str | Template
Texts: TypeAlias = tuple[str, ...] | Templates


class StringError(ValueError):
    """A string that cannot be run; the sentence says why."""


def template(text: str) -> Text:
    """The string with its references to variables found; `StringError` for what no extension here knows."""
    if "${" not in text:
        return text
    if found := _NAMESPACE.search(text):
        raise StringError(f"{found[0]} names a variable of another extension, and there are none here")
    pieces = _REFERENCE.split(text)
    if len(pieces) == 1:
        return text
    for index in range(1, len(pieces), 2):
        name = pieces[index].lower()
        if name.isdigit():
            if len(name) > 9 or int(name) > LAST_CAPTURE:
                raise StringError(f"${{{name[:20]}}} asks for more parts than are kept, which is {LAST_CAPTURE}")
            name = str(int(name))
        pieces[index] = name
    return Template(tuple(pieces))


def decoded(text: str) -> str:
    """The string with `${hex:…}` and `${unicode:…}` replaced (RFC 5228 section 2.4.2.4)."""
    if "${" not in text:
        return text
    out: list[str] = []
    at = 0
    while (begin := text.find("${", at)) >= 0:
        found = _HEX.match(text, begin) or _UNICODE.match(text, begin)
        out.append(text[at:begin])
        if found is None:
            out.append("${")
            at = begin + 2
            continue
        at = found.end()
        out.append(_octets(found[1]) if found.re is _HEX else _characters(found[1]))
    return "".join([*out, text[at:]])


def _octets(digits: str) -> str:
    try:
        return bytes(int(one, 16) for one in digits.split()).decode()
    except UnicodeDecodeError:
        raise StringError(f"${{hex:{digits[:40]}}} is no UTF-8") from None


def _characters(digits: str) -> str:
    numbers = [int(one, 16) for one in digits.split()]
    for number in numbers:
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise StringError(f"${{unicode:{digits[:40]}}} names {number:X}, which is no character")
    return "".join(map(chr, numbers))


def _first(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: change(text[:1]) + text[1:]


#: What modifiers do (RFC 5229 section 4.1, RFC 5435 section 6, draft-ietf-sieve-regex section 4).
MODIFIERS: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "lowerfirst": _first(str.lower),
    "upperfirst": _first(str.upper),
    "quotewildcard": lambda text: re.sub(r"([*?\\])", r"\\\1", text),
    "quoteregex": lambda text: re.sub(r"([$()*+.?\[\\\]^{|}])", r"\\\1", text),
    "encodeurl": lambda text: quote(text, safe="-._~"),
    "length": lambda text: str(len(text)),
}


def modified(text: str, modifiers: Sequence[str]) -> str:
    """The value after its modifiers, in order, cut to what a variable holds."""
    value = text[:LONGEST_VALUE]
    for name in modifiers:
        value = MODIFIERS[name](value)
    return value[:LONGEST_VALUE]
