"""Whom a filter may tell: written by its owner, never taken from a mail.

Whether a number can get an SMS depends on the account's region, and is found out where the filter is saved.
"""

from __future__ import annotations

import re

from filters import address_list
from filters.fields import near

#: A number as people write it: digits, what separates them, perhaps a plus sign before.
_NUMBER = re.compile(r"(?:tel:)?\+?\(?[0-9][0-9 ().\-/\u00a0\u2011]{1,40}")
_NAMED = re.compile(r"(contact|list):\s*(\S.*)", re.DOTALL)


def wrong(channel: str, to: str) -> str:
    """Why this is no destination of a channel (`sms`, `email`, `fax`); empty where it is one."""
    if to == "me" or (_NAMED.fullmatch(to) and to.isprintable()):
        return ""
    last = "an address" if channel == "email" else "a number such as +32475123456"
    forms = f"me, contact:NAME, list:NAME or {last}"
    if "{" in to:
        return f"a destination is written by you, never taken from the mail: write {forms}"
    if address_list.mailbox(to) is not None if channel == "email" else is_number(to):
        return ""
    if "@" in to and channel != "email":
        return f"{to[:60]!r} is an address: name it under email; here write {forms}"
    return f"{to[:60]!r} is no destination: write {forms}{_near(to)}"


def is_number(to: str) -> bool:
    """Whether somebody wrote a telephone number: two digits or more, as the shortest that get an SMS."""
    return _NUMBER.fullmatch(to) is not None and sum(mark.isdigit() for mark in to) >= 2


def _near(to: str) -> str:
    start, colon, _ = to.partition(":")
    return near(f"{start}{colon}", ("me", "contact:", "list:"))
