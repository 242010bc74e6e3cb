"""Notices as people look at them: what was decided of which mail, why, and which messages came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway.failure import RefusedError
from gateway.pacing import State
from gateway.store import schema

_notice, _told, _account = schema.notice, schema.told, schema.account
#: Notices read at a time.
PAGE = 500
_COLUMNS = ("id", "filter_id", "name", "at", "sender", "subject", "state", "why", "due")


def page(
    connection: Connection,
    *,
    account: int | None = None,
    state: State | None = None,
    since: datetime | None = None,
    before: int | None = None,
) -> tuple[list[dict[str, Any]], int | None]:
    """Some notices, the latest first, and where the next page begins; None after the last."""
    columns = [_notice.c[name] for name in _COLUMNS]
    statement = select(*columns, _account.c.name.label("owner")).join(_account, _account.c.id == _notice.c.account_id)
    for condition in (
        None if account is None else _notice.c.account_id == account,
        None if state is None else _notice.c.state == state.value,
        None if since is None else _notice.c.at >= since,
        None if before is None else _notice.c.id < before,
    ):
        if condition is not None:
            statement = statement.where(condition)
    rows = connection.execute(statement.order_by(_notice.c.id.desc()).limit(PAGE)).all()
    messages = _messages(connection, [row.id for row in rows])
    return [_document(row, messages) for row in rows], rows[-1].id if len(rows) == PAGE else None


def show(connection: Connection, number: int) -> dict[str, Any]:
    """One notice with its trace: every test that held, and every one that did not."""
    statement = select(_notice, _account.c.name.label("owner")).join(_account, _account.c.id == _notice.c.account_id)
    row = connection.execute(statement.where(_notice.c.id == number)).one_or_none()
    if row is None:
        raise RefusedError(f"there is no notice {number}: tocsin notice list shows them")
    trace = json.loads(row.trace) if row.trace else {}
    document = _document(row, _messages(connection, [row.id]))
    return document | {name: trace.get(name, []) for name in ("hits", "misses", "notes")}


def _messages(connection: Connection, notices: Sequence[int]) -> Mapping[int, list[str]]:
    if not notices:
        return {}
    found: dict[int, list[str]] = {}
    statement = select(_told).where(_told.c.notice_id.in_(list(notices))).order_by(_told.c.message_id)
    for row in connection.execute(statement):
        found.setdefault(row.notice_id, []).append(str(row.message_id))
    return found


def _document(row: Any, messages: Mapping[int, list[str]]) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "account": row.owner,
        "filter": str(row.filter_id) if row.filter_id else None,
        "name": row.name,
        "at": row.at,
        "from": row.sender,
        "subject": row.subject,
        "state": row.state,
        "why": row.why,
        "due": row.due,
        "messages": messages.get(row.id, []),
    }
