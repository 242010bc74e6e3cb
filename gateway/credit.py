"""Credit: the allotment that lapses, the provision that never does, and the ledger that tells every unit.

An account has a row of provision and a row for each period of its allotment. A period is a calendar month in the
account's zone: it starts at the very instant the one before ended, and is never reopened. Units are reserved at
intake, allotment first; they are charged when the SMS centre has accepted, or returned to where they came from. What
returns to a period that is over lapses at once, and the ledger says both.

The ledger's signed units add up to what is left: grants are positive, reservations negative, returns positive, lapses
negative, and a charge is 0, for its units were taken when they were reserved.

Two things are here: plain decisions on a `Purse` (no database), and the few functions that load and save purses. An
account's provision row is the lock of its credit: it is locked before any of its periods, accounts in rising order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, insert, select, tuple_, update

from gateway.failure import RefusedError
from gateway.store import hot, memory, schema
from gateway.store.schema.base import stamp
from gateway.value import value

#: The most units one grant or purchase may bring; far below what a row can hold.
MOST_UNITS = 1_000_000_000


class NotEnoughError(RefusedError):
    """The account has fewer units than were asked for."""

    def __init__(self, needed: int, left: int, why: str = "") -> None:
        sentence = f"not enough credit: {needed} {_units(needed)} needed, {left} left"
        super().__init__(f"{sentence} ({why})" if why else sentence, smtp="552 5.2.2", http=402)
        self.needed = needed
        self.left = left


@dataclass(slots=True)
class Period:
    """One month of the allotment."""

    starts: datetime
    ends: datetime
    granted: int
    used: int = 0
    reserved: int = 0
    lapsed: int = 0
    new: bool = False
    #: Used, reserved, lapsed, as the row has them.
    written: tuple[int, int, int] | None = None

    @property
    def left(self) -> int:
        """Units that can still be reserved."""
        return self.granted - self.used - self.reserved - self.lapsed

    @property
    def state(self) -> tuple[int, int, int]:
        """What changes."""
        return self.used, self.reserved, self.lapsed


@value
class Entry:
    """One line of the ledger."""

    account: int
    at: datetime
    kind: str
    pot: str
    units: int
    message: int | None
    reason: str


@value
class Reserved:
    """Units taken aside: `allotment` of them from the period that starts at `period`, the rest from the provision."""

    units: int
    allotment: int
    period: datetime | None


@dataclass(slots=True)
class Purse:
    """An account's credit in hand: changed in plain code, saved once."""

    account: int
    zone: ZoneInfo
    monthly: int
    bought: int
    used: int
    reserved: int
    periods: dict[datetime, Period]
    entries: list[Entry] = field(default_factory=list)
    #: Bought, used, reserved and the current period, as the row has them.
    written: tuple[int, int, int, datetime | None] | None = None

    @property
    def provision(self) -> int:
        """Bought units that are left."""
        return self.bought - self.used - self.reserved

    @property
    def current(self) -> Period | None:
        """The newest period."""
        return self.periods[max(self.periods)] if self.periods else None

    @property
    def state(self) -> tuple[int, int, int, datetime | None]:
        """What changes."""
        return self.bought, self.used, self.reserved, max(self.periods, default=None)

    def roll(self, now: datetime) -> None:
        """Close every period that has ended by `now` and open the next, as often as months went by."""
        while self.periods and (last := self.periods[max(self.periods)]).ends <= now:
            if last.left:
                self._note(last.ends, "lapse", "allotment", -last.left, None, "the period ended")
                last.lapsed += last.left
            self._open(last.ends, next_month(last.ends, self.zone))

    def open_first(self, now: datetime) -> None:
        """The first period of a new account: from now to the end of this month."""
        self._open(now, month_end(now, self.zone))

    def _open(self, starts: datetime, ends: datetime) -> None:
        self.periods[starts] = Period(starts, ends, self.monthly, new=True)
        if self.monthly:
            self._note(starts, "grant", "allotment", self.monthly, None, "the period's allotment")

    def left(self, due: datetime) -> int:
        """Units that something due at this instant can draw on."""
        period = self.current
        return self.provision + (period.left if period is not None and due < period.ends else 0)

    def reserve(self, units: int, *, now: datetime, due: datetime, message: int, reason: str) -> Reserved:
        """Take units aside, allotment first; `NotEnoughError`, and nothing taken, where they are not there."""
        period = self.current
        bought = self.bought - self.used - self.reserved
        allotted = period.left if period is not None and due < period.ends else 0
        if units > allotted + bought:
            why = ""
            if period is not None and due >= period.ends and period.left:
                why = f"it is due after this period's end, so the {period.left} units of its allotment do not count"
            raise NotEnoughError(units, allotted + bought, why)
        from_period = min(units, allotted)
        if period is not None and from_period:
            period.reserved += from_period
            self._note(now, "reserve", "allotment", -from_period, message, reason)
        if units > from_period:
            self.reserved += units - from_period
            self._note(now, "reserve", "provision", from_period - units, message, reason)
        return Reserved(units, from_period, period.starts if period is not None and from_period else None)

    def charge(self, part: Reserved, *, now: datetime, message: int, reason: str) -> None:
        """Spend what was reserved."""
        bought = part.units - part.allotment
        if part.allotment:
            period = self._period(part)
            period.reserved -= part.allotment
            period.used += part.allotment
            self._note(now, "charge", "allotment", 0, message, f"{part.allotment} {reason}")
        if bought:
            self.reserved -= bought
            self.used += bought
            self._note(now, "charge", "provision", 0, message, f"{bought} {reason}")

    def give_back(self, part: Reserved, *, now: datetime, message: int, reason: str) -> None:
        """Return what was reserved to where it came from; what came from a period that is over lapses."""
        bought = part.units - part.allotment
        if part.allotment:
            period = self._period(part)
            period.reserved -= part.allotment
            self._note(now, "return", "allotment", part.allotment, message, reason)
            if period is not self.current or period.ends <= now:
                period.lapsed += part.allotment
                self._note(now, "lapse", "allotment", -part.allotment, message, "returned after its period's end")
        if bought:
            self.reserved -= bought
            self._note(now, "return", "provision", bought, message, reason)

    def buy(self, units: int, *, now: datetime, reason: str) -> None:
        """Add units that never lapse."""
        self.bought += units
        self._note(now, "grant", "provision", units, None, reason)

    def _period(self, part: Reserved) -> Period:
        assert part.period is not None
        return self.periods[part.period]

    def _note(self, at: datetime, kind: str, pot: str, units: int, message: int | None, reason: str) -> None:
        self.entries.append(Entry(self.account, at, kind, pot, units, message, reason))


