"""What stands between a stranger's octets and the parser: a thin copy of the mail, bounded in every direction.

Parsers of mail are recursive, quadratic in places, and keep attachments several times over. So each mail is first read
once, from left to right, by code that does nothing clever. What follows sees a thin copy: the MIME skeleton, the
subjects and the Message-IDs, cut to size. A body that may hold words is set aside, and only its number stands in the
copy; any other body is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.message import Message

from filters import charsets

#: Octets of header section, of one field, and number of fields that are read.
HEADER, FIELD, FIELDS = 512 * 1024, 64 * 1024, 1000
#: Octets of one MIME field (`Content-…`), of all of them, and of address fields: what parsers do with them is slow.
MIME_FIELD, MIME_FIELDS, ADDRESSES = 1024, 64 * 1024, 128 * 1024
#: How deep parts nest, how many there are, and how much of their text is kept, each and together (octets).
DEPTH, PARTS, TEXT, TEXTS = 16, 100, 256 * 1024, 1024 * 1024

_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)")
_FOLD = re.compile(rb"[\r\n]+[ \t]*|\0")
_STRAY = re.compile(rb"\r(?!\n)|\0")
_CHARSET = re.compile(r"charset(?:\*\d*\*?)?\s*=\s*\"?([^\s;\"]*)\"?", re.IGNORECASE)
_EXTENDED = re.compile(r"(\*\s*=\s*\"?)([^'\";\s]*)(?=')")

_ADDRESSES = frozenset({"from", "sender", "reply-to", "to", "cc"})
_MIME = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "content-id"})

#: Messages that are no mails: fields that a report consists of (RFC 3464, RFC 8098, RFC 6533).
_REPORTS = frozenset(
    {"message/delivery-status", "message/global-delivery-status", "message/global-headers"}
    | {"message/disposition-notification", "message/global-disposition-notification"}
)


@dataclass(frozen=True, slots=True)
class Field:
    """A header field: its name in lower case, its value unfolded on one line; octets above 127 as surrogate escapes."""

    name: str
    value: str


@dataclass(slots=True)
class Thin:
    """The thin copy of a mail, the header fields of the whole, and whether anything that may matter was left out.

    Where a body of the copy is the decimal number n, the original octets are `bodies[n]`. `clear` says that nothing of
    the mail's own header was left out, and that no other reader finds another end or other lines in it.
    """

    octets: bytes
    fields: tuple[Field, ...]
    bodies: tuple[bytes, ...]
    cut: bool = False
    clear: bool = True


def thin(raw: bytes) -> Thin:
    """Read a mail once and keep what is worth parsing. Never raises; time is linear, the copy at most about 1 MiB."""
    fields, body, cut = header(raw, 0, len(raw))
    copy = _Copy(raw, cut=cut or sum(len(item.value) for item in fields if item.name in _ADDRESSES) > ADDRESSES)
    copy.entity(fields, body)
    return Thin(b"".join(copy.out), fields, tuple(copy.bodies), copy.cut, not cut and _is_clear(raw, body))


@dataclass(slots=True)
class _Copy:
    """The copy under construction: which multiparts are open (boundary and depth of their parts), what was kept."""

    raw: bytes
    cut: bool = False
    out: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    _open: list[tuple[bytes, int]] = field(default_factory=list)
    _pattern: re.Pattern[bytes] | None = None
    _looked: tuple[int, re.Match[bytes] | None] | None = None
    _parts: int = 0
    _texts: int = 0
    _mime: int = 0

    def entity(self, fields: tuple[Field, ...], body: int) -> None:
        """Copy the mail itself, and then, boundary by boundary, all its parts."""
        at: int | None = self._part(fields, body, 0, whole=True)
        while at is not None:
            at = self._next(at)

    def _next(self, at: int) -> int | None:
        """Go to the next boundary line from `at`, and copy the part after it; None at the end."""
        found = self._find(at)
        if found is None:
            return None
        level, closing = _which(found)
        boundary, depth = self._open[level]
        self._reopen(level if closing else level + 1)
        self.out += (b"\n--", boundary, b"--\n" if closing else b"\n")
        after = min(found.end() + 1, len(self.raw))
        if closing:
            return after
        self._parts += 1
        if self._parts > PARTS:
            self.cut = True
            return None
        fields, body, cut = header(self.raw, after, self._end(after))
        self.cut |= cut
        return self._part(fields, body, depth, whole=False)

    def _part(self, fields: tuple[Field, ...], body: int, depth: int, *, whole: bool) -> int:
        """Copy a part's header, and its body where it may hold words; the position to go on from."""
        described = Message()
        for item in fields:
            if item.name in _MIME and item.name not in described:
                described[item.name] = mime_value(item.value[: MIME_FIELD if self._mime < MIME_FIELDS else 128])
                self._mime += len(item.value)
        self._fields(fields, described, whole=whole)
        kind = str(described.get_content_type())
        if kind.startswith("multipart/"):
            return self._multipart(described, body, depth)
        if kind in ("message/rfc822", "message/global") and depth < DEPTH:
            inner, start, cut = header(self.raw, body, self._end(body))
            self.cut |= cut
            return self._part(inner, start, depth + 1, whole=True)
        if kind.startswith("text/") or kind in _REPORTS:
            return self._text(body)
        return body

    def _multipart(self, described: Message, body: int, depth: int) -> int:
        if depth >= DEPTH:
            self.cut = True
            return body
        boundary = _boundary(described)
        if boundary:
            self._open.append((boundary, depth + 1))
            self._compile()
            found = self._find(body)
            if found is not None and _which(found)[0] == len(self._open) - 1:
                return body
            self._reopen(len(self._open) - 1)
        return self._text(body)  # no part begins: what there is, is text to a parser

    def _fields(self, fields: tuple[Field, ...], described: Message, *, whole: bool) -> None:
        for name in ("subject", "message-id") if whole else ():  # by which a mail within a mail is known
            value = next((item.value for item in fields if item.name == name), None)
            if value is not None:
                self.out.append(f"{name}:{value[:MIME_FIELD]}\n".encode("ascii", "surrogateescape"))
        for name, value in described.raw_items():
            self.out.append(f"{name}: {value}\n".encode("ascii", "surrogateescape"))
        self.out.append(b"\n")

    def _text(self, body: int) -> int:
        end = self._end(body)
        keep = min(end - body, TEXT, TEXTS - self._texts)
        self.cut |= keep < end - body
        self._texts += keep
        self.out.append(b"%d\n" % len(self.bodies))
        self.bodies.append(self.raw[body : body + keep])
        return end

    def _end(self, start: int) -> int:
        """Where the part that starts here ends: before the line break of the next boundary of any open multipart."""
        found = self._find(start)
        if found is None:
            return len(self.raw)
        end = found.start()
        return max(end - 1 if self.raw[end - 1 : end] == b"\r" else end, start)

    def _find(self, start: int) -> re.Match[bytes] | None:
        """The next boundary line at or after `start`; each stretch of the mail is searched once a set of boundaries."""
        if self._pattern is None:
            return None
        if self._looked is not None:
            since, found = self._looked
            if since <= start and (found is None or found.start() >= start - 1):
                return found
        found = self._pattern.search(self.raw, max(start - 1, 0))
        self._looked = (start, found)
        return found

    def _reopen(self, levels: int) -> None:
        if levels < len(self._open):
            del self._open[levels:]
            self._compile()

    def _compile(self) -> None:
        """One pattern for the boundary lines of all open multiparts, outermost first (RFC 2046 section 5.1.2)."""
        choices = b"|".join(b"%b(?:()|(--))" % re.escape(boundary) for boundary, _ in self._open)
        self._pattern = re.compile(b"\n--(?:" + choices + rb")[ \t]*\r?$", re.MULTILINE) if self._open else None
        self._looked = None


