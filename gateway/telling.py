"""From what is to be said to messages: destinations found when they are due, texts cut, credit reserved, all at once.

Who cannot be reached does not keep it from the others; what was wrong is noted with the notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from filters.verdict import Decided, Verdict
from gateway import addressing, intake, text
from gateway import quote as quoting
from gateway.accounts import Account
from gateway.addressing import Resolved, Wanted
from gateway.credit import NotEnoughError
from gateway.draft import Draft, LeftOut, Recipient, Request
from gateway.failure import RefusedError
from gateway.message import Channel, Origin
from gateway.reports import Office
from gateway.routing import Route
from gateway.store.identifiers import Identifiers

#: A subject says no more than this (characters).
_SUBJECT = 200
#: A text of so many characters fits any SMS, and an e-mail or a fax holds no more than this.
_SMS, _TEXT = 70, 16_000


@dataclass(frozen=True, slots=True)
class House:
    """What the house knows: its routes and names, and where national numbers are if an account has no region."""

    office: Office
    region: str | None = None

    @property
    def routes(self) -> Sequence[Route]:
        """The routes there are."""
        return self.office.routes


@dataclass(slots=True)
class Telling:
    """What one notice, or one summary, says: `drafts` are its messages, `problems` what was wrong, in sentences.

    After `send`: `messages` are those that were taken, `unpaid` is why credit was missing; `told` are routes of mails
    that say so.
    """

    drafts: list[Draft] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    unpaid: str = ""
    told: set[str] = field(default_factory=set)

    @property
    def routes(self) -> set[str]:
        """The routes that have work of it."""
        return self.told.union(*(draft.ways for draft in self.drafts)) if self.messages else self.told

    @property
    def why(self) -> str:
        """Everything that was wrong."""
        return "; ".join(dict.fromkeys(self.problems))


def by_itself(
    connection: Connection, account: Account, words: Iterable[Decided], house: House, now: datetime
) -> Telling:
    """A notice in its own words."""
    telling = Telling()
    for (said, subject), some in _letters(account, words).items():
        wanted = Wanted(
            *(
                tuple(dict.fromkeys(one.to for one in some if one.channel == channel))
                for channel in ("sms", "email", "fax")
            )
        )
        resolved = addressing.resolve(connection, account, wanted, region=house.region)
        _note(telling, resolved)
        _draft(telling, account, resolved.recipients, resolved.left_out, (said, subject), Origin.FILTER, house, now)
    return telling


def _letters(account: Account, words: Iterable[Decided]) -> Mapping[tuple[str, str], list[Decided]]:
    """Who is told what: the same words make one message. Only an SMS is cut."""
    letters: dict[tuple[str, str], list[Decided]] = {}
    for one in words:
        said = one.text
        if one.channel == "sms":
            said = shorten(account, said, one.max_parts)
        letters.setdefault((said, one.subject[:_SUBJECT]), []).append(one)
    return letters


def shorten(account: Account, said: str, parts: int | None = None) -> str:
    """A text cut to as many parts as it may take, and the account allows."""
    most = min(parts or account.max_parts, account.max_parts)
    return text.fit(said, most, transliterate=account.transliterate, concat="udh16")


def bounded(verdict: Verdict, account: Account) -> Verdict:
    """The verdict with texts no longer than they are ever said: a mail may be long, and fit ten thousand filters."""
    actions = tuple(
        one
        if len(one.text) <= _SMS and len(one.subject) <= _SUBJECT
        else replace(
            one,
            text=shorten(account, one.text, one.max_parts) if one.channel == "sms" else one.text[:_TEXT],
            subject=one.subject[:_SUBJECT],
        )
        for one in verdict.actions
    )
    return verdict if actions == verdict.actions else replace(verdict, actions=actions)


def destinations(
    connection: Connection, account: Account, wanted: Iterable[tuple[str, str]], house: House, telling: Telling
) -> dict[tuple[str, str], tuple[Recipient, ...]]:
    """The recipients behind each channel and destination as written; what is wrong with them is noted."""
    found: dict[tuple[str, str], tuple[Recipient, ...]] = {}
    for channel, to in dict.fromkeys(wanted):
        resolved = addressing.resolve(connection, account, Wanted(**{channel: (to,)}), region=house.region)
        _note(telling, resolved)
        found[channel, to] = resolved.recipients
    return found


def summary(
    telling: Telling,
    account: Account,
    recipients: Sequence[Recipient],
    words: tuple[str, str],
    house: House,
    now: datetime,
) -> None:
    """One more message of a summary."""
    _draft(telling, account, recipients, (), words, Origin.DIGEST, house, now)


def _note(telling: Telling, resolved: Resolved) -> None:
    telling.problems += [f"{one.to}: {one.why}" for one in resolved.refused]
    telling.problems += [str(one) for one in resolved.left_out]


def _draft(
    telling: Telling,
    account: Account,
    recipients: Sequence[Recipient],
    left_out: tuple[LeftOut, ...],
    words: tuple[str, str],
    origin: Origin,
    house: House,
    now: datetime,
) -> None:
    """One message to these recipients, as far as a route carries it."""
    if not recipients:
        return
    said, subject = words
    request = Request(
        account=account.id,
        origin=origin,
        recipients=tuple(recipients),
        text=said or subject,
        subject=subject if any(one.channel is not Channel.SMS for one in recipients) else "",
        automatic=True,
        left_out=left_out,
    )
    quote = quoting.quote(
        request,
        routes=house.routes,
        now=now,
        max_parts=account.max_parts,
        transliterate=account.transliterate,
    )
    telling.problems += [one.why for one in quote.refused]
    if quote.draft is not None:
        telling.drafts.append(quote.draft)
    elif quote.why is not None:
        telling.problems.append(str(quote.why))


def send(connection: Connection, tellings: Sequence[Telling], identifiers: Identifiers) -> None:
    """Take in all of their messages; what became of each is written into its telling."""
    drafts = [(telling, draft) for telling in tellings for draft in telling.drafts]
    if not drafts:
        return
    answers = intake.submit_many(connection, [draft for _, draft in drafts], identifiers)
    for (telling, _), answer in zip(drafts, answers, strict=True):
        if isinstance(answer, NotEnoughError):
            telling.unpaid = str(answer)
            telling.problems.append(str(answer))
        elif isinstance(answer, RefusedError):
            telling.problems.append(str(answer))
        else:
            telling.messages.append(answer.id)
