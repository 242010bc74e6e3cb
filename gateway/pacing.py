"""How often an account is told: caps, a filter's own limit, quiet hours, bursts. Pure: decisions on values in hand.

A notice is said at once, or waits for a better moment, or is dropped because its owner said so. What waits is told
together: in one summary, as soon as that may be. An hour is sixty minutes and a day 24 hours, counted back from now, so
that no change of clocks makes either longer; quiet hours go by the clock on the wall in the account's zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from filters.filter import MaxPer, Quiet
from gateway import quiet_hours

#: The account itself among those that are counted; filters have their own numbers.
ACCOUNT = 0

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: A mail that comes so soon after another was told of waits as long, to see whether more follow; they never wait longer
#: than the second.
GAP, PATIENCE = timedelta(seconds=3), timedelta(seconds=10)
#: So many mails that were gathered are a storm: they are told in one summary, once it has been calm for so long, or
#: after so long at most.
STORM = 20
CALM, STORM_PATIENCE = timedelta(seconds=10), timedelta(minutes=5)
#: What cannot be paid is tried again so often, and for so long.
RETRY, UNPAID = timedelta(hours=1), timedelta(days=1)


class State(StrEnum):
    """How a notice stands."""

    SENT = "sent"  # its own text was said
    DIGESTED = "digested"  # it was counted in a summary
    DROPPED = "dropped"  # its owner's rule says so
    FAILED = "failed"  # nobody could be reached
    HELD = "held"  # for the end of quiet hours
    GATHERED = "gathered"  # to see whether more follow
    CAPPED = "capped"  # the account has had enough for the hour, or the day
    LIMITED = "limited"  # the filter has
    UNPAID = "unpaid"  # there is no credit


WAITING = frozenset({State.HELD, State.GATHERED, State.CAPPED, State.LIMITED, State.UNPAID})


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for all notices of an account."""

    zone: ZoneInfo
    cap_hour: int = 5
    cap_day: int = 20
    quiet: Quiet | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What a filter says of its own notices; `filter` is its number."""

    filter: int
    max_per: MaxPer | None = None
    quiet: Quiet | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a notice: said at once where it is SENT; `due` is when one that waits is looked at again."""

    state: State
    due: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Burst:
    """Mails that are gathered: since when, until when, how many."""

    since: datetime
    last: datetime
    mails: int = 1

    def joined(self, now: datetime) -> Burst:
        """With one more."""
        return Burst(self.since, max(self.last, now), self.mails + 1)

    @property
    def due(self) -> datetime:
        """When they are told of, should no more come."""
        if self.mails < STORM:
            return min(self.last + GAP, self.since + PATIENCE)
        return min(self.last + CALM, self.since + STORM_PATIENCE)


class Spoken:
    """When an account, and each of its filters, was heard of: what there was, and what was added since."""

    def __init__(self, earlier: Callable[[int, int], datetime | None]) -> None:
        """`earlier(filter, n)` is the n-th latest time there was before, None where there were fewer; n is from 1."""
        self._earlier = earlier
        self._known: dict[tuple[int, int], datetime | None] = {}
        self.added: dict[int, list[datetime]] = {}

    def latest(self, of: int, n: int = 1) -> datetime | None:
        """The n-th latest time."""
        added = self.added.get(of, [])
        if n <= len(added):
            return added[-n]
        key = (of, n - len(added))
        if key not in self._known:
            self._known[key] = self._earlier(*key)
        return self._known[key]

    def add(self, of: int, at: datetime) -> None:
        """Once more."""
        self.added.setdefault(of, []).append(at)

    def free(self, of: int, count: int, window: timedelta, now: datetime) -> datetime | None:
        """When there is room for one more, at most `count` in any `window`; None for now."""
        oldest = self.latest(of, count)
        return oldest + window if oldest is not None and oldest + window > now else None


