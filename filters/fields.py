"""What a test can look at: a table of fields, each with its kind, how it is looked at, and what of a mail it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal, TypeAlias

from filters import people, subjects
from filters.mail import Mail
from filters.sight import Looked, Sight
from filters.verdict import Need

#: What the values of a field are; it says which operators the field takes (`filters.operators`).
Kind: TypeAlias = Literal["text", "domain", "number", "truth", "importance", "weekday", "hour", "date", "set"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
IMPORTANCE = ("low", "normal", "high")
#: Names a `set` field can hold, where they are known beforehand.
MEMBERS: Mapping[str, tuple[str, ...]] = {"i_am_in": ("to", "cc", "bcc", "only", "list")}
#: What the names of a `set` field begin with, where that is known, and those that stand alone.
PREFIXES: Mapping[str, tuple[str, ...]] = {"sender_in": ("book:", "group:", "list:", "any")}

_HEADER_NAME = re.compile(r"[!-9;-~]{1,76}\Z")
_LIST_ID = re.compile(r"<([^<>]*)>\s*\Z")
_ENCRYPTED = frozenset({"multipart/encrypted", "application/pgp-encrypted"})
_MAYBE_ENCRYPTED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_CALENDARS = frozenset({"text/calendar", "application/ics"})

_HEADERS: frozenset[Need] = frozenset({"headers"})
_STRUCTURE: frozenset[Need] = frozenset({"headers", "structure"})
_BODY: frozenset[Need] = frozenset({"headers", "structure", "body"})
_FLAGS: frozenset[Need] = frozenset({"flags"})
_NOTHING: frozenset[Need] = frozenset()


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its name, suffix and all, what its values are, how it is looked at, what of the mail that needs."""

    name: str
    kind: Kind
    look: Callable[[Sight], Looked]
    needs: frozenset[Need] = _HEADERS


def _one(value: object) -> Looked:
    return Looked((value,), True)


def _known(value: object, name: str) -> Looked:
    if value is None:
        return Looked(unknown=f"{name} is not known here, so tests of it are false")
    return _one(value)


def _header(name: str, sight: Sight) -> Looked:
    if name not in sight.names:
        return Looked()
    return Looked(tuple(sight.mail.header(name)), True)


def _subject(sight: Sight) -> Looked:
    return Looked((sight.mail.subject,), True) if "subject" in sight.names else Looked()


def _subject_base(sight: Sight) -> Looked:
    return Looked((subjects.base(sight.mail.subject),), True) if "subject" in sight.names else Looked()


def _text(text: str) -> Looked:
    return Looked((text,), bool(text.strip()))


def _any_text(sight: Sight) -> Looked:
    texts = (sight.mail.subject, sight.mail.text)
    return Looked(texts, any(text.strip() for text in texts))


def _list_id(sight: Sight) -> Looked:
    """The identifier alone, without the description before it (RFC 2919)."""
    values = _header("list-id", sight).values
    return Looked(tuple(found[1] if (found := _LIST_ID.search(value)) else value for value in values), bool(values))


def _importance(sight: Sight) -> Looked:
    """Importance (RFC 2156), X-Priority, Priority, X-MSMail-Priority: the first that can be read; else normal."""
    for name, read in _PRIORITIES:
        for value in sight.mail.header(name):
            found = read.get(re.split(r"[\s(]", value.strip().lower(), maxsplit=1)[0])
            if found:
                return Looked((found,), True)
    return Looked(("normal",), False)


_PRIORITIES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("importance", {"high": "high", "normal": "normal", "medium": "normal", "low": "low"}),
    ("x-priority", {"1": "high", "2": "high", "3": "normal", "4": "low", "5": "low"}),
    ("priority", {"urgent": "high", "high": "high", "normal": "normal", "non-urgent": "low", "low": "low"}),
    ("x-msmail-priority", {"high": "high", "normal": "normal", "low": "low"}),
)


def _recipients(sight: Sight) -> Looked:
    return _one(len({address.lower() for _, address in (*sight.mail.to, *sight.mail.cc) if address}))


def _attachment_names(sight: Sight) -> Looked:
    return Looked(tuple(one.name for one in sight.mail.attachments), any(one.name for one in sight.mail.attachments))


def _attachment_types(sight: Sight) -> Looked:
    return Looked(tuple(one.type for one in sight.mail.attachments), bool(sight.mail.attachments))


def _types(mail: Mail) -> set[str]:
    return {mail.type, *(one.type for one in mail.attachments)}


def _has_invitation(sight: Sight) -> Looked:
    return _one(bool(sight.mail.invitation) or not _CALENDARS.isdisjoint(_types(sight.mail)))


def _encrypted(sight: Sight) -> Looked:
    """PGP/MIME, PGP in the text, or S/MIME that is no mere signature."""
    mail = sight.mail
    if mail.stand_in == "(encrypted)":
        return _one(True)
    types = _types(mail)
    hidden = not _MAYBE_ENCRYPTED.isdisjoint(types) and mail.stand_in != "(signed)" and not mail.text.strip()
    return _one(hidden or not _ENCRYPTED.isdisjoint(types))


def _is_automatic(sight: Sight) -> Looked:
    return _one(sight.mail.is_automatic or sight.context.envelope_from == "")


