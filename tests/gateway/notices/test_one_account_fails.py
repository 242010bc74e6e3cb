"""An account whose notices cannot be told, whatever the defect, keeps nobody else's back and stops no daemon."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from daemon.summing_up import sum_up
from gateway.store import schema

HOUR = timedelta(hours=1)


async def test_the_others_are_told_and_it_is_put_off(
    watch: Any, make_filter: Any, make_mail: Any, caplog: pytest.LogCaptureFixture
) -> None:
    accounts = []
    for name in ("ann", "bob", "cleo"):
        accounts.append(watch.open(make_filter(), name=name, cap_hour=1))
        await watch.come(*(make_mail(f"{name} {n}") for n in range(3)))
    notice = schema.notice
    broken = update(notice).where(notice.c.account_id == accounts[1], notice.c.state == "capped").values(say="rubbish")
    watch.store.run_now(lambda connection: connection.execute(broken))
    watch.now += HOUR
    done = await sum_up(watch.store, watch.house, watch.now)
    assert done.more
    assert len(watch.texts("digest")) == 2
    assert "summary_failed" in [record.__dict__.get("action") for record in caplog.records]
    again = await sum_up(watch.store, watch.house, watch.now)
    assert again.due == watch.now + timedelta(minutes=5)
