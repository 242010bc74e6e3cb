"""What the house counts and measures while it works: plain numbers, as cheap as numbers are.

One object a house, made where the house is put together and handed to whoever has something to count. It is read when
somebody asks for `/metrics`, and only then costs anything (`daemon.console.metrics`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence


class Histogram:
    """How often a value fell at or below each of some bounds, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


#: Bounds of what is measured in seconds, from a commit to a long wait.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Measures:
    """Everything that is counted. Names of routes, states and path templates are few, so that the counts are."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.request_seconds: dict[str, Histogram] = {}

    def request(self, template: str, status: int, seconds: float) -> None:
        """One HTTP request was answered."""
        self.requests[template, status] += 1
        times = self.request_seconds.get(template)
        if times is None:
            times = self.request_seconds[template] = Histogram(SECONDS)
        times.add(seconds)
