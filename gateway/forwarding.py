"""Mail to the postmaster, passed on as it came (RFC 5321 section 4.5.1): free of charge, and never answered.

It leaves with a null reverse-path and our mark, so that nothing comes back. The first `Delivered-To` says that it was
here: what carries ours is going round in a circle.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from sqlalchemy import Connection, insert, select, update

from filters.mail import OUR_MARK, Mail
from gateway import own_mail
from gateway.failure import RefusedError
from gateway.message import Origin
from gateway.reports import Office
from gateway.routing import Route
from gateway.store import schema
from gateway.store.identifiers import Identifiers

#: Whose messages these are: no account's.
NOBODY = 0
#: How many servers may have passed on a mail before us (RFC 5321 section 6.3 wants 100 at least).
MOST_HOPS = 100
_NAME = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a mail came here, for its Received field: what the client called itself, its address, our name, how."""

    client: str
    peer: str
    host: str
    protocol: str

    def __str__(self) -> str:
        client, host = (name if _NAME.fullmatch(name) else "unknown" for name in (self.client, self.host))
        peer = f"IPv6:{self.peer}" if ":" in self.peer else self.peer
        return f"from {client} ([{peer}]) by {host} with {self.protocol}"


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A mail that is queued for the postmaster: its message, its route, and whether it was there already."""

    message: int
    route: str
    seen: bool = False


def destination(office: Office) -> tuple[str, Route] | None:
    """Where mail to the postmaster goes, and over which route; None where no route carries e-mail.

    Where none is configured, it is the postmaster of the domain our mail is from: every domain has one.
    """
    route = office.mail_route(office.postmaster)
    if route is None:
        return None
    return office.postmaster or f"postmaster@{route.sender.rpartition('@')[2]}", route


def check_for_loop(mail: Mail, domain: str) -> None:
    """`RefusedError` (554 5.4.6) where this mail was here before, or was passed on by too many."""
    ours = f"postmaster@{domain}"
    if any(value.strip("<> ").lower() == ours for value in mail.header("delivered-to")):
        raise RefusedError("This mail goes round in a circle: it was here before", smtp="554 5.4.6")
    check_hops(mail)


def check_hops(mail: Mail) -> None:
    """`RefusedError` (554 5.4.6) where too many servers passed this mail on."""
    hops = len(mail.header("received"))
    if hops > MOST_HOPS:
        raise RefusedError(
            f"This mail goes round in a circle: {hops} servers have passed it on, at most {MOST_HOPS} may",
            smtp="554 5.4.6",
        )


def queue(
    connection: Connection,
    identifiers: Identifiers,
    office: Office,
    octets: bytes,
    *,
    subject: str,
    arrival: Arrival,
    now: datetime,
) -> Forwarded:
    """Queue a mail for the postmaster; the same octets once. `RefusedError` (451 4.3.5) where it cannot leave."""
    found = destination(office)
    if found is None:
        raise RefusedError("Mail to the postmaster cannot be forwarded at the moment", smtp="451 4.3.5")
    address, route = found
    used = schema.seen
    key = hashlib.sha256(b"postmaster\0" + octets).digest()
    known = connection.execute(select(used.c.message_id).where(used.c.account_id == NOBODY, used.c.key == key)).scalar()
    if known is not None:
        return Forwarded(known, route.name, seen=True)
    payload = compose(octets, office.domain, arrival, now)
    mail = own_mail.OwnMail(
        NOBODY, Origin.MAIL, address, subject, f"mail to postmaster@{office.domain}, passed on as it came", payload
    )
    message = own_mail.queue(connection, identifiers, mail, route, now)
    row = {"account_id": NOBODY, "key": key, "message_id": message, "content": None, "created": now}
    connection.execute(insert(used), row)
    return Forwarded(message, route.name)


def compose(octets: bytes, domain: str, arrival: Arrival, now: datetime) -> bytes:
    """The SMTP payload (`gateway.transports.smtp`): the mail as it came below what RFC 5321 section 4.4 adds."""
    lines = [
        "Return-Path: <>",
        f"Delivered-To: postmaster@{domain}",
        f"{OUR_MARK}: postmaster",
        f"Received: {arrival}; {format_datetime(now)}",
        "",
    ]
    # A mail that begins with white space would go on with our last field.
    gap = b"\r\n" if octets[:1] in (b" ", b"\t") else b""
    return "\r\n".join(lines).encode("ascii") + gap + octets


def forget(connection: Connection) -> int:
    """Drop the octets of what has arrived at the postmaster's, or never will; of how many mails."""
    ours = select(schema.seen.c.message_id).where(schema.seen.c.account_id == NOBODY)
    count = 0
    for segment in (schema.segment, schema.past):
        done = segment.c.message_id.in_(ours) & segment.c.finished.is_not(None) & segment.c.payload.is_not(None)
        count += connection.execute(update(segment).where(done).values(payload=None)).rowcount
    return count
