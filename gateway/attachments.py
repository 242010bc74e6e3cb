"""Files that go along with a message's e-mails: read, named, and turned into body parts once, when they are taken in.

SMS and fax deliveries of the same message get the text alone. What is stored is the part as it goes out (RFC 2045), so
that a mail to each of many recipients is put together without encoding anything again.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from gateway.failure import RefusedError
from gateway.lines import one_line
from gateway.store import schema

#: The longest name of a file, in characters: percent-encoded it still fits a line (RFC 5322 section 2.1.1).
_LONGEST_NAME = 75
#: What a mail has beside its attachments and its text, roughly, in octets.
_AROUND = 4096
#: What `mimetypes` calls the compression of a file, and its type; any other is unknown octets.
_PACKED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "br": "application/x-br",
}
_OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along: `size` is the file's, in octets; `part` the body part made of it."""

    name: str
    type: str
    size: int
    digest: str
    part: bytes = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """What is told of it."""
        return {"name": self.name, "type": self.type, "size": self.size}


def of(name: str, octets: bytes) -> Attachment:
    """The attachment made of a file's octets; its type is guessed from its name."""
    shown = one_line(name, _LONGEST_NAME, keep_end=True) or "file"
    kind = _type(shown)
    head = Message()
    charset = {"charset": "utf-8"} if kind.startswith("text/") and _is_utf8(octets) else {}
    head.add_header("Content-Type", kind, **charset)
    # RFC 2231 section 4: what is not ASCII goes as UTF-8, percent-encoded.
    head.add_header("Content-Disposition", "attachment", filename=shown if shown.isascii() else ("utf-8", "", shown))
    head["Content-Transfer-Encoding"] = "base64"
    lines = "".join(f"{field_}: {value}\r\n" for field_, value in head.items())
    body = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return Attachment(shown, kind, len(octets), hashlib.sha256(octets).hexdigest(), lines.encode() + b"\r\n" + body)


def of_files(paths: Iterable[Path], text: str, most: int) -> tuple[Attachment, ...]:
    """The attachments of these files; `RefusedError` for one that cannot be read, or where the mail gets too large.

    `most` is how many octets a mail may have ([listen] max_size), `text` what else is in it.
    """
    room = most - len(text.encode(errors="replace")) - _AROUND
    made: list[Attachment] = []
    for path in paths:
        try:
            if not path.is_file():
                raise RefusedError(
                    f"{path} cannot go along: " + ("it is no file" if path.exists() else "there is none")
                )
            size = path.stat().st_size
            octets = path.read_bytes() if _encoded(size) <= room else b""
        except OSError as error:
            raise RefusedError(f"{path} cannot go along: {(error.strerror or str(error)).lower()}") from None
        if _encoded(size) > room or _encoded(len(octets)) > room:
            raise RefusedError(
                f"{path} cannot go along: its {size} octets need {_encoded(size)} in a mail, and a mail here may have "
                f"{most} in all ([listen] max_size), of which {max(room, 0)} are left",
                smtp="552 5.3.4",
            )
        made.append(of(path.name, octets))
        room -= len(made[-1].part)
    return tuple(made)


def content(attachments: Sequence[Attachment]) -> list[str]:
    """What a key stands for beside the message's words (`compose.content_of`)."""
    return [f"{one.name}\0{one.digest}" for one in attachments]


def rows(message: int, attachments: Sequence[Attachment]) -> list[dict[str, Any]]:
    """Their rows."""
    return [
        {"message_id": message, "n": n, "name": one.name, "type": one.type, "size": one.size, "part": one.part}
        for n, one in enumerate(attachments, 1)
    ]


def parts(connection: Connection, messages: Iterable[int]) -> dict[int, tuple[bytes, ...]]:
    """The body parts of the attachments of these messages, in their order."""
    table = schema.attachment
    statement = select(table.c.message_id, table.c.part).where(table.c.message_id.in_(sorted(messages)))
    found: dict[int, tuple[bytes, ...]] = {}
    for row in connection.execute(statement.order_by(table.c.message_id, table.c.n)):
        found[row.message_id] = (*found.get(row.message_id, ()), bytes(row.part))
    return found


def documents(connection: Connection, message: int) -> list[dict[str, Any]]:
    """What is told of a message's attachments."""
    table = schema.attachment
    statement = select(table.c.name, table.c.type, table.c.size).where(table.c.message_id == message)
    return [dict(row._mapping) for row in connection.execute(statement.order_by(table.c.n))]


def _encoded(size: int) -> int:
    """How many octets of a mail this many octets of a file need (RFC 2045 section 6.8), head of the part included."""
    characters = -(-size // 3) * 4
    return characters + 2 * -(-characters // 76) + 300


def _type(name: str) -> str:
    kind, packed = mimetypes.guess_type(name, strict=True)
    if packed is not None:
        return _PACKED.get(packed, _OCTETS)
    # What is a mail or has parts itself must not be encoded (RFC 2045 section 6.4).
    return _OCTETS if kind is None or kind.startswith(("message/", "multipart/")) else kind


def _is_utf8(octets: bytes) -> bool:
    try:
        return "\0" not in octets.decode()
    except UnicodeDecodeError:
        return False
