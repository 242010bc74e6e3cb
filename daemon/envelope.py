"""Who sends, and what becomes of a mail: decided from the envelope, the peer and the mail, without asking anybody.

Plain functions over plain values. Each further proof of a sender (AUTH, what a relay verified) is a further field of
`Proofs` and a further line in `paying_address`.
"""

from __future__ import annotations

from dataclasses import dataclass

from filters.mail import Mail


@dataclass(frozen=True, slots=True)
class Proofs:
    """What speaks for a sender: `trusted` is a peer that lets a user send only as himself."""

    trusted: bool = False


def paying_address(envelope_from: str, proofs: Proofs) -> str | None:
    """The address whose account pays, as far as anything proves it; None where nothing does."""
    return envelope_from if proofs.trusted and envelope_from else None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A mail that is taken and thrown away, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Carried:
    """A mail that is carried, paid by this address's account; None where nothing proves anybody."""

    address: str | None


def judge(envelope_from: str, proofs: Proofs, mail: Mail) -> Ignored | Carried:
    """What becomes of a mail whose content is known (RFC 3834; RFC 5436 section 2.7; CONTRACT, "Special addresses").

    Notifications of a Sieve script say so themselves, and are carried for their owner from a trusted peer, whatever
    the reverse-path; that is decided before everything else they carry.
    """
    if mail.our_mark:
        return Ignored(f"it is a mail of ours ({mail.our_mark})")
    if mail.auto_submitted == "auto-notified":
        if not proofs.trusted:
            return Ignored("it is a notification from a peer that is not trusted")
        owner = mail.owner_email or envelope_from
        return Carried(owner) if owner else Ignored("it is a notification without owner-email and reverse-path")
    if not envelope_from:
        return Ignored("its reverse-path is null")
    if mail.is_reply_by_machine:
        return Ignored("it is an automatic answer")
    return Carried(paying_address(envelope_from, proofs))
