"""What journeys of watched mailboxes share."""

from __future__ import annotations

import asyncio
import json
import time
from email.message import EmailMessage
from typing import Any

from sqlalchemy import func, select

from gateway.store import schema
from tests.peers.daemon_process import DaemonProcess
from tests.peers.ledgers import Books


def mail(subject: str, sender: str = "The Boss <boss@corp.example>", **fields: str) -> EmailMessage:
    """A mail of its own."""
    made = EmailMessage()
    made["From"] = sender
    made["To"] = "jean@example.org"
    made["Subject"] = subject
    made["Message-ID"] = f"<{time.monotonic_ns()}@corp.example>"
    for name, value in fields.items():
        made[name] = value
    made.set_content("words\n")
    return made


async def done(daemon: DaemonProcess, *words: str) -> str:
    """What a verb printed; it must do what it was told."""
    code, printed, said = await daemon.verb(*words)
    assert code == 0, said
    return printed


async def state(daemon: DaemonProcess, name: str) -> dict[str, Any]:
    """The line of `tocsin status`."""
    lines = json.loads(await done(daemon, "status", "--json"))
    return next((line for line in lines if line["name"] == name), {"state": None, "why": ""})


async def is_up(daemon: DaemonProcess, name: str = "jean/jean", wanted: str = "up") -> dict[str, Any]:
    """Returns when a mailbox is up, or in another state."""
    for _ in range(100):
        found = await state(daemon, name)
        if found["state"] == wanted:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(found)


def well(books: Books) -> int:
    """How many mailboxes are up, by their rows."""
    up = select(func.count()).select_from(schema.mailbox).where(schema.mailbox.c.state == "up")
    with books.reading() as connection:
        return int(connection.execute(up).scalar_one())
