"""How long notices are kept: as long as messages (`[store] keep`), but never less than their mails must be known again.

What a notice says goes when it is too old; the notice itself stays for the 30 days of invariant I3.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from gateway.store import schema

#: How long a mail that was noted makes no notice again.
KNOWN = timedelta(days=30)
#: No limit of a filter looks further back, and no cap.
COUNTED = timedelta(days=32)
#: The most notices in one step.
STEP = 500

_notice = schema.notice


def forget(connection: Connection, before: datetime, now: datetime) -> bool:
    """Take away what is older than it need be, in one step; whether there may be more."""
    connection.execute(delete(schema.spoken).where(schema.spoken.c.at < now - COUNTED))
    connection.execute(delete(schema.duplicate).where(schema.duplicate.c.expires < now))
    settled = ~schema.WAITING
    if before > now - KNOWN:
        told = (_notice.c.at < before) & settled & (_notice.c.trace != "")
        connection.execute(update(_notice).where(told).values(trace="", say="", sender="", subject="", why=""))
    old = (
        select(_notice.c.id).where(_notice.c.at < min(before, now - KNOWN), settled).order_by(_notice.c.at).limit(STEP)
    )
    done = connection.execute(delete(_notice).where(_notice.c.id.in_(old)))
    return done.rowcount == STEP
