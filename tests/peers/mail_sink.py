"""A mail server at the end of the way: takes whatever comes, keeps it, and refuses when it is told to."""

from __future__ import annotations

import asyncio
import email
import email.policy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult


@dataclass(frozen=True, slots=True)
class Got:
    """One mail as it came: envelope and octets."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes

    @property
    def message(self) -> EmailMessage:
        """The same, read by the standard library."""
        read = email.message_from_bytes(self.octets, policy=email.policy.default)
        assert isinstance(read, EmailMessage)
        return read


class MailSink:
    """`async with MailSink() as sink`: it listens at `sink.port`; `got` has every mail so far.

    `refusal` is the reply to every RCPT while it is not empty; `refused` counts them.
    """

    def __init__(self, *, logins: list[tuple[bytes, bytes]] | None = None, **options: Any) -> None:
        """`options` are those of the server; with `logins` nobody sends who has not logged in, and is noted there."""
        self.port = 0
        self.got: list[Got] = []
        self.refusal = ""
        self.refused = 0
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._options = options
        if logins is not None:
            self._options |= {"authenticator": self._note(logins), "auth_required": True}

    @staticmethod
    def _note(logins: list[tuple[bytes, bytes]]) -> Callable[..., AuthResult]:
        def authenticate(server: object, session: object, envelope: object, mechanism: str, data: Any) -> AuthResult:
            logins.append((data.login, data.password))
            return AuthResult(success=True)

        return authenticate

    async def __aenter__(self) -> Self:
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="sink.example.org", enable_SMTPUTF8=True, loop=loop, **self._options),
            "127.0.0.1",
            0,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def until(self, come: Callable[[list[Got]], Any], seconds: float = 15) -> list[Got]:
        """Every mail so far, once this is true of them."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: come(self.got)), seconds)
            except TimeoutError:
                raise AssertionError(f"it did not come within {seconds} seconds; there is {self.got}") from None
        return self.got

    async def wait(self, count: int, seconds: float = 15) -> list[Got]:
        """Every mail so far, once there are this many."""
        return await self.until(lambda got: len(got) >= count, seconds)

    # What aiosmtpd asks

    async def handle_RCPT(  # noqa: N802
        self, server: object, session: object, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Note the recipient, or refuse it."""
        if self.refusal:
            self.refused += 1
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        """Keep the mail."""
        async with self._changed:
            sender = (envelope.mail_from or "").strip("<>")
            self.got.append(Got(sender, tuple(envelope.rcpt_tos), envelope.original_content))
            self._changed.notify_all()
        return "250 OK"
