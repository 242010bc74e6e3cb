"""Which part of a mail holds its words, and what those words are as plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message

from filters import charsets, markup

_DEPTH = 24  # the guard lets less through

#: What stands for a body that has no words, the most telling first.
_STAND_INS = (
    ("multipart/encrypted", "(encrypted)"),
    ("application/pgp-encrypted", "(encrypted)"),
    ("application/pkcs7-mime", "(encrypted)"),
    ("application/x-pkcs7-mime", "(encrypted)"),
    ("application/ms-tnef", "(winmail.dat)"),
    ("application/vnd.ms-tnef", "(winmail.dat)"),
    ("application/pkcs7-signed", "(signed)"),
    ("image/", "(image)"),
    ("audio/", "(audio)"),
    ("video/", "(video)"),
    ("application/", "(attachment)"),
    ("text/", "(attachment)"),
)

_PGP_ENCRYPTED = "-----BEGIN PGP MESSAGE-----"
_PGP_SIGNED = re.compile(
    r"\A\s*-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z-]{1,40}: ?[^\n]*\n)*\n?(.*?)"
    r"(?:\n-----BEGIN PGP SIGNATURE-----.*)?\Z",
    re.DOTALL,
)
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?\Z")


@dataclass(frozen=True, slots=True)
class Body:
    """The words of a mail, lines separated by `\\n`; `stand_in` names what there is instead where there are none."""

    text: str
    stand_in: str = ""


def restore(message: Message, bodies: Sequence[bytes]) -> None:
    """Put the bodies the guard has set aside back where their numbers stand."""
    for part in message.walk():
        number = part.get_payload()
        if isinstance(number, str):
            number = number.strip()
            original = (
                bodies[int(number)] if number.isdecimal() and len(number) < 6 and int(number) < len(bodies) else b""
            )
            part.set_payload(original.decode("ascii", "surrogateescape"))


def read(message: Message) -> Body:
    """The words of a parsed mail: the best of its alternatives, attachments left aside (RFC 2046, RFC 2183)."""
    text = _words(message, 0)
    if _says_something(text):
        if text.lstrip().startswith(_PGP_ENCRYPTED):
            return Body("", "(encrypted)")
        signed = _PGP_SIGNED.match(text)
        return Body(signed[1] if signed else text)
    parts = list(message.walk())
    for part in parts:
        inner = part.get_payload()
        if part.get_content_type() in ("message/rfc822", "message/global") and isinstance(inner, list):
            return Body(_forwarded(next(one for one in inner if isinstance(one, Message))))
    for part in parts:
        if part.get_content_type() == "text/calendar":
            summary = invitation(_plain(part))
            if summary:
                return Body(summary)
    return Body("", _stand_in(parts))


def _words(part: Message, depth: int) -> str:
    kind = part.get_content_type()
    payload = part.get_payload()
    if isinstance(payload, list):
        if depth > _DEPTH or kind == "multipart/encrypted" or not kind.startswith("multipart/"):
            return ""
        children = [child for child in payload if isinstance(child, Message)]
        if kind == "multipart/alternative":
            return _alternative(children, depth)
        texts = (_words(child, depth + 1) for child in children)
        if kind in ("multipart/related", "multipart/signed", "multipart/report"):
            return next((text for text in texts if _says_something(text)), "")
        return "\n".join(text for text in texts if _says_something(text))
    if is_attachment(part):
        return ""
    if kind == "text/html":
        return charsets.many_lines(markup.text_of(_decoded(part)))
    if kind == "text/enriched":
        return charsets.many_lines(markup.text_of(_decoded(part).replace("<<", "&lt;")))
    if kind in ("text/plain", "text/markdown") or kind.startswith("multipart/"):
        return _plain(part)
    return ""


def _alternative(children: list[Message], depth: int) -> str:
    """The plain text where it says something, else the richest of the others (RFC 2046 section 5.1.4)."""
    plain = [child for child in children if child.get_content_type() == "text/plain"]
    others = [child for child in reversed(children) if child.get_content_type() != "text/plain"]
    texts = (_words(child, depth + 1) for child in plain + others)
    return next((text for text in texts if _says_something(text)), "")


def is_attachment(part: Message) -> bool:
    """Whether a part is a file beside the text (RFC 2183): said to be one, or named."""
    if "content-disposition" not in part and "name" not in str(part.get("content-type", "")).lower():
        return False  # as nearly all texts are
    if part.get_content_disposition() == "attachment":
        return True
    return bool(part.get_filename())


def _forwarded(part: Message) -> str:
    subject = charsets.one_line(charsets.decode_words(str(part.get("subject", ""))))
    inner = read(part)
    return "\n".join(piece for piece in (subject, inner.text or inner.stand_in) if piece)


def _stand_in(parts: list[Message]) -> str:
    kinds = [
        _kind(part) for part in parts if not part.is_multipart() or part.get_content_type() == "multipart/encrypted"
    ]
    return next((words for prefix, words in _STAND_INS for kind in kinds if kind.startswith(prefix)), "")


def _kind(part: Message) -> str:
    if part.get_param("smime-type") == "signed-data":
        return "application/pkcs7-signed"
    kind = part.get_content_type()
    return "" if kind.startswith("text/") and not is_attachment(part) else kind


def _decoded(part: Message) -> str:
    octets = part.get_payload(decode=True)
    label = part.get_content_charset("")
    return charsets.decode(octets, label) if isinstance(octets, bytes) else ""


def _plain(part: Message) -> str:
    text = charsets.many_lines(_decoded(part))
    if "format" in str(part.get("content-type", "")).lower() and str(part.get_param("format", "")).lower() == "flowed":
        return _unflowed(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
    return text


def _unflowed(text: str, *, delete_space: bool) -> str:
    """Lines of format=flowed as the paragraphs they were (RFC 3676 section 4)."""
    lines: list[str] = []
    pieces: list[str] = []
    flowing_depth = 0
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        if pieces and (depth != flowing_depth or content == "-- "):
            lines.append(_quoted(flowing_depth, "".join(pieces)))
            pieces = []
        flows = content.endswith(" ") and content != "-- "
        pieces.append(content[:-1] if flows and delete_space else content)
        flowing_depth = depth
        if not flows:
            lines.append(_quoted(depth, "".join(pieces)))
            pieces = []
    if pieces:
        lines.append(_quoted(flowing_depth, "".join(pieces)))
    return "\n".join(lines)


def _quoted(depth: int, text: str) -> str:
    return f"{'>' * depth} {text}" if depth else text


def _says_something(text: str) -> bool:
    return any(not character.isspace() for character in text)


def invitation(calendar: str) -> str:
    """One line for an iCalendar text (RFC 5545): what, when as written there, where; empty where it says nothing."""
    found: dict[str, str] = {}
    inside = False
    for line in re.sub(r"\n[ \t]", "", calendar).split("\n"):
        name, _, value = line.partition(":")
        name = name.partition(";")[0].strip().upper()
        if name == "BEGIN" and value.strip().upper() == "VEVENT":
            inside = True
        elif name == "END" and inside:
            break
        elif inside and name in ("SUMMARY", "DTSTART", "LOCATION"):
            found.setdefault(name, value.strip())
    what, where = (_unescaped(found.get(name, "")) for name in ("SUMMARY", "LOCATION"))
    return ", ".join(piece for piece in (what, _when(found.get("DTSTART", "")), where) if piece)


def _when(stamp: str) -> str:
    parts = _STAMP.match(stamp)
    if parts is None:
        return ""
    day = f"{parts[1]}-{parts[2]}-{parts[3]}"
    return day if parts[4] is None else f"{day} {parts[4]}:{parts[5]}{' UTC' if parts[6] else ''}"


def _unescaped(value: str) -> str:
    """A TEXT value of iCalendar on one line (RFC 5545 section 3.3.11)."""
    value = re.sub(r"\\([nN,;\\])", lambda escape: " " if escape[1] in "nN" else escape[1], value)
    return charsets.one_line(value)
