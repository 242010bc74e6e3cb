"""The files of a mail, and a name for what it holds instead of words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message

from filters import charsets

#: What stands for a body that has no words, the most telling first.
_STAND_INS = (
    ("multipart/encrypted", "(encrypted)"),
    ("application/pgp-encrypted", "(encrypted)"),
    ("application/pkcs7-mime", "(encrypted)"),
    ("application/x-pkcs7-mime", "(encrypted)"),
    ("application/ms-tnef", "(winmail.dat)"),
    ("application/vnd.ms-tnef", "(winmail.dat)"),
    ("application/pkcs7-signed", "(signed)"),
    ("application/", "(attachment)"),
    ("text/", "(attachment)"),
    ("audio/", "(audio)"),
    ("video/", "(video)"),
    ("image/", "(image)"),
)
#: Proofs of who wrote a mail, which programs show as no file.
_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_MEDIA_TYPE = re.compile(r"[!-.0-~]{1,127}/[!-.0-~]{1,127}\Z")
_NAMED_FILES, _NAME_LENGTH = 3, 60


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail, by its name (one line, no path to be trusted) and media type."""

    name: str
    type: str


def listed(parts: Iterable[Message]) -> tuple[Attachment, ...]:
    """The files among the parts of a mail."""
    return tuple(Attachment(_name(part), media_type(part)) for part in parts if _is_file(part))


def media_type(part: Message) -> str:
    """The media type of a part in lower case; one that is none is `application/octet-stream` (RFC 2045 section 5.1)."""
    kind = part.get_content_type()
    return kind if _MEDIA_TYPE.match(kind) else "application/octet-stream"


def _is_file(part: Message) -> bool:
    whole_mail = part.get_content_maintype() == "message" and part.get_content_disposition() == "attachment"
    return (whole_mail or not part.is_multipart()) and is_one(part) and part.get_content_type() not in _SIGNATURES


def is_one(part: Message) -> bool:
    """Whether a part is a file beside the text (RFC 2183): said to be one, or named."""
    if "content-disposition" not in part and "name" not in str(part.get("content-type", "")).lower():
        return False  # as nearly all texts are
    if part.get_content_disposition() == "attachment":
        return True
    return bool(part.get_filename())


def stand_in(parts: list[Message]) -> str:
    """The name for what there is instead of words."""
    kinds = [(kind, part) for part in parts if (kind := _kind(part))]
    for prefix, words in _STAND_INS:
        named = [part for kind, part in kinds if kind.startswith(prefix)]
        if named:
            return _files(named) if words == "(attachment)" else words
    return ""


def _files(parts: list[Message]) -> str:
    """The names of files, as far as they have names."""
    names = [_name(part)[:_NAME_LENGTH] for part in parts]
    shown = ", ".join([name for name in names if name][:_NAMED_FILES])
    more = ", ..." if len(names) > _NAMED_FILES else ""
    word = "attachment" if len(names) == 1 else f"{len(names)} attachments"
    return f"({word}: {shown}{more})" if shown else f"({word})"


def _kind(part: Message) -> str:
    """The media type of a part that is no text to read, else empty."""
    kind = part.get_content_type()
    if part.is_multipart():
        return kind if kind == "multipart/encrypted" else ""
    if part.get_param("smime-type") == "signed-data":
        return "application/pkcs7-signed"
    if kind == "application/octet-stream" and (part.get_filename() or "").lower() == "winmail.dat":
        return "application/ms-tnef"
    return "" if kind in _SIGNATURES or (kind.startswith("text/") and not is_one(part)) else kind


def _name(part: Message) -> str:
    return charsets.one_line(charsets.decode_words(part.get_filename() or ""))
