"""How fast one route may go: its rate, and what it learns from being told to be slower. No I/O, no clock of its own.

Without throttling. A route with a rate has slots, `1 / rate` seconds apart. A slot that was not used is gone, but for
`_SLACK` seconds, which make up for a clock that ticks late; so in any T seconds no more than `rate * (T + _SLACK) + 1`
segments go. `room` counts the slots of the next `AHEAD` seconds: what is taken now waits no longer than that.

When the SMS centre throttles, the whole route pauses, and the rate is cut: multiplicative decrease, and additive
increase as long as it goes well (as TCP does, RFC 5681). The answers to everything sent before a cut say the same thing
once more and change nothing, and a cut is given a second to show what it does before there is another. Each throttle
makes the next pause longer, each success shorter: where even the slowest rate is too fast, the pauses find the level.
A route without a rate gets one by its first throttle: half of what it wrote in the last second.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

#: Seconds of sending that may be taken in advance (DESIGN, one mail's journey, step 6).
AHEAD = 0.2
_SLACK = 0.02
#: Slots are looked at no oftener than this, so that several PDUs go in one write.
_TICK = 0.01

_DECREASE = 0.5
#: A second of success adds this share of the rate at which we were throttled.
_INCREASE = 0.1
#: The rate never falls below this share of the rate asked for (or once reached), nor below `_LEAST` a second.
_FLOOR = 0.1
_LEAST = 10.0

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 60.0
#: How long after the last throttle a route is still called throttled.
_MEMORY = 5.0
#: The seconds over which the rate is measured, and for which a cut is left to work.
_WINDOW = 1.0


class Pace:
    """The pace of one route over all its connections. `now` is seconds of a steady clock."""

    def __init__(self, rate: float | None, random: Random) -> None:
        self.ceiling = rate
        self.rate = rate
        self.paused_until = -math.inf
        self._random = random
        self._next = -math.inf  # when the next slot comes
        self._throttled_at = -math.inf
        self._cut_at = -math.inf
        self._grown_at = -math.inf
        self._step = 0.0
        self._streak = 0
        self._peak = 0.0
        self._written: deque[tuple[float, int]] = deque()  # when, and how many, in the last `_WINDOW`; without a rate

    def resize(self, rate: float | None) -> None:
        """Another limit; what throttling left of the old one keeps its proportion."""
        if rate == self.ceiling:
            return
        if rate is None or self.rate is None or self.ceiling is None:
            self.rate = rate
        else:
            self.rate *= rate / self.ceiling
            self._step *= rate / self.ceiling
        self.ceiling = rate

    def room(self, now: float) -> int | None:
        """How many may be taken now so that all go within `AHEAD`; None is no limit."""
        if now < self.paused_until:
            return 0
        if self.rate is None:
            return None
        left = now + AHEAD - max(self._next, now)
        return 0 if left <= 0 else max(1, math.floor(left * self.rate + 1e-9))

    def take(self, wanted: int, now: float) -> int:
        """Use the slots that have come, at most `wanted`; returns how many there were."""
        if now < self.paused_until:
            return 0
        if self.rate is None:
            self._written.append((now, wanted))
            while self._written[0][0] < now - _WINDOW:
                self._written.popleft()
            return wanted
        self._next = max(self._next, now - _SLACK)
        due = min(wanted, math.floor((now - self._next) * self.rate + 1e-9) + 1) if self._next <= now else 0
        self._next += due / self.rate
        return due

    def wakes(self, now: float, *, waiting: bool) -> float | None:
        """When to look again: at the next slot if something waits for it, else when `room` grows; None is never."""
        if now < self.paused_until:
            return self.paused_until
        if self.rate is None:
            return None
        if waiting:
            return max(self._next, now + _TICK)
        return self._next - AHEAD if self._next - AHEAD > now else None

    def throttled(self, written: float, now: float) -> bool:
        """The centre refused, as too fast, what was written at `written`. Returns whether that changed anything."""
        if written <= self._throttled_at:
            return False
        self._throttled_at = now
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._streak, 16))
        self.paused_until = now + pause * (0.75 + self._random.random() / 2)
        self._streak += 1
        if now >= self._cut_at + _WINDOW:
            self._cut(now)
        self._next = max(self._next, self.paused_until)
        return True

    def _cut(self, now: float) -> None:
        reached = self.rate if self.rate is not None else self._measured(now)
        self._peak = max(self._peak, reached)
        floor = max(_LEAST, _FLOOR * (self.ceiling or self._peak))
        self.rate = max(min(floor, reached), reached * _DECREASE)
        self._step = reached * _INCREASE
        self._cut_at = self._grown_at = now

    def accepted(self, written: float, now: float) -> None:
        """The centre took something written at `written`."""
        if written <= self._throttled_at or self.rate is None:
            return
        self._streak = max(0, self._streak - 1)
        if self.rate == self.ceiling:
            return
        # Only time in which something went through counts: an idle second proves nothing.
        self.rate += self._step * min(now - max(self._grown_at, self.paused_until), 1.0)
        self._grown_at = now
        if self.ceiling is not None and self.rate >= self.ceiling:
            self.rate = self.ceiling

    def is_throttled(self, now: float) -> bool:
        """Whether the route pauses, or was throttled a moment ago."""
        return now < max(self.paused_until, self._throttled_at + _MEMORY)

    def calm_at(self) -> float:
        """When `is_throttled` will be over, if nothing else happens."""
        return max(self.paused_until, self._throttled_at + _MEMORY)

    def _measured(self, now: float) -> float:
        written = sum(count for when, count in self._written if when >= now - _WINDOW)
        self._written.clear()
        return max(written / _WINDOW, _LEAST)
