"""Reports that come back: which mail of ours they speak of, and what they say became of it (RFC 3464, RFC 3461)."""

from __future__ import annotations

import email
from dataclasses import dataclass

from filters import body, delivery_status, guard
from filters.delivery_status import Recipient


@dataclass(frozen=True, slots=True)
class Returned:
    """A delivery notification: `names` are the ENVID and the Message-ID by which it knows the mail, if it tells them.

    Whether anything of it is true is not said: a name proves something only where nobody could guess it.
    """

    names: tuple[str, ...]
    recipients: tuple[Recipient, ...]


def read(octets: bytes) -> Returned | None:
    """What a mail reports; None where it is no delivery notification. Never raises for what it contains."""
    try:
        thin = guard.thin(octets)
        message = email.message_from_bytes(thin.octets)
        if message.get_content_type() != "multipart/report":
            return None
        body.restore(message, thin.bodies)
        parts = list(message.walk())
        envelope, recipients = delivery_status.recipients(body.reported(parts))
        names = (_unquoted(envelope), body.field_of_returned(parts, "message-id"))
    except Exception:  # like `filters.mail`, for what a stranger sent: nothing in it is a reason to fail
        return None
    return Returned(tuple(filter(None, names)), recipients) if recipients else None


def _unquoted(envelope: str) -> str:
    """An ENVID that a server gave back as it had it, in xtext (RFC 3461 section 4); marks have nothing to unquote."""
    return envelope.strip().strip("<>")
