"""Routes: the configured ways out, and which one a number takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from gateway.message import Channel
from gateway.text import LETTER


@dataclass(frozen=True, slots=True)
class Route:
    """One configured way out (the `[[route]]` of the configuration; every default is CONTRACT's).

    `rate` is segments a second over all connections, None for no limit. `price` is units a segment, `prices` the same
    by prefix, longest first. `status` overrides what a command_status means (`{0x45: "transient"}`).
    `numeric_sender` is tried once where the operator refuses `sender`; empty for none.
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
    status: Mapping[int, str] = field(default_factory=dict)
    protocol_id: int = 0

    @property
    def cutting(self) -> str:
        """How a text is cut for it: by its `concat`, or not at all where it goes out as a letter."""
        return LETTER if self.transport == "smtp" else self.concat

    def units(self, number: str) -> int:
        """What one segment to this number costs here: the longest matching prefix of `prices`, else `price`."""
        matching = [prefix for prefix in self.prices if number.startswith(prefix)]
        return self.prices[max(matching, key=len)] if matching else self.price


@dataclass(frozen=True, slots=True)
class Considered:
    """One route looked at for a number: taken or not, and why, in one sentence."""

    route: Route
    taken: bool
    why: str


def consider(routes: Sequence[Route], channel: Channel, number: str) -> list[Considered]:
    """Every route with what speaks for or against it; the one taken first, if there is one.

    The longest prefix wins; among equal ones the greater weight, then the order of the configuration.
    """
    candidates, refused = _weigh(routes, channel, number)
    taken = [
        Considered(
            route,
            index == 0,
            (f"its prefix {prefix} is the longest that fits" if prefix else f"it carries {channel}")
            if index == 0
            else f"{candidates[0][3].name} comes first, by its prefix, its weight or its place",
        )
        for index, (_, _, _, route, prefix) in enumerate(candidates)
    ]
    return taken + refused


def able(routes: Sequence[Route], channel: Channel, number: str) -> list[Route]:
    """Every route that takes this number, the one to take first."""
    return [candidate[3] for candidate in _weigh(routes, channel, number)[0]]


def choose(routes: Sequence[Route], channel: Channel, number: str) -> Route | None:
    """The route this number takes, or None."""
    considered = consider(routes, channel, number)
    return considered[0].route if considered and considered[0].taken else None


def _weigh(
    routes: Sequence[Route], channel: Channel, number: str
) -> tuple[list[tuple[int, int, int, Route, str]], list[Considered]]:
    """The candidates in their order, each with its prefix; and those that are none, with the reason."""
    candidates: list[tuple[int, int, int, Route, str]] = []
    refused: list[Considered] = []
    for place, route in enumerate(routes):
        if channel not in route.channels:
            refused.append(Considered(route, False, f"it does not carry {channel}"))
            continue
        # Prefixes are of numbers; a mailbox has none.
        numbered = channel is not Channel.EMAIL
        excluded = _longest(route.not_prefixes, number) if numbered else None
        prefix = _longest(route.prefixes, number) if numbered else ""
        if prefix is None:
            refused.append(Considered(route, False, f"none of its prefixes ({', '.join(route.prefixes)}) fits"))
        elif excluded is not None and len(excluded) >= len(prefix):
            refused.append(Considered(route, False, f"it refuses numbers beginning with {excluded}"))
        else:
            candidates.append((-len(prefix), -route.weight, place, route, prefix))
    candidates.sort(key=lambda candidate: candidate[:3])
    return candidates, refused


def _longest(prefixes: Sequence[str], number: str) -> str | None:
    return max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default=None)
