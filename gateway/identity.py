"""By what a mail is known again, through whatever door it comes: invariant I3's identity of mails for notices."""

from __future__ import annotations

import hashlib

from filters.mail import Mail

#: What its author wrote of the header, and no server on the way touches.
_AUTHORS = ("date", "from", "sender", "to", "cc", "subject", "in-reply-to")


def of_mail(mail: Mail) -> bytes:
    """SHA-256 of its Message-ID; of what its author wrote, where it has none.

    The content is the decoded text, for servers on the way may change the encoding and add fields. So a mail without
    Message-ID must have been read whole, with its text parts, or it is not known again.
    """
    digest = hashlib.sha256()
    if mail.message_id:
        digest.update(b"id\0" + mail.message_id.encode("utf-8", "surrogateescape"))
        return digest.digest()
    digest.update(b"content\0")
    for name in _AUTHORS:
        digest.update(
            b"\0".join([name.encode(), *(one.encode("utf-8", "replace") for one in mail.header(name))]) + b"\n"
        )
    files = [f"{one.name}\0{one.type}" for one in mail.attachments]
    for text in (mail.text, mail.stand_in, mail.report, *files):
        # Servers have their own ways with the empty lines at a mail's end.
        digest.update(text.rstrip().encode("utf-8", "replace") + b"\0\n")
    return digest.digest()
