"""Which part of a mail holds its words, and what those words are as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from email.message import Message
from typing import NamedTuple

from filters import attachments, charsets, delivery_status, flowed, invitation, markup

_DEPTH = 24  # the guard lets less through
#: How many mails within mails are opened to find words.
_FORWARDS = 4

_REPORTS = frozenset(
    {"message/delivery-status", "message/global-delivery-status"}
    | {"message/disposition-notification", "message/global-disposition-notification"}
)
_MAILS = frozenset({"message/rfc822", "message/global"})
_HEADERS = frozenset({"text/rfc822-headers", "message/global-headers"})

_PGP_ENCRYPTED = "-----BEGIN PGP MESSAGE-----"
_PGP_SIGNED = re.compile(
    r"\A\s*-----BEGIN PGP SIGNED MESSAGE-----\n(?:[A-Za-z-]{1,40}: ?[^\n]*\n)*\n?(.*?)"
    r"(?:\n-----BEGIN PGP SIGNATURE-----.*)?\Z",
    re.DOTALL,
)
_UUENCODED = re.compile(r"(?m)^begin [0-7]{3,4} (\S[^\n]{0,200})\n(?:[ -`]{1,62}\n){1,20000}(?:`?\n)?end$")
#: What a plain text says that only stands in for the HTML beside it.
_SEE_HTML = re.compile(
    r"(?:view|see|read|display|show|support|enable|require|visuali[sz]|afficher|voir|bekijk|lezen|anzeig"
    r"|unterst[üu]tz|ver|mostr"
    r"|vis)\w*\b.{0,120}\bhtml\b|\bhtml\b.{0,120}\b(?:view|support|capable|compatible|enabled|client|reader|mailer"
    r"|e-?mail)",
    re.IGNORECASE | re.DOTALL,
)
_SEE_HTML_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Body:
    """What a mail says, lines separated by `\\n`.

    `text`: its words, quotations and all; `written`: the same without what its HTML calls a signature. `stand_in` names
    what there is instead where there are no words. `invitation`: one line, where the mail is about an event; `note` is
    then what somebody wrote with it. `report`: what became of another mail, a line for each recipient.
    """

    text: str
    written: str = ""
    stand_in: str = ""
    invitation: str = ""
    note: str = ""
    report: str = ""


class _Words(NamedTuple):
    text: str
    written: str

    def __bool__(self) -> bool:
        return any(not character.isspace() for character in self.text)


_NOTHING = _Words("", "")


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
    """What a parsed mail says: the best of its alternatives, attachments left aside (RFC 2046, RFC 2183)."""
    return _read(message, _FORWARDS)


def _read(message: Message, forwards: int) -> Body:
    parts = list(message.walk())
    words = _words(message, 0)
    found = Body(words.text, words.written)
    if words and words.text.lstrip().startswith(_PGP_ENCRYPTED):
        found = Body("", stand_in="(encrypted)")
    elif not words:
        found = _without_words(message, parts, forwards)
    found = replace(found, report=_report(parts))
    return _with_invitation(message, parts, found)


def _without_words(message: Message, parts: list[Message], forwards: int) -> Body:
    """What a mail says whose own parts say nothing: the mail in it, its text under a file name, or a name for it."""
    if forwards:
        inner = _inner(parts)
        if inner is not None:
            return _forwarded(inner, forwards - 1)
    named = _joined([_text(part) for part in parts if _is_named_text(part)])
    if named and message.get_content_type() != "multipart/encrypted":
        return Body(named.text, named.written)
    return Body("", stand_in=attachments.stand_in(parts))


def _words(part: Message, depth: int) -> _Words:
    kind = part.get_content_type()
    payload = part.get_payload()
    if not isinstance(payload, list):
        return _NOTHING if attachments.is_one(part) else _text(part)
    if depth > _DEPTH or kind == "multipart/encrypted" or not kind.startswith("multipart/"):
        return _NOTHING
    children = [child for child in payload if isinstance(child, Message)]
    if kind == "multipart/alternative":
        return _alternative(children, depth)
    texts = (_words(child, depth + 1) for child in children)
    if kind in ("multipart/related", "multipart/signed", "multipart/report"):
        return next((text for text in texts if text), _NOTHING)
    return _joined(texts)


def _joined(texts: Iterable[_Words]) -> _Words:
    """Texts one below the other; one that says just what another does is left out."""
    seen: dict[str, _Words] = {}
    for words in texts:
        if words:
            seen.setdefault("".join(words.text.split()), words)
    if len(seen) == 1:
        return next(iter(seen.values()))
    return _Words("\n".join(one.text for one in seen.values()), "\n".join(one.written for one in seen.values()))


def _alternative(children: list[Message], depth: int) -> _Words:
    """The plain text where it says something, else the richest of the others (RFC 2046 section 5.1.4)."""
    plain = [child for child in children if child.get_content_type() == "text/plain"]
    others = [child for child in reversed(children) if child.get_content_type() != "text/plain"]
    first = next((words for words in (_words(child, depth + 1) for child in plain) if words), _NOTHING)
    if first and not (len(first.text) <= _SEE_HTML_LENGTH and _SEE_HTML.search(first.text)):
        return first
    return next((words for words in (_words(child, depth + 1) for child in others) if words), first)


def _text(part: Message) -> _Words:
    """What a single part says, if it is a text at all."""
    kind = part.get_content_type()
    if kind in ("text/html", "text/enriched"):
        source = _decoded(part)
        seen = markup.read(source.replace("<<", "&lt;") if kind == "text/enriched" else source)
        text = charsets.many_lines(seen.text)
        return _Words(text, text if seen.written == seen.text else charsets.many_lines(seen.written))
    if kind in ("text/plain", "text/markdown") or kind.startswith("multipart/"):
        text = _plain(part)
        return _Words(text, text)
    return _NOTHING


def _is_named_text(part: Message) -> bool:
    """Whether a part is a text that has a file's name, and yet is shown with the mail."""
    return part.get_content_type() in ("text/plain", "text/html") and part.get_content_disposition() != "attachment"


