"""The mark of an e-mail of ours: which delivery it is, in a form nobody else can make.

It stands in the Message-ID and in the ENVID of the envelope (RFC 3461 section 4.4), so that a report which comes back
tells which delivery it speaks of, and proves that whoever wrote it had that mail in hand. It is the same whenever the
mail is made again.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store import schema

#: Octets of the code in a mark: 80 bits, which nobody guesses by mailing us.
_CODE = 10
_MARK = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})\.([a-z2-7]{16})")


def key(connection: Connection) -> bytes:
    """The key of this store; made in the first transaction that asks for it."""
    table = schema.postmark
    wanted = select(table.c.key).where(table.c.id == 1)
    found = connection.execute(wanted).scalar()
    if found is None:
        insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
        connection.execute(insert.on_conflict_do_nothing(), {"id": 1, "key": secrets.token_bytes(32)})
        found = connection.execute(wanted).scalar_one()
    return bytes(found)


def known_key(connection: Connection) -> bytes | None:
    """The key, None where no mail was ever marked; writes nothing."""
    found = connection.execute(select(schema.postmark.c.key).where(schema.postmark.c.id == 1)).scalar()
    return None if found is None else bytes(found)


def mark(key: bytes, message: int, delivery: int) -> str:
    """The mark of a delivery: at most 56 characters, digits, points and small letters."""
    return f"{message}.{delivery}.{_code(key, message, delivery)}"


def read(key: bytes, written: str) -> tuple[int, int] | None:
    """Message and delivery of a mark, alone or as the beginning of a Message-ID; None where it is not one of ours."""
    found = _MARK.fullmatch(written.strip(" <>").partition("@")[0].lower())
    if found is None:
        return None
    message, delivery = int(found[1]), int(found[2])
    return (message, delivery) if hmac.compare_digest(found[3], _code(key, message, delivery)) else None


def _code(key: bytes, message: int, delivery: int) -> str:
    digest = hmac.digest(key, f"{message}.{delivery}".encode(), "sha256")
    return base64.b32encode(digest[:_CODE]).decode().lower()