def month_end(now: datetime, zone: ZoneInfo) -> datetime:
    """The first instant of the next calendar month in this zone, in UTC."""
    local = now.astimezone(zone)
    year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
    return datetime(year, month, 1, tzinfo=zone).astimezone(UTC)


def next_month(starts: datetime, zone: ZoneInfo) -> datetime:
    """The end of a period that starts where another ended.

    Where the zone has changed in between, the local month may be about to end, or have just begun: the end is the
    month's end nearest to a month away, never a few hours.
    """
    ends = month_end(starts, zone)
    return ends if ends - starts > timedelta(days=15) else month_end(ends, zone)


def _units(n: int) -> str:
    return "unit" if n == 1 else "units"


# Rows ----------------------------------------------------------------------------------------------------------------

_account, _plan, _provision, _period = schema.account, schema.plan, schema.provision, schema.period

_PURSES = (
    select(_provision, _account.c.zone, _plan.c.monthly)
    .join(_account, _account.c.id == _provision.c.account_id)
    .join(_plan, _plan.c.id == _account.c.plan_id, isouter=True)
    .where(_provision.c.account_id.in_(bindparam("accounts", expanding=True)))
    .order_by(_provision.c.account_id)
)
_LOOK, _LOCK = hot.Statement(_PURSES), hot.Statement(_PURSES.with_for_update(of=_provision))
_PERIODS = hot.Statement(
    select(_period).where(tuple_(_period.c.account_id, _period.c.starts).in_(bindparam("keys", expanding=True)))
)
_SAVE_PROVISION = hot.Statement(
    update(_provision)
    .where(_provision.c.account_id == bindparam("account"))
    .values(bought=bindparam("b"), used=bindparam("u"), reserved=bindparam("r"), current=bindparam("c")),
    order=("b", "u", "r", "c", "account"),
)
_SAVE_PERIOD = hot.Statement(
    update(_period)
    .where(_period.c.account_id == bindparam("account"), _period.c.starts == bindparam("since"))
    .values(used=bindparam("u"), reserved=bindparam("r"), lapsed=bindparam("l")),
    order=("u", "r", "l", "account", "since"),
)
_ADD_PERIOD = hot.insert_into(_period, "account_id", "starts", "ends", "granted", "used", "reserved", "lapsed")
_ADD_ENTRIES = hot.insert_into(schema.ledger, "account_id", "at", "kind", "pot", "units", "message_id", "reason")


def open_account(connection: Connection, account: int, now: datetime) -> None:
    """The credit of a new account: nothing bought, the first period granted by its plan."""
    connection.execute(
        insert(_provision), {"account_id": account, "bought": 0, "used": 0, "reserved": 0, "current": None}
    )
    purses = load(connection, [account], now)
    purses[account].open_first(now)
    save(connection, purses.values())


