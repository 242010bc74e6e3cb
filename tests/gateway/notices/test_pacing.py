"""Caps, limits, quiet hours and storms: told now, or later in one summary, and nothing is lost on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.store import schema

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SOON = timedelta(seconds=30)


async def test_five_notices_an_hour_then_one_summary_when_the_hour_allows(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    watch.open(make_filter())
    for n in range(8):
        await watch.come(make_mail(f"mail {n}"), after=MINUTE)
    assert watch.texts("filter") == [f"mail {n}" for n in range(5)]
    assert watch.states() == ["sent"] * 5 + ["capped"] * 3
    done = watch.release()
    assert watch.texts("digest") == []
    # The first was told at one past noon: an hour later there is room for one more.
    assert done.due == datetime(2026, 3, 10, 13, 1, tzinfo=UTC)
    watch.now = done.due - SECOND
    watch.release()
    assert watch.texts("digest") == []
    watch.release(after=SECOND)
    assert watch.texts("digest") == ["3 more mails since 12:06: mail 5; mail 6; mail 7"]
    assert watch.states() == ["sent"] * 5 + ["digested"] * 3
    assert watch.rows(schema.notifying)[0].due is None


async def test_who_comes_while_others_wait_for_the_cap_waits_with_them(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    watch.open(make_filter(), cap_hour=1)
    await watch.come(make_mail("one"), make_mail("two"))
    await watch.come(make_mail("three"), after=61 * MINUTE)
    watch.release()
    assert watch.texts() == ["one", "2 more mails since 12:00: two; three"]


async def test_the_day_has_a_cap_of_its_own(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(), cap_day=3)
    for n in range(5):
        await watch.come(make_mail(f"mail {n}"), after=2 * HOUR)
    assert watch.states() == ["sent"] * 3 + ["capped"] * 2
    assert watch.release().due == datetime(2026, 3, 11, 14, tzinfo=UTC)
    watch.release(after=HOUR * 16)
    assert watch.texts("digest") == ["2 more mails since 20:00 yesterday: mail 3; mail 4"]


async def test_a_cap_of_none_is_the_owners_own_rule_and_noted(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(), cap_hour=0)
    await watch.come(make_mail())
    (row,) = watch.rows(schema.notice)
    assert (row.state, row.why) == ("dropped", "the account's caps allow no notice at all")


async def test_four_hundred_mails_in_ten_seconds_are_one_sms_now_and_one_summary_later(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    watch.open(make_filter())
    for n in range(400):
        sender = "boss@corp.example" if n % 4 else "cron@web1.example"
        await watch.come(make_mail(f"alarm {n}", of=sender), after=timedelta(milliseconds=25))
        if n % 40 == 39:
            watch.release()
    assert watch.texts() == ["alarm 0"]
    for _ in range(30):
        watch.release(after=SECOND)
    first, *rest = watch.texts()
    assert (first, len(rest)) == ("alarm 0", 1)
    assert rest == ["399 more mails since 12:00: 300 from boss@corp.example, 99 from cron@web1.example"]
    assert watch.states() == ["sent"] + ["digested"] * 399
    for _ in range(25):
        watch.release(after=HOUR)
    assert len(watch.texts()) == 2


async def test_a_few_mails_close_together_are_told_one_by_one_a_moment_later(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    watch.open(make_filter())
    await watch.come(*(make_mail(f"mail {n}") for n in range(4)))
    assert watch.texts() == ["mail 0"]
    watch.release(after=2 * SECOND)
    assert watch.texts() == ["mail 0"]
    watch.release(after=SECOND)
    assert watch.texts() == [f"mail {n}" for n in range(4)]


async def test_a_storm_goes_on_and_the_caps_hold(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter())
    count = 0
    for _ in range(12):
        for _ in range(25):
            await watch.come(make_mail(f"alarm {count}"), after=10 * SECOND / 25)
            count += 1
        watch.release()
    assert len(watch.texts()) <= 5
    told = set(watch.states())
    assert told <= {"sent", "digested", "gathered", "capped"}
    for _ in range(24):
        watch.release(after=HOUR)
    assert set(watch.states()) == {"sent", "digested"}
    assert len(watch.states()) == count
    assert len(watch.texts()) <= 7


async def test_a_filters_own_limit_digests(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(
        make_filter(
            "noisy",
            test={"field": "subject", "op": "begins", "value": "noise"},
            max_per={"count": 2, "window": "PT30M", "then": "digest"},
        ),
        make_filter("other"),
    )
    for n in range(4):
        await watch.come(make_mail(f"noise {n}"), after=MINUTE)
    # "other" fits as well, but says the same.
    assert watch.states() == ["sent", "sent"] * 2 + ["limited", "limited"] * 2
    watch.release(after=27 * MINUTE)
    assert watch.texts() == ["noise 0", "noise 1", "2 more mails since 12:03: noise 2; noise 3"]


async def test_a_filters_own_limit_drops_where_it_says_so(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(max_per={"count": 1, "window": "PT1H", "then": "drop"}))
    await watch.come(make_mail("one"), make_mail("two"))
    assert watch.states() == ["sent", "dropped"]
    assert watch.rows(schema.notice)[1].why == "the filter allows 1 in 60 minutes"
    await watch.come(make_mail("three"), after=HOUR)
    assert watch.texts() == ["one", "three"]


async def test_quiet_hours_hold_and_one_summary_follows(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(quiet={"from": "22:00", "to": "07:00", "then": "hold"}), zone="Europe/Brussels")
    watch.now = datetime(2026, 3, 10, 20, 59, tzinfo=UTC)
    await watch.come(make_mail("still up"))
    for n in range(3):
        await watch.come(make_mail(f"night {n}"), after=HOUR)
    assert watch.states() == ["sent", "held", "held", "held"]
    assert watch.release().due == datetime(2026, 3, 11, 6, tzinfo=UTC)
    watch.now = datetime(2026, 3, 11, 6, tzinfo=UTC)
    watch.release()
    assert watch.texts("digest") == ["3 mails since 22:59 yesterday: night 0; night 1; night 2"]


async def test_one_mail_that_was_held_is_told_in_its_own_words(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(quiet={"from": "11:00", "to": "14:00"}))
    await watch.come(make_mail("alone"))
    watch.release(after=2 * HOUR)
    assert watch.texts() == ["alone"]
    assert watch.states() == ["sent"]


async def test_quiet_hours_of_the_account_hold_for_filters_that_have_none(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    watch.open(make_filter())
    watch.configure(new_mail=True, quiet="11:00-14:00")
    await watch.come(make_mail("one"))
    assert watch.states() == ["held"]


async def test_quiet_hours_that_drop_are_noted(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(quiet={"from": "11:00", "to": "14:00", "then": "drop"}))
    await watch.come(make_mail())
    (row,) = watch.rows(schema.notice)
    assert (row.state, row.why) == ("dropped", "it is quiet from 11:00-14:00")


async def test_without_credit_the_owner_is_told_once_and_what_waited_is_told_when_there_is_some(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    from gateway import credit

    watch.open(make_filter(), bought=0)
    for n in range(3):
        await watch.come(make_mail(f"mail {n}"), after=MINUTE)
    assert watch.states() == ["unpaid"] * 3
    (told,) = watch.texts("report")
    assert "not enough credit: 1 unit needed, 0 left" in told
    assert watch.rows(schema.spoken) == []
    watch.release(after=HOUR)
    assert watch.states() == ["unpaid"] * 3
    watch.store.run_now(lambda connection: credit.buy(connection, watch.account, 5, reason="bought", now=watch.now))
    watch.release(after=HOUR)
    assert watch.texts("digest") == ["3 mails since 12:01: mail 0; mail 1; mail 2"]
    assert len(watch.texts("report")) == 1


async def test_what_nobody_paid_for_a_day_is_given_up_and_noted(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(), bought=0)
    await watch.come(make_mail())
    for _ in range(26):
        watch.release(after=HOUR)
    (row,) = watch.rows(schema.notice)
    assert row.state == "failed"
    assert "given up after a day" in row.why
    assert watch.rows(schema.notifying)[0].due is None


async def test_a_summary_goes_to_whom_its_notices_would_have_gone(watch: Any, make_filter: Any, make_mail: Any) -> None:
    both = json.loads(make_filter("both").source)
    both["actions"] = [{"sms": ["me", "+32475000002"], "text": "{subject}", "max_parts": 1}]
    from gateway import filterbook

    watch.open(
        make_filter("mine", test={"field": "subject", "op": "begins", "value": "mine"}, stop=True),
        *filterbook.read_json(json.dumps(both)),
        cap_hour=1,
    )
    await watch.come(make_mail("first"))
    await watch.come(make_mail("mine a"), make_mail("both b"), after=SOON)
    watch.release(after=HOUR)
    rows = [row for row in watch.rows(schema.message) if row.origin == "digest"]
    whom = {
        row.text: {one.address for one in watch.rows(schema.delivery, schema.delivery.c.message_id == row.id)}
        for row in rows
    }
    assert whom == {
        "2 more mails since 12:00: mine a; both b": {"+32475000001"},
        "1 more mail since 12:00: both b": {"+32475000002"},
    }


async def test_an_account_that_is_removed_leaves_nothing(watch: Any, make_filter: Any, make_mail: Any) -> None:
    from gateway import accounts, holds
    from gateway.holds import Selection

    watch.open(make_filter())
    await watch.come(make_mail("one"), make_mail("two"))
    watch.store.run_now(
        lambda connection: holds.cancel(connection, Selection(account=watch.account), watch.now, after=0)
    )
    watch.store.run_now(lambda connection: accounts.remove(connection, "ann"))
    for table in (schema.filters, schema.notice, schema.told, schema.spoken, schema.notifying):
        assert watch.rows(table) == []


@pytest.mark.parametrize("count", [4, 19])
async def test_nothing_is_counted_twice_when_the_planner_looks_again(
    watch: Any, make_filter: Any, make_mail: Any, count: int
) -> None:
    watch.open(make_filter(), cap_hour=1000, cap_day=1000)
    await watch.come(*(make_mail(f"mail {n}") for n in range(count)))
    for _ in range(20):
        watch.release(after=SECOND)
    assert sorted(watch.texts()) == sorted(f"mail {n}" for n in range(count))


async def test_what_waits_for_caps_or_quiet_hours_is_told_once_these_are_changed(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    from gateway import accounts, filterbook

    watch.open(make_filter(), cap_day=1)
    watch.configure(quiet="12:30-23:00")
    await watch.come(make_mail("one"), make_mail("two"))
    await watch.come(make_mail("three"), after=HOUR)
    assert watch.states() == ["sent", "capped", "held"]

    def more(connection: Any) -> None:
        accounts.change(connection, "ann", now=watch.now, settings={"cap_day": 20})
        filterbook.look_again(connection, watch.account, watch.now)

    watch.store.run_now(more)
    watch.release()
    assert watch.states() == ["sent", "held", "held"]
    watch.configure(quiet="")
    watch.release()
    assert watch.texts("digest") == ["2 mails since 12:00: two; three"]
