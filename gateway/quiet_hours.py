"""Quiet hours by the clock on the wall: whether it is quiet now, and when it will not be any more. Pure.

The wall is what counts: where clocks are put back into the quiet hours, it is quiet again; where they are put forward
over their end, they end at that moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from filters.filter import Quiet

_HOURS = re.compile(r"\s*([0-9]{1,2}:[0-9]{2})\s*-\s*([0-9]{1,2}:[0-9]{2})\s*")
_HOUR, _SECOND = timedelta(hours=1), timedelta(seconds=1)
#: Nobody is quiet for longer: clocks that jump over the whole end of it are looked at in another way.
_LONGEST = timedelta(hours=49)


def parse(text: str) -> Quiet:
    """Hours as `account set --quiet` takes them: `22:00-07:00`. ValueError says how to write them."""
    found = _HOURS.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        from_, to = (time.fromisoformat(one.rjust(5, "0")) for one in found.groups())
    except ValueError:
        raise ValueError(f"{text!r} are no hours: write them as 22:00-07:00") from None
    if from_ == to:
        raise ValueError(f"{text} begin when they end: write two different times")
    return Quiet(from_, to)


def write(quiet: Quiet) -> str:
    """The same hours as text."""
    return f"{quiet.from_:%H:%M}-{quiet.to:%H:%M}"


def is_quiet(quiet: Quiet, now: datetime, zone: ZoneInfo) -> bool:
    """Whether the clock on the wall stands in these hours, their first moment included and their last not."""
    wall = now.astimezone(zone).time()
    if quiet.from_ <= quiet.to:
        return quiet.from_ <= wall < quiet.to
    return wall >= quiet.from_ or wall < quiet.to


def until(quiet: Quiet, now: datetime, zone: ZoneInfo) -> datetime | None:
    """The first moment after `now` that is not quiet, in UTC; None where now is not."""
    if not is_quiet(quiet, now, zone):
        return None
    now = now.astimezone(UTC)
    ends = sorted(one for one in (*_ends(quiet, now, zone), *_changes(now, now + _LONGEST, zone)) if one > now)
    return next((one for one in ends if not is_quiet(quiet, one, zone)), now + _LONGEST)


def _ends(quiet: Quiet, now: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """When the wall shows their end, on this day and the next ones."""
    today = now.astimezone(zone).date()
    for days in range(3):
        wall = datetime.combine(today + timedelta(days=days), quiet.to, tzinfo=zone)
        for fold in (0, 1):  # where the clocks are put back, the wall shows it twice
            yield wall.replace(fold=fold).astimezone(UTC)


def _changes(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The moments in between at which the clocks are changed."""
    at = start.replace(microsecond=0)
    while at < end:
        after = at + _HOUR
        if at.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            yield _change(at, after, zone)
        at = after


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second from which the later offset holds."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2 // _SECOND * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
