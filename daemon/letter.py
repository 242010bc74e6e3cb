"""From the octets of DATA to what is to be said: the mail read, its words chosen, its identity fixed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from daemon.door import MailRecipient, MailRequest, Sender
from filters.excerpt import Excerpt, excerpt
from filters.mail import Mail
from gateway.failure import RefusedError

#: What Pigeonhole's notifications say where the script gives no text of its own; the subject has what there is to say.
_STOCK = "Notification of new message."


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it came in: read, excerpted, and the SHA-256 of its octets where it has no Message-ID."""

    mail: Mail
    excerpt: Excerpt
    digest: bytes


def read(octets: bytes) -> Letter:
    """Read a mail. Never raises for what it contains; takes a millisecond or less for an ordinary one."""
    mail = Mail.read(octets)
    digest = b"" if mail.message_id else hashlib.sha256(octets).digest()
    words = excerpt(mail)
    if mail.auto_submitted == "auto-notified" and words.text == _STOCK and words.subject:
        words = replace(words, text="")
    return Letter(mail, words, digest)


def text_to_send(sender: Sender, words: Excerpt) -> str:
    """What the SMS says, by the account's setting, signature last; `RefusedError` (550 5.6.0) for no text at all."""
    body, subject = words.text, words.subject
    if sender.text == "subject":
        text = subject or body
    elif sender.text == "both" and subject and not body.startswith(subject):
        text = f"{subject}\n{body}" if body else subject
    else:
        text = body or subject
    if not text:
        what = f": it holds only {words.stand_in}" if words.stand_in else ""
        raise RefusedError(
            f"This mail has nothing an SMS could say{what}. Write the text in the body, or in the subject.",
            smtp="550 5.6.0",
        )
    return f"{text}\n{sender.signature}" if sender.signature else text


def request(
    letter: Letter,
    sender: Sender,
    recipients: tuple[MailRecipient, ...],
    *,
    envelope_from: str,
    envid: str = "",
    ret: str = "",
) -> MailRequest:
    """The request this mail makes in its sender's name; `RefusedError` where it says nothing."""
    text = text_to_send(sender, letter.excerpt)
    message_id = letter.mail.message_id
    return MailRequest(
        sender=sender,
        envelope_from=envelope_from,
        recipients=recipients,
        message_id=message_id,
        digest=hashlib.sha256(text.encode()).digest() if message_id else letter.digest,
        subject=letter.mail.subject,
        text=text,
        automatic=letter.mail.is_automatic,
        envid=envid,
        ret=ret,
    )
