"""The door: what the listener asks of the house, and what it hands in.

The listener speaks SMTP and LMTP and reads mails; whose account it is, whether there is a route, and the store are the
business of whoever implements `Door`. Every question may raise `RefusedError`, whose reply and sentence the peer gets;
anything else that is raised is a defect or an outage of ours, and the peer is told to try again (451 4.3.0).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from filters.mail import Mail
from gateway.forwarding import Arrival
from gateway.notices import Arrived

#: Reads a telephone number as written, nationally in a region (`BE`) where one is given: E.164, or `RefusedError`.
Numbers = Callable[[str, str | None], str]


@dataclass(frozen=True, slots=True)
class Sender:
    """The account that pays, as far as the door must know it.

    `region` is where nationally written numbers are, None for the configured one. `text` says what is sent: `body` (the
    subject where the body is empty), `subject` (the body where that is empty) or `both`. `signature` ends every text.
    """

    account: int
    name: str
    region: str | None = None
    text: str = "body"
    signature: str = ""


@dataclass(frozen=True, slots=True)
class MailRecipient:
    """One recipient of the envelope: its number in E.164, and the address as the client wrote it.

    `named` is a list or a contact of the sender's, where the recipient is no number; then `number` is empty.

    `notify` holds the conditions of RFC 3461 section 4.1 in upper case (`NEVER` alone, or of `SUCCESS`, `FAILURE`,
    `DELAY`), empty where nothing was asked; `orcpt` is the original recipient, `rfc822;jean@example.org`, decoded.
    `once` are keys (SHA-256) that no other mail of the account may have used: a signed mail can be sent again by
    anybody.
    """

    number: str
    written: str
    notify: frozenset[str] = frozenset()
    orcpt: str = ""
    once: tuple[bytes, ...] = ()
    named: str = ""


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A mail that is to become short messages: one message, a delivery to each recipient.

    Its identity within the account is `message_id` and `digest`: the SHA-256 of `text`, or where there is no
    Message-ID, of DATA (invariant I3). `envelope_from` is where a report goes, empty where none may. `automatic` mail
    is never answered. `envid` and `ret` (`FULL`, `HDRS` or empty) are those of RFC 3461 sections 4.4 and 4.3.
    """

    sender: Sender
    envelope_from: str
    recipients: tuple[MailRecipient, ...]
    message_id: str
    digest: bytes
    subject: str
    text: str
    automatic: bool
    envid: str = ""
    ret: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that is committed: its id, and whether it was there already."""

    id: str
    seen: bool = False


class Door(Protocol):
    """The house, as the listener sees it. All of it is called on the event loop, from many sessions at a time."""

    async def account_for(self, address: str) -> Sender | None:
        """The account one of whose addresses this is, or None. `address` is an addr-spec as the client wrote it."""

    async def check_recipient(self, sender: Sender, number: str) -> None:
        """Raises `RefusedError`: 550 5.1.2 where no route takes this number, 550 5.7.1 where its owner opted out."""

    async def check_name(self, sender: Sender, name: str) -> None:
        """Raises `RefusedError` (550 5.1.1) where the sender has no list and no contact of this name to be reached."""

    def check_postmaster(self, *, stranger: bool) -> None:
        """Raises `RefusedError` (451 4.3.5, 452 4.3.1) where no mail to the postmaster can be taken now."""

    async def forward(self, octets: bytes, mail: Mail, arrival: Arrival, *, stranger: bool) -> Taken:
        """Take a mail for the postmaster; returns when it is committed. `stranger` is whom nothing speaks for."""

    async def returned(self, octets: bytes) -> str | None:
        """Note what a mail with a null reverse-path reports of an e-mail of ours; the id of its message, or None.

        Returns after the commit; `RefusedError` (451 4.3.0) where it is to come again.
        """

    async def tell_verdict(self, account: int, address: str, words: str, about: str) -> str | None:
        """Mail an account how its mail was judged; the id of what is queued, None where no more is told for now.

        `about` is the Message-ID of the mail that asked.
        """

    async def watched(self, name: str) -> int:
        """The account whose mails are copied to this name; `RefusedError` (550 5.1.1) where there is none."""

    async def note(self, arrived: Arrived) -> tuple[int, ...]:
        """Hand a copy to the filters of its account; the messages that left at once, after the commit."""

    async def take(self, request: MailRequest) -> Taken:
        """Returns when the message is committed to disk; only then the client is told that it is taken."""
