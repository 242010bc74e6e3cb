"""What a single command or test may not say though its grammar is right: one table, each entry with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from filters.sieve import dates, methods, signatures, strings
from filters.sieve.error import SieveError
from filters.sieve.methods import MethodError
from filters.sieve.program import Call, Value
from filters.sieve.strings import Template, Templates

_FIELD_NAME = re.compile(r"[!-9;-~]+\Z")

#: Header fields that hold addresses (RFC 5228 section 5.1; RFC 2076 and what is written beside it).
ADDRESSES = frozenset(
    """
    from to cc bcc sender reply-to resent-from resent-to resent-cc resent-bcc resent-sender resent-reply-to
    apparently-to delivered-to envelope-to errors-to return-path return-receipt-to disposition-notification-to
    mail-followup-to mail-reply-to x-original-to x-envelope-to x-forwarded-to x-forwarded-for x-beenthere x-rcpt-to
    x-original-from x-admin x-complaints-to x-report-abuse-to abuse-reports-to read-receipt-to x-confirm-reading-to
    registered-mail-reply-requested-by return-receipt-requested for-approval for-handling for-comment
    """.split()  # noqa: SIM905
)


def check(call: Call) -> None:
    """Refuse what cannot be run as it stands."""
    one = _CHECKS.get(call.name)
    if one is not None:
        one(call)
    if "last" in call.tags and "index" not in call.tags and "index" in _tags_of(call.name):
        raise SieveError(call.line, ":last needs :index, which says which one from the end")
    if call.tags.get("index") == 0:
        raise SieveError(call.line, ":index counts from 1")
    if "mime" not in call.tags and (tag := next((one for one in _MIME if one in call.tags), "")):
        raise SieveError(call.line, f":{tag} needs :mime before it")
    if call.match.type == "list" and any(not isinstance(key, str) for key in _items(call.given[-1])):
        raise SieveError(call.line, "the name of a list cannot have variables in it")


def check_loop(call: Call, loops: tuple[str, ...]) -> None:
    """Refuse what has to stand in a foreverypart and does not."""
    name = call.tags.get("name")
    if not loops:
        raise SieveError(call.line, f"{call.name} does not stand in a foreverypart")
    if name is not None and name not in loops:
        raise SieveError(call.line, f'break names "{name}", and it stands in no foreverypart of this name')


def destinations_are_the_owners(calls: Iterable[Call]) -> None:
    """Refuse notifications whose recipients a mail could choose; the texts of their URIs may come from it."""
    known = list(calls)
    theirs = tainted(known)
    for call in known:
        if call.name != "notify":
            continue
        method = call.given[0]
        if isinstance(method, Template):
            before = _before_query(method)
            if any(name.isdigit() or name in theirs for name in before):
                raise SieveError(
                    call.line, "whom to notify would be taken from the mail: a destination is written by you, in full"
                )
        elif isinstance(method, str):
            _method(call.line, method)


def tainted(calls: list[Call]) -> frozenset[str]:
    """The variables that may hold something of a mail: by captures, by texts of parts, or by way of such a variable."""
    theirs = {str(call.given[0]).lower() for call in calls if call.name == "extracttext" or _keeps_flags(call)}
    sets = [(str(call.given[0]).lower(), call.given[1]) for call in calls if call.name == "set"]
    grown = True
    while grown:
        new = {
            name
            for name, value in sets
            if isinstance(value, Template) and any(one.isdigit() or one in theirs for one in value.names)
        }
        grown = not new <= theirs
        theirs |= new
    return frozenset(theirs)


def _keeps_flags(call: Call) -> bool:
    """Whether it puts flags, which may be anything, into a variable (RFC 5232 section 3)."""
    return call.name in ("setflag", "addflag", "removeflag") and len(call.given) > 1


def _before_query(method: Template) -> list[str]:
    """The variables that stand before the first question mark of a URI."""
    found: list[str] = []
    for index, piece in enumerate(method.pieces):
        if index % 2:
            found.append(piece)
        elif "?" in piece:
            break
    return found


def _method(line: int, uri: str) -> None:
    try:
        methods.read(uri)
    except MethodError as error:
        raise SieveError(line, str(error)) from None


_MIME = ("anychild", "type", "subtype", "contenttype", "param")


def _tags_of(name: str) -> frozenset[str]:
    signature = signatures.TESTS.get(name) or signatures.ACTIONS.get(name)
    return frozenset(tag.name for tag in signature.tags) if signature else frozenset()


def _items(value: Value) -> tuple[object, ...]:
    if isinstance(value, Templates):
        return value.items
    return value if isinstance(value, tuple) else ()


def _fields(call: Call) -> None:
    for name in _items(call.given[0]):
        if isinstance(name, str) and not _FIELD_NAME.match(name):
            raise SieveError(call.line, f'"{name[:60]}" is no name of a header field')


def _addresses(call: Call) -> None:
    _fields(call)
    for name in _items(call.given[0]):
        if isinstance(name, str) and name.lower() not in ADDRESSES:
            raise SieveError(call.line, f'the header field "{name[:60]}" holds no addresses: ask for it with header')


def _envelope(call: Call) -> None:
    for name in _items(call.given[0]):
        if isinstance(name, str) and name.lower() not in ("from", "to"):
            raise SieveError(call.line, f'the envelope has "from" and "to", and no "{name[:60]}"')


def _size(call: Call) -> None:
    if not call.tags:
        raise SieveError(call.line, "size takes :over or :under before the number")


def _date(call: Call) -> None:
    field, part = call.given[0], call.given[1]
    if isinstance(field, str) and not _FIELD_NAME.match(field):
        raise SieveError(call.line, f'"{field[:60]}" is no name of a header field')
    _part(call, part)


def _currentdate(call: Call) -> None:
    _part(call, call.given[0])


_OFFSET = re.compile(r"[+-](?:[01][0-9]|2[0-3])[0-5][0-9]\Z")


def _part(call: Call, part: Value) -> None:
    if isinstance(part, str) and part.lower() not in dates.PARTS:
        raise SieveError(call.line, f'a date has no part "{part[:60]}"')
    zone = call.tags.get("zone")
    if isinstance(zone, str) and not _OFFSET.match(zone):
        raise SieveError(call.line, f'"{zone[:60]}" is no time zone: write its offset, such as "+0100"')


def _set(call: Call) -> None:
    name = call.given[0]
    if not isinstance(name, str) or not strings.NAME.match(name):
        shown = f'"{name[:60]}"' if isinstance(name, str) else "this"
        raise SieveError(call.line, f"{shown} is no name of a variable: letters, digits and _, a letter or _ first")


def _flags(call: Call) -> None:
    if _keeps_flags(call):
        _set(call)


def _notify(call: Call) -> None:
    importance = call.tags.get("importance")
    if isinstance(importance, str) and importance not in ("1", "2", "3"):
        raise SieveError(call.line, f':importance is "1", "2" or "3", and "{importance[:20]}" is given')


def _duplicate(call: Call) -> None:
    name = call.tags.get("header")
    if isinstance(name, str) and not _FIELD_NAME.match(name):
        raise SieveError(call.line, f'"{name[:60]}" is no name of a header field')


_CHECKS: dict[str, Callable[[Call], None]] = {
    "header": _fields,
    "exists": _fields,
    "address": _addresses,
    "envelope": _envelope,
    "size": _size,
    "date": _date,
    "currentdate": _currentdate,
    "set": _set,
    "extracttext": _set,
    "setflag": _flags,
    "addflag": _flags,
    "removeflag": _flags,
    "notify": _notify,
    "duplicate": _duplicate,
}
