"""Who sends, and what becomes of a mail: decided from the envelope, the peer and the mail, without asking anybody.

Plain functions over plain values. Each further proof of a sender (AUTH, what a relay verified) is a further field of
`Proofs` and a further line in `paying_address`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from filters.mail import Mail

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection: an IP address, or `unix`; neither where it was gone before it could be asked."""

    address: IPAddress | None = None
    unix: bool = False

    def __str__(self) -> str:
        return "unix" if self.unix else str(self.address or "unknown")

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> Peer:
        """The peer of a connection; an IPv4 address in IPv6 clothes (RFC 4291 section 2.5.5.2) is an IPv4 address."""
        own = transport.get_extra_info("socket")
        if own is not None and own.family == socket.AF_UNIX:
            return cls(unix=True)
        name = transport.get_extra_info("peername")
        if not isinstance(name, tuple) or not name:
            return cls()
        address = ipaddress.ip_address(str(name[0]).partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return cls(mapped or address)


@dataclass(frozen=True, slots=True)
class Networks:
    """Addresses and networks of the configuration; `unix` stands for every peer behind a unix socket."""

    networks: tuple[IPNetwork, ...] = ()
    unix: bool = False

    @classmethod
    def of(cls, written: Iterable[str]) -> Networks:
        """From what the configuration says. ValueError names what is neither an address, a network nor `unix`."""
        networks: list[IPNetwork] = []
        unix = False
        for text in written:
            if text == "unix":
                unix = True
                continue
            try:
                networks.append(ipaddress.ip_network(text))
            except ValueError as error:
                raise ValueError(f'{text!r} is no address, network or "unix": {error}') from None
        return cls(tuple(networks), unix)

    def __contains__(self, peer: Peer) -> bool:
        address = peer.address
        if address is None:
            return peer.unix and self.unix
        return any(address.version == network.version and address in network for network in self.networks)


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
