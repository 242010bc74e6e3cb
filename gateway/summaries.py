"""What waited for a better moment is said: by itself where it is one, in one summary where they are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from filters.verdict import Decided
from gateway import digest, notices, pacing, packing, standing, telling, text, unpaid
from gateway.accounts import Account
from gateway.draft import Recipient
from gateway.pacing import Ruling, State, Waiting
from gateway.standing import Desk
from gateway.store import schema
from gateway.store.identifiers import Identifiers
from gateway.telling import House, Telling

_notice, _notifying = schema.notice, schema.notifying

#: The most accounts that are looked at in one transaction.
MOST = 20
#: A summary is one SMS, and an e-mail lists this many lines.
_PARTS, _LINES = 1, 500

_DUE = (
    select(_notifying.c.account_id)
    .where(_notifying.c.due <= bindparam("now", type_=schema.Instant()))
    .order_by(_notifying.c.due)
    .limit(MOST)
)
_NEXT = select(func.min(_notifying.c.due, type_=schema.Instant())).where(_notifying.c.due.is_not(None))
_COLUMNS = ("id", "mail", "filter_id", "at", "sender", "subject", "state", "due", "say", "why")
_WAITING = (
    select(*(_notice.c[name] for name in _COLUMNS))
    .where(schema.WAITING, _notice.c.account_id == bindparam("account"))
    .order_by(_notice.c.id)
)
_STATE = (
    update(_notice)
    .where(_notice.c.id == bindparam("ours"))
    .values(state=bindparam("now_is"), due=bindparam("look"), why=bindparam("because"))
)
_SAID = _STATE.values(say="")


@dataclass(frozen=True, slots=True)
class Released:
    """These routes have work; `due` is when the next account is to be looked at, at once where there are `more`."""

    routes: frozenset[str] = frozenset()
    due: datetime | None = None
    more: bool = False
    said: int = 0


def is_due(connection: Connection, now: datetime) -> tuple[bool, datetime | None]:
    """Whether anything is to be looked at now, and when the next is: one small query, which locks nothing."""
    due: datetime | None = connection.execute(_NEXT).scalar()
    return due is not None and due <= now, due


def due_accounts(connection: Connection, now: datetime) -> list[int]:
    """The accounts whose turn it is, as many as are looked at at once."""
    return list(connection.execute(_DUE, {"now": now}).scalars())


def put_off(connection: Connection, account: int, until: datetime) -> None:
    """Look at this account's notices later."""
    connection.execute(update(_notifying).where(_notifying.c.account_id == account).values(due=until))


def release(
    connection: Connection, identifiers: Identifiers, house: House, now: datetime, only: int | None = None
) -> Released:
    """Say what can be said now of what waits, of the accounts that are due, or of one of them only."""
    statement = _DUE if only is None else _DUE.where(_notifying.c.account_id == only)
    due = connection.execute(statement.with_for_update(skip_locked=True), {"now": now}).scalars().all()
    desks = standing.load(connection, due)
    work = [Round(desk) for _, desk in sorted(desks.items())]
    for one in work:
        rows = connection.execute(_WAITING, {"account": one.desk.account.id}).all()
        one.decide(connection, rows, house, now)
    telling.send(connection, [say for one in work for _, say in one.says], identifiers)
    for one in work:
        one.write(connection, identifiers, house, now)
    standing.save(connection, desks.values())
    says = [say for one in work for _, say in one.says]
    return Released(
        frozenset[str]().union(*(say.routes for say in says)),
        connection.execute(_NEXT).scalar(),
        more=len(due) == MOST,
        said=sum(len(say.messages) for say in says),
    )


