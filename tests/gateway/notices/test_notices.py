"""From a mail to a notice: once, in its owner's words, to whom he wrote down, paid by him."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from filters.context import Source
from gateway import filterbook
from gateway.store import schema

SOON = timedelta(seconds=30)


async def test_a_mail_that_fits_a_filter_is_told_at_once(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter())
    (noted,) = await watch.come(make_mail("Meeting moved"))
    assert [state for _, state in noted.notices] == ["sent"]
    assert watch.texts("filter") == ["Meeting moved"]
    (delivery,) = watch.rows(schema.delivery)
    assert delivery.address == "+32475000001"
    assert watch.kicked == ["operator"]
    (row,) = watch.rows(schema.notice)
    assert json.loads(row.trace)["hits"][0]["field"] == "from"
    assert row.say == ""


async def test_a_mail_no_filter_fits_leaves_no_trace(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(test={"field": "subject", "op": "contains", "value": "fire"}))
    (noted,) = await watch.come(make_mail("Meeting moved"))
    assert noted.notices == ()
    assert watch.rows(schema.notice) == []


async def test_the_same_mail_by_another_door_is_no_second_notice(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter())
    await watch.come(make_mail(), make_mail())
    await watch.come(make_mail(), after=SOON, source=Source("mailbox", "work", "INBOX"), flags=frozenset())
    await watch.come(make_mail(), after=SOON, source=Source("mailbox", "work", "Archive"), flags=frozenset())
    assert watch.texts() == ["hello"]
    assert watch.states() == ["sent"]


async def test_a_mail_without_message_id_is_known_by_what_it_says(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter())
    first = make_mail("one", id_=None)
    await watch.come(first, after=SOON)
    await watch.come(b"Received: from elsewhere\r\nDelivered-To: ann@example.org\r\n" + first, after=SOON)
    await watch.come(first.replace(b"Some words", b"Other words"), after=SOON)
    assert watch.texts() == ["one", "one"]


async def test_two_mails_at_once_of_one_id_are_one_notice(watch: Any, make_filter: Any, make_mail: Any) -> None:
    import asyncio

    watch.open(make_filter())
    arrived = [watch.arrived(make_mail()) for _ in range(20)]
    noted = await asyncio.gather(*(watch.notifier.take([one]) for one in arrived))
    assert sum(len(one[0].notices) for one in noted) == 1
    assert watch.texts() == ["hello"]


async def test_each_filter_that_fits_is_a_notice_and_what_only_repeats_another_is_not_said_again(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    other = filterbook.read_json(
        json.dumps(
            {
                "name": "other words",
                "when": {"field": "subject", "op": "exists"},
                "actions": [{"sms": ["me"], "text": "from {from_name}"}],
            }
        )
    )
    watch.open(make_filter("first"), make_filter("same again"), *other)
    (noted,) = await watch.come(make_mail())
    assert [state for _, state in noted.notices] == ["sent", "sent", "sent"]
    assert sorted(watch.texts()) == ["from boss@corp.example", "hello"]
    assert len(watch.rows(schema.told)) == 3


async def test_new_mail_is_told_where_it_was_asked_for_and_no_filter_speaks(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    watch.open(make_filter(test={"field": "subject", "op": "contains", "value": "fire"}))
    await watch.come(make_mail("one"), after=SOON)
    assert watch.texts() == []
    watch.configure(new_mail=True)
    await watch.come(make_mail("two", of="Jean Dupont <jean@x.example>"), after=SOON)
    await watch.come(make_mail("a fire"), after=SOON)
    assert watch.texts() == ["Jean Dupont: two", "a fire"]


async def test_new_mail_is_not_told_of_what_another_door_told_of(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(source="smtp"))
    watch.configure(new_mail=True)
    await watch.come(make_mail("one"))
    await watch.come(make_mail("one"), after=SOON, source=Source("mailbox", "work", "INBOX"), flags=frozenset())
    assert watch.texts() == ["one"]


async def test_mail_of_our_own_makes_no_notice(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter())
    watch.configure(new_mail=True)
    await watch.come(make_mail(Tocsin_Origin="report"))
    assert watch.rows(schema.notice) == []


async def test_what_the_caller_writes_is_written_with_the_notices_or_not_at_all(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    watch.open(make_filter())

    def also(connection: Connection) -> None:
        filterbook.configure(connection, watch.account, now=watch.now, new_mail=True)
        if broken:
            raise OSError("the lease is gone")

    broken = True
    with pytest.raises(OSError, match="lease"):
        await watch.notifier.take([watch.arrived(make_mail())], also)
    assert watch.texts() == []
    broken = False
    await watch.notifier.take([watch.arrived(make_mail("one")), watch.arrived(make_mail("two"))], also)
    assert watch.texts() == ["one"]
    assert watch.states() == ["sent", "gathered"]


async def test_who_cannot_be_reached_is_noted_and_the_others_are_told(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    document = {
        "name": "several",
        "when": {"field": "from", "op": "exists"},
        "actions": [{"sms": ["me", "contact:Nobody", "+32475000002"], "text": "{subject}"}, {"fax": ["+3222123456"]}],
    }
    watch.open(*filterbook.read_json(json.dumps(document)))
    await watch.come(make_mail())
    assert [row.address for row in watch.rows(schema.delivery)] == ["+32475000001", "+32475000002"]
    (row,) = watch.rows(schema.notice)
    assert row.state == "sent"
    assert "there is no contact Nobody" in row.why
    assert "no route here carries fax" in row.why


async def test_an_account_without_a_number_is_told_nothing_and_that_is_noted(
    watch: Any, make_filter: Any, make_mail: Any
) -> None:
    watch.open(make_filter(), mobile="")
    await watch.come(make_mail())
    (row,) = watch.rows(schema.notice)
    assert row.state == "failed"
    assert "me:" in row.why
    assert watch.rows(schema.spoken) == []


async def test_a_long_text_is_cut_to_the_parts_it_may_take(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter())
    await watch.come(make_mail("word " * 100, id_="long"))
    (said,) = watch.texts()
    assert said.endswith("word...")
    assert len(watch.rows(schema.segment)) == 1
    assert len(said) > 140


async def test_an_action_by_email_takes_the_mail_route(watch: Any, make_mail: Any) -> None:
    document = {
        "name": "by mail",
        "when": {"field": "from", "op": "exists"},
        "actions": [{"email": ["ops@example.net"], "text": "{subject}"}],
    }
    watch.open(*filterbook.read_json(json.dumps(document)))
    await watch.come(make_mail("A thing"))
    (delivery,) = watch.rows(schema.delivery)
    assert (delivery.channel, delivery.address) == ("email", "ops@example.net")
    assert watch.kicked == ["mail"]


async def test_a_filter_that_was_changed_while_a_mail_was_judged_judges_it_again(
    watch: Any, make_filter: Any, make_mail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway import notices

    watch.open(make_filter("old"))
    judge = notices.judge
    judged = []

    def meanwhile(*arguments: Any) -> Any:
        found = judge(*arguments)
        if not judged:
            watch.store.run_now(
                lambda connection: filterbook.remove(connection, watch.account, [found.found[0].pace.filter])
            )
            watch.add(make_filter("new"))
        judged.append(found)
        return found

    monkeypatch.setattr(notices, "judge", meanwhile)
    await watch.come(make_mail())
    assert len(judged) == 2
    assert [row.name for row in watch.rows(schema.notice)] == ["new"]


SCRIPT = """require ["enotify", "duplicate"];
if allof (header :contains "subject" "disk", not duplicate :uniqueid "disk" :seconds 3600) {
  notify :message "the disk is full" "tel:+32475000009";
}
"""


async def test_a_sieve_script_notifies_and_remembers_what_it_told(watch: Any, make_mail: Any) -> None:
    watch.open(filterbook.read_script(SCRIPT, "disk"))
    await watch.come(make_mail("disk a"), after=SOON)
    await watch.come(make_mail("disk b"), after=SOON)
    assert watch.texts() == ["the disk is full"]
    await watch.come(make_mail("disk c"), after=timedelta(hours=1))
    assert watch.texts() == ["the disk is full"] * 2
    assert {row.address for row in watch.rows(schema.delivery)} == {"+32475000009"}


async def test_two_mails_at_once_do_not_slip_past_a_scripts_memory(watch: Any, make_mail: Any) -> None:
    import asyncio

    watch.open(filterbook.read_script(SCRIPT, "disk"))
    mails = [watch.arrived(make_mail(f"disk {n}")) for n in range(10)]
    await asyncio.gather(*(watch.notifier.take([one]) for one in mails))
    assert watch.states() == ["sent"]


async def test_who_writes_decides_where_the_account_knows_him(watch: Any, make_filter: Any, make_mail: Any) -> None:
    from gateway import contacts
    from gateway.contacts import Entry, Mailbox

    watch.open(make_filter(test={"field": "sender_in", "op": "in", "value": "book:private"}))

    def work(connection: Connection) -> None:
        book = contacts.open_book(connection, watch.account)
        contacts.add(connection, book, Entry("Jean", (), (Mailbox("jean@x.example"),)), now=watch.now)

    watch.store.run_now(work)
    await watch.come(make_mail("no"), make_mail("yes", of="Jean <jean@x.example>"))
    assert watch.texts() == ["yes"]


async def test_a_filter_may_ask_how_much_credit_is_left_and_how_much_was_told_today(watch: Any, make_mail: Any) -> None:
    document = {
        "name": "twice a day at most",
        "when": {
            "all": [
                {"field": "sent_today", "op": "<", "value": 2},
                {"field": "credit_left", "op": ">=", "value": 1},
            ]
        },
        "actions": [{"sms": ["me"], "text": "{subject}"}],
    }
    watch.open(*filterbook.read_json(json.dumps(document)))
    for n in range(4):
        await watch.come(make_mail(f"mail {n}"), after=SOON)
    assert watch.texts() == ["mail 0", "mail 1"]
