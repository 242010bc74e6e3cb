"""A mail as everything else in the house sees it: decoded, bounded, and never a reason to fail.

The octets go through `filters.guard` into the standard library's parser; what that cannot read, is read as plain text.
Addresses and dates are read by mail-parser, which forgives more.
"""

from __future__ import annotations

import email
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from functools import partial
from typing import TypeVar

from mailparser.dates import parse_mail_date
from mailparser.utils import get_addresses

from filters import body, charsets, guard
from filters.attachments import Attachment, listed, media_type

#: The header field every mail of ours carries; its value says what kind of mail it is (`report`, `verdict` …).
OUR_MARK = "Tocsin-Origin"

# It logs header values at error level; what a mail says does not belong in a log.
logging.getLogger("mailparser").setLevel(logging.CRITICAL + 1)
log = logging.getLogger(__name__)

_MESSAGE_ID = re.compile(r"<[^<>\s]{1,995}>")
_KEYWORD = re.compile(r"[A-Za-z-]+")
_OWNER = re.compile(r";\s*owner-email\s*=\s*\"?\s*([^\s\";]+)", re.IGNORECASE)
_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})
_ROBOTS = frozenset({"mailer-daemon", "mail-daemon"})
_NO_REPORTS = frozenset({"all", "ndr"})
_REPLIES = ("x-autoreply", "x-autorespond", "x-autorespond-id", "x-mail-autoreply")

T = TypeVar("T")

#: A display name and an addr-spec; the addr-spec is empty where the name is all that could be read.
Address = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Mail:
    """A frozen view of an RFC 5322 message; `Mail.read` makes one from any octets.

    All strings are decoded and hold no control characters; all but `text`, `written`, `note` and `report` are one line.

    `text` is the body's words as plain text, lines separated by `\\n`, quotations still in it; `written` the same
    without what HTML marks as a signature. Where they are empty, `stand_in` may say what there is instead (`(image)`).
    `invitation` is a line about an event, `note` what somebody wrote beside it; `report` tells what became of another
    mail. `from_` has every mailbox of every From field: more than one is no proof of anybody. `date` is aware UTC, or
    None. `cut` says that a limit of `filters.guard` was met, so parts of the mail were not looked at; `clear` that its
    header was read whole, and could not be read otherwise.
    """

    fields: tuple[guard.Field, ...]
    subject: str
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    message_id: str
    date: datetime | None
    text: str
    written: str
    stand_in: str
    invitation: str
    note: str
    report: str
    type: str
    attachments: tuple[Attachment, ...]
    size: int
    cut: bool
    clear: bool

    @classmethod
    def read(cls, octets: bytes) -> Mail:
        """The view of these octets. Never raises; time is linear in their number, memory a few times their number."""
        thin = guard.thin(octets)
        message = _tried(lambda: email.message_from_bytes(thin.octets), None)
        words = _tried(lambda: _words(message, thin), None)
        if words is None:
            plain = _tried(lambda: charsets.many_lines(charsets.decode(b"\n".join(thin.bodies[:1]))), "")
            words = body.Body(plain, plain)
        values = _Values(thin.fields)
        addresses = {name: _addresses(name, values) for name in ("from", "sender", "reply-to", "to", "cc")}
        return cls(
            fields=thin.fields,
            subject=values.first("subject"),
            from_=addresses["from"],
            sender=addresses["sender"],
            reply_to=addresses["reply-to"],
            to=addresses["to"],
            cc=addresses["cc"],
            message_id=_message_id(values.first("message-id")),
            date=_tried(lambda: parse_mail_date(values.written("date")).value, None),
            text=words.text,
            written=words.written,
            stand_in=words.stand_in,
            invitation=words.invitation,
            note=words.note,
            report=words.report,
            type=_tried(lambda: media_type(message) if isinstance(message, Message) else "", "") or "text/plain",
            attachments=_tried(lambda: listed(message.walk()) if isinstance(message, Message) else (), ()),
            size=len(octets),
            cut=thin.cut,
            clear=thin.clear,
        )

    def header(self, name: str) -> list[str]:
        """The decoded values of every field of this name, topmost first; never with a line break in them."""
        return _Values(self.fields).all(name.lower())

    @property
    def auto_submitted(self) -> str:
        """The keyword of Auto-Submitted in lower case (RFC 3834 section 5, RFC 5436 section 2.7.1), or empty."""
        found = _KEYWORD.match(self._first("auto-submitted"))
        return found[0].lower() if found else ""

    @property
    def owner_email(self) -> str:
        """The owner-email of `Auto-Submitted: auto-notified` (RFC 5436 section 2.7.1), or empty."""
        found = _OWNER.search(self._first("auto-submitted")) if self.auto_submitted == "auto-notified" else None
        return found[1].strip("<>") if found else ""

    @property
    def precedence(self) -> str:
        """Precedence in lower case, or empty."""
        return self._first("precedence").lower()

    @property
    def our_mark(self) -> str:
        """What kind of mail of ours this is, or empty."""
        return self._first(OUR_MARK.lower())

    @property
    def is_list(self) -> bool:
        """Whether a mailing list sent it (RFC 2919, RFC 2369)."""
        return any(field.name in ("list-id", "list-post", "list-unsubscribe") for field in self.fields)

    @property
    def is_bounce(self) -> bool:
        """Whether it reports what became of another mail (RFC 3464, RFC 8098), or says so in an older way."""
        kind = self._first("content-type").lower()
        if kind.startswith("multipart/report") and ("delivery-status" in kind or "disposition-notification" in kind):
            return True
        if any(field.name == "x-failed-recipients" for field in self.fields):
            return True
        return any(address.partition("@")[0].lower() in _ROBOTS for _, address in self.from_)

    @property
    def is_automatic(self) -> bool:
        """Whether no person wrote it just for these recipients: nothing may ever answer it (RFC 3834 section 2)."""
        if self.auto_submitted not in ("", "no") or self.precedence in _BULK or self.is_bounce or self.our_mark:
            return True
        if self._first("return-path").replace(" ", "") == "<>" or self._refuses_answers:
            return True
        return self.is_list or any(field.name in _REPLIES or field.name == "x-cron-env" for field in self.fields)

    @property
    def is_machine_output(self) -> bool:
        """Whether a program wrote the text: cron, monitoring, a Sieve script. What it says is no answer to anything."""
        if self.is_list or self.is_reply_by_machine:
            return False
        return self.auto_submitted not in ("", "no") or any(field.name == "x-cron-env" for field in self.fields)

    @property
    def is_reply_by_machine(self) -> bool:
        """Whether it is an automatic answer: what must neither be carried nor answered."""
        return self.auto_submitted == "auto-replied" or any(field.name in _REPLIES for field in self.fields)

    @property
    def _refuses_answers(self) -> bool:
        """X-Auto-Response-Suppress as Exchange and many monitors write it, where it concerns reports of failure."""
        return not _NO_REPORTS.isdisjoint(self._first("x-auto-response-suppress").lower().replace(",", " ").split())

    def _first(self, name: str) -> str:
        return _Values(self.fields).first(name)


