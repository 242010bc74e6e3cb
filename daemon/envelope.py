"""Who sends, and what becomes of a mail: decided from the envelope, the peer and the mail, without asking anybody.

Plain functions over plain values. Who pays is asked in `daemon.payer`.
"""

from __future__ import annotations

from dataclasses import dataclass

from filters.mail import Mail


@dataclass(frozen=True, slots=True)
class Proofs:
    """What speaks for a sender, strongest first.

    `account` is the id of who has logged in. `trusted` is a peer that lets a user send only as himself: its envelope
    sender is believed. `relay` is one that passes on strangers' mail: only what it verified counts.
    """

    account: int | None = None
    trusted: bool = False
    relay: bool = False

    def __bool__(self) -> bool:
        """Whether anything may speak for a mail of this peer."""
        return self.account is not None or self.trusted or self.relay


def paying_address(envelope_from: str, proofs: Proofs) -> str | None:
    """The address that the envelope proves; None where it proves nobody."""
    believed = proofs.account is not None or proofs.trusted
    return envelope_from if believed and envelope_from else None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A mail that is taken and thrown away, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Carried:
    """A mail that is carried, paid by this address's account; None where the envelope proves nobody."""

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