def _which(found: re.Match[bytes]) -> tuple[int, bool]:
    """Which open multipart a boundary line belongs to, and whether it closes it."""
    group = found.lastindex or 1
    return (group - 1) // 2, group % 2 == 0


def header(raw: bytes, start: int, end: int) -> tuple[tuple[Field, ...], int, bool]:
    """The header fields between two positions, where the body begins, and whether fields were left out."""
    limit = min(end, start + HEADER)
    fields: list[Field] = []
    at, cut = start, False
    if raw.startswith(b"From ", at):
        at = raw.find(b"\n", at, limit) + 1 or limit
    while at < limit:
        if raw.startswith((b"\n", b"\r\n"), at):
            return tuple(fields), raw.index(b"\n", at) + 1, cut
        found = _FIELD.match(raw, at, limit)
        if found is None:
            return tuple(fields), at, cut  # a line that is no field: the body began without an empty line
        if len(fields) < FIELDS:
            value = found[2]
            cut |= len(value) > FIELD
            name = found[1].decode("ascii").lower()
            fields.append(Field(name, _FOLD.sub(b" ", value[:FIELD]).decode("ascii", "surrogateescape").strip(" \t")))
        else:
            cut = True
        at = found.end()
    if limit == end:
        return tuple(fields), end, cut
    found_end = _END_OF_HEADER.search(raw, limit - 4, end)
    return tuple(fields), found_end.end() if found_end else end, True


def _is_clear(raw: bytes, body: int) -> bool:
    """Whether the header that ends where the body begins ends with an empty line, and breaks lines with CRLF or LF."""
    ends = body == len(raw) or raw[max(body - 3, 0) : body].endswith((b"\n\n", b"\n\r\n"))
    return ends and not raw.startswith(b"From ") and _STRAY.search(raw, 0, body) is None


def mime_value(value: str) -> str:
    """The value of a MIME field, short, with charsets that parsers can look up and know."""
    value = _CHARSET.sub(lambda found: f'charset="{charsets.codec(_last(found[1])) or "us-ascii"}"', value)
    value = _EXTENDED.sub(lambda found: f"{found[1]}{charsets.codec(found[2]) or 'utf-8'}", value)
    return charsets.known_words(value)


def _last(label: str) -> str:
    return label.rpartition("'")[2]


def _boundary(described: Message) -> bytes:
    """The boundary as the standard parser reads it, or empty where there is none it could use."""
    found = described.get_boundary()
    return found.encode("utf-8", "surrogateescape") if isinstance(found, str) and found.strip() else b""
