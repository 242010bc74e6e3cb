"""Ten thousand filters of one account: parsed once, asked in bounded time, and told together."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest

from gateway import filterbook, rulebook
from gateway.failure import RefusedError
from gateway.store import schema


def many(count: int) -> list[filterbook.Written]:
    documents = [
        {
            "name": f"filter {n}",
            "when": {"all": [{"field": "subject", "op": "word", "value": ["all", f"word{n}"]}]},
            "actions": [{"sms": ["me"], "text": f"{n}: {{subject}}", "max_parts": 1}],
        }
        for n in range(count)
    ]
    return filterbook.read_json(json.dumps(documents))


async def test_ten_thousand_filters_are_parsed_once_and_a_change_parses_what_changed(
    watch: Any, make_mail: Any, make_filter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, parsed = rulebook.parse, []
    monkeypatch.setattr(rulebook, "parse", lambda *source: parsed.append(source[2]) or parse(*source))
    watch.open(*(one for start in range(0, 9_999, 3333) for one in many(3333)))
    await watch.come(make_mail("nothing"))
    assert len(parsed) == 9_999
    began = time.perf_counter()
    for n in range(5):
        await watch.come(make_mail(f"nothing either {n}"))
    assert (time.perf_counter() - began) / 5 < 2  # a tenth of it on an idle machine
    watch.add(make_filter("the last"))
    await watch.come(make_mail("told"))
    assert parsed[9_999:] == ["the last"]
    assert watch.texts() == ["told"]
    with pytest.raises(RefusedError, match="10,000 filters"):
        watch.add(make_filter("one too many"))


async def test_a_mail_that_fits_thousands_of_filters_is_one_mail_in_the_summary(watch: Any, make_mail: Any) -> None:
    watch.open(*many(2000))
    await watch.come(make_mail("all " + "and more " * 20_000, id_="all"))
    assert sorted(set(watch.states())) == ["capped", "sent"]
    assert watch.states().count("sent") == 5
    assert max(len(row.say) for row in watch.rows(schema.notice)) < 1000
    watch.release(after=timedelta(hours=1))
    (summary,) = watch.texts("digest")
    assert summary.startswith("1 more mail since 12:00")
    assert watch.states().count("digested") == 1995


def test_filters_that_are_stored_and_cannot_be_read_any_more_are_left_out(
    watch: Any, make_filter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    watch.open(make_filter(), filterbook.Written("of another version", "json", '{"name": "x"}'))
    books = rulebook.Rulebooks()
    book = books.open(watch.store.read_now(lambda connection: books.look(connection, watch.account)))
    assert [entry.rule.name for entry in book.entries] == ["all"]
    assert "filter_unreadable" in [record.__dict__.get("action") for record in caplog.records]
