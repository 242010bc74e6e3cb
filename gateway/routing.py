"""Routes: the configured ways out, and which one a number takes.

The longest prefix wins. Among routes of equal prefixes those that are well go before those whose link has been down for
a while, and of these each takes its share of the numbers, in proportion to its weight. Which number takes which route
is decided by the two names alone (weighted rendezvous hashing): a number keeps its route, and so its sender, from one
message to the next; a route that comes or goes moves only its own share. A route of weight 0 takes only what no other
takes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from gateway.message import Channel
from gateway.text import LETTER
from gateway.value import value


@dataclass(frozen=True, slots=True)
class Route:
    """One configured way out (the `[[route]]` of the configuration; every default is CONTRACT's).

    `rate` is segments a second over all connections, None for no limit. `price` is units a segment, `prices` the same
    by prefix, longest first. `status` overrides what a command_status means (`{0x45: "transient"}`).
    `numeric_sender` is tried once where the operator refuses `sender`; empty for none.

    `returns` is no configuration: whether mail to its sender comes to our own listener, so that a mail server may be
    asked to report there what became of what it got (RFC 3461).
    `ailing` is no configuration: why it is rather not taken now (`gateway.health`), empty while it is well.
    """

    name: str
    channels: frozenset[Channel]
    transport: str
    host: str = ""
    port: int = 2775
    tls: bool = False
    system_id: str = "tocsin"
    password: str = field(default="", repr=False)
    system_type: str = ""
    bind: str = "transceiver"
    binds: int = 1
    window: int = 10
    rate: float | None = None
    sender: str = ""
    sender_ton: int | None = None
    sender_npi: int | None = None
    numeric_sender: str = ""
    prefixes: tuple[str, ...] = ("+",)
    not_prefixes: tuple[str, ...] = ()
    weight: int = 1
    price: int = 1
    prices: Mapping[str, int] = field(default_factory=dict)
    concat: str = "udh8"
    receipts: bool = True
    on_unknown: str = "resend"
    unknown_wait: timedelta = timedelta(minutes=2)
    query: bool = False
    validity: timedelta = timedelta(days=1)
    enquire_link: float = 30.0
    response_timeout: float = 30.0
    inactivity: float | None = None
    status: Mapping[int, str] = field(default_factory=dict)
    protocol_id: int = 0
    returns: bool = False
    ailing: str = field(default="", compare=False)

    @property
    def cutting(self) -> str:
        """How a text is cut for it: by its `concat`, or not at all where it goes out as a letter."""
        return LETTER if self.transport == "smtp" else self.concat

    def units(self, number: str) -> int:
        """What one segment to this number costs here: the longest matching prefix of `prices`, else `price`."""
        prefix = _longest(self.prices, number) if self.prices else None
        return self.price if prefix is None else self.prices[prefix]


@dataclass(frozen=True, slots=True)
class Considered:
    """One route looked at for a number: taken or not, and why, in one sentence."""

    route: Route
    taken: bool
    why: str


def with_health(routes: Sequence[Route], ailing: Mapping[str, str]) -> list[Route]:
    """The same routes, each with why it is rather not taken now."""
    if not ailing and not any(route.ailing for route in routes):
        return list(routes)
    return [replace(route, ailing=ailing.get(route.name, "")) for route in routes]


def consider(routes: Sequence[Route], channel: Channel, number: str) -> list[Considered]:
    """Every route with what speaks for or against it; the one taken first, if there is one, then the next best."""
    candidates, refused = _weigh(routes, channel, number)
    if not candidates:
        return refused
    first = candidates[0]
    taken = [Considered(first.route, True, _why_taken(candidates))]
    taken += [Considered(other.route, False, _why_not(first, other)) for other in candidates[1:]]
    return taken + refused


def able(routes: Sequence[Route], channel: Channel, number: str) -> list[Route]:
    """Every route that takes this number, the one to take first."""
    return [candidate.route for candidate in _weigh(routes, channel, number)[0]]


def choose(routes: Sequence[Route], channel: Channel, number: str) -> Route | None:
    """The route this number takes, or None."""
    if len(routes) == 1:  # where there is nothing to choose from, nothing is weighed
        return None if _judge(routes[0], channel, number)[1] else routes[0]
    candidates, _ = _weigh(routes, channel, number)
    return candidates[0].route if candidates else None


@value
class _Candidate:
    """A route that could take a number, by which of its prefixes (empty for mailboxes, which have none)."""

    route: Route
    prefix: str


def _weigh(routes: Sequence[Route], channel: Channel, number: str) -> tuple[list[_Candidate], list[Considered]]:
    """The candidates in their order; and those that are none, with the reason."""
    candidates: list[_Candidate] = []
    refused: list[Considered] = []
    for route in routes:
        prefix, against = _judge(route, channel, number)
        if against:
            refused.append(Considered(route, False, against))
        else:
            candidates.append(_Candidate(route, prefix))
    if len(candidates) > 1:  # the usual case, one route, is not hashed for
        candidates.sort(key=lambda one: (-len(one.prefix), bool(one.route.ailing), -_share(one.route, number)))
    return candidates, refused


def _judge(route: Route, channel: Channel, number: str) -> tuple[str, str]:
    """The prefix by which a route takes a number; and, where it does not, why."""
    if channel not in route.channels:
        return "", f"it does not carry {channel}"
    if route.transport == "smpp" and route.bind == "receiver":
        return "", "it only receives (bind = receiver)"
    if channel is Channel.EMAIL:  # prefixes are of numbers; a mailbox has none
        return "", ""
    prefix = _longest(route.prefixes, number)
    if prefix is None:
        return "", f"none of its prefixes ({', '.join(route.prefixes)}) fits"
    excluded = _longest(route.not_prefixes, number) if route.not_prefixes else None
    if excluded is not None and len(excluded) >= len(prefix):
        return "", f"it refuses numbers beginning with {excluded}"
    return prefix, ""


def _share(route: Route, number: str) -> float:
    """How strongly a route claims a number: the greatest claim is each route's in proportion to its weight."""
    if route.weight <= 0:
        return 0.0
    digest = hashlib.blake2b(f"{route.name}\0{number}".encode(), digest_size=8).digest()
    return -route.weight / math.log((int.from_bytes(digest, "big") + 0.5) / 2.0**64)


def _why_taken(candidates: Sequence[_Candidate]) -> str:
    first = candidates[0]
    why = f"its prefix {first.prefix} is the longest that fits" if first.prefix else f"it carries {Channel.EMAIL}"
    equal = [other for other in candidates[1:] if len(other.prefix) == len(first.prefix)]
    if first.route.ailing:
        why += f", though it has long been down ({first.route.ailing})"
    elif any(not other.route.ailing for other in equal):
        why += "; of the routes with an equal one, this number falls to its share"
    return why


def _why_not(first: _Candidate, other: _Candidate) -> str:
    name = first.route.name
    if len(other.prefix) < len(first.prefix):
        return f"{name} has a longer prefix, {first.prefix}"
    if other.route.ailing and not first.route.ailing:
        return f"it has long been down ({other.route.ailing}), and {name} is up"
    if other.route.weight <= 0 < first.route.weight:
        return f"its weight is 0: it takes only what no other route takes, and {name} does"
    shares = f"by their weights, {first.route.weight} to {other.route.weight}"
    return f"its prefix is as long as that of {name}; {shares}, this number falls to {name}"


def _longest(prefixes: Iterable[str], number: str) -> str | None:
    longest = None
    for prefix in prefixes:
        if number.startswith(prefix) and (longest is None or len(prefix) > len(longest)):
            longest = prefix
    return longest
