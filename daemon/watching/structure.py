"""What a mail consists of, by its BODYSTRUCTURE: which parts are worth reading, and the mail put together of them.

Of a mail only the header, its structure and the texts that filters ask for are fetched. What is put together of these
is a mail like the one on the server, whose other parts are there with their names and types and have no content.
Pure; RFC 9051 sections 6.4.5 (section numbers) and 7.5.2 (BODYSTRUCTURE).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: How much of one text is read, of all of them, and of how many (octets before decoding).
TEXT, TEXTS, MANY = 128 * 1024, 512 * 1024, 12
#: How deep parts are followed, and how many are looked at.
_DEPTH, _PARTS = 16, 1000
_TOKEN = re.compile(rb"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+")
_REPORTS = frozenset({b"delivery-status", b"global-delivery-status", b"disposition-notification"})
_UNSAFE = re.compile(rb"[\x00-\x1f\x7f]")

Params = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part: its section number, media type, encoding, size in octets, disposition; and the parts in it.

    The mail in a message/rfc822 part is its one child; the child's section is that of the message, whose header is
    asked for as `SECTION.HEADER`.
    """

    section: str
    type: bytes
    subtype: bytes
    params: Params = ()
    encoding: bytes = b"7bit"
    size: int = 0
    disposition: bytes = b""
    named: Params = ()
    parts: tuple[Part, ...] = ()

    @property
    def is_message(self) -> bool:
        return self.type == b"message" and self.subtype in (b"rfc822", b"global")

    def walk(self) -> Iterator[Part]:
        """This part and all in it, in their order."""
        yield self
        for part in self.parts:
            yield from part.walk()


class UnreadableStructureError(ValueError):
    """The server described the mail in a way that cannot be."""


def read(told: Sequence[Any]) -> Part:
    """The structure as imapclient parsed it; `UnreadableStructureError` where it makes no sense."""
    try:
        return _Reader().entity(told, "", 0)
    except (TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
        raise UnreadableStructureError(str(error)) from None


class _Reader:
    def __init__(self) -> None:
        self._left = _PARTS

    def entity(self, told: Sequence[Any], section: str, depth: int) -> Part:
        """A mail, or the mail in a part: one part alone has the section number 1 in it."""
        if isinstance(told[0], list):
            return self._multipart(told, section, depth)
        return self._single(told, f"{section}.1" if section else "1", depth)

    def _multipart(self, told: Sequence[Any], section: str, depth: int) -> Part:
        parts = []
        if depth < _DEPTH:
            for n, child in enumerate(told[0], 1):
                if self._left <= 0:
                    break
                self._left -= 1
                at = f"{section}.{n}" if section else str(n)
                if isinstance(child[0], list):
                    parts.append(self._multipart(child, at, depth + 1))
                else:
                    parts.append(self._single(child, at, depth + 1))
        params = _params(told[2]) if len(told) > 2 else ()
        disposition, named = _disposition(told, 3)
        return Part(section, b"multipart", _word(told[1]), params, b"", 0, disposition, named, tuple(parts))

    def _single(self, told: Sequence[Any], section: str, depth: int) -> Part:
        kind, subtype = _word(told[0]), _word(told[1])
        after = 7
        parts: tuple[Part, ...] = ()
        if kind == b"text":
            after = 8
        elif kind == b"message" and subtype in (b"rfc822", b"global") and len(told) > 9:
            after = 10
            if depth < _DEPTH and told[8]:
                parts = (self.entity(told[8], section, depth + 1),)
        disposition, named = _disposition(told, after + 1)
        size = int(told[6] or 0)
        return Part(section, kind, subtype, _params(told[2]), _word(told[5]), size, disposition, named, parts)


def _word(value: Any) -> bytes:
    return bytes(value).lower() if value else b""


def _params(told: Any) -> Params:
    if not told:
        return ()
    flat = [item if isinstance(item, bytes) else str(item).encode() for item in told]
    return tuple(zip((name.lower() for name in flat[::2]), flat[1::2], strict=False))


def _disposition(told: Sequence[Any], at: int) -> tuple[bytes, Params]:
    if len(told) <= at or not told[at]:
        return b"", ()
    found = told[at]
    if isinstance(found, bytes):
        return found.lower(), ()
    return _word(found[0]), _params(found[1]) if len(found) > 1 else ()


# What is worth reading ------------------------------------------------------------------------------------------------


def texts(whole: Part) -> list[Part]:
    """The parts that hold words: texts that are no files, and what a report says; the most important first."""
    found: list[Part] = []
    room = TEXTS
    for part in whole.walk():
        worded = part.type == b"text" or (part.type == b"message" and part.subtype in _REPORTS)
        if not worded or (part.disposition == b"attachment" and part.subtype != b"calendar"):
            continue
        if room <= 0 or len(found) == MANY:
            break
        found.append(part)
        room -= min(part.size, TEXT)
    return found


def is_hollow(whole: Part) -> bool:
    """Whether it is a multipart in which the server found nothing: its boundary is missing, or never comes."""
    return whole.type == b"multipart" and not any(part.size for part in whole.walk())


def inner_headers(whole: Part) -> list[str]:
    """The sections of mails within the mail, whose headers are worth reading."""
    return [part.section for part in whole.walk() if part.is_message][:4]


# Put together ---------------------------------------------------------------------------------------------------------


def assemble(header: bytes, whole: Part, read: Mapping[str, bytes]) -> bytes:
    """The mail of its own header and of what was read, by section (`1.2`, `1.3.HEADER`); the other parts empty."""
    lines = [header.rstrip(b"\r\n"), b"\r\n\r\n"]
    lines += _body(whole, read)
    return b"".join(lines)


def _body(part: Part, read: Mapping[str, bytes]) -> Iterator[bytes]:
    if part.type == b"multipart":
        boundary = next((value for name, value in part.params if name == b"boundary"), b"")
        for child in part.parts if boundary else ():
            yield b"\r\n--" + boundary + b"\r\n"
            yield from _mime(child)
            yield from _body(child, read)
        if boundary:
            yield b"\r\n--" + boundary + b"--\r\n"
    elif part.is_message and part.parts:
        yield read.get(f"{part.section}.HEADER", b"").rstrip(b"\r\n") + b"\r\n\r\n"
        yield from _body(part.parts[0], read)
    else:
        content = read.get(part.section, b"")
        # Cut where a line ends: neither an encoded octet nor four characters of base64 are torn apart.
        yield content[: content.rfind(b"\n") + 1] if len(content) >= TEXT else content


def _mime(part: Part) -> Iterable[bytes]:
    yield b"Content-Type: " + part.type + b"/" + part.subtype + _written(part.params) + b"\r\n"
    if part.encoding and part.type != b"multipart":
        yield b"Content-Transfer-Encoding: " + _UNSAFE.sub(b"", part.encoding) + b"\r\n"
    if part.disposition:
        yield b"Content-Disposition: " + _UNSAFE.sub(b"", part.disposition) + _written(part.named) + b"\r\n"
    yield b"\r\n"


def _written(params: Params) -> bytes:
    return b"".join(b";\r\n " + _UNSAFE.sub(b"", name) + b"=" + _value(name, value) for name, value in params)


def _value(name: bytes, value: bytes) -> bytes:
    value = _UNSAFE.sub(b" ", value)
    if name.endswith(b"*") and _TOKEN.fullmatch(value):
        return value
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
