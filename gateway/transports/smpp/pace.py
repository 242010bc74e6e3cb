"""How fast one route may go: its rate, and what it learns from being told to be slower. No I/O, no clock of its own.

Without throttling. A route with a rate has slots, `1 / rate` seconds apart. A slot that was not used is gone, but for
`_SLACK` seconds, which make up for a clock that ticks late; so in any T seconds no more than `rate * (T + _SLACK) + 1`
segments go. `room` counts the slots of the next `AHEAD` seconds: what is taken now waits no longer than that.

When the SMS centre throttles, the whole route pauses and goes on slower; `level.py` says how fast. The refusals of
everything sent before a pause say the same thing once more and cause no other. Each refusal in a row makes the next
pause longer, one success ends the row: where even the slowest rate is too fast, the pauses find the level. A centre
that refuses a share of everything, however slowly it is asked, is not waited for: its refusals are only tried again.
A route without a rate gets one by its first throttle: half of what it wrote in the last second.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from gateway.transports.smpp.level import Level

if TYPE_CHECKING:
    from random import Random

#: Seconds of sending that may be taken in advance (DESIGN, one mail's journey, step 6).
AHEAD = 0.2
_SLACK = 0.02
#: Slots are looked at no oftener than this, so that several PDUs go in one write.
_TICK = 0.01

#: The rate never falls below this share of the rate asked for, nor below `_LEAST` a second.
_FLOOR = 0.1
_LEAST = 2.0

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
#: While the level is looked for, so many refusals in a row are more than what is between two successes.
_ROW = 3
#: How long after the last throttle a route is still called throttled.
_MEMORY = 5.0
#: The seconds over which the rate of a route without one is measured, and the least of them that tells anything.
_WINDOW, _GLIMPSE = 1.0, 0.05


class Pace:
    """The pace of one route over all its connections. `now` is seconds of a steady clock."""

    def __init__(self, rate: float | None, random: Random) -> None:
        self.ceiling = rate
        self.rate = rate
        self.paused_until = -math.inf
        #: How the rate is found; None while nothing says that the route is too fast.
        self.level: Level | None = None
        self._random = random
        self._next = -math.inf  # when the next slot comes
        self._paused_at = -math.inf
        self._throttled_at = -math.inf
        self._refused_last = -math.inf  # when that was written for which the route paused last
        self._row = 0  # refusals since something was accepted
        self._streak = 0  # pauses since then
        self._written: deque[tuple[float, int]] = deque()  # when, and how many, in the last `_WINDOW`; without a rate

    def resize(self, rate: float | None) -> None:
        """Another limit; what throttling left of the old one keeps its proportion."""
        if rate == self.ceiling:
            return
        if rate is None or self.rate is None or self.ceiling is None:
            self.rate, self.level = rate, None
        else:
            self.rate *= rate / self.ceiling
            if self.level is not None:
                self.level.scale(rate / self.ceiling)
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
        """The centre refused, as too fast, what was written at `written`. Whether the route pauses for it."""
        self._throttled_at = now
        searching = self.level is not None
        if searching:
            self._learn(written, now, accepted=False)
        else:
            self._first(now)
        if written <= self._paused_at:
            return False
        self._row += 1
        if searching and (self._row < _ROW or (self.level is not None and self.level.expects(self._row))):
            return False
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._streak, 16))
        self._streak += 1
        self._refused_last = written
        self._paused_at = now
        self.paused_until = now + pause * (0.75 + self._random.random() / 2)
        self._next = max(self._next, self.paused_until)
        return True

    def accepted(self, written: float, now: float) -> None:
        """The centre took what was written at `written`. Needs to be told only while there is a `level`."""
        if self.level is None:
            return
        if written >= self._refused_last:
            self._streak = self._row = 0
        self._learn(written, now, accepted=True)

    def _first(self, now: float) -> None:
        """The first throttle: from here on the level is looked for."""
        reached = self.rate if self.rate is not None else self._measured(now)
        floor = min(reached, max(_LEAST, _FLOOR * (self.ceiling or 0.0)))
        self.level = Level(reached, floor, self.ceiling, now)
        self.rate = self.level.rate

    def _learn(self, written: float, now: float, *, accepted: bool) -> None:
        assert self.level is not None
        self.level.answered(written, now, accepted=accepted)
        self.rate = self.level.rate
        if self.level.is_over:
            self.rate, self.level = self.ceiling, None

    @property
    def refused(self) -> float:
        """The share of what is sent that the centre refuses at any rate; 0 where slowing down has helped."""
        return self.level.tolerance if self.level is not None else 0.0

    def is_throttled(self, now: float) -> bool:
        """Whether the route pauses, or was throttled a moment ago."""
        return now < max(self.paused_until, self._throttled_at + _MEMORY)

    def calm_at(self) -> float:
        """When `is_throttled` will be over, if nothing else happens."""
        return max(self.paused_until, self._throttled_at + _MEMORY)

    def _measured(self, now: float) -> float:
        """How many a second went lately, by no less than `_GLIMPSE` seconds."""
        recent = [(when, count) for when, count in self._written if when >= now - _WINDOW]
        self._written.clear()
        span = max(_GLIMPSE, now - recent[0][0]) if recent else _WINDOW
        return max(sum(count for _, count in recent) / span, _LEAST)
