"""What filters would have told of mails that came before: when, in what words, to whom, at what cost. Sends nothing.

The same decisions as `gateway.notices` and `gateway.summaries` make, on an account that was never told anything; caps,
limits and quiet hours are applied as they would have been, credit is there. Nothing is written: a reading connection is
enough, for destinations and contacts as they are now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from sqlalchemy import Connection

from gateway import notices, pacing
from gateway.accounts import Account
from gateway.notices import Judged, Made, New
from gateway.pacing import Limits, Spoken, Standing, State
from gateway.packing import pack
from gateway.standing import Desk
from gateway.summaries import Round
from gateway.telling import House, Telling


@dataclass(frozen=True, slots=True)
class Said:
    """Something that would have been said: `mails` are those it tells of, `texts` what each of its messages says.

    `to` are channels and addresses, `units` what all of it costs, `problems` what would have been wrong.
    """

    at: datetime
    mails: tuple[bytes, ...]
    texts: tuple[str, ...]
    to: tuple[tuple[str, str], ...]
    units: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Became:
    """What would have become of one mail, for one filter: a state that is final, and why."""

    mail: bytes
    filter: int
    at: datetime
    state: State
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """A notice that waits, as `gateway.summaries` reads it."""

    id: int
    mail: bytes
    filter_id: int
    at: datetime
    sender: str
    subject: str
    state: str
    due: datetime | None
    say: str
    why: str


@dataclass(slots=True)
class Rehearsed:
    """The outcome: what would have been said, in its order, and what would have become of each mail."""

    said: list[Said] = field(default_factory=list)
    became: list[Became] = field(default_factory=list)

    @property
    def units(self) -> int:
        """What all of it would have cost."""
        return sum(one.units for one in self.said)


def rehearse(
    connection: Connection, account: Account, limits: Limits, mails: Iterable[tuple[datetime, Judged]], house: House
) -> Rehearsed:
    """Let these mails come again at their times; `gateway.notices.judge` has judged them as of then."""
    stage = _Stage(connection, account, limits, house)
    for at, judged in sorted(mails, key=lambda one: one[0]):
        stage.wait(until=at)
        stage.come(judged, at)
    stage.wait(until=None)
    return stage.done


class _Stage:
    """One account, whose notices wait in memory."""

    def __init__(self, connection: Connection, account: Account, limits: Limits, house: House) -> None:
        self.done = Rehearsed()
        self._connection = connection
        self._house = house
        self._rows: dict[int, Row] = {}
        self._known: set[tuple[int, bytes, int]] = set()
        self._numbers = count(1)
        standing = Standing(Spoken(lambda of, n: None))
        self._desk = Desk(account, 0, limits, standing, None, None, self._is_limited)

    def _is_limited(self, number: int) -> bool:
        return any(one.filter_id == number and one.state == State.LIMITED for one in self._rows.values())

    def come(self, judged: Judged, at: datetime) -> None:
        """A mail comes."""
        made = Made(judged)
        notices.decide(self._connection, made, self._desk, self._known, self._house, at)
        for say in made.tellings:
            self._say(say, (judged.mail,), at)
        for new in made.new:
            if new.ruling.state in pacing.WAITING:
                row = self._row(judged, new, at)
                self._rows[row.id] = row
            else:
                failed = new.says is not None and not new.says.drafts
                why = new.says.why if new.says is not None else new.ruling.why
                self._end(judged.mail, new.found.pace.filter, at, State.FAILED if failed else new.ruling.state, why)

    def _row(self, judged: Judged, new: New, at: datetime) -> Row:
        ruling = new.ruling
        return Row(
            id=next(self._numbers),
            mail=judged.mail,
            filter_id=new.found.pace.filter,
            at=at,
            sender=judged.sender,
            subject=judged.subject,
            state=ruling.state.value,
            due=ruling.due,
            say=pack(new.found.pace, new.found.verdict.actions),
            why=ruling.why,
        )

    def wait(self, until: datetime | None) -> None:
        """Time passes: what waits is said when it is due."""
        while (due := self._desk.due) is not None and (until is None or due <= until):
            turn = Round(self._desk)
            turn.decide(self._connection, list(self._rows.values()), self._house, due)
            for some, say in turn.says:
                self._say(say, tuple(dict.fromkeys(one.mail for one in some)), due)
                state = (State.SENT if len(some) == 1 else State.DIGESTED) if say.drafts else State.FAILED
                for one in some:
                    self._end(one.mail, one.pace.filter, due, state, say.why)
                    del self._rows[one.id]
            for one, ruling in turn.moved:
                row = self._rows.pop(one.id)
                if ruling.state in pacing.WAITING:
                    self._rows[one.id] = _moved(row, ruling)
                else:
                    self._end(one.mail, one.pace.filter, due, ruling.state, ruling.why)
            self._rows = dict(sorted(self._rows.items()))

    def _say(self, say: Telling, mails: tuple[bytes, ...], at: datetime) -> None:
        drafts = say.drafts
        self.done.said.append(
            Said(
                at=at,
                mails=mails,
                texts=tuple(draft.request.text for draft in drafts),
                to=tuple((leg.recipient.channel.value, leg.recipient.address) for d in drafts for leg in d.legs),
                units=sum(draft.units(draft.legs) for draft in drafts),
                problems=tuple(dict.fromkeys(say.problems)),
            )
        )

    def _end(self, mail: bytes, number: int, at: datetime, state: State, why: str) -> None:
        self.done.became.append(Became(mail, number, at, state, why))


def _moved(row: Row, ruling: pacing.Ruling) -> Row:
    return Row(
        row.id,
        row.mail,
        row.filter_id,
        row.at,
        row.sender,
        row.subject,
        ruling.state.value,
        ruling.due,
        row.say,
        ruling.why,
    )
