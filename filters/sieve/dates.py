"""Tests of dates: date and currentdate (RFC 5260)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from email.utils import parsedate_tz

from filters.sieve.fields import indexed
from filters.sieve.machine import Machine
from filters.sieve.program import Call

_OFFSET = re.compile(r"([+-])([0-9]{2})([0-9]{2})\Z")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: The day before the first of the modified Julian calendar, as Python counts days.
_JULIAN = datetime(1858, 11, 17, tzinfo=UTC).toordinal()


def date(machine: Machine, call: Call) -> bool:
    """Whether a part of the date in the first field of a name, or the one :index names, fits a key (section 4)."""
    name, part = machine.text(call.given[0]), machine.text(call.given[1]).lower()
    written = indexed(call, list(machine.message.top.header(name.lower())))
    moment = parsed(written[0]) if written else None
    value = None if moment is None else _extract(part, _moved(machine, call, moment))
    return machine.compare(call, f"date:{name}:{part}", () if value is None else (value,))


def currentdate(machine: Machine, call: Call) -> bool:
    """Whether a part of the time it is fits a key."""
    part = machine.text(call.given[0]).lower()
    value = _extract(part, _moved(machine, call, machine.context.now))
    return machine.compare(call, f"currentdate:{part}", () if value is None else (value,))


def parsed(value: str) -> datetime | None:
    """The date-time of a field (RFC 5322 section 3.3), in Received after the last semicolon; None for none."""
    try:
        read = parsedate_tz(value.rpartition(";")[2][:200])
        if read is None:
            return None
        zone = timezone(timedelta(seconds=read[9] or 0))
        return datetime(*read[:5], min(read[5], 59), tzinfo=zone)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _moved(machine: Machine, call: Call, moment: datetime) -> datetime:
    """The moment in the zone that the test names, in its own, or in the account's."""
    zone: tzinfo | None = machine.context.now.tzinfo
    if "originalzone" in call.tags:
        return moment
    if "zone" in call.tags:
        found = _OFFSET.match(machine.text(call.tags["zone"]))
        if found is not None:
            offset = timedelta(hours=int(found[2]) % 24, minutes=int(found[3]) % 60)
            zone = timezone(-offset if found[1] == "-" else offset)
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError):
        return moment


def _offset(moment: datetime, colon: str = "") -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{colon}{rest:02d}"


def _iso8601(moment: datetime) -> str:
    zone = _offset(moment, ":") if moment.utcoffset() else "Z"
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}{zone}"


def _std11(moment: datetime) -> str:
    """RFC 5322's form, whatever the locale."""
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year:04d} {moment:%H:%M:%S} {_offset(moment)}"


#: RFC 5260 section 4.2.
PARTS: dict[str, Callable[[datetime], str]] = {
    "year": lambda moment: f"{moment.year:04d}",
    "month": lambda moment: f"{moment.month:02d}",
    "day": lambda moment: f"{moment.day:02d}",
    "date": lambda moment: f"{moment.year:04d}-{moment:%m-%d}",
    "julian": lambda moment: str(moment.toordinal() - _JULIAN),
    "hour": lambda moment: f"{moment.hour:02d}",
    "minute": lambda moment: f"{moment.minute:02d}",
    "second": lambda moment: f"{moment.second:02d}",
    "time": lambda moment: f"{moment:%H:%M:%S}",
    "iso8601": _iso8601,
    "std11": _std11,
    "zone": _offset,
    "weekday": lambda moment: str(moment.isoweekday() % 7),
}


def _extract(part: str, moment: datetime) -> str | None:
    extract = PARTS.get(part)
    return None if extract is None else extract(moment)