def _is_reply(sight: Sight) -> Looked:
    """It answers another mail: it names one, or its subject says so; what is passed on names one, too."""
    mark = subjects.mark(sight.mail.subject)
    named = not sight.names.isdisjoint(("in-reply-to", "references"))
    return _one(mark == "reply" or (named and mark != "forward"))


def _flags(sight: Sight) -> Looked:
    flags = sight.context.flags
    return _known(None, "flags") if flags is None else Looked(tuple(sorted(flags)), bool(flags))


def _result(method: str, sight: Sight) -> Looked:
    """A result of the Authentication-Results that is believed."""
    if not sight.context.authserv_id:
        return Looked(unknown=f"no Authentication-Results is believed here, so tests of {method} are false")
    found = getattr(sight.believed, method, None)
    return Looked() if found in (None, "") else _one(found)


def _now(name: Literal["weekday", "hour", "date"], sight: Sight) -> Looked:
    """Of `now`, in the account's zone; the hour is a time of day as HH:MM."""
    now = sight.context.now
    values = {"weekday": WEEKDAYS[now.weekday()], "hour": f"{now:%H:%M}", "date": now.date().isoformat()}
    return _one(values[name])


def _table() -> dict[str, Field]:
    fields = [
        Field("sender_in", "set", people.sender_in),
        Field("i_am_in", "set", people.i_am_in),
        Field("subject", "text", _subject),
        Field("subject_base", "text", _subject_base),
        Field("body", "text", lambda sight: _text(sight.own_text), _BODY),
        Field("body_full", "text", lambda sight: _text(sight.mail.text), _BODY),
        Field("any_text", "text", _any_text, _BODY),
        Field("list_id", "domain", _list_id),
        Field("is_list", "truth", lambda sight: _one(sight.mail.is_list)),
        Field("is_automatic", "truth", _is_automatic),
        Field("is_bounce", "truth", lambda sight: _one(sight.mail.is_bounce)),
        Field("is_reply", "truth", _is_reply),
        Field("size", "number", lambda sight: _one(sight.mail.size), _NOTHING),
        Field("recipients", "number", _recipients),
        Field("has_attachment", "truth", lambda sight: _one(bool(sight.mail.attachments)), _STRUCTURE),
        Field("attachment_name", "text", _attachment_names, _STRUCTURE),
        Field("attachment_type", "text", _attachment_types, _STRUCTURE),
        Field("attachment_count", "number", lambda sight: _one(len(sight.mail.attachments)), _STRUCTURE),
        Field("has_invitation", "truth", _has_invitation, _BODY),
        Field("encrypted", "truth", _encrypted, _BODY),
        Field("importance", "importance", _importance),
        Field("flags", "set", _flags, _FLAGS),
        *(Field(name, "text", partial(_result, name)) for name in ("dmarc", "dkim", "spf")),
        Field("spam_score", "number", partial(_result, "spam_score")),
        Field("name_spoof", "truth", lambda sight: _one(people.is_spoof(sight))),
        Field("weekday", "weekday", partial(_now, "weekday"), _NOTHING),
        Field("hour", "hour", partial(_now, "hour"), _NOTHING),
        Field("date", "date", partial(_now, "date"), _NOTHING),
        Field("credit_left", "number", lambda sight: _known(sight.context.credit_left, "credit_left"), _NOTHING),
        Field("sent_today", "number", lambda sight: _known(sight.context.sent_today, "sent_today"), _NOTHING),
    ]
    for name in people.NAMES:
        needs = _NOTHING if name in people.ENVELOPE else _HEADERS
        for suffix in people.SUFFIXES:
            if not (suffix == "name" and name in people.ENVELOPE):
                kind: Kind = "domain" if suffix in ("", "domain") else "text"
                whole = f"{name}:{suffix}" if suffix else name
                fields.append(Field(whole, kind, people.looker(name, suffix), needs))
    return {field.name: field for field in fields}


FIELDS: Mapping[str, Field] = _table()


@lru_cache(4096)
def find(name: str) -> Field:
    """The field of this name; `LookupError` with what is wrong with it."""
    found = FIELDS.get(name)
    if found is not None:
        return found
    start, colon, rest = name.partition(":")
    if start == "header" and colon:
        if not _HEADER_NAME.match(rest):
            raise LookupError(f"{rest!r} is no name of a header field" if rest else "the header's name is missing")
        return Field(f"header:{rest.lower()}", "text", partial(_header, rest.lower()))
    if start == "header":
        raise LookupError("write which header: header:X-Spam-Flag")
    if colon and start in people.NAMES:
        if start in people.ENVELOPE and rest == "name":
            raise LookupError("an envelope has no display names")
        raise LookupError(f"{start} has no :{rest}; it has {', '.join(f':{one}' for one in people.SUFFIXES if one)}")
    if colon and start in FIELDS:
        raise LookupError(f"{start} has no suffix: write {start}")
    raise LookupError(f"there is no field {name!r}{near(name, [*FIELDS, 'header:'])}")


def near(word: str, words: list[str] | tuple[str, ...]) -> str:
    """What somebody may have meant, as the end of a sentence; empty where nothing is like it."""
    import difflib

    found = difflib.get_close_matches(word.lower()[:60], words, n=1)
    return f"; did you mean {found[0]}?" if found else ""
