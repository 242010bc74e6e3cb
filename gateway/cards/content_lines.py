"""The content lines of vCards: unfolded, taken apart, values decoded (RFC 6350 section 3.3; vCard 2.1 section 2.1).

The library that writes our cards can read them, too, but its pattern for a line goes back and forth for ever over some
that end wrongly, and one broken line would cost all cards of a file.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Properties that hold pictures, sounds and keys: they may be megabytes, and are not kept.
BINARY = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})
#: The longest line that is looked at, in characters.
_LONGEST = 64 * 1024
_HEAD = re.compile(r"(?:([A-Za-z0-9_-]+)\.)?([A-Za-z0-9_-]+)(?=[;:])")
#: One parameter: a name, and perhaps values, of which those in quotes may contain anything.
_PARAMETER = re.compile(r"([A-Za-z0-9_-]+)(?:=((?:\"[^\"]*\"|[^\";:,]*)(?:,(?:\"[^\"]*\"|[^\";:,]*))*))?(?=[;:])")
_VALUES = re.compile(r"\"([^\"]*)\"|([^\",]+)")
_BREAK = re.compile(r"\r\n|\r|\n")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
#: What in vCard 2.1 stands for a whole parameter.
_ENCODINGS = frozenset({"QUOTED-PRINTABLE", "BASE64", "8BIT", "7BIT", "B"})


class BrokenLineError(ValueError):
    """A line that is none; `str()` says why."""


@dataclass(frozen=True, slots=True)
class ContentLine:
    """A property: its name in upper case, its parameters (names in upper case), its value as it stands, decoded.

    `line` is where it begins in its file.
    """

    name: str
    parameters: dict[str, list[str]]
    value: str
    line: int

    @property
    def types(self) -> set[str]:
        """The values of TYPE, in lower case."""
        return {one.strip().lower() for value in self.parameters.get("TYPE", ()) for one in value.split(",")}

    @property
    def text(self) -> str:
        """The value as text, escapes resolved."""
        return unescape(self.value)

    def parts(self) -> list[str]:
        """The components of a structured value (section 3.4), each as text."""
        return [unescape(one) for one in re.findall(r"(?:^|;)((?:\\.|[^\\;])*)", self.value, re.DOTALL)]


def unescape(value: str) -> str:
    """A text value without its escapes (RFC 6350 section 3.4)."""
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def escape(text: str) -> str:
    """A text as a value."""
    for plain, escaped in (("\\", "\\\\"), (",", "\\,"), (";", "\\;"), ("\r\n", "\\n"), ("\n", "\\n"), ("\r", "\\n")):
        text = text.replace(plain, escaped)
    return text


def physical(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file, counted from 1."""
    yield from enumerate(_BREAK.split(text), start=1)


def logical(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Folded lines put together: by white space in front, or, where they are quoted-printable, a = at the end."""
    start, gathered = 0, ""
    soft = False
    for number, line in lines:
        if soft:
            gathered, soft = gathered[:-1] + line, line.endswith("=")
        elif gathered and line[:1] in (" ", "\t"):
            gathered += line[1:]
        elif gathered and line and ":" not in line and _is_base64(gathered):
            gathered += line
        else:
            if gathered:
                yield start, gathered
            start, gathered = number, line
            soft = line.endswith("=") and "QUOTED-PRINTABLE" in line.partition(":")[0].upper()
        if len(gathered) > _LONGEST:  # what follows of a picture is not gathered
            gathered = gathered[:_LONGEST]
    if gathered:
        yield start, gathered


def _is_base64(line: str) -> bool:
    head = line.partition(":")[0].upper()
    return "BASE64" in head or "ENCODING=B" in head


def parse(line: str, number: int) -> ContentLine:
    """A logical line taken apart; `BrokenLineError` where it is none."""
    head = _HEAD.match(line)
    if head is None:
        raise BrokenLineError("it is no property: a name and a colon must stand in front")
    name, at = head[2].upper().replace("_", "-"), head.end()
    parameters: dict[str, list[str]] = {}
    while line[at] == ";":
        found = _PARAMETER.match(line, at + 1)
        if found is None:
            if line[at + 1 : at + 2] in (";", ":"):  # an empty one, which old programs write
                at += 1
                continue
            raise BrokenLineError(f"the parameters of {name} cannot be read")
        _add(parameters, found[1], found[2])
        at = found.end()
    value = line[at + 1 :]
    if "QUOTED-PRINTABLE" in {one.upper() for one in parameters.get("ENCODING", ())}:
        value = _unquoted(name, value, parameters.get("CHARSET", ["utf-8"])[0])
    return ContentLine(name, parameters, value, number)


def _add(parameters: dict[str, list[str]], name: str, values: str | None) -> None:
    upper = name.upper()
    if values is None:
        parameters.setdefault("ENCODING" if upper in _ENCODINGS else "TYPE", []).append(name)
    else:
        some = [quoted or plain for quoted, plain in _VALUES.findall(values)]
        parameters.setdefault(upper, []).extend(some)


def _unquoted(name: str, value: str, charset: str) -> str:
    octets = quopri.decodestring(value.encode("utf-8"))
    try:
        text = octets.decode(charset)
    except LookupError:
        raise BrokenLineError(f"{name} is in the character set {charset[:40]}, which nobody knows") from None
    except UnicodeDecodeError:
        text = octets.decode("cp1252", "replace")
    # vCard 2.1 knows no escape for a line break, which is why it was quoted.
    return text.replace("\r\n", "\\n").replace("\n", "\\n")
