"""A small SMS centre, made of the same session as the client: the demo's stand-in, and the one that misbehaves.

    async with Centre() as centre:
        ...connect to 127.0.0.1, centre.port...
        await centre.taken(3)
        print(centre.received[0].text)

It binds whoever has the right password, takes every submit_sm, keeps what it got, and reports it delivered. Its other
verbs make it do what SMS centres do on bad days. It is no store and forward: nothing outlives it.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, cast

from gateway import text
from gateway.transports.smpp.events import (
    Answered,
    Arrived,
    BindRequested,
    Fault,
    Mode,
    Queried,
    Role,
    TimedOut,
    Unbound,
)
from gateway.transports.smpp.pdu import QueryAnswer, ShortMessage, Tag
from gateway.transports.smpp.session import Phase, Session, Timers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from gateway.transports.smpp.events import Event

_OK = 0x00
_SYSTEM_ERROR = 0x08
_BAD_PASSWORD = 0x0E
_THROTTLED = 0x58
_QUERY_FAILED = 0x67
_NO_ANSWER = -1
_UDHI = 0x40
_RECEIPT = 0x04
_DELIVERED = b"\x02"
#: Seconds before a delivery that the client could not record is tried again.
RETRY = 0.5


@dataclass(frozen=True, slots=True)
class Taken:
    """One submit_sm, and what it was answered; `status` is None where there was no answer."""

    message: ShortMessage
    text: str
    id: str
    status: int | None
    at: datetime

    @property
    def to(self) -> str:
        """The number it is for, E.164."""
        return "+" + self.message.destination


class Centre:
    """The SMS centre; `async with` it, or `start` and `stop`.

    `received` has the last `keep` submit_sm of all connections, in order; `total` counts them all. With
    `receipts_first` a receipt goes out before the answer it belongs to; with `echo` receipts carry the
    user_message_reference back. `delay` is the seconds before each answer. All of these may be changed at any time.
    """

    def __init__(
        self,
        *,
        password: str = "",
        receipts: bool = True,
        tls: ssl.SSLContext | None = None,
        enquire_link: float | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        keep: int = 100_000,
    ) -> None:
        self.host = host
        self.port = port
        self.received: deque[Taken] = deque(maxlen=keep)
        self.total = 0
        self.binds: list[Mode] = []
        self.most = 0  # connections at once
        self.queries: list[str] = []  # ids it was asked about by query_sm
        self.query_status: int | None = None  # what it answers to those; -1 is nothing
        self.message_state = 2  # DELIVERED (table 5-10)
        self.deferred: list[int] = []  # statuses by which clients put deliveries off
        self.receipts = receipts
        self.receipts_first = False
        self.echo = False
        self.delay = 0.0
        self.slams = False
        self.timers = Timers(enquire_link=enquire_link)
        self._password = password
        self._tls = tls
        self._refusal: int | None = None
        self._planned: deque[int | None] = deque()
        self._silent = False
        self._reversed = 0
        self._held: list[Callable[[], None]] = []
        self._drop_at = math.inf
        self._server: asyncio.Server | None = None
        self._connections: list[_Connection] = []
        self._ids = itertools.count(1)
        self._changed = asyncio.Condition()
        self._notices: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; `port` is known from here on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
            self.drop()
            await self._until(lambda: not self._connections)
            await self._server.wait_closed()
            self._server = None

    # Waiting for it

    async def taken(self, count: int) -> list[Taken]:
        """Everything kept, once at least `count` submit_sm have come."""
        await self._until(lambda: self.total >= count)
        return list(self.received)

    async def bound(self, count: int = 1) -> None:
        """Returns once at least `count` connections are bound."""
        await self._until(lambda: sum(c.session.phase is Phase.BOUND for c in self._connections) >= count)

    async def asked(self, count: int) -> None:
        """Returns once it got at least `count` query_sm."""
        await self._until(lambda: len(self.queries) >= count)

    async def bound_exactly(self, count: int) -> None:
        """Returns once just so many connections are left, bound or not."""
        await self._until(lambda: len(self._connections) == count)

    async def bound_again(self, count: int) -> None:
        """Returns once so many binds have been accepted in all."""
        await self._until(lambda: len(self.binds) >= count)

    async def unbound(self) -> None:
        """Returns once no connection is left."""
        await self._until(lambda: not self._connections)

    async def putting_off(self, count: int) -> None:
        """Returns once clients have put off `count` deliveries."""
        await self._until(lambda: len(self.deferred) >= count)

    # Its bad days

    def throttle(self, times: int) -> None:
        """Answer the next `times` submit_sm by ESME_RTHROTTLED."""
        self.answer_with(_THROTTLED, times)

    def answer_with(self, status: int, times: int = 1) -> None:
        """Answer the next `times` submit_sm by this command_status, after what was asked for before."""
        self._planned.extend([status] * times)

    def stay_silent(self, times: int | None = None) -> None:
        """Take the next `times` submit_sm (None: all there will ever be) and answer none."""
        if times is None:
            self._silent = True
        else:
            self._planned.extend([None] * times)

    def speak(self) -> None:
        """Answer again."""
        self._silent = False

    def reverse(self, count: int) -> None:
        """Answer the next `count` submit_sm when all of them have come, the last first."""
        self._reversed = count

    def refuse(self, status: int | None = _BAD_PASSWORD) -> None:
        """Refuse every bind by this command_status; None: no longer."""
        self._refusal = status

    def drop_after(self, count: int) -> None:
        """Drop the connection that brings the `count`th submit_sm from now, before it is answered."""
        self._drop_at = self.total + count

    def drop(self) -> None:
        """Drop every connection, without a word."""
        for connection in list(self._connections):
            connection.drop()

    def unbind(self) -> None:
        """Say goodbye on every connection."""
        for connection in self._connections:
            connection.unbind()

    def send(self, octets: bytes) -> None:
        """Write these octets, whatever they are, on every connection."""
        for connection in self._connections:
            connection.send(octets)

    def read(self, reading: bool) -> None:
        """Stop, or go on, reading what comes."""
        for connection in self._connections:
            connection.read(reading)

    def deliver(self, message: ShortMessage) -> None:
        """Send a deliver_sm on a connection that takes them; kept until one does."""
        takers = [c for c in self._connections if c.session.mode in (Mode.RECEIVER, Mode.TRANSCEIVER)]
        if takers:
            takers[0].deliver(message)
        else:
            self._deliver_later(message)

    # What its connections tell it

    def _joined(self, connection: _Connection) -> None:
        self._connections.append(connection)
        self.most = max(self.most, len(self._connections))

    def _left(self, connection: _Connection) -> None:
        self._connections.remove(connection)
        self._notice()

    def _asked(self, connection: _Connection, request: BindRequested) -> None:
        status = self._refusal
        if status is None and self._password and request.bind.password != self._password:
            status = _BAD_PASSWORD
        if status is not None:
            connection.session.refuse(status)
            return
        connection.session.accept("tocsin")
        self.binds.append(request.mode)
        self._notice()

    def _take(self, connection: _Connection, request: Arrived) -> None:
        message = request.message
        status = self._planned.popleft() if self._planned else None if self._silent else _OK
        number = next(self._ids)
        said = text.decode(message.payload, message.data_coding, bool(message.esm_class & _UDHI))
        taken = Taken(message, said, f"{number:08x}" if status == _OK else "", status, datetime.now(UTC))
        self.total += 1
        self.received.append(taken)
        self._notice()
        if self.total >= self._drop_at:
            self._drop_at = math.inf
            connection.drop()
        elif status is not None:
            connection.owe()
            self._answer_in_time(lambda: self._answer(connection, request, taken))

    def _queried(self, connection: _Connection, request: Queried) -> None:
        """What it has of this id; 0x67 (ESME_RQUERYFAIL) where it has nothing, or `query_status` where that is set."""
        self.queries.append(request.query.message_id)
        known = any(taken.id == request.query.message_id for taken in self.received)
        status = self.query_status if self.query_status is not None else _OK if known else _QUERY_FAILED
        if status != _NO_ANSWER:
            final = f"{datetime.now(UTC):%y%m%d%H%M%S}000+" if self.message_state > 1 else ""
            answer = QueryAnswer(request.query.message_id, final, self.message_state)
            connection.session.report(request, status, answer)
        self._notice()

    def _answer_in_time(self, answer: Callable[[], None]) -> None:
        if self._reversed:
            self._held.append(answer)
            if len(self._held) == self._reversed:
                self._reversed = 0
                for held in reversed(self._held):
                    held()
                self._held.clear()
        elif self.delay:
            asyncio.get_running_loop().call_later(self.delay, answer)
        else:
            answer()

    def _answer(self, connection: _Connection, request: Arrived, taken: Taken) -> None:
        wanted = self.receipts and taken.status == _OK and request.message.registered_delivery & 1
        if wanted and self.receipts_first:
            self.deliver(self.receipt(taken))
        connection.answer(request, taken.status or _OK, taken.id)
        if wanted and not self.receipts_first:
            self.deliver(self.receipt(taken))

    def receipt(self, taken: Taken) -> ShortMessage:
        """The receipt that says it was delivered, as SMPP 3.4 appendix B has it, with the optional parameters."""
        message = taken.message
        now = datetime.now(UTC)
        words = (
            f"id:{taken.id} sub:001 dlvrd:001 submit date:{taken.at:%y%m%d%H%M} done date:{now:%y%m%d%H%M} "
            f"stat:DELIVRD err:000 text:"
        ).encode("ascii")
        tlvs: list[tuple[int, bytes]] = [
            (Tag.RECEIPTED_MESSAGE_ID, taken.id.encode("ascii") + b"\0"),
            (Tag.MESSAGE_STATE, _DELIVERED),
        ]
        reference = message.tlv(Tag.USER_MESSAGE_REFERENCE)
        if self.echo and reference is not None:
            tlvs.append((Tag.USER_MESSAGE_REFERENCE, reference))
        return ShortMessage(
            source=message.destination,
            source_ton=message.dest_ton,
            source_npi=message.dest_npi,
            destination=message.source,
            dest_ton=message.source_ton,
            dest_npi=message.source_npi,
            esm_class=_RECEIPT,
            short_message=words,
            tlvs=tuple(tlvs),
        )

    def _put_off(self, connection: _Connection, message: ShortMessage, status: int) -> None:
        self.deferred.append(status)
        self._notice()
        self._deliver_later(message)

    def _deliver_later(self, message: ShortMessage) -> None:
        def again() -> None:
            if self._server is not None:
                self.deliver(message)

        asyncio.get_running_loop().call_later(RETRY, again)

    async def _until(self, come: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(come)

    def _notice(self) -> None:
        """Wake whoever waits, once a turn of the loop."""
        if not self._notices:
            task = asyncio.get_running_loop().create_task(self._wake())
            self._notices.add(task)

    async def _wake(self) -> None:
        self._notices.clear()
        async with self._changed:
            self._changed.notify_all()


class _Connection(asyncio.Protocol):
    """One connection of the SMS centre."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._loop = asyncio.get_running_loop()
        self.session = Session(Role.CENTRE, window=100, now=self._loop.time(), timers=centre.timers)
        self._transport: asyncio.Transport | None = None
        self._deliveries: deque[ShortMessage] = deque()
        self._delivering: dict[int, ShortMessage] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._owed = 0  # answers the client still waits for
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._centre._joined(self)
        if self._centre.slams:
            self._transport.abort()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._act(self.session.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.session.close()
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self._centre._left(self)
        for message in [*self._delivering.values(), *self._deliveries]:
            self._centre.deliver(message)

    def owe(self) -> None:
        self._owed += 1

    def answer(self, request: Arrived, status: int, message_id: str) -> None:
        self._owed -= 1
        self.session.answer(request, status, message_id)
        self._flush_soon()

    def deliver(self, message: ShortMessage) -> None:
        self._deliveries.append(message)
        self._flush_soon()

    def unbind(self) -> None:
        if self.session.phase is Phase.BOUND:
            self.session.unbind(self._loop.time())
            self._flush()

    def drop(self) -> None:
        self.session.close()
        if self._transport is not None:
            self._transport.abort()

    def send(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)

    def read(self, reading: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    def _act(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Arrived):
                self._centre._take(self, event)
            elif isinstance(event, Queried):
                self._centre._queried(self, event)
            elif isinstance(event, BindRequested):
                self._centre._asked(self, event)
            elif isinstance(event, Answered):
                message = self._delivering.pop(event.sequence, None)
                if message is not None and event.status != _OK:
                    self._centre._put_off(self, message, event.status)
            elif isinstance(event, TimedOut):
                self._delivering.pop(event.sequence, None)
            elif isinstance(event, Fault | Unbound):
                self._over = True
        self._flush()

    def _flush_soon(self) -> None:
        if self._soon is None:
            self._soon = self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._soon = None
        now = self._loop.time()
        while self._deliveries and self.session.room > 0:
            message = self._deliveries.popleft()
            self._delivering[self.session.deliver(message, now)] = message
        octets = self.session.data_to_send()
        if octets and self._transport is not None:
            self._transport.write(octets)
        deadline = self.session.deadline()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - now), self._tick)
        if self._over and self._transport is not None and (not self._owed or self.session.phase is Phase.CLOSED):
            self._transport.close()

    def _tick(self) -> None:
        self._timer = None
        self._act(self.session.tick(self._loop.time()))
