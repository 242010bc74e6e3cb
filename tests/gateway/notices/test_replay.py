"""A filter tried on mails that came before: caps, limits and quiet hours as they would have been; nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from filters.context import Source
from filters.mail import Mail
from gateway import accounts, circumstances, filterbook, quiet_hours, replay, rulebook
from gateway.notices import Arrived
from gateway.pacing import Limits
from gateway.replay import Came, Replayed
from gateway.rulebook import Book
from gateway.store import schema
from tests.gateway.notices.conftest import MOBILE, START, Watch, mail, written

HOUR = timedelta(hours=1)


def run(
    watch: Watch, came: Sequence[tuple[timedelta, bytes]], *, quiet: str | None = None, caps: tuple[int, int] = (5, 20)
) -> Replayed:
    """The account's first filter, on mails that came so long after START."""

    def work(connection: Connection) -> Replayed:
        owner = accounts.find(connection, "ann")
        (kept, *_) = filterbook.everything(connection, owner.id)
        entry = rulebook.entry_of(kept, rulebook.parse(kept.kind, kept.source, kept.name))
        limits = Limits(owner.zone, *caps, quiet_hours.parse(quiet) if quiet else None)
        book = Book(owner.id, 0, (entry,), asks=entry.asks, books=entry.books)
        around = circumstances.find(connection, book, START)
        assert around is not None
        source = Source("mailbox", "ann", "INBOX")
        mails = [
            Came(START + after, Arrived(owner.id, Mail.read(octets), source, octets=octets)) for after, octets in came
        ]
        return replay.replay(connection, entry, limits, around, mails, watch.house)

    return watch.store.read_now(work)


def spread(count: int, every: timedelta) -> list[tuple[timedelta, bytes]]:
    return [(every * n, mail(f"mail {n}")) for n in range(count)]


@pytest.fixture
def opened(watch: Watch) -> Watch:
    watch.open(written())
    return watch


def test_each_mail_is_an_sms_at_its_time_and_at_its_price(opened: Watch) -> None:
    found = run(opened, spread(3, HOUR))
    assert [(one.at, one.to, one.text, one.mails) for one in found.said] == [
        (START + HOUR * n, MOBILE, f"mail {n}", 1) for n in range(3)
    ]
    assert (found.mails, found.matched, found.units, found.unsaid) == (3, 3, 3, [])


def test_the_same_mail_in_two_folders_counts_once(opened: Watch) -> None:
    found = run(opened, [(HOUR, mail("one")), (HOUR * 2, mail("one"))])
    assert (found.mails, found.matched, len(found.said)) == (2, 1, 1)


def test_caps_hold_back_and_one_summary_follows(opened: Watch) -> None:
    found = run(opened, spread(12, timedelta(minutes=4)), caps=(5, 20))
    alone, summaries = found.said[:5], found.said[5:]
    assert [one.mails for one in alone] == [1] * 5
    assert sum(one.mails for one in summaries) == 7
    assert all(one.at >= START + HOUR for one in summaries)
    assert found.unsaid == []


def test_a_cap_of_none_leaves_all_untold_and_says_why(opened: Watch) -> None:
    found = run(opened, spread(3, HOUR), caps=(0, 20))
    assert found.said == []
    assert {one.why for one in found.unsaid} == {"the account's caps allow no notice at all"}


def test_quiet_hours_hold_until_their_end(opened: Watch) -> None:
    night = datetime(2026, 3, 10, 23, tzinfo=UTC) - START
    found = run(opened, [(night, mail("late")), (night + HOUR, mail("later"))], quiet="22:00-07:00")
    assert {one.at for one in found.said} == {datetime(2026, 3, 11, 7, tzinfo=UTC)}
    assert sum(one.mails for one in found.said) == 2


@pytest.mark.parametrize(("then", "said", "untold"), [("drop", 2, 3), ("digest", 5, 0)])
def test_the_filters_own_limit_is_applied(watch: Watch, then: str, said: int, untold: int) -> None:
    watch.open(written(max_per={"count": 2, "window": "PT1H", "then": then}))
    found = run(watch, spread(5, timedelta(minutes=5)))
    assert sum(one.mails for one in found.said) == said
    assert len(found.unsaid) == untold


def test_a_storm_is_one_sms_and_one_summary(opened: Watch) -> None:
    found = run(opened, spread(400, timedelta(milliseconds=50)))
    assert [one.mails for one in found.said] == [1, 399]


def test_what_does_not_fit_is_counted_and_no_more(watch: Watch) -> None:
    watch.open(written(test={"field": "subject", "op": "contains", "value": "alarm"}))
    found = run(watch, [(HOUR, mail("alarm one")), (HOUR * 2, mail("else"))])
    assert (found.mails, found.matched, [one.text for one in found.said]) == (2, 1, ["alarm one"])


def test_nothing_is_kept_and_nothing_paid(opened: Watch) -> None:
    tables = (schema.message, schema.segment, schema.notice, schema.ledger)

    def rows(connection: Connection) -> list[Any]:
        return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

    before = opened.store.read_now(rows)
    assert run(opened, spread(3, HOUR)).units == 3
    assert opened.store.read_now(rows) == before
