"""A mail as Sieve looks at it: header fields as they came, and the tree of its parts, read only when asked for."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message as Described
from email.utils import collapse_rfc2231_value
from functools import cached_property

from filters import charsets, guard, markup
from filters.mail import Mail

#: How deep parts nest and how many there are; octets of one body and of all together that are looked at.
DEPTH, PARTS, TEXT, TEXTS = guard.DEPTH, guard.PARTS, guard.TEXT, guard.TEXTS

_MAILS = frozenset({"message/rfc822", "message/global"})
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


@dataclass(eq=False)
class Part:
    """A mail, or a part of it: its header fields, its body where in `raw`, its parts.

    `type` is the media type of Content-Type in lower case, `text/plain` where there is none. `before` and `after` are
    what a multipart has around its parts. Of `message/rfc822`, the mail in it is the one part.
    """

    raw: bytes
    fields: tuple[guard.Field, ...]
    start: int
    end: int
    type: str = "text/plain"
    parts: tuple[Part, ...] = ()
    before: bytes = b""
    after: bytes = b""
    _values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def header(self, name: str) -> tuple[str, ...]:
        """The decoded values of every field of this name (lower case), topmost first, on one line each."""
        found = self._values.get(name)
        if found is None:
            found = tuple(_decoded(one.value) for one in self.fields if one.name == name)
            self._values[name] = found
        return found

    def written(self, name: str) -> list[str]:
        """The same as they were written: encoded words and all."""
        return [one.value for one in self.fields if one.name == name]

    def walk(self) -> Iterator[Part]:
        """This part and all below it, as they follow each other in the mail."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @cached_property
    def octets(self) -> bytes:
        """The body without its transfer encoding (RFC 2045 section 6), at most `TEXT` octets of it."""
        body = self.raw[self.start : min(self.end, self.start + 2 * TEXT)]
        encoding = next(iter(self.header("content-transfer-encoding")), "").strip().lower()
        if encoding == "base64":
            data = _NOT_BASE64.sub(b"", body)
            body = binascii.a2b_base64(data[: len(data) - (len(data) % 4 == 1)] + b"==")
        elif encoding == "quoted-printable":
            body = binascii.a2b_qp(body)
        return body[:TEXT]

    @cached_property
    def content(self) -> str:
        """The body's text in its charset, lines ended by `\\n`."""
        charset = parameter(next(iter(self.written("content-type")), ""), "charset")
        return charsets.decode(self.octets, charset or "").replace("\r\n", "\n")

    @cached_property
    def words(self) -> str:
        """The text a reader sees: markup taken off."""
        if self.type in ("text/html", "text/enriched"):
            return markup.read(self.content).text
        return self.content

    @property
    def head(self) -> str:
        """Its header as lines."""
        return "\n".join(f"{one.name}: {_decoded(one.value)}" for one in self.fields)


