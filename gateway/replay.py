"""A filter tried on mails that came before: what it would have said, when, and what that would have cost.

Limits are applied as they would have been had the account been told of nothing else. Nothing is stored or sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from filters import excerpt
from filters.sieve import Script
from filters.sight import Sight
from filters.verdict import Decided, Verdict
from gateway import identity, notices, pacing, summaries, telling
from gateway.circumstances import Circumstances
from gateway.notices import Arrived
from gateway.pacing import Limits, Ruling, Spoken, Standing, State, Waiting
from gateway.rulebook import Entry
from gateway.telling import House, Telling


@dataclass(frozen=True, slots=True)
class Came:
    """A mail, and when it came."""

    at: datetime
    arrived: Arrived


@dataclass(frozen=True, slots=True)
class _Line:
    """A notice, with the columns its row would have."""

    id: int
    mail: bytes
    at: datetime
    sender: str
    subject: str
    state: State
    words: tuple[Decided, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A message that would have left: of how many mails, to whom, in which words, as how many SMS, at what cost."""

    at: datetime
    channel: str
    to: str
    text: str
    segments: int
    units: int
    mails: int


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A mail the filter fits, of which nobody would have been told, and why."""

    at: datetime
    subject: str
    why: str


@dataclass(slots=True)
class Replayed:
    """What would have come of all of them."""

    mails: int = 0
    matched: int = 0
    said: list[Said] = field(default_factory=list)
    unsaid: list[Unsaid] = field(default_factory=list)

    @property
    def units(self) -> int:
        """What it would have cost."""
        return sum(one.units for one in self.said)


def replay(
    connection: Connection, entry: Entry, limits: Limits, around: Circumstances, came: Sequence[Came], house: House
) -> Replayed:
    """Run these mails through one filter, in the order they came."""
    run = _Run(connection, entry, limits, around, house)
    for one in sorted(came, key=lambda one: one.at):
        run.release(one.at)
        run.arrive(one)
    run.release(None)
    return run.answer


class _Run:
    """The account as it would have stood, from mail to mail."""

    def __init__(
        self, connection: Connection, entry: Entry, limits: Limits, around: Circumstances, house: House
    ) -> None:
        self._connection = connection
        self._entry = entry
        self._limits = limits
        self._around = around
        self._house = house
        self._standing = Standing(Spoken(lambda of, n: None))
        self._waiting: list[Waiting] = []
        self._lines: dict[int, _Line] = {}
        self._seen: dict[tuple[str, str], datetime] = {}
        self._known: set[bytes] = set()
        self.answer = Replayed()

    def arrive(self, came: Came) -> None:
        """One mail: judged as at its time, and told of, kept waiting, or dropped."""
        self.answer.mails += 1
        mail, key = came.arrived.mail, identity.of_mail(came.arrived.mail)
        if key in self._known or mail.our_mark:
            return
        self._known.add(key)
        verdict = self._judge(came)
        if not verdict.actions:
            return
        self.answer.matched += 1
        coming = pacing.Coming(self._standing, self._limits, came.at)
        ruling = coming.rule(self._entry.pace)
        due = coming.gather() if ruling.state is State.GATHERED else ruling.due
        number = len(self._lines)
        words = telling.bounded(verdict, self._around.account).actions
        sender = excerpt.sender(mail) or "nobody"
        line = self._lines[number] = _Line(number, key, came.at, sender, mail.subject, ruling.state, words)
        if ruling.state is State.SENT:
            self._alone(line, came.at)
        elif ruling.state is State.DROPPED:
            self.answer.unsaid.append(Unsaid(came.at, mail.subject, ruling.why))
        else:
            self._waiting.append(Waiting(number, key, self._entry.pace, ruling.state, came.at, due))

    def _judge(self, came: Came) -> Verdict:
        sight = Sight(came.arrived.mail, notices.context(came.arrived, self._around, came.at), came.arrived.octets)
        rule = self._entry.rule
        if not isinstance(rule, Script):
            return rule.judge(sight)
        outcome = rule.run(sight, lambda *key: self._seen.get(key, came.at) > came.at)
        for one in outcome.remember:
            self._seen[one.handle, one.key] = came.at + timedelta(seconds=one.seconds)
        return outcome.verdict

    def release(self, until: datetime | None) -> None:
        """Say what waited, each at its time, up to an instant, or to the end."""
        while (due := pacing.next_look(self._standing, self._waiting)) is not None and (until is None or due <= until):
            done = pacing.release(self._standing, self._limits, self._waiting, due)
            for one in done.alone:
                self._alone(self._lines[one.id], due)
            if done.together:
                self._together([self._lines[one.id] for one in done.together], due)
            said = {one.id for one in (*done.alone, *done.together)}
            moved = {one.id: ruling for one, ruling in done.moved}
            self._waiting = [self._moved(one, moved.get(one.id)) for one in self._waiting if one.id not in said]
            dropped = [one for one in self._waiting if one.state not in pacing.WAITING]
            for one in dropped:
                line = self._lines[one.id]
                self.answer.unsaid.append(Unsaid(line.at, line.subject, moved[one.id].why))
            self._waiting = [one for one in self._waiting if one.state in pacing.WAITING]
            if not (said or moved):
                break  # nothing can be said any more: caps of none at all

    def _moved(self, one: Waiting, ruling: Ruling | None) -> Waiting:
        if ruling is None:
            return one
        self._lines[one.id] = replace(self._lines[one.id], state=ruling.state)
        return replace(one, state=ruling.state, due=ruling.due)

    def _alone(self, line: _Line, at: datetime) -> None:
        say = telling.by_itself(self._connection, self._around.account, line.words, self._house, at)
        self._note(say, [line], at)

    def _together(self, lines: Sequence[_Line], at: datetime) -> None:
        words = {line.id: line.words for line in lines}
        say = summaries.together(self._connection, self._around.account, lines, words, self._house, at)
        self._note(say, lines, at)

    def _note(self, say: Telling, lines: Sequence[_Line], at: datetime) -> None:
        for draft in say.drafts:
            for leg in draft.legs:
                self.answer.said.append(
                    Said(
                        at,
                        leg.recipient.channel.value,
                        leg.recipient.address,
                        draft.request.text,
                        draft.parts(leg),
                        draft.units([leg]),
                        len({line.mail for line in lines}),
                    )
                )
        if say.problems and not say.drafts:
            self.answer.unsaid += [Unsaid(line.at, line.subject, say.why) for line in lines]


def document(found: Replayed) -> dict[str, Any]:
    """The same, ready for JSON."""
    return {
        "mails": found.mails,
        "matched": found.matched,
        "units": found.units,
        "messages": [
            {
                "at": one.at,
                "channel": one.channel,
                "to": one.to,
                "text": one.text,
                "segments": one.segments,
                "units": one.units,
                "mails": one.mails,
            }
            for one in found.said
        ],
        "unsaid": [{"at": one.at, "subject": one.subject, "why": one.why} for one in found.unsaid],
    }