@dataclass(frozen=True, slots=True)
class _Values:
    fields: tuple[guard.Field, ...]

    def all(self, name: str) -> list[str]:
        return [_value(field.value) for field in self.fields if field.name == name]

    def written(self, name: str) -> str | None:
        return next((field.value for field in self.fields if field.name == name), None)

    def first(self, name: str) -> str:
        return next((_value(field.value) for field in self.fields if field.name == name), "")


def _value(value: str) -> str:
    return _tried(lambda: charsets.one_line(charsets.decode_words(value)), "")


def _message_id(value: str) -> str:
    """The id with its angle brackets; empty where there is none to tell mails apart by."""
    found = _MESSAGE_ID.search(value)
    if found:
        return found[0]
    bare = value.strip("<> ")
    return f"<{bare}>" if "@" in bare[1:-1] and " " not in bare and len(bare) < 996 else ""


def _addresses(name: str, values: _Values) -> tuple[Address, ...]:
    """The mailboxes of every field of this name, as mail-parser reads them; what it cannot read, as a bare name."""
    found: list[Address] = []
    room = guard.ADDRESSES
    for field in values.fields:
        if field.name == name and room > 0:
            value = charsets.known_words(_octets_read(field.value[:room]))
            found += _tried(partial(get_addresses, value, decode_names=True), [])
            room -= len(field.value)
    clean = tuple((_value(shown), charsets.one_line(address)) for shown, address in found if address)
    shown = "" if clean else values.first(name)
    return ((shown, ""),) if shown else clean


def _octets_read(value: str) -> str:
    return charsets.decode(value.encode("utf-8", "surrogateescape")) if not value.isascii() else value


def _words(message: object, thin: guard.Thin) -> body.Body | None:
    if not isinstance(message, Message):
        return None
    body.restore(message, thin.bodies)
    return body.read(message)


def _tried(work: Callable[[], T], otherwise: T) -> T:
    try:
        return work()
    except Exception as error:
        log.debug("a part of a mail could not be read: %s", type(error).__name__)
        return otherwise
