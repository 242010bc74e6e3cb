"""From mails to notices: what an account's filters decided to say, said now, later in one summary, or not at all.

Whoever sees a mail arrive (a copy by SMTP, a watched mailbox) makes an `Arrived` of it and hands it to
`gateway.notifier.Notifier`, which judges it and stores what comes of it in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from filters.context import Source
from filters.mail import Mail

#: Stands for a filter where an account is told of every new mail.
NEW_MAIL = 0


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail that has come for an account, with what is known of its way.

    `source` is the door. `octets` are the mail as far as it was read; Sieve looks at them. `envelope_from` is empty for
    the null reverse-path, None where nobody knows. `authserv_id` is whose topmost Authentication-Results is believed,
    None where none is. `flags` are those of the mailbox, None where it has none. A mail without Message-ID must have
    been read with all its text parts (`gateway.identity`).
    """

    account: int
    mail: Mail
    source: Source
    octets: bytes = field(default=b"", repr=False)
    envelope_from: str | None = None
    envelope_to: tuple[str, ...] = ()
    authserv_id: str | None = None
    flags: frozenset[str] | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of a mail: its notices as (filter, state), new ones only, and the messages that left at once."""

    notices: tuple[tuple[int, str], ...] = ()
    messages: tuple[int, ...] = ()
