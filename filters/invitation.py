"""An invitation in one line: what, when, where, and what becomes of it (RFC 5545, RFC 5546)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from filters import charsets

_FOLD = re.compile(r"\n[ \t]")
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,40})((?:;[^:;=\"]{1,60}=(?:\"[^\"]*\"|[^\":;]*))*):(.*)", re.DOTALL)
_PARAMETER = re.compile(r";([^:;=\"]{1,60})=(?:\"([^\"]*)\"|([^\":;]*))")
_ESCAPE = re.compile(r"\\([nN,;\\])")
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?\Z")
#: How many lines of a calendar are read; the first event has said all that counts long before.
_LINES = 5000

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_REPEATS = {"DAILY": "daily", "WEEKLY": "weekly", "MONTHLY": "monthly", "YEARLY": "yearly"}
_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "may come", "DELEGATED": "delegated"}
_WANTED = frozenset(
    {"SUMMARY", "DTSTART", "DUE", "LOCATION", "DESCRIPTION", "RRULE", "STATUS", "ATTENDEE", "COMMENT", "METHOD"}
)

#: What conference services add to a description: from their rule on, and the old heading of Outlook.
_CONFERENCE = re.compile(
    r"(?m)^[ \t]*(?:[_.~:-]{20,}[ \t]*\n(?:.*\n){0,3}.*(?:Teams|Zoom|Webex|Google Meet|Skype|meet[.]google)"
    r"|-::~:~::|Join Zoom Meeting|Microsoft Teams (?:meeting|Need help))",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\A(?:[^\n]*\n){0,12}?\s*(?:\*~){3,}\*?\s*\n")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a calendar of a mail says: `line` for people, `note` the organiser's words, `method` as of RFC 5546."""

    line: str
    note: str
    method: str


@dataclass(slots=True)
class _Property:
    value: str
    parameters: dict[str, str] = field(default_factory=dict)


def read(calendar: str) -> Invitation | None:
    """The first event or task of an iCalendar text, or None where it says nothing. Never raises; time is linear."""
    found = _properties(calendar)
    what, where = (_text(found, name) for name in ("SUMMARY", "LOCATION"))
    start = found.get("DTSTART") or found.get("DUE")
    pieces = [what, _when(start) if start else "", _repeats(found), where]
    line = ", ".join(piece for piece in pieces if piece)
    if not line:
        return None
    method = found["METHOD"].value.strip().upper() if "METHOD" in found else ""
    return Invitation(_outcome(found, method) + line, _note(found), method)


def is_of_a_program(text: str) -> bool:
    """Whether the text beside an invitation only repeats it, with links for answers."""
    return "calendar.google.com/calendar" in text


def _properties(calendar: str) -> dict[str, _Property]:
    """The first of each wanted property, of the calendar itself and of its first event or task."""
    found: dict[str, _Property] = {}
    inside = 0
    for name, parameters, value in _lines(calendar):
        if name == "BEGIN":
            if inside or value.strip().upper() in ("VEVENT", "VTODO"):
                inside += 1
        elif name == "END":
            if inside == 1:
                break
            inside = max(inside - 1, 0)
        elif name in _WANTED and (inside == 1 or name == "METHOD"):
            found.setdefault(name, _Property(value, _parameters(parameters)))
    return found


def _lines(calendar: str) -> Iterator[tuple[str, str, str]]:
    for line in _FOLD.sub("", calendar).split("\n", _LINES)[:_LINES]:
        parsed = _LINE.match(line)
        if parsed:
            yield parsed[1].upper(), parsed[2], parsed[3]


def _parameters(written: str) -> dict[str, str]:
    return {one[1].upper(): one[2] if one[2] is not None else one[3] for one in _PARAMETER.finditer(written)}


def _outcome(found: dict[str, _Property], method: str) -> str:
    """What an invitation is about where it is not simply one: cancelled, or answered, and by whom."""
    status = found["STATUS"].value.strip().upper() if "STATUS" in found else ""
    if method == "CANCEL" or status == "CANCELLED":
        return "Cancelled: "
    if method == "COUNTER":
        return "Other time proposed: "
    attendee = found.get("ATTENDEE")
    if method != "REPLY" or attendee is None:
        return ""
    who = charsets.one_line(attendee.parameters.get("CN", "")) or attendee.value.lower().removeprefix("mailto:")
    answer = _ANSWERS.get(attendee.parameters.get("PARTSTAT", "").upper(), "answered")
    return f"{charsets.one_line(who)} {answer}: "


def _when(start: _Property) -> str:
    """The start in words, as written in the calendar, with the zone where it names one."""
    parts = _STAMP.match(start.value.strip())
    if parts is None:
        return ""
    try:
        day = date(int(parts[1]), int(parts[2]), int(parts[3]))
    except ValueError:
        return ""
    words = f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"
    if parts[4] is None:
        return words
    zone = " UTC" if parts[6] else _zone(start.parameters.get("TZID", ""))
    return f"{words} {parts[4]}:{parts[5]}{zone}"


def _zone(name: str) -> str:
    """The zone's name for people: "Brussels time" for Europe/Brussels, or for an id that ends with that."""
    name = charsets.one_line(name)[:60]
    if not name:
        return ""
    if "/" in name:
        return f" {name.rpartition('/')[2].replace('_', ' ')} time"
    return f" {name}" if name.startswith("(") else f" ({name})"


def _repeats(found: dict[str, _Property]) -> str:
    rule = found["RRULE"].value.upper() if "RRULE" in found else ""
    return next((f"repeats {words}" for name, words in _REPEATS.items() if f"FREQ={name}" in rule), "")


def _note(found: dict[str, _Property]) -> str:
    """The organiser's own words: the description without what programs wrote into it."""
    if "DESCRIPTION" not in found:
        return ""
    said = _ESCAPE.sub(lambda one: "\n" if one[1] in "nN" else one[1], found["DESCRIPTION"].value)
    said = _HEADING.sub("", charsets.many_lines(said))
    conference = _CONFERENCE.search(said)
    return said[: conference.start()] if conference else said


def _text(found: dict[str, _Property], name: str) -> str:
    """A TEXT value on one line (RFC 5545 section 3.3.11)."""
    value = found[name].value if name in found else ""
    return charsets.one_line(_ESCAPE.sub(lambda one: " " if one[1] in "nN" else one[1], value))
