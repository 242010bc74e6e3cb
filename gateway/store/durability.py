"""Whether the database keeps what it says it keeps: settings that would lose what was acknowledged, found and named."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine

from gateway.store.engine import is_sqlite

#: A setting of ours, which PostgreSQL keeps for a session.
_MARK = "tocsin.check"
#: Settings without which a committed transaction may be gone after a crash, or a page half written.
_NEEDED = ("fsync", "full_page_writes")


def faults(engine: Engine) -> Iterator[str]:
    """One sentence for each thing that breaks the promise; `SQLAlchemyError` where the database cannot be asked."""
    if is_sqlite(engine):
        return
    with engine.connect() as connection:
        for name in _NEEDED:
            if connection.exec_driver_sql(f"SHOW {name}").scalar_one() != "on":
                yield (
                    f"PostgreSQL runs with {name} off: a crash of its machine would lose what was acknowledged; "
                    f"set {name} = on in postgresql.conf"
                )
        connection.rollback()
    if _is_pooled(engine):
        yield (
            "between Tocsin and PostgreSQL stands a proxy that pools transactions, under which locks and notifications "
            "do not work: connect to PostgreSQL itself, or let the proxy pool sessions"
        )


def _is_pooled(engine: Engine) -> bool:
    """Whether a proxy lends the same server session to several clients in turn.

    One client marks its session and ends its transaction. If another then finds the mark in its own, or the first one,
    while the other is busy, does not find it any more, they share sessions.
    """
    mark = secrets.token_hex(8)
    with engine.connect() as one, engine.connect() as other:
        one.exec_driver_sql(f"SELECT set_config('{_MARK}', '{mark}', false)")
        one.commit()
        shared = _mark(other) == mark
        lost = _mark(one) != mark
        one.rollback()
        other.rollback()
        one.exec_driver_sql(f"SELECT set_config('{_MARK}', '', false)")
        one.commit()
    return shared or lost


def _mark(connection: Connection) -> str | None:
    found: str | None = connection.exec_driver_sql(f"SELECT current_setting('{_MARK}', true)").scalar_one()
    return found


def notes(engine: Engine) -> Iterator[str]:
    """Things that are worth knowing and break nothing."""
    if is_sqlite(engine):
        path = Path(engine.url.database or "")
        if path.exists() and path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield f"{path} can be read by everybody on this machine, and holds texts and numbers: chmod o-rwx {path}"
        return
    with engine.connect() as connection:
        if connection.exec_driver_sql("SHOW synchronous_standby_names").scalar_one() == "":
            standbys = connection.exec_driver_sql("SELECT count(*) FROM pg_stat_replication").scalar_one()
            if standbys:
                yield (
                    "PostgreSQL's standbys follow asynchronously: after a failover the last moments may be missing; "
                    "synchronous_standby_names makes them certain"
                )