@dataclass(slots=True)
class Round:
    """One account's turn. `says` are notices with what is said of them, one alone or many together."""

    desk: Desk
    rows: dict[int, Any] = field(default_factory=dict)
    says: list[tuple[list[Waiting], Telling]] = field(default_factory=list)
    moved: list[tuple[Waiting, Ruling]] = field(default_factory=list)

    def decide(self, connection: Connection, rows: Sequence[Any], house: House, now: datetime) -> None:
        """What is said of what waits, and what of it waits on; `rows` are notices, oldest first."""
        desk = self.desk
        waiting = [_waiting(row) for row in rows]
        self.rows = {row.id: row for row in rows}
        desk.know_limited({one.pace.filter: one.pace for one in waiting}.values())
        done = pacing.release(desk.standing, desk.limits, waiting, now)
        desk.due = done.due
        self.moved = done.moved
        for one in done.alone:
            words = packing.words_of(self.rows[one.id].say)
            self.says.append(([one], telling.by_itself(connection, desk.account, words, house, now)))
        if done.together:
            some = [self.rows[one.id] for one in done.together]
            said = {row.id: packing.words_of(row.say) for row in some}
            self.says.append((done.together, together(connection, desk.account, some, said, house, now)))

    def write(self, connection: Connection, identifiers: Identifiers, house: House, now: datetime) -> None:
        """What became of all that waited."""
        changes: list[dict[str, Any]] = []
        links: list[dict[str, Any]] = []
        for some, say in self.says:
            ruling = notices.settled(say, now)
            together = len(some) > 1
            for one in some:
                links += [{"notice_id": one.id, "message_id": message} for message in say.messages]
                changes.append(_change(one, _told(one, ruling, now, together=together)))
            self.desk.look_at(ruling.due)
            if say.messages:
                standing.spoke(connection, [(self.desk.account.id, [one.pace for one in some], now)])
            unpaid.note(connection, self.desk, say, identifiers, house, now)
        changes += [_change(one, ruling) for one, ruling in self.moved]
        over = [one for one in changes if one["now_is"] not in pacing.WAITING]
        if over:
            connection.execute(_SAID, over)
        if on := [one for one in changes if one["now_is"] in pacing.WAITING]:
            connection.execute(_STATE, on)
        if links:
            connection.execute(insert(schema.told), links)


def together(
    connection: Connection,
    account: Account,
    rows: Sequence[Any],
    words: Mapping[int, Sequence[Decided]],
    house: House,
    now: datetime,
) -> Telling:
    """One summary for each of those to whom these notices were to be told; `words` is what each wanted said.

    A row has the columns of a notice: id, mail, at, sender, state.
    """
    say = Telling()
    by_id = {row.id: row for row in rows}
    wanted = [(word.channel, word.to) for row in rows for word in words[row.id]]
    found = telling.destinations(connection, account, wanted, house, say)
    whom: dict[tuple[str, str], tuple[Recipient, dict[int, None]]] = {}
    for row in rows:
        for word in words[row.id]:
            for recipient in found[word.channel, word.to]:
                key = (recipient.channel, recipient.address)
                whom.setdefault(key, (recipient, {}))[1][row.id] = None
    groups: dict[tuple[bool, tuple[int, ...]], list[Recipient]] = {}
    for recipient, ids in whom.values():
        groups.setdefault((recipient.channel == "email", tuple(ids)), []).append(recipient)
    for (letter, numbers), recipients in groups.items():
        some = [by_id[number] for number in numbers]
        telling.summary(say, account, recipients, _text(account, some, words, letter=letter, now=now), house, now)
    return say


def _text(
    account: Account, rows: Sequence[Any], words: Mapping[int, Sequence[Decided]], *, letter: bool, now: datetime
) -> tuple[str, str]:
    """What a summary of these says, and its subject."""
    told = [digest.Told(row.mail, row.at, row.sender, words[row.id][0].text) for row in rows]
    more = any(row.state in (State.GATHERED, State.CAPPED, State.LIMITED) for row in rows)

    def fits(said: str) -> bool:
        return len(text.cut(said, transliterate=account.transliterate).parts) <= _PARTS

    short = digest.compose(told, zone=account.zone, now=now, more=more, fits=fits)
    if not letter:
        return short, ""
    return digest.letter(told, zone=account.zone, now=now, more=more, lines=_LINES), short


def _told(one: Waiting, ruling: Ruling, now: datetime, *, together: bool) -> Ruling:
    """How a notice stands after it was said, or could not be."""
    if ruling.state is State.SENT and together:
        return Ruling(State.DIGESTED, None, ruling.why)
    if ruling.state is State.UNPAID and now - one.since >= pacing.UNPAID:
        return Ruling(State.FAILED, None, f"{ruling.why}; it was given up after a day")
    return ruling


def _change(one: Waiting, ruling: Ruling) -> dict[str, Any]:
    return {
        "ours": one.id,
        "now_is": ruling.state.value,
        "look": ruling.due,
        "because": packing.storable(ruling.why),
    }


# Rows -----------------------------------------------------------------------------------------------------------------


def _waiting(row: Any) -> Waiting:
    return Waiting(row.id, row.mail, packing.pace_of(row.filter_id, row.say), State(row.state), row.at, row.due)
