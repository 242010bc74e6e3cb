"""E-mail out: segments handed to the next mail server, over connections that are kept.

What is said over one of them is in `gateway.transports.smtp_dialogue`. A connection that the server ends after so many
mails (421, or without a word) is replaced, and the mail goes over the new one at once.

With `tls`, the server speaks TLS from the first octet; else STARTTLS is used where it is offered. Its certificate is
verified with `tls`, and where a password is sent; elsewhere plain text would have done as well (RFC 7435 section 3).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Sequence

import aiosmtplib
from aiosmtplib.errors import SMTPException

from gateway.message import Claimed
from gateway.routing import Route
from gateway.transports.base import Hub, LinkState, Outcome, Result
from gateway.transports.smtp_dialogue import NotTakenError, carry, part
from gateway.transports.smtp_dialogue import envelope_sender as envelope_sender

log = logging.getLogger(__name__)

#: Waits between tries to connect, in seconds: the first, the longest.
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
#: How many mails are taken for each connection: one on its way, one behind it.
_DEPTH = 2
#: Seconds after which a connection with nothing to carry is given up.
_IDLE = 5.0


def _stop_if_cancelled() -> None:
    """Raise the cancellation that aiosmtplib may have lost: its wait_for, up to Python 3.11, sometimes does."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class SmtpTransport:
    """`Transport` over SMTP; `binds` connections, one mail at a time on each."""

    def __init__(self, route: Route, hub: Hub) -> None:
        self._route = route
        self._hub = hub
        self._queue: asyncio.Queue[Claimed] = asyncio.Queue()
        self._pending = 0
        #: Who takes the next mail, and when it may leave.
        self._taking = asyncio.Lock()
        self._free = 0.0
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
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        while not self._queue.empty():
            self._settle(Outcome(self._queue.get_nowait().id, Result.UNSENT))
        self._hub.state(self._route.name, LinkState.STOPPED, "")

    # The way ----------------------------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                await part(await self._connect())
                _stop_if_cancelled()
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
                        segment = await self._next()
                except TimeoutError:
                    await part(connection)
                    connection = None
                else:
                    connection = await self._carry(connection, segment)
                _stop_if_cancelled()
        finally:
            if connection is not None:
                connection.close()

    async def _next(self) -> Claimed:
        """The next mail, when the route's rate lets it go."""
        async with self._taking:
            await asyncio.sleep(max(0.0, self._free - time.monotonic()))
            segment = await self._queue.get()
            if self._route.rate is not None:
                self._free = max(self._free, time.monotonic()) + 1 / self._route.rate
            return segment

    async def _carry(self, connection: aiosmtplib.SMTP | None, segment: Claimed) -> aiosmtplib.SMTP | None:
        """Send one mail and settle it; the connection, where it can be used again."""
        outcome = _unsent(segment)
        try:
            if connection is not None and connection.is_connected:
                # One that was kept may have been ended by now, or be ended with this mail: then a new one is tried.
                with contextlib.suppress(NotTakenError):
                    outcome = _stopped(segment)
                    outcome = await carry(connection, segment, success=self._route.returns)
                    return connection
                outcome = _unsent(segment)
            connection = None
            connection = await self._connect()
            outcome = _stopped(segment)
            outcome = await carry(connection, segment, success=self._route.returns)
        except NotTakenError as error:
            outcome = Outcome(segment.id, Result.TRANSIENT, code=error.code, text=str(error), detail=str(error))
        except (SMTPException, OSError) as error:
            # There is no connection, or it serves nobody: no fault of this mail's.
            if connection is not None:
                connection.close()
            outcome = Outcome(segment.id, Result.UNSENT, detail=str(error))
            self._say_down(error)
            self._broken.set()
        finally:
            self._settle(outcome)
        return connection if connection is not None and connection.is_connected else None

    def _settle(self, outcome: Outcome) -> None:
        self._pending -= 1
        if not self._pending:
            self._idle.set()
        self._hub.settled(outcome)
        self._hub.more_room(self._route.name)


def _unsent(segment: Claimed) -> Outcome:
    return Outcome(segment.id, Result.UNSENT, detail="stopped before it was sent")


def _stopped(segment: Claimed) -> Outcome:
    return Outcome(segment.id, Result.UNKNOWN, detail="stopped in the middle")
