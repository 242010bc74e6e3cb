"""Two daemons on one store: a mail that comes to both is one notice, and a summary is said by one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from gateway import summaries
from gateway.notifier import Notifier
from gateway.store.store import Store


async def test_a_mail_that_comes_to_both_is_one_notice(
    watch: Any, make_filter: Any, make_mail: Any, open_store: Callable[..., Store]
) -> None:
    watch.open(make_filter(), cap_hour=1000, cap_day=1000)
    other = Notifier(open_store(), lambda: watch.house.office, watch.kicked.extend, now=lambda: watch.now)
    mails = [watch.arrived(make_mail(f"mail {n}")) for n in range(15)]
    both = (watch.notifier, other)
    noted = await asyncio.gather(*(one.take([mail]) for mail in mails for one in both))
    assert sum(len(one[0].notices) for one in noted) == 15
    assert len(watch.states()) == 15


async def test_a_summary_is_said_once(
    watch: Any, make_filter: Any, make_mail: Any, open_store: Callable[..., Store]
) -> None:
    watch.open(make_filter(), cap_hour=1)
    await watch.come(*(make_mail(f"mail {n}") for n in range(5)))
    watch.now += timedelta(hours=1)
    stores = [watch.store, open_store()]

    def look(store: Store) -> Any:
        return partial(summaries.release, identifiers=store.identifiers, house=watch.house, now=watch.now)

    done = await asyncio.gather(*(store.run(look(store)) for store in stores for _ in range(4)))
    assert sum(one.said for one in done) == 1
    assert len(watch.texts("digest")) == 1
