"""At which rate a centre that throttles is best asked: multiplicative decrease, additive increase, and a look back.

The first throttle halves the rate (as TCP does, RFC 5681). From then on rounds are counted: what was written within
`_ROUND` seconds, how much of it the centre took, and how much it refused as too fast. A round's answers are those to
what was written in it, so however long the way is, no round is judged by what was sent before the last change.

- A round without refusals, or hardly any: the rate grows by a twentieth of where it was cut last, if that much was
  sent at all; after some of them by more and more.
- A round with refusals: the rate becomes what the centre took a second in it, at the least half of what it was. A
  centre that takes so many a second and no more is met at once, and then probed from just below.
- Unless slowing down does not help: again and again the same share was refused, and of the less that was sent
  correspondingly less was taken. Then the centre refuses by chance, by number, by load of its own: the rate goes back
  to where it was before, and that share is tolerated. Only what exceeds it counts as being too fast.

The share tolerated follows what is refused, is put on trial again now and then, and is forgotten when refusals end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_DECREASE = 0.5
#: A round without refusals adds this share of the rate at which we were throttled; after so many of them, ever more.
_INCREASE = 0.05
_CAREFUL, _BOLDER = 4, 1.3
#: Seconds of writing that are judged together, and the answers without which nothing is judged.
_ROUND, _ENOUGH = 1.0, 30
#: Slowing down has not helped where this much of the share refused is left, and taken fell with sent.
_STILL = 0.7
#: So many rounds in a row have to say so: one may lie askew over the seconds of a centre that counts.
_SURE = 2
#: How unlikely a row of refusals has to be before it is more than chance.
_CHANCE = 1e-4
#: A share up to this, or a single refusal, is noise of the probing.
_NOISE = 0.03
#: Rounds after which a tolerated share is put on trial again; and rounds without refusals after which all is over.
_TRIAL, _OVER = 60, 60


@dataclass(frozen=True, slots=True)
class _Round:
    """What a judged round was: its seconds, the answers, and how many of them accepted."""

    span: float
    count: int
    taken: int

    @property
    def share(self) -> float:
        """The share refused."""
        return 1 - self.taken / self.count

    def shows_that_slower_is_no_better_than(self, before: _Round) -> bool:
        """Whether the same share was refused as before, and of the less that was sent less was taken, beyond chance."""
        slower = (self.count / self.span) / (before.count / before.span)
        as_before = before.taken / before.span * self.span
        less = self.taken < as_before * (1 + slower) / 2 and self.taken < as_before - 2 * math.sqrt(as_before)
        return slower < 0.9 and less and self.share >= _STILL * before.share


class Level:
    """The search for one route's rate, from its first throttle until nothing is refused any more."""

    def __init__(self, reached: float, floor: float, ceiling: float | None, now: float) -> None:
        self._floor = floor
        self._ceiling = ceiling
        self._origin = reached  # where it was before the cuts that are on trial
        self._before: _Round | None = None  # the round that was cut first
        self._useless = 0  # rounds in a row that showed that going slower does not help
        self._calm = self._good = self._tolerated = 0  # rounds in a row: without refusals, not too fast, with a share
        self.tolerance = 0.0
        self.rate = max(floor, reached * _DECREASE)
        self._step = reached * _INCREASE
        self._began = self._latest = now  # the round: when it began, what was written last, its answers
        self._taken = self._count = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing was refused for so long that there is nothing to look for."""
        return self._calm >= _OVER and (self._ceiling is None or self.rate == self._ceiling)

    def scale(self, factor: float) -> None:
        """The route's rate, and all that was learnt in it, changed by this."""
        for name in ("rate", "_step", "_floor", "_origin"):
            setattr(self, name, getattr(self, name) * factor)
        if self._ceiling is not None:
            self._ceiling *= factor
        self._before = None

    def expects(self, row: int) -> bool:
        """Whether so many refusals without a success between them are what the tolerated share brings."""
        return self.tolerance > 0.0 and self.tolerance**row > _CHANCE

    def answered(self, written: float, now: float, *, accepted: bool) -> None:
        """One answer to what was written at `written`."""
        if written < self._began:
            return
        self._taken += accepted
        self._count += 1
        self._latest = max(self._latest, written)
        if self._count >= _ENOUGH and self._latest - self._began >= _ROUND:
            said = _Round(self._latest - self._began, self._count, self._taken)
            self._judge(said)
            self._began = self._latest = now
            self._taken = self._count = 0

    def _judge(self, said: _Round) -> None:
        spread = 2 * math.sqrt(self.tolerance * (1 - self.tolerance) / said.count)
        if said.share <= max(self.tolerance + spread, _NOISE) or said.count - said.taken < 2:
            self._grow(said)
        else:
            self._slow(said)

    def _grow(self, said: _Round) -> None:
        self._before, self._useless = None, 0
        self._calm = self._calm + 1 if said.taken == said.count else 0
        if said.count >= 0.7 * self.rate * said.span:  # an idle round proves nothing
            self._good += 1
            if self._good > _CAREFUL:
                self._step *= _BOLDER
            self.rate = min(self.rate + self._step, self._ceiling or math.inf)
        self._origin = self.rate
        if self.tolerance:  # follow what is refused now
            self._tolerated += 1
            self.tolerance += (said.share - self.tolerance) / 4
            if self.tolerance < _NOISE or self._tolerated > _TRIAL:
                self.tolerance = 0.0

    def _slow(self, said: _Round) -> None:
        self._calm = self._good = 0
        if self._before is not None:
            self._useless = self._useless + 1 if said.shows_that_slower_is_no_better_than(self._before) else 0
        if self._before is not None and self._useless >= _SURE:
            self._useless = 0
            self.tolerance = max(said.share, self._before.share)
            self.rate, self._before, self._tolerated = self._origin, None, 0
            return
        self._step = self.rate * _INCREASE
        sent = min(self.rate, 1.05 * said.count / said.span)  # a slot or two lie on the edges of a round
        level = min(self.rate, sent * (1 - said.share) / (1 - self.tolerance))
        self.rate = max(self._floor, self.rate * _DECREASE, level)
        self._before = self._before or said