def _inner(parts: list[Message]) -> Message | None:
    """The first mail within the mail."""
    for part in parts:
        payload = part.get_payload()
        if part.get_content_type() in _MAILS and isinstance(payload, list):
            return next((one for one in payload if isinstance(one, Message)), None)
    return None


def _forwarded(inner: Message, forwards: int) -> Body:
    subject = charsets.one_line(charsets.decode_words(str(inner.get("subject", ""))))
    said = _read(inner, forwards)
    lines = [piece for piece in (subject, said.text or said.stand_in) if piece]
    return replace(
        said, text="\n".join(lines), written="\n".join(filter(None, (subject, said.written or said.stand_in)))
    )


def _report(parts: list[Message]) -> str:
    """What the delivery or disposition notifications among the parts say."""
    said = reported(parts)
    return delivery_status.summary(said, _subject_of_returned(parts)) if said else ""


def reported(parts: list[Message]) -> str:
    """The fields of the delivery or disposition notifications among the parts, as they are written."""
    said = []
    for part in parts:
        payload = part.get_payload()
        if part.get_content_type() in _REPORTS:
            inner = payload if isinstance(payload, list) else [part]
            said += [_plain(one) for one in inner if isinstance(one, Message)]
    return "\n\n".join(said)


def _subject_of_returned(parts: list[Message]) -> str:
    """The subject of the mail that is reported on, where it came back or its header did."""
    return field_of_returned(parts, "subject")


def field_of_returned(parts: list[Message], name: str) -> str:
    """A field of the mail that is reported on, where it came back or its header did."""
    inner = _inner(parts)
    if inner is not None:
        return charsets.one_line(charsets.decode_words(str(inner.get(name, ""))))
    for part in parts:
        if part.get_content_type() in _HEADERS:
            found = re.search(rf"(?im)^{name}:((?:.*)(?:\n[ \t].*){{0,20}})", _plain(part))
            return charsets.one_line(charsets.decode_words(found[1])) if found else ""
    return ""


def _with_invitation(message: Message, parts: list[Message], found: Body) -> Body:
    """The same, with what a calendar among the parts says, where the mail is about it."""
    for part in parts:
        if part.get_content_type() != "text/calendar":
            continue
        method = str(part.get_param("method", "") or "")
        if found.text and (not method or attachments.is_one(part)):
            continue
        said = invitation.read(_plain(part))
        if said is None:
            continue
        if not found.text:
            return replace(found, text=said.line, written=said.line, stand_in="", invitation=said.line, note=said.note)
        beside = _is_alternative(message, part) and said.method != "REPLY"
        written = "" if invitation.is_of_a_program(found.text) else found.written
        return replace(found, invitation=said.line, note=said.note if beside else written)
    return found


def _is_alternative(message: Message, part: Message) -> bool:
    """Whether a part is one of several that say the same."""
    return any(
        holder.get_content_type() == "multipart/alternative" and any(part is child for child in holder.get_payload())
        for holder in message.walk()
        if isinstance(holder.get_payload(), list)
    )


def _decoded(part: Message) -> str:
    octets = part.get_payload(decode=True)
    label = part.get_content_charset("")
    return charsets.decode(octets, label) if isinstance(octets, bytes) else ""


def _plain(part: Message) -> str:
    text = charsets.many_lines(_decoded(part))
    if "format" in str(part.get("content-type", "")).lower() and str(part.get_param("format", "")).lower() == "flowed":
        text = flowed.paragraphs(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
    if "-----BEGIN PGP SIGNED" in text:
        signed = _PGP_SIGNED.match(text)
        text = re.sub(r"(?m)^- (?=-)", "", signed[1]) if signed else text  # RFC 4880 section 7.1
    if "\nbegin " in f"\n{text[:100]}" or "\nbegin " in text:
        text = _UUENCODED.sub("(attachment)", text)
    return text
