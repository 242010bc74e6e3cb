"""From mails to notices: what an account's filters decided to say, said now, later in one summary, or not at all.

Whoever sees a mail arrive (a copy by SMTP, a watched mailbox) makes an `Arrived` of it and hands it to
`gateway.notifier.Notifier`, which judges it (`judge`, pure) and stores what comes of it (`record`) in one transaction.
What waits is said by `gateway.summaries`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, tuple_

from filters import excerpt
from filters.context import Context, Source
from filters.mail import Mail
from filters.sieve import Script
from filters.sight import Sight
from filters.verdict import Decided, Verdict
from gateway import duplicates, identity, pacing, standing, telling, unpaid
from gateway.accounts import Account
from gateway.circumstances import Circumstances
from gateway.duplicates import Memory, Seen
from gateway.pacing import Pace, Ruling, State
from gateway.packing import pack, storable
from gateway.rulebook import Book
from gateway.standing import Desk
from gateway.store import schema
from gateway.store.identifiers import Identifiers
from gateway.telling import House, Telling

#: Stands for a filter where an account is told of every new mail.
NEW_MAIL = 0
#: What such a notice is called, and where it goes.
NEW_MAIL_NAME, ME = "new mail", "me"
#: How much of a sender and a subject is kept (characters).
_KEPT = 200

_notice = schema.notice
_KNOWN = select(_notice.c.account_id, _notice.c.mail, _notice.c.filter_id).where(
    tuple_(_notice.c.account_id, _notice.c.mail).in_(bindparam("keys", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A mail that has come for an account, with what is known of its way.

    `source` is the door. `octets` are the mail as far as it was read; Sieve looks at them. `envelope_from` is empty for
    the null reverse-path, None where nobody knows. `authserv_id` is whose topmost Authentication-Results is believed,
    None where none is. `flags` are those of the mailbox, None where it has none. A mail without Message-ID must have
    been read with all its text parts (`gateway.identity`).
    """

    account: int
    mail: Mail
    source: Source
    octets: bytes = field(default=b"", repr=False)
    envelope_from: str | None = None
    envelope_to: tuple[str, ...] = ()
    authserv_id: str | None = None
    flags: frozenset[str] | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A filter that fits a mail, and what it wants said; `verdict` has every hit and miss."""

    pace: Pace
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """What an account's filters, as of `version`, say of a mail, and what its scripts remember of it."""

    account: int
    version: int
    mail: bytes
    sender: str = ""
    subject: str = ""
    found: tuple[Found, ...] = ()
    remember: tuple[Memory, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to store."""
        return bool(self.found or self.remember)


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of a mail: its notices as (filter, state), new ones only, and the messages that left at once."""

    notices: tuple[tuple[int, str], ...] = ()
    messages: tuple[int, ...] = ()
    routes: frozenset[str] = frozenset()


class ChangedError(Exception):
    """The filters were changed after they judged: the mail is to be judged again. Nothing was written."""


# Judging --------------------------------------------------------------------------------------------------------------


def judge(
    book: Book, arrived: Arrived, around: Circumstances, now: datetime, seen: Seen = lambda *key: False
) -> Judged:
    """What the filters in this book say of a mail; `seen` is asked by scripts whether a key came before.

    Pure but for that; never raises, whatever the mail is.
    """
    mail = arrived.mail
    judged = Judged(book.account, book.version, identity.of_mail(mail))
    if not book or mail.our_mark:  # what we wrote ourselves must not make us write again
        return judged
    found, memories, stopped = _ask(
        book, around.account, Sight(mail, context(arrived, around, now), arrived.octets), seen
    )
    if book.new_mail and not found and not stopped:
        found = [_new_mail(mail)]
    sender, subject = _from(mail) if found else ("", "")
    return replace(judged, sender=sender, subject=subject, found=tuple(found), remember=tuple(memories))


def _ask(book: Book, account: Account, sight: Sight, seen: Seen) -> tuple[list[Found], list[Memory], bool]:
    """Every filter in its order, up to the one that stops: those that want something said, what scripts remember."""
    found: list[Found] = []
    memories: list[Memory] = []
    for entry in book.entries:
        if isinstance(entry.rule, Script):
            outcome = entry.rule.run(sight, partial(seen, entry.id))
            verdict = outcome.verdict
            memories += [
                Memory(duplicates.key_of(entry.id, one.handle, one.key), timedelta(seconds=one.seconds), one.last)
                for one in outcome.remember
            ]
        else:
            verdict = entry.rule.judge(sight)
        if verdict.actions:
            found.append(Found(entry.pace, telling.bounded(verdict, account)))
        if verdict.stopped:
            return found, memories, True
    return found, memories, False


def context(arrived: Arrived, around: Circumstances, now: datetime) -> Context:
    """The circumstances of one mail, as filters see them."""
    account = around.account
    return Context(
        now=now.astimezone(account.zone),
        source=arrived.source,
        envelope_from=arrived.envelope_from,
        envelope_to=arrived.envelope_to,
        me=frozenset(account.addresses),
        books=around.books,
        people=around.people,
        authserv_id=arrived.authserv_id,
        flags=arrived.flags,
        credit_left=around.credit_left,
        sent_today=around.sent_today,
        link=arrived.link,
    )


def _new_mail(mail: Mail) -> Found:
    """What is said of a mail that no filter tells of."""
    sender, subject = _from(mail)
    said = Decided("sms", ME, f"{sender}: {subject}" if subject else sender, max_parts=1)
    return Found(Pace(NEW_MAIL), Verdict(NEW_MAIL_NAME, True, actions=(said,)))


def _from(mail: Mail) -> tuple[str, str]:
    """Who a mail is from, as it is shown, and what it is about."""
    return excerpt.sender(mail)[:_KEPT] or "nobody", " ".join(mail.subject.split())[:_KEPT]


# Recording ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """Mails that are recorded together, or not at all; `insist` takes them though the filters have changed since."""

    judged: Sequence[Judged]
    house: House
    now: datetime
    insist: bool = False


def record_many(
    connection: Connection, members: Sequence[Member], identifiers: Identifiers
) -> list[list[Noted] | ChangedError]:
    """Store what comes of these mails: notices, messages, reserved credit; for each member what became of them.

    ChangedError, and nothing of it written, where an account's filters are not those that judged. What was noted before
    is not noted again (invariant I3).
    """
    asked = [one for member in members for one in member.judged if one]
    desks = standing.load(connection, (one.account for one in asked))
    known = _known(connection, [one for one in asked if one.found])
    remembered = _remembered(connection, asked, members)
    answers: list[list[Made] | ChangedError] = []
    for member in members:
        if not member.insist and any(_stale(one, desks, remembered) for one in member.judged):
            answers.append(ChangedError())
            continue
        remembered.update((one.account, memory.key) for one in member.judged for memory in one.remember)
        made = [Made(one) for one in member.judged]
        for each in made:
            if each.judged.found and each.judged.account in desks:
                decide(connection, each, desks[each.judged.account], known, member.house, member.now)
        answers.append(made)
    done = [
        (each, member)
        for member, answer in zip(members, answers, strict=True)
        if not isinstance(answer, ChangedError)
        for each in answer
    ]
    _store(connection, done, desks, identifiers)
    standing.save(connection, desks.values())
    return [answer if isinstance(answer, ChangedError) else [each.noted for each in answer] for answer in answers]


def _remembered(connection: Connection, asked: Sequence[Judged], members: Sequence[Member]) -> set[tuple[int, bytes]]:
    """What scripts remember already of what they are to remember now."""
    keys = {(one.account, memory.key) for one in asked for memory in one.remember}
    return duplicates.known(connection, keys, max(member.now for member in members)) if keys else set()


def _stale(judged: Judged, desks: Mapping[int, Desk], remembered: set[tuple[int, bytes]]) -> bool:
    """Whether the account's filters are others by now, or a script would meanwhile know what it did not."""
    desk = desks.get(judged.account) if judged else None
    if desk is None:
        return False
    met = any((judged.account, memory.key) in remembered for memory in judged.remember if not memory.again)
    return met or desk.version != judged.version


def _store(
    connection: Connection,
    done: Sequence[tuple[Made, Member]],
    desks: dict[int, Desk],
    identifiers: Identifiers,
) -> None:
    """Send what is said at once, and write the notices down, and what scripts remember."""
    memories = [(each.judged.account, one, member.now) for each, member in done for one in each.judged.remember]
    duplicates.keep(connection, (one for one in memories if one[0] in desks))
    says = [(desks[each.judged.account], say, member) for each, member in done for say in each.tellings]
    telling.send(connection, [say for _, say, _ in says], identifiers)
    for desk, say, member in says:
        unpaid.note(connection, desk, say, identifiers, member.house, member.now)
    _write(connection, done, desks, identifiers)


@dataclass(slots=True)
class New:
    """A notice in the making; `says` is its place among the mail's tellings where it is said at once."""

    found: Found
    ruling: Ruling
    says: Telling | None = None


@dataclass(slots=True)
class Made:
    """What one mail makes."""

    judged: Judged
    new: list[New] = field(default_factory=list)

    @property
    def tellings(self) -> list[Telling]:
        """What is said at once, each once."""
        return list({id(one.says): one.says for one in self.new if one.says is not None}.values())

    @property
    def noted(self) -> Noted:
        """What became of it."""
        return Noted(
            tuple((one.found.pace.filter, one.ruling.state.value) for one in self.new),
            tuple(message for say in self.tellings for message in say.messages),
            frozenset[str]().union(*(say.routes for say in self.tellings)),
        )


def _known(connection: Connection, judged: Iterable[Judged]) -> set[tuple[int, bytes, int]]:
    """The notices there are already of these mails."""
    keys = sorted({(one.account, one.mail) for one in judged})
    if not keys:
        return set()
    return {(row.account_id, row.mail, row.filter_id) for row in connection.execute(_KNOWN, {"keys": keys})}


def decide(
    connection: Connection,
    made: Made,
    desk: Desk,
    known: set[tuple[int, bytes, int]],
    house: House,
    now: datetime,
) -> None:
    """What becomes of the new notices of one mail."""
    one = made.judged
    told = any(account == one.account and mail == one.mail for account, mail, _ in known)
    found = [
        each
        for each in one.found
        if (one.account, one.mail, each.pace.filter) not in known and not (each.pace.filter == NEW_MAIL and told)
    ]
    desk.know_limited(each.pace for each in found)
    coming = pacing.Coming(desk.standing, desk.limits, now)
    first: dict[Decided, New] = {}
    for each in found:
        words = each.verdict.actions
        said = first.get(words[0])
        if said is not None and all(word in first for word in words):
            made.new.append(New(each, said.ruling, said.says))  # it only says again what another says
            continue
        new = New(each, coming.rule(each.pace))
        made.new.append(new)
        if new.ruling.state is State.DROPPED:
            continue
        first.update((word, new) for word in words if word not in first)
        if new.ruling.state is State.SENT:
            new.says = telling.by_itself(connection, desk.account, words, house, now)
    if any(new.ruling.state is State.GATHERED for new in made.new):
        due = coming.gather()
        for new in made.new:
            if new.ruling.state is State.GATHERED:
                new.ruling = replace(new.ruling, due=due)
    for new in made.new:
        desk.look_at(new.ruling.due)
    known.update((one.account, one.mail, each.pace.filter) for each in found)


def settled(say: Telling, now: datetime) -> Ruling:
    """How a notice stands after it was said: sent, without credit, or to nobody."""
    if say.messages:
        return Ruling(State.SENT, None, say.why)
    if say.unpaid:
        return Ruling(State.UNPAID, now + pacing.RETRY, say.why)
    return Ruling(State.FAILED, None, say.why or "it has nothing to say")


def _write(
    connection: Connection, done: Sequence[tuple[Made, Member]], desks: dict[int, Desk], identifiers: Identifiers
) -> None:
    """The rows of all new notices."""
    new = [(each.judged, one, member.now) for each, member in done for one in each.new]
    if not new:
        return
    rows: list[dict[str, Any]] = []
    links: list[dict[str, Any]] = []
    said: dict[int, tuple[int, Pace, datetime]] = {}
    for number, (judged, one, now) in zip(identifiers.take(connection, len(new)), new, strict=True):
        if one.says is not None:
            one.ruling = settled(one.says, now)
            desks[judged.account].look_at(one.ruling.due)
            links += [{"notice_id": number, "message_id": message} for message in one.says.messages]
            if one.says.messages:
                said.setdefault(id(one.says), (judged.account, one.found.pace, now))
        rows.append(_row(number, judged, one, now))
    connection.execute(insert(_notice), rows)
    if links:
        connection.execute(insert(schema.told), links)
    standing.spoke(connection, ((account, [pace], now) for account, pace, now in said.values()))


def _row(number: int, judged: Judged, new: New, now: datetime) -> dict[str, Any]:
    verdict, ruling = new.found.verdict, new.ruling
    trace = verdict.document()
    return {
        "id": number,
        "account_id": judged.account,
        "mail": judged.mail,
        "filter_id": new.found.pace.filter,
        "name": storable(verdict.filter),
        "at": now,
        "sender": storable(judged.sender),
        "subject": storable(judged.subject),
        "state": ruling.state.value,
        "why": storable(ruling.why),
        "due": ruling.due,
        "say": pack(new.found.pace, verdict.actions) if ruling.state in pacing.WAITING else "",
        "trace": json.dumps({name: trace[name] for name in ("hits", "misses", "notes")}, separators=(",", ":")),
    }
