"""ISO 8601 durations, as the configuration, filters, the command line and the API write them: `P1Y`, `P1D`, `PT5M`."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_ISO = re.compile(
    r"P(?=[0-9]|T[0-9])(?:([0-9]{1,9})Y)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:[.,][0-9]{1,6})?)S)?)?"
)
_ADVICE = "write a duration as in ISO 8601, such as PT5M (five minutes), PT1H or P1D"


@dataclass(frozen=True, slots=True)
class Duration:
    """A stretch of time: whole calendar months (a year is 12), and what has a fixed length."""

    months: int = 0
    fixed: timedelta = timedelta()

    def before(self, instant: datetime) -> datetime:
        """The instant this long before another; a day the month does not have becomes its last."""
        return _months_away(instant, -self.months) - self.fixed

    def after(self, instant: datetime) -> datetime:
        """The instant this long after another."""
        return _months_away(instant, self.months) + self.fixed

    def __bool__(self) -> bool:
        return bool(self.months or self.fixed)

    def __str__(self) -> str:
        years, months = divmod(self.months, 12)
        days, seconds = self.fixed.days, self.fixed.seconds
        hours, minutes = seconds // 3600, seconds // 60 % 60
        rest = f"{seconds % 60 + self.fixed.microseconds / 1_000_000:f}".rstrip("0").rstrip(".")
        date = "".join(f"{n}{unit}" for n, unit in ((years, "Y"), (months, "M"), (days, "D")) if n)
        time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if n not in (0, "0"))
        return "P" + date + ("T" + time if time else "") if date or time else "PT0S"


def parse(text: str) -> Duration:
    """The duration a text says; `ValueError` with what to write instead. Only seconds may have decimals."""
    found = _ISO.fullmatch(text.strip().upper())
    if found is None:
        raise ValueError(_ADVICE)
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[:6])
    seconds = float((found[7] or "0").replace(",", "."))
    try:
        fixed = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        return Duration(years * 12 + months, fixed)
    except OverflowError:
        raise ValueError("this is longer than can be counted") from None


def parse_fixed(text: str) -> timedelta:
    """The same, for what is measured by a clock: years and months, which differ in length, are refused."""
    duration = parse(text)
    if duration.months:
        raise ValueError("years and months differ in length: write it in days, such as P30D")
    return duration.fixed


def _months_away(instant: datetime, months: int) -> datetime:
    years, month = divmod(instant.year * 12 + instant.month - 1 + months, 12)
    last = calendar.monthrange(years, month + 1)[1]
    return instant.replace(year=years, month=month + 1, day=min(instant.day, last))
