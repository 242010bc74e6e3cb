"""Connections to hosts that users name: only to addresses outside, unless the operator allows others.

A name is resolved once for each connection, every address it has is judged, and the connection is made to an address
that was judged: a name whose answer changes between looking and connecting leads nowhere else.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: What `socket.getaddrinfo` gives of one address: its family and the address with the port.
Target = tuple[socket.AddressFamily, tuple[str, int]]
Resolve = Callable[[str, int], Sequence[Target]]

#: IPv6 networks whose addresses carry an IPv4 address: NAT64 (RFC 6052 section 2.1), 6to4 (RFC 3056), and where in
#: the 128 bits it lies, counted from the right.
_CARRIERS = ((ipaddress.IPv6Network("64:ff9b::/96"), 0), (ipaddress.IPv6Network("2002::/16"), 80))
#: NAT64 for a network's own use (RFC 8215): who knows where it leads.
_OWN_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")


class InsideError(OSError):
    """A name that points inside, where the operator allows none."""


class NoAddressError(OSError):
    """A name that has no address."""


def is_outside(address: Address) -> bool:
    """Whether an address is anybody's on the internet, and none of this machine, its networks, or special use."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped
        for network, shift in _CARRIERS:
            if address in network:
                carried = ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF)
        if address.teredo is not None:
            carried = address.teredo[1]
        if carried is not None:
            return is_outside(carried)
        if address.is_site_local or address in _OWN_NAT64:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified


def resolve(host: str, port: int) -> list[Target]:
    """The addresses of a host, in the order to try them; `NoAddressError` where it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "it is no name"
        raise NoAddressError(f"{host} has no address: {reason}") from None
    return [(family, (str(sockaddr[0]), port)) for family, _, _, _, sockaddr in found]


def targets(host: str, port: int, *, allow_private: bool, resolver: Resolve = resolve) -> list[Target]:
    """The addresses of a host that one may connect to; `InsideError` where it has others too, and they are not allowed.

    One address inside refuses the whole name: who mixes them wants us to try.
    """
    found = list(resolver(host, port))
    if not found:
        raise NoAddressError(f"{host} has no address")
    if not allow_private:
        for _, (address, _) in found:
            if not is_outside(ipaddress.ip_address(address.partition("%")[0])):
                raise InsideError(
                    f"{host} is {address}, an address inside: the operator has to allow it with "
                    "allow_private_hosts = true"
                )
    return found


def connect(host: str, port: int, *, allow_private: bool, timeout: float, resolver: Resolve = resolve) -> socket.socket:
    """A connection to the first address that answers, within `timeout` seconds in all; `OSError` says why not."""
    until = time.monotonic() + timeout
    failure: OSError | None = None
    for family, sockaddr in targets(host, port, allow_private=allow_private, resolver=resolver):
        left = until - time.monotonic()
        if left <= 0:
            break
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.settimeout(left)
            opened.connect(sockaddr)
        except OSError as error:
            opened.close()
            failure = error
        else:
            return opened
    raise failure or TimeoutError(f"{host} did not answer within {timeout:.0f} s")
