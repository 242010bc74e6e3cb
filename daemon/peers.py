"""The other end of a connection, and which of them are trusted with something."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

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
        texts = list(written)
        return cls(tuple(_network(text) for text in texts if text != "unix"), "unix" in texts)

    def __bool__(self) -> bool:
        return self.unix or bool(self.networks)

    def __contains__(self, peer: Peer) -> bool:
        address = peer.address
        if address is None:
            return peer.unix and self.unix
        return any(address.version == network.version and address in network for network in self.networks)


def _network(text: object) -> IPNetwork:
    advice = f'{text!r} is no network: write an address, a network such as "192.0.2.0/24", or "unix"'
    if not isinstance(text, str):
        raise ValueError(advice)
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(advice) from None
    raise ValueError(f"{text} is an address inside a network: write {meant}, or the address alone")
