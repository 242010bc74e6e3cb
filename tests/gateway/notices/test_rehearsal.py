"""What would have been told of mails that came before: as it would have been, and nothing is written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway import circumstances, notices, rehearsal
from gateway.pacing import Limits
from gateway.store import schema

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def rehearse(watch: Any, *mails: tuple[timedelta, bytes]) -> rehearsal.Rehearsed:
    """These mails again, each so long after the start."""

    def work(connection: Any) -> rehearsal.Rehearsed:
        books = watch.notifier._books
        book = books.open(books.look(connection, watch.account))
        around = circumstances.find(connection, book, watch.now)
        account = around.account
        judged = [
            (watch.now + after, notices.judge(book, watch.arrived(octets), around, watch.now + after))
            for after, octets in mails
        ]
        limits = Limits(account.zone, account.cap_hour, account.cap_day, book.quiet)
        return rehearsal.rehearse(connection, account, limits, judged, watch.house)

    return watch.store.read_now(work)


async def test_a_rehearsal_tells_what_the_real_thing_does(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(max_per={"count": 7, "window": "PT2H"}, quiet={"from": "13:30", "to": "14:15"}))
    gaps = [0, 1, 2, 3, 120, 300, 600, 601, 602, 900, 1800, 3000, 4000, 5000, 5500, 6000, 7000, 9000]
    mails = [(n * SECOND, make_mail(f"mail {n}")) for n in gaps]
    start = watch.now
    told = rehearse(watch, *mails)
    assert watch.rows(schema.notice) == []
    for after, octets in mails:
        while (due := watch.release().due) is not None and due <= start + after:
            watch.now = due
        watch.now = start + after
        await watch.come(octets)
    while (due := watch.release().due) is not None:
        watch.now = due
    assert [text for said in told.said for text in said.texts] == watch.texts()
    assert told.units == len(watch.rows(schema.segment))
    assert sorted(one.state.value for one in told.became) == sorted(watch.states())
    assert {state.value for state in (one.state for one in told.became)} == {"sent", "digested"}


def test_a_storm_is_one_and_a_summary_and_its_cost_is_two(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(), bought=0)
    told = rehearse(watch, *((n * SECOND / 40, make_mail(f"alarm {n}")) for n in range(100)))
    assert [len(said.mails) for said in told.said] == [1, 99]
    assert told.units == 2
    assert told.said[1].to == (("sms", "+32475000001"),)
    assert watch.rows(schema.message) == []


def test_who_could_not_have_been_reached_is_told(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(to="contact:Nobody"))
    told = rehearse(watch, (MINUTE, make_mail()))
    assert told.became[0].state == "failed"
    assert "there is no contact Nobody" in told.became[0].why
    assert told.units == 0