class Message:
    """The mail of one run: its header at once, its parts when first asked for. Never raises, time is linear."""

    def __init__(self, octets: bytes, fields: tuple[guard.Field, ...] | None = None, size: int | None = None) -> None:
        """`size` is that of the whole mail where only its beginning is at hand."""
        self.octets = octets
        self.size = len(octets) if size is None else size
        found, self._body, self.cut = guard.header(octets, 0, len(octets))
        self._fields = found if fields is None else fields
        self._room = PARTS
        #: The mail itself without its parts: enough for its header.
        self.top = Part(octets, self._fields, self._body, len(octets))

    @classmethod
    def of(cls, mail: Mail) -> Message:
        """The view of a mail whose octets are not at hand: its header, its size, and what it says as its one text."""
        view = cls(b"", mail.fields, mail.size)
        view.__dict__["text"] = (mail.text,) if mail.text else ()
        return view

    @cached_property
    def root(self) -> Part:
        """The mail itself, with its parts."""
        return self._part(self._fields, self._body, len(self.octets), 0)

    @cached_property
    def text(self) -> tuple[str, ...]:
        """The text of every part that is one."""
        return tuple(part.words for part in self._bodies() if part.type.startswith("text/"))

    @cached_property
    def raw(self) -> str:
        """The body as it came, as text."""
        self.cut |= len(self.octets) - self._body > TEXTS
        return charsets.decode(self.octets[self._body : self._body + TEXTS]).replace("\r\n", "\n")

    def contents(self, kinds: tuple[str, ...]) -> Iterator[str]:
        """What every part of one of these kinds holds: `text`, `text/html`, or all (RFC 5173 section 5.2)."""
        for part in self._bodies():
            if not any(_is_of(part.type, kind.lower()) for kind in kinds):
                continue
            if part.type.startswith("multipart/") and part.parts:
                yield from (charsets.decode(one[:TEXT]).replace("\r\n", "\n") for one in (part.before, part.after))
            elif part.type in _MAILS and part.parts:
                yield part.parts[0].head
            else:
                yield part.content

    def _bodies(self) -> Iterator[Part]:
        room = TEXTS
        for part in self.root.walk():
            if room > 0 or part.parts:
                yield part
            else:
                self.cut = True
            room -= min(part.end - part.start, TEXT) if not part.parts else 0

    def _part(self, fields: tuple[guard.Field, ...], start: int, end: int, depth: int) -> Part:
        described = _described(fields)
        kind = described.get_content_type() if described else "text/plain"
        part = Part(self.octets, fields, start, end, kind)
        if depth >= DEPTH or self._room <= 0:
            self.cut |= kind.startswith("multipart/") or kind in _MAILS
            return part
        if kind.startswith("multipart/") and described:
            boundary = described.get_boundary()
            if isinstance(boundary, str) and boundary.strip():
                self._split(part, boundary.encode("utf-8", "surrogateescape"), depth)
        elif kind in _MAILS:
            self._room -= 1
            part.parts = (self._inner(start, end, depth),)
        return part

    def _inner(self, start: int, end: int, depth: int) -> Part:
        fields, body, cut = guard.header(self.octets, start, end)
        self.cut |= cut
        return self._part(fields, min(body, end), end, depth + 1)

    def _split(self, part: Part, boundary: bytes, depth: int) -> None:
        """Find the parts of a multipart (RFC 2046 section 5.1.1)."""
        line = re.compile(b"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?$", re.MULTILINE)
        begin: int | None = None
        found: list[Part] = []
        for mark in line.finditer(self.octets, part.start, part.end):
            stop = _before_break(self.octets, mark.start(), part.start if begin is None else begin)
            if begin is None:
                part.before = self.octets[part.start : stop]
            else:
                found.append(self._inner(begin, stop, depth))
            begin = min(mark.end() + 1, part.end)
            self._room -= 1
            if mark[1] or self._room <= 0:
                part.after = self.octets[begin : part.end]
                self.cut |= not mark[1]
                begin = None
                break
        if begin is not None:
            found.append(self._inner(begin, part.end, depth))
        part.parts = tuple(found)


def parameter(value: str, name: str) -> str | None:
    """A parameter of a field such as Content-Type (RFC 2045, RFC 2231); None where it has none of this name."""
    described = Described()
    described["content-type"] = guard.mime_value(value[: guard.MIME_FIELD])
    try:
        found = described.get_param(name)
        return None if found is None else charsets.decode_words(collapse_rfc2231_value(found))
    except (ValueError, LookupError, TypeError):
        return None


def _described(fields: tuple[guard.Field, ...]) -> Described | None:
    value = next((one.value for one in fields if one.name == "content-type"), None)
    if value is None:
        return None
    described = Described()
    described["content-type"] = guard.mime_value(value[: guard.MIME_FIELD])
    return described


def _before_break(octets: bytes, at: int, begin: int) -> int:
    """The position before the line break that ends there."""
    if at > begin and octets[at - 1 : at] == b"\n":
        at -= 1
        if at > begin and octets[at - 1 : at] == b"\r":
            at -= 1
    return at


def _is_of(kind: str, wanted: str) -> bool:
    """RFC 5173 section 5.2: nothing is any type, a word is a top type, two with a slash are one type."""
    if not wanted:
        return True
    if wanted.count("/") > 1 or wanted.startswith("/") or wanted.endswith("/"):
        return False
    return kind == wanted if "/" in wanted else kind.partition("/")[0] == wanted


def _decoded(value: str) -> str:
    return charsets.decode_words(value).strip(" \t")
