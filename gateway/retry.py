"""When to try again: pure functions of now, the number of tries, and a jitter that is passed in."""

from __future__ import annotations

from datetime import datetime, timedelta

#: The first wait after a transient failure, and the longest, in seconds.
FIRST = 5.0
LONGEST = 600.0


def next_attempt(now: datetime, attempts: int, jitter: float) -> datetime:
    """When a segment that failed for now `attempts` times (from 1) is tried again.

    Doubles from `FIRST` to `LONGEST`; `jitter`, from 0 to 1, adds up to a fifth so that many do not come back at once.
    """
    wait = min(FIRST * 2 ** min(attempts - 1, 20), LONGEST)
    return now + timedelta(seconds=wait * (1 + jitter / 5))
