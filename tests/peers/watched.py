"""Many accounts, each with a watched mailbox and a filter, put into a store at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from gateway import accounts, credit, filterbook, mailboxes
from gateway.mailboxes import Login
from gateway.store.engine import open_engine, parse_url
from gateway.store.identifiers import Identifiers
from gateway.vault import Vault
from tests.peers.dovecot_imap import PASSWORD

KEY = "a line of thirty-two characters, or some more"


def number_of(n: int) -> str:
    """The telephone of the n-th."""
    return f"+32475{n:06d}"


def everything(n: int) -> dict[str, Any]:
    """A filter that tells the n-th of every mail."""
    return {
        "name": "everything",
        "when": {"field": "from", "op": "exists"},
        "actions": [{"sms": [number_of(n)], "text": "{subject}"}],
    }


def add_watched(url: str, port: int, users: Sequence[str], *, tls: str = "implicit") -> None:
    """An account for each user, with its mailbox on a server at this port of localhost."""
    now, vault, identifiers = datetime.now(UTC), Vault([KEY]), Identifiers()

    def work(connection: Connection, some: Sequence[tuple[int, str]]) -> None:
        for n, user in some:
            account = accounts.add(connection, f"a-{user}", now=now, settings={"cap_hour": 1000, "cap_day": 1000})
            credit.buy(connection, account, 1000, reason="bought", now=now)
            filters = filterbook.read_json(json.dumps(everything(n)))
            filterbook.add(connection, identifiers, account, filters, now=now)
            login = Login("localhost", port, tls, "login", user, PASSWORD.encode())
            mailboxes.add(connection, vault, f"a-{user}", login, now=now)

    engine = open_engine(parse_url(url))
    try:
        everybody = list(enumerate(users))
        for start in range(0, len(everybody), 50):  # a daemon beside it writes too
            with engine.begin() as connection:
                work(connection, everybody[start : start + 50])
    finally:
        engine.dispose()
