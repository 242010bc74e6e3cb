"""A replay tells what the real thing would have done, message for message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway import circumstances
from gateway.pacing import Limits
from gateway.replay import Came, Replayed, replay
from gateway.store import schema

SECOND = timedelta(seconds=1)


async def test_what_a_replay_tells_is_what_happens(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(max_per={"count": 7, "window": "PT2H"}, quiet={"from": "13:30", "to": "14:15"}))
    gaps = [0, 1, 2, 3, 120, 300, 600, 601, 602, 900, 1800, 3000, 4000, 5000, 5500, 6000, 7000, 9000]
    mails = [(n * SECOND, make_mail(f"mail {n}")) for n in gaps]
    start = watch.now

    def work(connection: Any) -> Replayed:
        books = watch.notifier._books
        book = books.open(books.look(connection, watch.account))
        around = circumstances.find(connection, book, start)
        account = around.account
        limits = Limits(account.zone, account.cap_hour, account.cap_day, book.quiet)
        came = [Came(start + after, watch.arrived(octets)) for after, octets in mails]
        return replay(connection, book.entries[0], limits, around, came, watch.house)

    told = watch.store.read_now(work)
    assert watch.rows(schema.notice) == []
    for after, octets in mails:
        while (due := watch.release().due) is not None and due <= start + after:
            watch.now = due
        watch.now = start + after
        await watch.come(octets)
    while (due := watch.release().due) is not None:
        watch.now = due
    assert [said.text for said in told.said] == watch.texts()
    assert told.units == len(watch.rows(schema.segment))
    assert {"sent", "digested"} == set(watch.states())
