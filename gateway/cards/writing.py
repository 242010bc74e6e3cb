"""A contact as a vCard, of version 3.0 (RFC 2426) or 4.0 (RFC 6350).

Parameters are quoted by vobject, which knows what needs it. It folds lines of characters beyond the basic plane too
late, so that is done here.
"""

from __future__ import annotations

from collections.abc import Iterator

from vobject.base import ContentLine

from gateway.cards.content_lines import escape, parse
from gateway.contacts import Contact, Kind, Telephone

VERSIONS = ("3.0", "4.0")
#: The longest line, in octets; and for vobject, one that is never reached.
_WIDTH, _WHOLE = 75, 1_000_000_000
_TYPES = {Kind.MOBILE: "cell", Kind.HOME: "home", Kind.WORK: "work", Kind.FAX: "fax", Kind.OTHER: "voice"}
#: Properties that 3.0 does not have (RFC 6350 appendix A.2), written as extensions there.
_NEW = frozenset({"ANNIVERSARY", "GENDER", "LANG", "RELATED", "MEMBER", "CLIENTPIDMAP", "XML"})


def write(contact: Contact, version: str = "4.0") -> bytes:
    """The card in UTF-8, lines ending in CRLF, none longer than 75 octets."""
    lines = [_line("BEGIN", "VCARD"), *_properties(contact, version), _line("END", "VCARD")]
    return "".join(lines).encode()


def _properties(contact: Contact, version: str) -> Iterator[str]:
    four = version == "4.0"
    yield _line("VERSION", version)
    yield _line("UID", contact.uid)
    yield _line("FN", escape(contact.name))
    kept = [parse(line, 0) for line in contact.card.splitlines()]
    if not four and all(line.name != "N" for line in kept):
        yield _line("N", f";{escape(contact.name)};;;")  # 3.0 insists
    for place, number in enumerate(contact.numbers):
        yield _number(number, four, first=place == 0 and len(contact.numbers) > 1)
    for place, box in enumerate(contact.addresses):
        yield _line("EMAIL", escape(box.address), [box.kind], four, first=place == 0 and len(contact.addresses) > 1)
    for line in kept:
        name = f"X-{line.name}" if line.name in _NEW and not four else line.name
        yield _line(name, line.value, sorted(line.types))
    yield _line("REV", f"{contact.changed:%Y%m%dT%H%M%SZ}")


def _number(number: Telephone, four: bool, *, first: bool) -> str:
    kind = _TYPES[number.kind]
    if four and number.e164 is not None:
        return _line("TEL", f"tel:{number.e164}", [kind], four, first=first, value_is="uri")
    return _line("TEL", escape(number.e164 or number.written), [kind], four, first=first)


def _line(
    name: str, value: str, types: list[str] | None = None, four: bool = True, *, first: bool = False, value_is: str = ""
) -> str:
    parameters: list[list[str]] = []
    if value_is:
        parameters.append(["VALUE", value_is])
    wanted = [one for one in types or () if one]
    if first and not four:
        wanted.append("pref")
    if wanted:
        parameters.append(["TYPE", *wanted])
    if first and four:
        parameters.append(["PREF", "1"])
    written: str = ContentLine(name, parameters, value, None, encoded=True).serialize(lineLength=_WHOLE)
    return _folded(written.rstrip("\r\n"))


def _folded(line: str) -> str:
    """A line in pieces of at most 75 octets, none ending inside a character (RFC 6350 section 3.2)."""
    pieces, piece, octets = [], "", 0
    for mark in line:
        size = len(mark.encode())
        if octets + size > _WIDTH:
            pieces.append(piece)
            piece, octets = " ", 1
        piece, octets = piece + mark, octets + size
    return "\r\n".join([*pieces, piece, ""])
