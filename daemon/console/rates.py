"""How many requests an account may make: a token bucket each, in bounded memory. Pure: `now` is passed in."""

from __future__ import annotations

from collections import OrderedDict

#: Accounts remembered; the one that was quiet longest is forgotten first, and its bucket is full by then.
_MOST = 10_000


class Rates:
    """The buckets of all accounts; `now` is seconds of any clock that only goes forward.

    A bucket holds what may come in one second, at least one request.
    """

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()

    def wait(self, account: int, rate: float, now: float) -> float:
        """Take one request out of the bucket: 0 where it may go on, else how many seconds until one may."""
        full = max(rate, 1.0)
        level, at = self._buckets.get(account, (full, now))
        level = min(full, level + (now - at) * rate)
        allowed = level >= 1.0
        self._buckets[account] = (level - 1.0 if allowed else level, now)
        self._buckets.move_to_end(account)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - level) / rate
