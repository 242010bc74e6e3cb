"""E-mail out: segments handed to the next mail server (RFC 5321), over connections that are kept.

A segment's payload is a whole message (RFC 5322) whose first line is `Return-Path:` with the envelope sender in angle
brackets, empty for reports; that line is taken off before it is sent (RFC 5321 section 4.4 reserves it to the end of
the way). A 4yz reply is transient, a 5yz permanent (section 4.2.1). Once the final dot is written and no answer comes,
the outcome is unknown.

With `tls`, the server speaks TLS from the first octet; else STARTTLS is used where it is offered. Its certificate is
verified with `tls`, and where a password is sent; elsewhere plain text would have done as well (RFC 7435 section 3).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

import aiosmtplib
from aiosmtplib.errors import SMTPException, SMTPResponseException

from gateway.message import Claimed
from gateway.routing import Route
from gateway.transports.base import Hub, LinkState, Outcome, Result

log = logging.getLogger(__name__)

#: Waits between tries to connect, in seconds: the first, the longest.
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
#: How many mails are taken for each connection: one on its way, one behind it.
_DEPTH = 2
#: Seconds after which a connection with nothing to carry is given up, and that the final dot may take to be answered
#: (RFC 5321 section 4.5.3.2.6).
_IDLE, _DIGEST = 5.0, 600.0
_RETURN_PATH = b"Return-Path: <"
#: What aiosmtplib would read an address out of, rather than refuse it.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f<>]")


class BrokenPayloadError(ValueError):
    """A defect of ours: a segment of this route does not begin with its Return-Path line."""


def envelope_sender(payload: bytes) -> tuple[str, bytes]:
    """The envelope sender and the message proper of a payload."""
    line, _, message = payload.partition(b"\r\n")
    if not line.startswith(_RETURN_PATH) or not line.endswith(b">"):
        raise BrokenPayloadError("the payload does not begin with its Return-Path line")
    return line[len(_RETURN_PATH) : -1].decode("utf-8"), message


class SmtpTransport:
    """`Transport` over SMTP; `binds` connections, one mail at a time on each."""

    def __init__(self, route: Route, hub: Hub) -> None:
        self._route = route
        self._hub = hub
        self._queue: asyncio.Queue[Claimed] = asyncio.Queue()
        self._pending = 0
        self._down = True
        self._draining = False
        self._broken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._random = random.Random()  # noqa: S311 - spreads reconnects, guards nothing

    def room(self) -> int:
        """Free places behind the connections; none while the server is away."""
        return 0 if self._down or self._draining else max(0, self._route.binds * _DEPTH - self._pending)

    def submit(self, segments: Sequence[Claimed]) -> None:
        """Take these; they leave one after the other."""
        for segment in segments:
            self._pending += 1
            self._queue.put_nowait(segment)
        self._idle.clear()

    async def run(self) -> None:
        """Keep the way open until cancelled."""
        async with asyncio.TaskGroup() as group:
            for n in range(self._route.binds):
                group.create_task(self._work(), name=f"{self._route.name} {n}")
            await self._keep_up()

    async def drain(self, seconds: float) -> None:
        """Take no more; what is on its way is waited for."""
        self._draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        while not self._queue.empty():
            self._settle(Outcome(self._queue.get_nowait().id, Result.UNSENT))
        self._hub.state(self._route.name, LinkState.STOPPED, "")

    # The way ----------------------------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                connection = await self._connect()
                with contextlib.suppress(SMTPException, OSError):
                    await connection.quit()
            except (SMTPException, OSError) as error:
                self._say_down(error)
                await asyncio.sleep(wait * (1 + self._random.random() / 5))
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            wait = _FIRST_WAIT
            self._broken.clear()
            self._down = False
            self._hub.state(self._route.name, LinkState.UP, "")
            self._hub.more_room(self._route.name)
            await self._broken.wait()

    def _say_down(self, error: Exception) -> None:
        self._down = True
        where = f"{self._route.host}:{self._route.port}"
        self._hub.state(self._route.name, LinkState.DOWN, f"the mail server at {where} cannot be used: {error}")

    async def _connect(self) -> aiosmtplib.SMTP:
        route = self._route
        secret = route.password or None
        context = ssl.create_default_context()
        if not (route.tls or secret):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = aiosmtplib.SMTP(
            hostname=route.host,
            port=route.port,
            username=route.system_id if secret else None,
            password=secret,
            use_tls=route.tls,
            start_tls=False if route.tls else (True if secret else None),  # None: where it is offered
            tls_context=context,
            timeout=route.response_timeout,
        )
        try:
            await connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    # Mails ------------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        connection: aiosmtplib.SMTP | None = None
        try:
            while True:
                try:
                    async with asyncio.timeout(_IDLE if connection is not None else None):
                        segment = await self._queue.get()
                except TimeoutError:
                    await self._part(connection)
                    connection = None
                else:
                    connection = await self._carry(connection, segment)
        finally:
            if connection is not None:
                connection.close()

    async def _carry(self, connection: aiosmtplib.SMTP | None, segment: Claimed) -> aiosmtplib.SMTP | None:
        """Send one mail and settle it; the connection, where it can be used again."""
        outcome = Outcome(segment.id, Result.UNSENT, detail="stopped before it was sent")
        try:
            if connection is None or not connection.is_connected:
                connection = await self._connect()
            outcome = Outcome(segment.id, Result.UNKNOWN, detail="stopped in the middle")
            outcome = await self._send(connection, segment)
        except (SMTPException, OSError) as error:
            # Not yet at the final dot: certainly not taken.
            if connection is not None:
                connection.close()
            connection = None
            outcome = Outcome(segment.id, Result.UNSENT, detail=str(error))
            self._say_down(error)
            self._broken.set()
        finally:
            self._settle(outcome)
        return connection

    async def _part(self, connection: aiosmtplib.SMTP | None) -> None:
        """Say goodbye."""
        if connection is not None and connection.is_connected:
            with contextlib.suppress(SMTPException, OSError):
                await connection.quit()
            connection.close()

    def _settle(self, outcome: Outcome) -> None:
        self._pending -= 1
        if not self._pending:
            self._idle.set()
        self._hub.settled(outcome)
        self._hub.more_room(self._route.name)

    async def _send(self, connection: aiosmtplib.SMTP, segment: Claimed) -> Outcome:
        written = datetime.now(UTC)
        try:
            sender, message = envelope_sender(segment.payload)
            if _UNWRITABLE.search(sender + segment.to):
                raise ValueError("a control character or an angle bracket in an address")
            utf8 = not (sender + segment.to).isascii()
            options = ["SMTPUTF8"] if utf8 and connection.supports_extension("smtputf8") else []
            if connection.supports_extension("8bitmime"):
                options.append("BODY=8BITMIME")
            encoding = "utf-8" if utf8 else "ascii"
            await connection.mail(sender, options=options, encoding=encoding)
            await connection.rcpt(segment.to, encoding=encoding)
        except SMTPResponseException as error:
            with contextlib.suppress(SMTPException, OSError):
                await connection.rset()
            return self._refused(segment, error, written)
        except BrokenPayloadError as error:
            return Outcome(
                segment.id, Result.PERMANENT, text="a defect: the mail was not made right", detail=str(error)
            )
        except ValueError as error:
            text = f"{segment.to!r} cannot be written in a mail"
            return Outcome(segment.id, Result.PERMANENT, text=text, detail=str(error))
        try:
            response = await connection.data(message, timeout=_DIGEST)
        except (SMTPException, OSError) as error:
            if isinstance(error, SMTPResponseException) and 400 <= error.code < 600:
                return self._refused(segment, error, written)
            connection.close()
            return Outcome(
                segment.id, Result.UNKNOWN, detail=f"the connection was lost after DATA: {error}", written=written
            )
        return Outcome(
            segment.id,
            Result.ACCEPTED,
            code=str(response.code),
            detail=response.message,
            written=written,
            answered=datetime.now(UTC),
        )

    def _refused(self, segment: Claimed, error: SMTPResponseException, written: datetime) -> Outcome:
        told = " ".join(str(error.message).split())
        return Outcome(
            segment.id,
            Result.PERMANENT if 500 <= error.code < 600 else Result.TRANSIENT,
            code=str(error.code),
            text=f"the mail server of the recipient said {error.code} {told}",
            detail=f"{error.code} {told}",
            written=written,
            answered=datetime.now(UTC),
        )
