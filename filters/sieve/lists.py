"""Lists kept outside of scripts (RFC 6134): the account's address books, groups and lists.

Their names are URIs. `urn:ietf:params:sieve:addrbook:default` is every address the account knows. A tag URI (RFC 4151)
ends in what `sender_in` calls a list: `tag:example.org,2026:book:NAME`, `…:group:NAME`, `…:list:NAME`, `…:any`; whose
name and what year it begins with is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from filters.sieve.machine import Machine
from filters.sieve.program import Call

_BOOK = "urn:ietf:params:sieve:addrbook:"
_TAG = re.compile(r"tag:[^:]*:(.+)\Z", re.IGNORECASE | re.DOTALL)


def addresses(machine: Machine, name: str) -> frozenset[str] | None:
    """The addresses of a list, in lower case; None where there is no such list."""
    books = machine.context.books
    if name.lower().startswith(_BOOK):
        book = unquote(name[len(_BOOK) :])
        return books.get("any", frozenset()) if book.lower() == "default" else books.get(f"book:{book}")
    found = _TAG.match(name)
    if found is None:
        return None
    called = unquote(found[1])
    return books.get("any", frozenset()) if called == "any" else books.get(called)


def named(name: str) -> str | None:
    """What `sender_in` calls a list; None where its name can be none of the account's."""
    if name.lower().startswith(_BOOK):
        book = unquote(name[len(_BOOK) :])
        return "any" if book.lower() == "default" else f"book:{book}"
    found = _TAG.match(name)
    return unquote(found[1]) if found else None


def compare(machine: Machine, call: Call, field: str, values: Iterable[str]) -> bool:
    """Whether a value is in one of the lists; `${0}` becomes the value (RFC 6134 section 2.2)."""
    names = machine.texts(call.given[-1])
    known = [found for name in names if (found := addresses(machine, name)) is not None]
    for name in names:
        if addresses(machine, name) is None:
            machine.remark(f"line {call.line}: there is no list {name[:80]}: no address is in it")
    looked = list(values)
    for value in looked:
        machine.pay(len(value))
        if any(value.lower() in one for one in known):
            machine.variables.captures = (value,)
            machine.note(call, True, field, "list", names, (value,))
            return True
    machine.note(call, False, field, "list", names, looked)
    return False


def valid(machine: Machine, call: Call) -> bool:
    """Whether every list named is there (valid_ext_list)."""
    names = machine.texts(call.given[0])
    hit = all(addresses(machine, name) is not None for name in names)
    machine.note(call, hit, "valid_ext_list", "is", names, ())
    return hit