@dataclass(slots=True)
class Standing:
    """How an account stands when something is decided: changed by every decision.

    `capped` says that something waits for its caps already, `limited` are filters of which something waits for their
    own limit: what comes later must not overtake it. `broke` says that credit was missing when last something was said.
    """

    spoken: Spoken
    burst: Burst | None = None
    capped: bool = False
    broke: bool = False
    limited: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that waits; `mail` tells one mail from another."""

    id: int
    mail: bytes
    pace: Pace
    state: State
    since: datetime
    due: datetime | None


@dataclass(slots=True)
class Release:
    """What is said now of what has waited: `alone` by their own texts, in their order, `together` in one summary.

    `moved` are those for which something else was decided. `due` is when to look again, None for never.
    """

    alone: list[Waiting] = field(default_factory=list)
    together: list[Waiting] = field(default_factory=list)
    moved: list[tuple[Waiting, Ruling]] = field(default_factory=list)
    due: datetime | None = None


# A mail comes ---------------------------------------------------------------------------------------------------------


def arrive(standing: Standing, limits: Limits, paces: Sequence[Pace], now: datetime) -> list[Ruling]:
    """What becomes of the notices that one mail has made, in their order."""
    coming = Coming(standing, limits, now)
    rulings = [coming.rule(pace) for pace in paces]
    due = coming.gather() if any(one.state is State.GATHERED for one in rulings) else None
    return [replace(one, due=due) if one.state is State.GATHERED else one for one in rulings]


class Coming:
    """One mail, whose notices are ruled one after the other; they do not keep each other waiting."""

    def __init__(self, standing: Standing, limits: Limits, now: datetime) -> None:
        self._standing = standing
        self._limits = limits
        self._now = now
        last = standing.spoken.latest(ACCOUNT)
        self._soon = standing.burst is not None or (last is not None and now - last < GAP)

    def rule(self, pace: Pace) -> Ruling:
        """What becomes of one notice; if it is gathered, `gather` says until when."""
        return _rule(self._standing, self._limits, pace, self._now, soon=self._soon)

    def gather(self) -> datetime:
        """The mail is one more of those that come in quick succession; when they are looked at."""
        burst = self._standing.burst
        joined = burst.joined(self._now) if burst is not None else Burst(self._now, self._now)
        self._standing.burst = joined
        return joined.due


def _rule(standing: Standing, limits: Limits, pace: Pace, now: datetime, *, soon: bool) -> Ruling:
    """One notice: the owner's own rules first, then the account's caps, then whether more follow."""
    held = _hush(limits, pace, now) or _own_limit(standing, pace, now) or _capped(standing, limits, now)
    if held is not None:
        return held
    if soon:
        return Ruling(State.GATHERED, None, "others have just come: told together, should many follow")
    _say(standing, [pace], now)
    return Ruling(State.SENT)


def _hush(limits: Limits, pace: Pace, now: datetime) -> Ruling | None:
    """What quiet hours say: the filter's own, else the account's."""
    quiet = pace.quiet or limits.quiet
    end = quiet_hours.until(quiet, now, limits.zone) if quiet is not None else None
    if quiet is None or end is None:
        return None
    if quiet.then == "drop":
        return Ruling(State.DROPPED, None, f"it is quiet from {quiet_hours.write(quiet)}")
    return Ruling(State.HELD, end, f"it is quiet from {quiet_hours.write(quiet)}")


def _own_limit(standing: Standing, pace: Pace, now: datetime) -> Ruling | None:
    """What the filter's `max_per` says."""
    limit = pace.max_per
    if limit is None:
        return None
    free = standing.spoken.free(pace.filter, limit.count, limit.window, now)
    why = f"the filter allows {limit.count} in {_length(limit.window)}"
    if free is not None and limit.then == "drop":
        return Ruling(State.DROPPED, None, why)
    if free is None and pace.filter not in standing.limited:
        return None
    standing.limited.add(pace.filter)
    return Ruling(State.LIMITED, free or now, why)


def _capped(standing: Standing, limits: Limits, now: datetime) -> Ruling | None:
    """What the account's caps say."""
    if not limits.cap_hour or not limits.cap_day:
        return Ruling(State.DROPPED, None, "the account's caps allow no notice at all")
    free, why = _room(standing, limits, now)
    if free is None and not standing.capped:
        return None
    standing.capped = True
    return Ruling(State.CAPPED, free or now, why)


def _room(standing: Standing, limits: Limits, now: datetime) -> tuple[datetime | None, str]:
    """When the account's caps allow one more, None for now, and which of them does not before."""
    hour = standing.spoken.free(ACCOUNT, limits.cap_hour, HOUR, now)
    day = standing.spoken.free(ACCOUNT, limits.cap_day, DAY, now)
    if day is not None and (hour is None or day >= hour):
        return day, f"the account allows {limits.cap_day} notices in 24 hours"
    return hour, f"the account allows {limits.cap_hour} notices an hour"


