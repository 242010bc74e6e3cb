"""What is done for each mail finds its rows by index, however many notices were made before it; and old ones go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event

from gateway import retention
from gateway.store import schema
from gateway.store.store import Store

TABLES = ("notice", "notifying", "spoken", "told", "duplicate", "filter", "message")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def _multiply(connection: Connection, account: int) -> None:
    """Twenty thousand notices of a thousand accounts, all told long ago."""
    series = "WITH RECURSIVE series(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM series WHERE k < {}) "
    blob = "CAST('mail' || k AS BLOB)" if connection.dialect.name == "sqlite" else "convert_to('mail' || k, 'UTF8')"
    for count, table, columns, values in (
        (1000, "account",
         "id, name, zone, language, max_parts, signature, text, transliterate, cap_hour, cap_day, created",
         "100000 + k, 'other' || k, 'UTC', 'en', 6, '', 'body', true, 5, 20, 0"),
        (1000, "notifying", "account_id, version, new_mail, burst_mails", "100000 + k, 1, false, 0"),
        (1000, "filter", "id, account_id, name, place, enabled, kind, source, created, changed",
         "200000 + k, 100000 + k, 'x', 0, true, 'json', '{}', 0, 0"),
        (20_000, "notice", "id, account_id, mail, filter_id, name, at, sender, subject, state, why, say, trace",
         f"300000 + k, CASE WHEN k % 2 = 0 THEN {account} ELSE 100000 + k % 1000 + 1 END, {blob}, 7, 'x', k, 's', 's', "
         "'sent', '', '', '{}'"),
        (20_000, "told", "notice_id, message_id", "300000 + k, k"),
        (20_000, "spoken", "id, account_id, filter_id, at", f"300000 + k, {account}, k % 3, k"),
    ):  # fmt: skip
        statement = f"{series.format(count)} INSERT INTO {table} ({columns}) SELECT {values} FROM series"
        connection.exec_driver_sql(statement if connection.dialect.name == "sqlite" else statement.replace("%", "%%"))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE")


@contextmanager
def scans(store: Store) -> Iterator[list[str]]:
    """Collects statements that read one of our tables from end to end."""
    found: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if store.engine.dialect.name == "sqlite" else "EXPLAIN "

    def look(connection: Connection, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if statement.split(maxsplit=1)[0] not in ("SELECT", "UPDATE", "DELETE"):
            return
        cursor = connection.connection.cursor()
        cursor.execute(explain + statement, values[0] if many else values)
        lines = [" ".join(map(str, row)).lstrip("0123456789 ->") for row in cursor.fetchall()]
        found.extend(f"{line}\n{statement}" for line in lines if any(_is_scan(line, table) for table in TABLES))
        cursor.close()

    event.listen(store.engine, "before_cursor_execute", look)
    yield found
    event.remove(store.engine, "before_cursor_execute", look)


def _is_scan(line: str, table: str) -> bool:
    """In SQLite's words, or PostgreSQL's."""
    whole = line == f"SCAN {table}" or line.startswith(f"SCAN {table} ")
    return line.startswith(f"Seq Scan on {table} ") or (whole and "USING" not in line)


async def test_each_mail_and_each_summary_finds_its_rows(watch: Any, make_filter: Any, make_mail: Any) -> None:
    watch.open(make_filter(max_per={"count": 3, "window": "PT1H"}), cap_hour=4)
    watch.store.run_now(partial(_multiply, account=watch.account))
    with scans(watch.store) as found:
        for n in range(6):
            await watch.come(make_mail(f"mail {n}"), after=MINUTE)
        watch.release(after=HOUR)
    assert found == []
    assert len(watch.texts("digest")) == 1


@pytest.mark.parametrize(("keep", "left"), [(365, 2), (7, 1)])
async def test_what_is_too_old_goes_and_its_mail_is_still_known_for_a_month(
    watch: Any, make_filter: Any, make_mail: Any, keep: int, left: int
) -> None:
    watch.open(make_filter(), cap_hour=1)
    await watch.come(make_mail("one"), make_mail("held up"))

    def forget() -> None:
        now = watch.now
        work = partial(retention.forget, before=now - keep * DAY, now=now)
        while watch.store.run_now(work):
            pass

    watch.now += 10 * DAY
    forget()
    one, waiting = watch.rows(schema.notice)
    assert (one.subject, waiting.subject) == (("one", "held up") if left == 2 else ("", "held up"))
    await watch.come(make_mail("one"))
    assert watch.texts() == ["one"]
    watch.release()
    watch.now += 33 * DAY
    forget()
    assert len(watch.rows(schema.notice)) == (2 if left == 2 else 0)
    assert watch.rows(schema.spoken) == []
    watch.now += 400 * DAY
    forget()
    assert watch.rows(schema.notice) == []
    assert watch.rows(schema.told) == []
