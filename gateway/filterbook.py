"""Filters as their owners keep them: added, shown, put in order, switched, taken away, exported.

Whatever is stored can be run: it is read before it is kept, and an error names the path or the line. Each change raises
the account's version, by which whoever judges mails knows that its book is old.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from filters import criteria, sieve_export
from filters.criteria import FilterError
from gateway import quiet_hours, rulebook
from gateway.failure import RefusedError
from gateway.store import schema
from gateway.store.identifiers import Identifiers

_filter, _notifying = schema.filters, schema.notifying

#: The most filters of an account, and the longest name.
MOST, LONGEST = 10_000, 100
JSON, SIEVE = "json", "sieve"
#: How an exported script says what it needs, which must come before everything else (RFC 5228 section 3.2).
_REQUIRE, _NAME = re.compile(r"require (.*);"), re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Written:
    """A filter as it is written: `source` is its JSON document, or its script."""

    name: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A filter that is kept; `order` counts from 1, and the first is asked first."""

    id: int
    order: int
    name: str
    enabled: bool
    kind: str
    source: str
    created: datetime
    changed: datetime

    @property
    def document(self) -> dict[str, Any]:
        """What it is, ready for JSON."""
        if self.kind == SIEVE:
            return {"name": self.name, "sieve": self.source}
        found: dict[str, Any] = json.loads(self.source)
        return found


def as_sieve(kept: Sequence[Kept]) -> str:
    """Filters as one Sieve script; `RefusedError` names, by its path, what Sieve cannot say."""
    if len(kept) == 1 and kept[0].kind == SIEVE:
        return kept[0].source
    own = next((one for one in kept if one.kind == SIEVE), None)
    if own is not None:
        raise RefusedError(f"{own.name} is a Sieve script already, which goes into no other: export it by itself")
    required: set[str] = set()
    bodies: list[str] = []
    for one in kept:
        try:
            said = sieve_export.script(criteria.parse(one.document))
        except FilterError as error:
            raise RefusedError(f"{one.name}: {error}") from None
        for line in said.splitlines(keepends=True):
            needs = _REQUIRE.fullmatch(line.strip())
            if needs:
                required.update(_NAME.findall(needs[1]))
            else:
                bodies.append(line)
    names = ", ".join(f'"{name}"' for name in sorted(required))
    return (f"require [{names}];\n\n" if names else "") + "".join(bodies)


def written_out(document: Any) -> str:
    """A filter's document for people."""
    return json.dumps(document, ensure_ascii=False, indent=2)


@dataclass(frozen=True, slots=True)
class Settings:
    """How an account is told: of every new mail no filter tells of; nothing in its quiet hours (`22:00-07:00`)."""

    new_mail: bool = False
    quiet: str | None = None


# Reading what is written ----------------------------------------------------------------------------------------------


def read_json(text: str | bytes) -> list[Written]:
    """The filters of a JSON text: one, or a list of them. `RefusedError` with the path of what is wrong.

    An element `{"name": …, "sieve": …}`, as `export` writes a script, is one.
    """
    try:
        return [_written(one, f"[{place}]" if many else "") for place, (one, many) in enumerate(_documents(text))]
    except FilterError as error:
        raise RefusedError(str(error)) from None


