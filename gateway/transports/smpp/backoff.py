"""How long to wait before connecting again: exponential, with jitter and a cap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. After `proof` bound, or one accepted segment, a connection counts as good again."""

    first: float = 0.5
    longest: float = 60.0
    first_refused: float = 300.0
    longest_refused: float = 3600.0
    proof: float = 10.0


class Backoff:
    """The waits of one connection."""

    def __init__(self, patience: Patience, random: Random) -> None:
        self.patience = patience
        self._random = random
        self._failures = 0
        self._refusals = 0

    def wait(self) -> float:
        """The wait after one more connection that ended or was not made."""
        wait = min(self.patience.longest, self.patience.first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return wait * (0.5 + self._random.random() / 2)

    def refused(self) -> float:
        """The wait after credentials were refused: long, and longer each time."""
        wait = min(self.patience.longest_refused, self.patience.first_refused * 2.0 ** min(self._refusals, 32))
        self._refusals += 1
        return wait * (0.75 + self._random.random() / 4)

    def reset(self) -> None:
        """The connection has shown that it works."""
        self._failures = self._refusals = 0


def span(seconds: float) -> str:
    """A wait as people say it: `0.7 s`, `12 s`, `5 min`."""
    if seconds < 2:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
