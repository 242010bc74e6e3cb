"""Tests of header fields and the envelope: header, address, envelope, exists (RFC 5228, 5233, 5260, 5703, 6134)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mailparser.utils import get_addresses

from filters import charsets
from filters.guard import ADDRESSES
from filters.sieve import lists
from filters.sieve.machine import Machine
from filters.sieve.message import Part, parameter
from filters.sieve.program import Call

T = TypeVar("T")

_PARTS = ("all", "localpart", "domain", "user", "detail")


def header(machine: Machine, call: Call) -> bool:
    """Whether a header field, or a part of one, fits a key."""
    names = machine.texts(call.given[0])
    values = (indexed(call, _values(machine, call, part, names)) for part in _looked_at(machine, call))
    return _compare(machine, call, f"header:{','.join(names)}", (value for some in values for value in some))


def exists(machine: Machine, call: Call) -> bool:
    """Whether every field named is there."""
    names = machine.texts(call.given[0])
    parts = list(_looked_at(machine, call))
    found = [name for name in names if any(part.header(name.lower()) for part in parts)]
    hit = len(found) == len(names)
    machine.note(call, hit, f"header:{','.join(names)}", "exists", None, found)
    return hit


def address(machine: Machine, call: Call) -> bool:
    """Whether an address in a header field, or a part of one, fits a key."""
    names = machine.texts(call.given[0])
    extract = _extractor(call)
    found: list[str] = []
    for part in _looked_at(machine, call):
        fields = [field for name in names for field in _addresses(part, name.lower())]
        for mailboxes in indexed(call, fields):
            found += [value for mailbox in mailboxes if (value := extract(*mailbox)) is not None]
    return _compare(machine, call, _named("address", call, names), found)


def envelope(machine: Machine, call: Call) -> bool:
    """Whether an address of the envelope, or a part of one, fits a key."""
    names = machine.texts(call.given[0])
    extract = _extractor(call)
    found: list[str] = []
    for name in names:
        sender = machine.context.envelope_from
        known = machine.context.envelope_to if name.lower() == "to" else () if sender is None else (sender,)
        for one in known:
            local, at, domain = one.rpartition("@")
            value = extract(one, local if at else domain, domain if at else "")
            found += [] if value is None else [value]
    return _compare(machine, call, _named("envelope", call, names), found)


def _compare(machine: Machine, call: Call, field: str, values: Iterable[str]) -> bool:
    if call.match.type == "list":
        return lists.compare(machine, call, field, values)
    return machine.compare(call, field, values)


def _looked_at(machine: Machine, call: Call) -> Iterator[Part]:
    """The mail; with :mime the part of the loop it stands in, and with :anychild those below it (RFC 5703)."""
    if "mime" not in call.tags:
        yield machine.message.top
        return
    part = machine.part
    if "anychild" in call.tags:
        yield from (part or machine.message.root).walk()
    else:
        yield part or machine.message.top


def _values(machine: Machine, call: Call, part: Part, names: tuple[str, ...]) -> list[str]:
    option = next((one for one in ("type", "subtype", "contenttype", "param") if one in call.tags), "")
    if not option:
        return [value for name in names for value in part.header(name.lower())]
    written = [value for name in names for value in part.written(name.lower())]
    if option == "param":
        wanted = machine.texts(call.tags["param"])
        found = (parameter(value, one.lower()) for value in written for one in wanted)
        return [value for value in found if value is not None]
    return [_OPTIONS[option](value.partition(";")[0].strip()) for value in written]


_OPTIONS: dict[str, Callable[[str], str]] = {
    "type": lambda value: value.partition("/")[0].strip(),
    "subtype": lambda value: value.partition("/")[2].strip(),
    "contenttype": lambda value: value,
}


def indexed(call: Call, values: list[T]) -> list[T]:
    """The one that :index names, in the order of the names and then of the header (RFC 5260 section 6)."""
    index = call.tags.get("index")
    if not isinstance(index, int):
        return values
    if "last" in call.tags:
        return values[-index : len(values) - index + 1] if index <= len(values) else []
    return values[index - 1 : index]


#: An address: whole, its local part, its domain; the latter two None where it could not be read as one.
_Mailbox = tuple[str, str | None, str | None]


def _addresses(part: Part, name: str) -> list[list[_Mailbox]]:
    """The mailboxes of every field of this name."""
    return [_mailboxes(value) for value in part.written(name)]


def _mailboxes(value: str) -> list[_Mailbox]:
    known = value[:ADDRESSES]
    if not known.isascii():
        known = charsets.decode(known.encode("utf-8", "surrogateescape"))
    try:
        pairs = get_addresses(charsets.known_words(known), decode_names=False)
    except Exception:
        pairs = []
    found: list[_Mailbox] = []
    for _, one in pairs:
        local, at, domain = one.rpartition("@")
        if at:
            found.append((one, _unquoted(local), domain))
    if not found and known.strip():
        return [(charsets.decode_words(known).strip(), None, None)]  # nobody's address is compared as a whole
    return found


def _unquoted(local: str) -> str:
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        return local[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return local


def _extractor(call: Call) -> Callable[[str, str | None, str | None], str | None]:
    if call.match.type == "count":
        return _EXTRACTORS["all"]  # addresses are counted, whatever part of them is asked for
    return _EXTRACTORS[next((one for one in _PARTS if one in call.tags), "all")]


def _user(whole: str, local: str | None, domain: str | None) -> str | None:
    return None if local is None else local.partition("+")[0]


def _detail(whole: str, local: str | None, domain: str | None) -> str | None:
    return local.partition("+")[2] if local is not None and "+" in local else None


_EXTRACTORS: dict[str, Callable[[str, str | None, str | None], str | None]] = {
    "all": lambda whole, local, domain: whole,
    "localpart": lambda whole, local, domain: local,
    "domain": lambda whole, local, domain: domain,
    "user": _user,
    "detail": _detail,
}


def _named(test: str, call: Call, names: tuple[str, ...]) -> str:
    part = next((one for one in _PARTS if one in call.tags), "")
    return f"{test}:{','.join(names)}{f':{part}' if part else ''}"
