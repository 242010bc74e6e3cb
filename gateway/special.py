"""Special addresses that are names: `family@sms.example.org` is a list of the sender's, `Jean.Dupont@` a contact.

A list's name goes before a contact's. Case and accents do not count; dots, underscores and hyphens are spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from gateway import addressing, contacts, lists, numbers, optouts, quote
from gateway.accounts import Account
from gateway.addressing import CONTACT, Wanted
from gateway.draft import LeftOut, Recipient
from gateway.dsn import Wish
from gateway.failure import RefusedError

#: Above this many members of a list, what was asked of RFC 3461 is not kept for each of them.
_MOST_WISHES = 1000

#: How many members a list may have to be looked through before the mail is there.
_LOOKED_THROUGH = 200

#: Who is meant by one recipient of the envelope, and what was asked for him.
Meant = tuple[tuple[Recipient, ...], Wish]


@dataclass(frozen=True, slots=True)
class Name:
    """A recipient of the envelope that is a name; `once` as in `gateway.draft.Recipient`."""

    text: str
    once: tuple[bytes, ...] = ()
    wish: Wish = field(default_factory=Wish)


def check(connection: Connection, account: Account, name: str) -> None:
    """`RefusedError` where this is no list and no contact of the account, or nobody is reached by it (550 5.1.1).

    550 5.7.1 where a contact wants no messages. A long list is not looked through: that is done after DATA.
    """
    found_list = lists.named(connection, account.id, name)
    if found_list is not None:
        if found_list.members <= _LOOKED_THROUGH:
            _check_list(connection, account, name)
        return
    found = contacts.named(connection, account.id, name)
    if len(found) > 1:
        raise contacts.ambiguous(name, found)
    if found:
        number = addressing.number_of(found[0], account.region)
        out = optouts.among(connection, account.id, [number])
        if out:
            raise RefusedError(out[number], smtp="550 5.7.1")
        return
    advice = numbers.read(name, account.region).advice or ""
    near = str(contacts.missing(connection, account.id, name)).partition(";")[2]
    also = f" No list and no contact of yours is called {name} either{';' if near else ''}{near}."
    raise RefusedError(advice + also, smtp="550 5.1.1")


def _check_list(connection: Connection, account: Account, name: str) -> None:
    resolved = addressing.resolve(connection, account, Wanted(lists=(name,)), region=None)
    if resolved.refused:
        raise RefusedError(resolved.refused[0].why, smtp=resolved.refused[0].smtp)
    if not resolved.recipients:
        raise quote.nobody(resolved.left_out)


def meant(
    connection: Connection, account: Account, names: Sequence[Name]
) -> tuple[tuple[Meant, ...], tuple[LeftOut, ...]]:
    """Who is meant by these names now, and who on the lists gets nothing; `RefusedError` where a name is none."""
    found: list[Meant] = []
    left_out: list[LeftOut] = []
    for name in names:
        check(connection, account, name.text)
        is_list = lists.named(connection, account.id, name.text) is not None
        wanted = Wanted(lists=(name.text,)) if is_list else Wanted(sms=(CONTACT + name.text,))
        resolved = addressing.resolve(connection, account, wanted, region=None)
        if resolved.refused:
            raise RefusedError(resolved.refused[0].why, smtp=resolved.refused[0].smtp)
        recipients = tuple(replace(one, once=name.once) for one in resolved.recipients)
        wish = name.wish if len(recipients) <= _MOST_WISHES else Wish()
        found.append((recipients, wish))
        left_out += resolved.left_out
    return tuple(found), tuple(dict.fromkeys(left_out))