def load(
    connection: Connection,
    accounts: Iterable[int],
    now: datetime,
    *,
    periods: Iterable[tuple[int, datetime]] = (),
    lock: bool = True,
) -> dict[int, Purse]:
    """The purses of these accounts, locked, rolled to `now`, with the older `periods` asked for by account and start.

    An account that is gone is not in the answer. Without `lock` the answer is for looking only.
    """
    kept: dict[int, Purse] = memory.of(connection, "purse") if lock else {}
    purses: dict[int, Purse] = {}
    unread: list[int] = []
    for account in accounts if isinstance(accounts, set) else set(accounts):
        if account in kept:
            purses[account] = kept[account]
        else:
            unread.append(account)
    keys = (
        {key for key in periods if key[0] not in purses or key[1] not in purses[key[0]].periods} if periods else set()
    )
    if unread:
        for row in (_LOCK if lock else _LOOK).all(connection, {"accounts": sorted(unread)}):
            written = row.bought, row.used, row.reserved, row.current
            purse = Purse(row.account_id, ZoneInfo(row.zone), row.monthly or 0, *written[:3], {}, written=written)
            purses[row.account_id] = kept[row.account_id] = purse
            if row.current is not None:
                keys.add((row.account_id, row.current))
    if keys:
        for row in _PERIODS.all(connection, {"keys": sorted(keys)}):
            if row.account_id in purses:
                state = row.used, row.reserved, row.lapsed
                purses[row.account_id].periods[row.starts] = Period(
                    row.starts, row.ends, row.granted, *state, written=state
                )
    for purse in purses.values():
        purse.roll(now)
    return purses


def save(connection: Connection, purses: Iterable[Purse]) -> None:
    """Write what changed: pots, periods, and the ledger's new lines."""
    opened: list[tuple[Any, ...]] = []
    periods: list[tuple[Any, ...]] = []
    pots: list[tuple[Any, ...]] = []
    lines: list[tuple[Any, ...]] = []
    for purse in purses:
        if purse.entries or any(period.new for period in purse.periods.values()):
            _gather(purse, opened, periods, pots, lines)
    if opened:
        _ADD_PERIOD.put(connection, opened)
    if periods:
        _SAVE_PERIOD.put(connection, periods)
    if pots:
        _SAVE_PROVISION.put(connection, pots)
    if lines:
        _ADD_ENTRIES.put(connection, lines)


def _gather(
    purse: Purse,
    opened: list[tuple[Any, ...]],
    periods: list[tuple[Any, ...]],
    pots: list[tuple[Any, ...]],
    lines: list[tuple[Any, ...]],
) -> None:
    """The rows of what changed in a purse, in the orders of their statements; it is as written then."""
    account = purse.account
    for period in purse.periods.values():
        state = (period.used, period.reserved, period.lapsed)
        if period.new:
            opened.append((account, stamp(period.starts), stamp(period.ends), period.granted, *state))
        elif state != period.written:
            periods.append((*state, account, stamp(period.starts)))
        period.new, period.written = False, state
    pot = purse.state
    if pot != purse.written:
        purse.written = pot
        bought, used, reserved, current = pot
        pots.append((bought, used, reserved, stamp(current) if current is not None else None, account))
    at, stamped = None, 0
    for entry in purse.entries:
        if entry.at is not at:
            at, stamped = entry.at, stamp(entry.at)
        lines.append((account, stamped, entry.kind, entry.pot, entry.units, entry.message, entry.reason))
    purse.entries.clear()


# What the operator and the user ask ----------------------------------------------------------------------------------


def buy(connection: Connection, account: int, units: int, *, reason: str, now: datetime) -> None:
    """Add bought units, or correct a mistake with a negative number, never below what is left."""
    if not units or abs(units) > MOST_UNITS:
        raise RefusedError(f"{units} units cannot be added: give a whole number other than 0, up to {MOST_UNITS:,}")
    purse = load(connection, [account], now)[account]
    if purse.provision + units < 0:
        raise RefusedError(f"only {purse.provision} bought units are left: {-units} cannot be taken away")
    purse.buy(units, now=now, reason=reason)
    save(connection, [purse])


def show(connection: Connection, account: int, now: datetime) -> dict[str, Any]:
    """Both pots at a glance, as of `now`: the period is rolled first, so that what lapsed is in the ledger."""
    purse = load(connection, [account], now)[account]
    save(connection, [purse])
    period = purse.current
    allotment = {
        "granted": period.granted if period else 0,
        "used": period.used if period else 0,
        "reserved": period.reserved if period else 0,
        "left": period.left if period else 0,
        "ends": period.ends if period else None,
    }
    provision = {
        "bought": purse.bought,
        "used": purse.used,
        "reserved": purse.reserved,
        "left": purse.provision,
    }
    return {"allotment": allotment, "provision": provision, "left": purse.left(now)}


def entries(connection: Connection, account: int, now: datetime) -> Sequence[Mapping[str, Any]]:
    """The account's ledger, oldest first, rolled to `now`."""
    save(connection, load(connection, [account], now).values())
    ledger = schema.ledger
    rows = connection.execute(select(ledger).where(ledger.c.account_id == account).order_by(ledger.c.id))
    return [
        {
            "at": row.at,
            "kind": row.kind,
            "pot": row.pot,
            "units": row.units,
            "message": row.message_id,
            "reason": row.reason,
        }
        for row in rows
    ]