def _documents(text: str | bytes) -> list[tuple[Any, bool]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    scripts = [one for one in document if _is_script(one)] if isinstance(document, list) else []
    if _is_script(document):
        return [(document, False)]
    if not scripts:
        found = criteria.read(text)
        return [(one.document(), isinstance(document, list)) for one in found]
    assert isinstance(document, list)
    return [(one, True) for one in document]


def _is_script(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and set(document) == {"name", "sieve"}
        and all(isinstance(value, str) for value in document.values())
    )


def _written(document: Any, path: str) -> Written:
    if _is_script(document):
        return read_script(document["sieve"], document["name"])
    rule = criteria.parse(document, path)
    return Written(rule.name, JSON, json.dumps(rule.document(), ensure_ascii=True, separators=(",", ":")))


def read_script(script: str, name: str) -> Written:
    """A Sieve script under this name. `RefusedError` with the line of what cannot be run."""
    if not name.strip() or len(name) > LONGEST or not name.isprintable():
        raise RefusedError(f"{name[:LONGEST]!r} cannot be the name of a filter: use 1 to {LONGEST} characters")
    if "\0" in script:
        raise RefusedError("the script holds a NUL, which no text does")
    try:
        rulebook.parse(SIEVE, script, name)
    except FilterError as error:
        raise RefusedError(str(error)) from None
    return Written(name, SIEVE, script)


# Keeping --------------------------------------------------------------------------------------------------------------


def add(
    connection: Connection, identifiers: Identifiers, account: int, written: Sequence[Written], *, now: datetime
) -> list[int]:
    """Keep filters behind those there are; their ids."""
    _lock(connection, account)
    count, last = connection.execute(
        select(func.count(), func.max(_filter.c.place)).where(_filter.c.account_id == account)
    ).one()
    if count + len(written) > MOST:
        raise RefusedError(f"an account can have {MOST:,} filters, and this one has {count:,}: remove some first")
    place = 0 if last is None else last + 1
    row = {"account_id": account, "enabled": True, "created": now, "changed": now}
    ids = identifiers.take(connection, len(written))
    rows = [
        {**row, "id": number, "name": one.name, "kind": one.kind, "source": one.source, "place": place + n}
        for n, (number, one) in enumerate(zip(ids, written, strict=True))
    ]
    if rows:
        connection.execute(insert(_filter), rows)
    _changed(connection, account)
    return ids


def enable(connection: Connection, account: int, numbers: Sequence[int], *, on: bool) -> None:
    """Switch filters on or off."""
    _lock(connection, account)
    ours = (_filter.c.account_id == account) & _filter.c.id.in_(list(numbers))
    connection.execute(update(_filter).where(ours).values(enabled=on))
    _changed(connection, account)


def remove(connection: Connection, account: int, numbers: Sequence[int]) -> None:
    """Take filters away. What they decided before stays, and what of it waits is still told."""
    _lock(connection, account)
    connection.execute(delete(_filter).where(_filter.c.account_id == account, _filter.c.id.in_(list(numbers))))
    _changed(connection, account)


def put(connection: Connection, account: int, numbers: Sequence[int], *, position: int = 1) -> None:
    """Put these filters in this order at a position (from 1); the others stay in theirs, around them."""
    _lock(connection, account)
    rows = connection.execute(
        select(_filter.c.id).where(_filter.c.account_id == account).order_by(_filter.c.place, _filter.c.id)
    )
    moved = list(dict.fromkeys(numbers))
    others = [number for number in rows.scalars() if number not in set(moved)]
    at = max(position, 1) - 1
    order = [*others[:at], *moved, *others[at:]]
    statement = update(_filter).where(_filter.c.id == bindparam("ours")).values(place=bindparam("at"))
    connection.execute(statement, [{"ours": number, "at": place} for place, number in enumerate(order)])
    _changed(connection, account)


def settings(connection: Connection, account: int) -> Settings:
    """How an account is told."""
    row = connection.execute(select(_notifying).where(_notifying.c.account_id == account)).one_or_none()
    return Settings() if row is None else Settings(row.new_mail, row.quiet)


def configure(
    connection: Connection, account: int, *, now: datetime, new_mail: bool | None = None, quiet: str | None = None
) -> None:
    """Change what is given; empty hours are none. `RefusedError` for what are no hours."""
    values: dict[str, Any] = {}
    if new_mail is not None:
        values["new_mail"] = new_mail
    if quiet is not None:
        try:
            values["quiet"] = quiet_hours.write(quiet_hours.parse(quiet)) if quiet else None
        except ValueError as error:
            raise RefusedError(str(error)) from None
    _lock(connection, account)
    if values:
        connection.execute(update(_notifying).where(_notifying.c.account_id == account).values(values))
    if quiet is not None:
        look_again(connection, account, now)
    _changed(connection, account)


def look_again(connection: Connection, account: int, now: datetime) -> None:
    """Caps or quiet hours have changed: what waits for them is looked at now, not when they would have ended."""
    _lock(connection, account)
    notice = schema.notice
    waits = schema.WAITING & (notice.c.account_id == account) & (notice.c.state != "gathered")
    connection.execute(update(notice).where(waits).values(due=now))
    some = (_notifying.c.account_id == account) & _notifying.c.due.is_not(None)
    connection.execute(update(_notifying).where(some).values(due=now))


def _lock(connection: Connection, account: int) -> None:
    """Who else changes this account's filters, or stores its notices, waits."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {"account_id": account, "version": 0, "new_mail": False, "burst_mails": 0}
    connection.execute(dialect.insert(_notifying).on_conflict_do_nothing(), row)
    connection.execute(select(_notifying.c.account_id).where(_notifying.c.account_id == account).with_for_update())


def _changed(connection: Connection, account: int) -> None:
    ours = _notifying.c.account_id == account
    connection.execute(update(_notifying).where(ours).values(version=_notifying.c.version + 1))


# Looking --------------------------------------------------------------------------------------------------------------


def everything(connection: Connection, account: int) -> list[Kept]:
    """An account's filters, in their order."""
    statement = select(_filter).where(_filter.c.account_id == account).order_by(_filter.c.place, _filter.c.id)
    return [
        Kept(row.id, place, row.name, row.enabled, row.kind, row.source, row.created, row.changed)
        for place, row in enumerate(connection.execute(statement), start=1)
    ]


def find(connection: Connection, account: int, wanted: str) -> Kept:
    """The filter with this id, or the only one of this name; `RefusedError` where there is none, or several."""
    kept = everything(connection, account)
    found = [one for one in kept if str(one.id) == wanted] or [one for one in kept if one.name == wanted]
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found[:5])
        raise RefusedError(f"{len(found)} filters are called {wanted!r}: name it by its id ({ids})")
    if not found:
        raise RefusedError(f"there is no filter {wanted}: tocsin filter list shows them")
    return found[0]
