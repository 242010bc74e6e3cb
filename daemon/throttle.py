"""How fast passwords may be guessed: a leaky bucket for each peer and each account, in bounded memory.

Pure: `now` is passed in, seconds of any clock that only goes forward.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

#: How long a failure counts, in seconds, and how many make a peer or an account wait.
_LEAK = 90.0
_PEER, _ACCOUNT = 10, 20
#: The first failure's answer is held back this long, each further one's twice as long, up to the longest (seconds).
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 8.0
#: Peers, accounts and pairs of them that are remembered, each.
_MOST = 20_000


@dataclass(slots=True)
class _Bucket:
    level: float = 0.0
    at: float = 0.0


class _Buckets:
    """Failures by key; the key that was quiet longest is forgotten first."""

    def __init__(self, limit: int, most: int) -> None:
        self._limit = limit
        self._most = most
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def level(self, key: Hashable, now: float) -> float:
        """The failures that still count."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else max(bucket.level - (now - bucket.at) / _LEAK, 0.0)

    def wait(self, key: Hashable, now: float) -> float:
        """Seconds until the next try."""
        over = self.level(key, now) - (self._limit - 1)
        return over * _LEAK if over > 0 else 0.0

    def fill(self, key: Hashable, now: float) -> float:
        """One more failure; the level then. Above the limit, which tries side by side may pass, the wait is longer."""
        level = min(self.level(key, now) + 1, 2.0 * self._limit)
        self._buckets[key] = _Bucket(level, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return level

    def empty(self, key: Hashable) -> None:
        """Forget the failures."""
        self._buckets.pop(key, None)


class Throttle:
    """Who may try a password now.

    A peer is an address, in IPv6 a network of 64 bits; whoever has no address is one peer. Where an account has logged
    in before, only failures with that account from there count: nobody locks a user out of his own desk.
    """

    def __init__(self, *, most: int = _MOST) -> None:
        self._peers = _Buckets(_PEER, most)
        self._accounts = _Buckets(_ACCOUNT, most)
        self._desks = _Buckets(_PEER, most)
        self._known: OrderedDict[Hashable, None] = OrderedDict()
        self._most = most

    def wait(self, peer: str, account: Hashable, now: float) -> float:
        """Seconds until this peer may try this account's password; 0 for at once."""
        place = _network(peer)
        if (place, account) in self._known:
            return self._desks.wait((place, account), now)
        return max(self._peers.wait(place, now), self._accounts.wait(account, now))

    def failed(self, peer: str, account: Hashable, now: float) -> float:
        """A wrong password; seconds the answer is to be held back."""
        place = _network(peer)
        if (place, account) in self._known:
            level = self._desks.fill((place, account), now)
        else:
            level = max(self._peers.fill(place, now), self._accounts.fill(account, now))
        delay: float = _FIRST_DELAY * 2.0 ** min(level - 1, 10)
        return min(delay, _LONGEST_DELAY)

    def succeeded(self, peer: str, account: Hashable) -> None:
        """The right password: this account is known here. The peer's failures with others still count."""
        desk = (_network(peer), account)
        self._desks.empty(desk)
        self._known[desk] = None
        self._known.move_to_end(desk)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def __len__(self) -> int:
        """How much is remembered."""
        return len(self._peers) + len(self._accounts) + len(self._desks) + len(self._known)


def _network(peer: str) -> str:
    """What one attacker has of addresses: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else peer
