"""How accounts stand, for `gateway.pacing`: loaded and locked, changed in plain code, saved once.

An account's row of `notifying` is the lock of its filters and notices; it is locked before its credit, accounts in
rising order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, literal_column, select, update

from gateway import accounts, quiet_hours
from gateway.accounts import Account
from gateway.pacing import ACCOUNT, Burst, Limits, Pace, Spoken, Standing, State
from gateway.store import schema

_notifying, _notice, _spoken = schema.notifying, schema.notice, schema.spoken

_LOCKED = (
    select(_notifying)
    .where(_notifying.c.account_id.in_(bindparam("accounts", expanding=True)))
    .order_by(_notifying.c.account_id)
    .with_for_update()
)
_EARLIER = (
    select(_spoken.c.at)
    .where(_spoken.c.account_id == bindparam("account"), _spoken.c.filter_id == bindparam("of"))
    .order_by(_spoken.c.at.desc())
    .limit(1)
    .offset(bindparam("n"))
)
_WAITS = {
    state: select(_notice.c.id)
    .where(
        schema.WAITING,
        _notice.c.account_id == bindparam("account"),
        _notice.c.state == literal_column(f"'{state}'"),
    )
    .limit(1)
    for state in (State.CAPPED, State.LIMITED)
}
_WAITS_LIMITED = _WAITS[State.LIMITED].where(_notice.c.filter_id == bindparam("of"))
_SAVE = (
    update(_notifying)
    .where(_notifying.c.account_id == bindparam("account"))
    .values(
        due=bindparam("look"),
        burst_since=bindparam("since"),
        burst_last=bindparam("last"),
        burst_mails=bindparam("mails"),
        broke=bindparam("without"),
    )
)


@dataclass(slots=True)
class Desk:
    """One account's notices in hand. `due` is when to look at what waits, `broke` since when credit is missing.

    `is_limited` tells whether something of a filter waits that its own limit holds back.
    """

    account: Account
    version: int
    limits: Limits
    standing: Standing
    due: datetime | None
    broke: datetime | None
    is_limited: Callable[[int], bool]
    saved: tuple[Any, ...] = ()

    def know_limited(self, paces: Iterable[Pace]) -> None:
        """Find out for which of these filters something waits that their own limit holds back."""
        asked = {pace.filter for pace in paces if pace.max_per is not None} - self.standing.limited
        self.standing.limited.update(number for number in sorted(asked) if self.is_limited(number))

    def look_at(self, at: datetime | None) -> None:
        """Look at what waits no later than this."""
        if at is not None and (self.due is None or at < self.due):
            self.due = at

    @property
    def state(self) -> tuple[Any, ...]:
        """What `save` writes."""
        burst = self.standing.burst
        of_burst = (burst.since, burst.last, burst.mails) if burst is not None else (None, None, 0)
        return (self.due, *of_burst, self.broke)


def load(connection: Connection, numbers: Iterable[int]) -> dict[int, Desk]:
    """The desks of these accounts, locked; one that is gone, or was never told anything, is not in the answer."""
    wanted = sorted(set(numbers))
    rows = connection.execute(_LOCKED, {"accounts": wanted}).all()
    owners = {one.id: one for one in accounts.load_where(connection, schema.account.c.id.in_(wanted))} if rows else {}
    return {row.account_id: _desk(connection, owners[row.account_id], row) for row in rows if row.account_id in owners}


def _desk(connection: Connection, account: Account, row: Any) -> Desk:
    quiet = quiet_hours.parse(row.quiet) if row.quiet else None
    limits = Limits(account.zone, account.cap_hour, account.cap_day, quiet)
    burst = Burst(row.burst_since, row.burst_last, row.burst_mails) if row.burst_since is not None else None
    capped = connection.execute(_WAITS[State.CAPPED], {"account": account.id}).first() is not None
    standing = Standing(Spoken(_earlier(connection, account.id)), burst, capped, row.broke is not None)

    def is_limited(number: int) -> bool:
        return connection.execute(_WAITS_LIMITED, {"account": account.id, "of": number}).first() is not None

    desk = Desk(account, row.version, limits, standing, row.due, row.broke, is_limited)
    desk.saved = desk.state
    return desk


def _earlier(connection: Connection, account: int) -> Callable[[int, int], datetime | None]:
    def earlier(of: int, n: int) -> datetime | None:
        found: datetime | None = connection.execute(_EARLIER, {"account": account, "of": of, "n": n - 1}).scalar()
        return found

    return earlier


def save(connection: Connection, desks: Iterable[Desk]) -> None:
    """Write what changed."""
    rows = [
        dict(zip(("look", "since", "last", "mails", "without"), desk.state, strict=True)) | {"account": desk.account.id}
        for desk in desks
        if desk.state != desk.saved
    ]
    if rows:
        connection.execute(_SAVE, rows)


def spoke(connection: Connection, said: Iterable[tuple[int, Iterable[Pace], datetime]]) -> None:
    """Remember that these accounts were told something, each of these filters, and when."""
    rows = []
    for account, paces, at in said:
        limited = {pace.filter for pace in paces if pace.max_per is not None}
        rows += [{"account_id": account, "filter_id": number, "at": at} for number in sorted({ACCOUNT, *limited})]
    if rows:
        connection.execute(insert(_spoken), rows)
