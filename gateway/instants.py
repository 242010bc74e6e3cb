"""Instants as people and programs write them: RFC 3339 in UTC out, local time of a zone in."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.failure import RefusedError


def write(instant: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds: `2026-05-01T12:00:00.000Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_or_none(instant: datetime | None) -> str | None:
    """The same, None for none."""
    return None if instant is None else write(instant)


def read(text: str, zone: ZoneInfo | None = None) -> datetime:
    """An instant from RFC 3339, or from a local date and time where no offset is written; in UTC.

    Local is in `zone`, None for this machine's. A day alone is its first moment; a time that the clocks pass twice is
    the first of the two. `RefusedError` says how to write what cannot be read, or that the clocks skip the time.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise RefusedError(
            f"{text!r} is no time: write it as 2026-05-01T14:30 or, with an offset, 2026-05-01T14:30:00+02:00"
        ) from None
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    instant = found.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != found:
        where = zone.key if zone is not None else "this machine's time zone"
        raise RefusedError(f"{text} does not exist in {where}: the clocks are put forward over it")
    return instant
