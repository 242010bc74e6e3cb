"""Who a mail is from and for, as fields of filters: addresses, parts of them, and what the account knows of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from filters.folding import fold
from filters.mail import Address
from filters.sight import Looked, Sight

_ADDRESS = re.compile(r"[^\s<>()\"',;:@]+@[^\s<>()\"',;:@]+\.[^\s<>()\"',;:@]+")

#: The header fields each field of people is read from.
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "from": ("from",),
    "sender": ("sender",),
    "reply_to": ("reply-to",),
    "any_sender": ("from", "sender", "reply-to"),
    "to": ("to",),
    "cc": ("cc",),
    "any_recipient": ("to", "cc"),
}
ENVELOPE = ("envelope_from", "envelope_to")
NAMES = (*_HEADERS, *ENVELOPE)


def _name(address: Address) -> str:
    return address[0]


def _whole(address: Address) -> str:
    return address[1]


def _local(address: Address) -> str:
    return address[1].rpartition("@")[0].strip('"')


def _domain(address: Address) -> str:
    return address[1].rpartition("@")[2] if "@" in address[1] else ""


def _detail(address: Address) -> str:
    """What stands behind a plus sign (RFC 5233)."""
    return _local(address).partition("+")[2]


#: What a field says of each address, by its suffix.
SUFFIXES: Mapping[str, Callable[[Address], str]] = {
    "": _whole,
    "local": _local,
    "domain": _domain,
    "detail": _detail,
    "name": _name,
}


def looker(name: str, suffix: str) -> Callable[[Sight], Looked]:
    """How a field of people is looked at. Without a suffix it is there where its header is, else where any has one."""
    part = SUFFIXES[suffix]

    def look(sight: Sight) -> Looked:
        found = _envelope(sight, name) if name in ENVELOPE else _of_header(sight, name)
        if found is None:
            return Looked(unknown=f"{name} is not known here, so tests of it are false")
        addresses, there = found
        values = tuple(dict.fromkeys(map(part, addresses)))
        if suffix:
            return Looked(values, any(values))
        return Looked(values or (("",) if there else ()), there)

    return look


def _of_header(sight: Sight, name: str) -> tuple[list[Address], bool]:
    mail = sight.mail
    read = {"from": mail.from_, "sender": mail.sender, "reply-to": mail.reply_to, "to": mail.to, "cc": mail.cc}
    addresses = [address for header in _HEADERS[name] for address in read[header]]
    return addresses, any(header in sight.names for header in _HEADERS[name])


def _envelope(sight: Sight, name: str) -> tuple[list[Address], bool] | None:
    if name == "envelope_to":
        known = sight.context.envelope_to
        return ([("", address) for address in known], True) if known else None
    sender = sight.context.envelope_from
    return None if sender is None else ([("", sender)], True)


def senders(sight: Sight) -> set[str]:
    """The addresses of From, in lower case."""
    return {address.lower() for _, address in sight.mail.from_ if address}


def i_am_in(sight: Sight) -> Looked:
    """How the account is addressed: `to`, `cc`; `only` where nobody else is; `list` or `bcc` where it is not named."""
    if not sight.context.me:
        return Looked(unknown="no address of the account is known here, so tests of i_am_in are false")
    to, cc = (_mine(sight, addresses) for addresses in (sight.mail.to, sight.mail.cc))
    found = [name for name, mine in (("to", to), ("cc", cc)) if any(mine)]
    if found and all(to + cc):
        found.append("only")
    if not found:
        found = ["list" if sight.mail.is_list else "bcc"]
    return Looked(tuple(found), True)


def _mine(sight: Sight, addresses: Iterable[Address]) -> list[bool]:
    """For each address whether it is the account's, with a detail or without."""
    me = sight.context.me
    named = (address.lower() for _, address in addresses if address)
    return [address in me or re.sub(r"\+[^@]*@", "@", address, count=1) in me for address in named]


def sender_in(sight: Sight) -> Looked:
    """The books, groups and lists the sender is in, and `any` where he is in one."""
    books = sight.context.books
    if not books:
        return Looked(unknown="no address book is known here, so tests of sender_in are false")
    who = senders(sight)
    found = sorted(name for name, addresses in books.items() if not who.isdisjoint(addresses))
    if found and "any" not in found:
        found.append("any")
    return Looked(tuple(found), bool(found))


def is_spoof(sight: Sight) -> bool:
    """Whether the display name poses as somebody else: it shows another address, or is the name of a contact who does
    not have this address.
    """
    return any(_poses(name, address.lower(), sight) for name, address in sight.mail.from_ if name and address)


def _poses(name: str, address: str, sight: Sight) -> bool:
    shown = [found.lower().strip(".") for found in _ADDRESS.findall(name[:1000])]
    if shown:
        return address not in shown
    known = sight.context.people.get(fold(name))
    return known is not None and address not in known and address not in sight.context.me
