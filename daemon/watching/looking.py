"""What is new in an open folder, and as much of each mail as filters need.

Asked for are, in this order: the UIDs, then structure and header, and texts only where something needs them; never
what files contain. Everything is asked for in pieces, so that no mail is too large.
"""

from __future__ import annotations

import imaplib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from imapclient.exceptions import IMAPClientError

from daemon.watching import structure
from daemon.watching.wire import Client
from filters.mail import Mail
from filters.verdict import Need

#: How much of a header is read, in octets, and how many mails are looked at in one step.
HEADER, STEP = 128 * 1024, 50
#: Clocks may differ by as much: what came so long before the last look, after UIDVALIDITY has changed, may be new.
SKEW = timedelta(minutes=5)
#: The largest UID, and UIDVALIDITY (RFC 9051 section 9, nz-number).
LARGEST = 2**32 - 1

_FACTS = ("INTERNALDATE", "RFC822.SIZE", "FLAGS")
_HEAD = f"BODY.PEEK[HEADER]<0.{HEADER}>"


@dataclass(frozen=True, slots=True)
class Read:
    """A mail of a folder, as far as it was read; `octets` are what `mail` was read from."""

    uid: int
    mail: Mail
    octets: bytes
    flags: frozenset[str]
    came: datetime | None


def new_uids(client: Client, uidnext: int) -> list[int]:
    """The UIDs from `uidnext` on, in their order.

    `n:*` always has the last mail in it, also where its UID is smaller (RFC 9051 section 6.4.8), and imapclient cannot
    fetch such a range: the UIDs are searched for, and those that are old taken out.
    """
    return sorted(uid for uid in client.search([b"UID", b"%d:*" % uidnext]) if uidnext <= uid <= LARGEST)


def next_uid(client: Client, told: int | None, exists: int) -> int:
    """The UID the next mail will have at least, where the server did not tell it (RFC 9051 section 7.1 lets it)."""
    if told is not None:
        return told
    return max(client.search([b"UID", b"*"]), default=0) + 1 if exists else 1


def since(client: Client, checked: datetime) -> list[int]:
    """The UIDs of mails that came after an instant, by the server's INTERNALDATE, which a search knows by days only."""
    earliest = checked - SKEW
    day: date = (earliest - timedelta(days=1)).date()
    uids = sorted(client.search([b"SINCE", day]))
    found = []
    for start in range(0, len(uids), 500):
        told = client.fetch(uids[start : start + 500], ["INTERNALDATE"])
        found += [uid for uid in uids[start : start + 500] if _after(told.get(uid, {}), earliest)]
    return found


def last(client: Client, count: int, exists: int) -> list[int]:
    """The UIDs of the last mails of the folder, at most `count`."""
    if not exists:
        return []
    return sorted(client.search([b"%d:*" % max(1, exists - count + 1)]))[-count:]


def _after(told: Mapping[bytes, Any], earliest: datetime) -> bool:
    came = _utc(told.get(b"INTERNALDATE"))
    return came is None or came > earliest


def _utc(came: Any) -> datetime | None:
    if not isinstance(came, datetime):
        return None
    return came.astimezone(UTC)  # imapclient gives a naive one in the zone of this machine


# Reading --------------------------------------------------------------------------------------------------------------


def read(client: Client, uids: Sequence[int], needs: Collection[Need]) -> list[Read]:
    """These mails, as far as needed; those that are gone meanwhile are left out.

    A mail without Message-ID is read with its texts, whatever is needed: it is known again by them.
    """
    found = []
    for uid, told in _heads(client, uids):
        header = bytes(told.get(b"BODY[HEADER]<0>") or b"")
        mail = Mail.read(header)
        whole = _structure(told)
        wanted = "body" in needs or not mail.message_id
        if whole is None or (wanted and structure.is_hollow(whole)):
            octets = header + b"".join(_blind(client, uid))
        elif wanted:
            octets = structure.assemble(header, whole, _texts(client, uid, whole))
        else:
            octets = structure.assemble(header, whole, {})
        seen = Mail.read(octets)
        if size := told.get(b"RFC822.SIZE"):
            seen = replace(seen, size=int(size))
        flags = frozenset(flag.decode("ascii", "replace") for flag in told.get(b"FLAGS", ()))
        found.append(Read(uid, seen, octets, flags, _utc(told.get(b"INTERNALDATE"))))
    return found


def _heads(client: Client, uids: Sequence[int]) -> Iterable[tuple[int, Mapping[bytes, Any]]]:
    """Facts, structure and header of each mail. Where one answer cannot be read, each is asked for by itself."""
    try:
        told = client.fetch(list(uids), [*_FACTS, "BODYSTRUCTURE", _HEAD])
    except imaplib.IMAP4.abort:
        raise
    except (IMAPClientError, imaplib.IMAP4.error, ValueError, RecursionError):
        told = {}
        for uid in uids:
            told.update(_one(client, uid))
    return [(uid, told[uid]) for uid in uids if uid in told and b"BODY[HEADER]<0>" in told[uid]]


def _one(client: Client, uid: int) -> dict[int, Any]:
    for wanted in ([*_FACTS, "BODYSTRUCTURE", _HEAD], [*_FACTS, _HEAD], [_HEAD]):
        try:
            return dict(client.fetch([uid], wanted))
        except imaplib.IMAP4.abort:
            raise
        except (IMAPClientError, imaplib.IMAP4.error, ValueError, RecursionError):
            continue
    return {}


def _structure(told: Mapping[bytes, Any]) -> structure.Part | None:
    try:
        return structure.read(told[b"BODYSTRUCTURE"])
    except (KeyError, structure.UnreadableStructureError):
        return None


def _texts(client: Client, uid: int, whole: structure.Part) -> dict[str, bytes]:
    sections = [*structure.inner_headers(whole)]
    wanted = {f"{section}.HEADER": HEADER for section in sections}
    wanted |= {part.section: structure.TEXT for part in structure.texts(whole)}
    if not wanted:
        return {}
    told = client.fetch([uid], [f"BODY.PEEK[{section}]<0.{most}>" for section, most in wanted.items()]).get(uid, {})
    return {section: bytes(told.get(f"BODY[{section}]<0>".encode()) or b"") for section in wanted}


def _blind(client: Client, uid: int) -> Iterable[bytes]:
    """The beginning of what follows the header, where nobody knows what parts it has."""
    told = client.fetch([uid], [f"BODY.PEEK[TEXT]<0.{structure.TEXT}>"]).get(uid, {})
    return [bytes(told.get(b"BODY[TEXT]<0>") or b"")]
