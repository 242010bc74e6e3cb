"""How tests of Sieve run a script: here, and in Pigeonhole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from filters.context import Context
from filters.mail import Mail
from filters.sieve import Outcome, parse
from filters.sight import Sight
from tests.peers import presence
from tests.peers.pigeonhole import Pigeonhole

#: Without summer time: Pigeonhole holds that the offset of today is that of every day.
ZONE = "Asia/Kolkata"


@pytest.fixture(scope="module")
def pigeonhole() -> Iterator[Pigeonhole]:
    """Pigeonhole's sieve-test."""
    presence.require("pigeonhole")
    one = Pigeonhole()
    yield one
    one.close()


def look(mail: bytes, **circumstances: Any) -> Sight:
    """A mail to me@example.org from sender@example.org; its X-Score is said by a server that is believed."""
    score = "".join(line.split()[1] for line in mail.decode("latin-1").splitlines() if line.startswith("X-Score: "))
    results = f"Authentication-Results: mx.example.org; x-spam=pass policy.score={score}\n".encode() if score else b""
    known: dict[str, Any] = {
        "now": datetime.now(ZoneInfo(ZONE)),
        "envelope_from": "sender@example.org",
        "envelope_to": ("me@example.org",),
        "authserv_id": "mx.example.org",
        **circumstances,
    }
    return Sight(replace(Mail.read(results + mail), size=len(mail)), Context(**known), mail)


def here(script: str, mail: bytes, **circumstances: Any) -> Outcome:
    """What a script makes of a mail here."""
    return parse(script).run(look(mail, **circumstances))