def _say(standing: Standing, paces: Iterable[Pace], now: datetime) -> None:
    """Count one SMS, of these filters."""
    standing.spoken.add(ACCOUNT, now)
    for number in sorted({pace.filter for pace in paces if pace.max_per is not None}):
        standing.spoken.add(number, now)


def _length(window: timedelta) -> str:
    minutes = window / timedelta(minutes=1)
    return f"{minutes:g} minutes" if minutes < 120 else f"{minutes / 60:g} hours"


# What has waited ------------------------------------------------------------------------------------------------------


def release(standing: Standing, limits: Limits, waiting: Sequence[Waiting], now: datetime) -> Release:
    """What is said now of what waits. `waiting` is all of it, oldest first."""
    done = Release()
    ready = _ready(standing, waiting, now)
    if standing.burst is not None and standing.burst.due <= now:
        standing.burst = None
    standing.capped = standing.capped and not any(one.state is State.CAPPED for one in ready)
    standing.limited -= {one.pace.filter for one in ready if one.state is State.LIMITED}
    few = all(one.state is State.GATHERED for one in ready) and len({one.mail for one in ready}) < STORM
    for one, ruling in _each(standing, limits, ready, now) if few else _all(standing, limits, ready, now):
        if ruling.state is State.SENT:
            done.alone.append(one)
        elif ruling.state is State.DIGESTED:
            done.together.append(one)
        else:
            done.moved.append((one, ruling))
    looked = {one.id for one in ready}
    rest = [one for one in waiting if one.id not in looked]
    done.due = min(
        [*_dues(standing, rest), *(ruling.due for _, ruling in done.moved if ruling.due is not None)], default=None
    )
    return done


def _ready(standing: Standing, waiting: Sequence[Waiting], now: datetime) -> list[Waiting]:
    """What may be said now, as far as it was known; what waits for the same thing goes together."""
    burst = standing.burst
    ripe = burst is None or burst.due <= now
    due = [one for one in waiting if one.state is not State.GATHERED and (one.due is None or one.due <= now)]
    capped = any(one.state is State.CAPPED for one in due)
    limited = {one.pace.filter for one in due if one.state is State.LIMITED}
    ready = {one.id for one in due}
    for one in waiting:
        if (
            (ripe and one.state is State.GATHERED)
            or (capped and one.state is State.CAPPED)
            or (one.state is State.UNPAID and not standing.broke)
            or (one.state is State.LIMITED and one.pace.filter in limited)
        ):
            ready.add(one.id)
    return [one for one in waiting if one.id in ready]


def next_look(standing: Standing, waiting: Iterable[Waiting]) -> datetime | None:
    """When the first of these is to be looked at again."""
    return min(_dues(standing, waiting), default=None)


def _dues(standing: Standing, waiting: Iterable[Waiting]) -> Iterator[datetime]:
    """When each of these is to be looked at again."""
    for one in waiting:
        due = standing.burst.due if one.state is State.GATHERED and standing.burst is not None else one.due
        if due is not None:
            yield due


def _each(
    standing: Standing, limits: Limits, ready: Sequence[Waiting], now: datetime
) -> Iterator[tuple[Waiting, Ruling]]:
    """A few mails that came close together are told one by one, as far as the caps allow."""
    for one in ready:
        yield one, _hold(_rule(standing, limits, one.pace, now, soon=False), one, limits, now)


def _all(
    standing: Standing, limits: Limits, ready: Sequence[Waiting], now: datetime
) -> Iterator[tuple[Waiting, Ruling]]:
    """Everything else is told in one summary, as soon as the caps allow one more."""
    told: list[Waiting] = []
    for one in ready:
        ruling = _hush(limits, one.pace, now) or _own_limit(standing, one.pace, now)
        if ruling is None:
            told.append(one)
        else:
            yield one, _hold(ruling, one, limits, now)
    capped = _capped(standing, limits, now) if told else None
    if capped is None and told:
        _say(standing, [one.pace for one in told], now)
    alone = len(told) == 1
    for one in told:
        yield one, capped or Ruling(State.SENT if alone else State.DIGESTED)


def _hold(ruling: Ruling, one: Waiting, limits: Limits, now: datetime) -> Ruling:
    """What came before quiet hours that drop is not of their time: it waits for their end."""
    quiet = one.pace.quiet or limits.quiet
    if ruling.state is State.DROPPED and quiet is not None and quiet.then == "drop":
        end = quiet_hours.until(quiet, now, limits.zone)
        if end is not None:
            return Ruling(State.HELD, end, ruling.why)
    return ruling
