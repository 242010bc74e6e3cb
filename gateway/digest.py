"""The summary of mails that were not told one by one: how many, since when, from whom. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

#: So few are told by their own lines, where these fit.
_FEW = 4


@dataclass(frozen=True, slots=True)
class Told:
    """A mail in a summary: when it came, who sent it, and the line a notice of its own would have said."""

    mail: bytes
    at: datetime
    sender: str
    line: str = ""


def compose(notices: Sequence[Told], *, zone: ZoneInfo, now: datetime, more: bool, fits: Callable[[str], bool]) -> str:
    """The text of a summary: `12 more mails since 14:02: 5 from Jean, 3 from cron@example.org, 4 from others`.

    A mail that made several notices counts once. `more` says that some were told of before. `fits` tells whether a text
    is short enough; what does not fit is left to the numbers. Nothing is left out of the count.
    """
    mails = _mails(notices)
    count = len(mails)
    head = f"{count:,}{' more' if more else ''} mail{'s' if count != 1 else ''}"
    if mails:
        head += f" since {_when(mails[0].at, zone, now)}"
    if count <= _FEW:
        lines = head + ": " + "; ".join(" ".join(one.line.split()) or one.sender for one in mails)
        if fits(lines):
            return lines
    return _by_sender(head, Counter(" ".join(one.sender.split()) or "nobody" for one in mails), fits)


def _mails(notices: Sequence[Told]) -> list[Told]:
    """Each mail once, as it was first told of, in the order of their coming."""
    found: dict[bytes, Told] = {}
    for one in sorted(notices, key=lambda one: one.at):
        found.setdefault(one.mail, one)
    return list(found.values())


def _by_sender(head: str, senders: Counter[str], fits: Callable[[str], bool]) -> str:
    """As many senders by name as fit, the most frequent first."""
    ranked = sorted(senders.items(), key=lambda one: (-one[1], one[0]))
    if len(ranked) == 1 and fits(f"{head} from {ranked[0][0]}"):
        return f"{head} from {ranked[0][0]}"
    best = head
    for shown in range(1, len(ranked) + 1):
        rest = sum(count for _, count in ranked[shown:])
        named = [f"{count} from {sender}" for sender, count in ranked[:shown]]
        text = f"{head}: " + ", ".join([*named, f"{rest} from others"] if rest else named)
        if not fits(text):
            break
        best = text
    return best


def _when(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """The time on the wall; with its day where that is not today's."""
    then, today = at.astimezone(zone), now.astimezone(zone).date()
    if then.date() == today:
        return f"{then:%H:%M}"
    return f"{then:%H:%M} yesterday" if (today - then.date()).days == 1 else f"{then:%d/%m %H:%M}"


def letter(notices: Sequence[Told], *, zone: ZoneInfo, now: datetime, more: bool, lines: int) -> str:
    """The same as an e-mail has room for it: the summary, then a line for each mail, `lines` of them at most."""
    head = compose(notices, zone=zone, now=now, more=more, fits=lambda said: True)
    mails = _mails(notices)
    listed = [f"{_when(one.at, zone, now)}  {' '.join(one.line.split()) or one.sender}" for one in mails[:lines]]
    if len(mails) > lines:
        listed.append(f"and {len(mails) - lines:,} more")
    return "\n".join([head, "", *listed])
