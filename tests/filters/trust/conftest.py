"""Mails as a relay hands them on: its Authentication-Results on top, what the author's server wrote below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from filters import trust
from filters.mail import Mail

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OURS = "mx.example.org"
PASS = f"{OURS}; dmarc=pass (p=reject dis=none) header.from=example.net"
HEADER = {
    "From": "Jean Dupont <jean@example.net>",
    "To": "32475123456@sms.example.org",
    "Subject": "Dinner",
    "Date": "Mon, 02 Mar 2026 11:59:00 +0000",
    "Message-ID": "<1@example.net>",
}

#: Makes a mail's octets: fields on top of the header, changes to it (None leaves a field out), fields at its end.
MakeMail = Callable[..., bytes]
#: Judges a mail that `make_mail` makes.
Judge = Callable[..., trust.Verdict]


@pytest.fixture(scope="session")
def make_mail() -> MakeMail:
    def make(
        *top: str, changes: dict[str, str | None] | None = None, bottom: Sequence[str] = (), body: str = "At eight.\r\n"
    ) -> bytes:
        header = {**HEADER, **(changes or {})}
        lines = [*top, *(f"{name}: {value}" for name, value in header.items() if value is not None), *bottom]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("utf-8", "surrogateescape")

    return make


@pytest.fixture(scope="session")
def judge(make_mail: MakeMail) -> Judge:
    def judge(*top: str, now: datetime = NOW, authserv_id: str | None = OURS, **mail: object) -> trust.Verdict:
        return trust.judge(Mail.read(make_mail(*top, **mail)), authserv_id, now=now)

    return judge
