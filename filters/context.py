"""What filters know beside the mail itself: when, through which door, whose, and whom the account knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Source:
    """Through which door a mail came: a copy by SMTP or LMTP, or a watched mailbox and the folder in it."""

    kind: Literal["smtp", "mailbox"]
    mailbox: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of one mail, for one account. What is None is not known: tests of it are false.

    `now` is aware, in the account's zone. `source` None fits filters of every source. `envelope_from` is empty for the
    null reverse-path. `me` are the account's addresses in lower case. `books` are addresses in lower case by what
    `sender_in` calls them: `book:NAME`, `group:NAME`, `list:NAME`, and `any` for all of them. `people` are the
    addresses of contacts by their name, folded (`filters.folding.fold`); a display name is held against them.
    `authserv_id` is whose topmost Authentication-Results is believed; None believes none. `link` leads to the mail.
    """

    now: datetime
    source: Source | None = None
    envelope_from: str | None = None
    envelope_to: tuple[str, ...] = ()
    me: frozenset[str] = frozenset()
    books: Mapping[str, frozenset[str]] = field(default_factory=dict)
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    authserv_id: str | None = None
    flags: frozenset[str] | None = None
    credit_left: int | None = None
    sent_today: int | None = None
    link: str = ""
