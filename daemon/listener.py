"""The listener: SMTP and LMTP servers in our own event loop, their limits, and how they come down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from daemon import letter
from daemon.door import Door, MailRequest, Numbers, Taken
from daemon.login import Login
from daemon.peers import IPAddress, Networks
from daemon.reception import House
from daemon.session import LmtpSession, Session
from daemon.sockets import Sockets

log = logging.getLogger(__name__)

#: Mails above this size are read in a thread (below, the hop would cost more than the reading), a few at once.
_LARGE, _READERS = 32 * 1024, 2


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """What `[listen]` says, as far as sessions need it. Sizes are octets, times seconds.

    `idle` ends a connection on which no command comes, `data_time` one whose mail takes longer. `connections` are those
    of all strangers together, and as many of those we know, `connections_each` those of one IP address that is strange.
    """

    sms_domain: str
    watch_domain: str = ""
    hostname: str = field(default_factory=socket.gethostname)
    region: str | None = None
    trusted_networks: Networks = field(default_factory=Networks)
    relays: Networks = field(default_factory=Networks)
    authserv_id: str | None = None
    max_size: int = 10_485_760
    max_recipients: int = 1000
    tls: ssl.SSLContext | None = None
    idle: float = 300.0
    data_time: float = 600.0
    connections: int = 1000
    connections_each: int = 50


class Listener:
    """Every SMTP and LMTP socket of this process.

    `settings` may be replaced while it runs: connections made from then on have the new ones. `numbers` reads the
    telephone number of a special address, `login` verifies who logs in; without it nobody can.
    """

    def __init__(
        self,
        door: Door,
        settings: ListenSettings,
        numbers: Numbers,
        login: Login | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        # aiosmtpd logs every command, addresses included, at info level, and every line of every mail at debug.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self.settings = settings
        self.login = login
        self.draining = False
        self._now = now
        self._door = door
        self._numbers = numbers
        self._sockets = Sockets()
        self._sessions: set[Session] = set()
        self._strangers: set[Session] = set()
        self._by_address: Counter[IPAddress] = Counter()
        self._taking: set[asyncio.Future[Taken]] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._readers = asyncio.Semaphore(_READERS)

    # Opening ----------------------------------------------------------------------------------------------------------

    async def open(
        self, protocol: str, address: str, inherited: Mapping[str, list[socket.socket]] | None = None
    ) -> list[str]:
        """Listen for `smtp` or `lmtp` at `host:port`, `unix:/path` or `systemd:name`; the addresses that are bound.

        `inherited` are the sockets of systemd's socket activation by their names. ValueError for an address that
        cannot be read or a name that was not passed; OSError where it cannot be bound.
        """
        factory: Callable[[], Session] = {"smtp": self._smtp, "lmtp": self._lmtp}[protocol]
        return await self._sockets.open(factory, address, inherited)

    def _smtp(self) -> Session:
        return Session(self)

    def _lmtp(self) -> Session:
        return LmtpSession(self)

    # Sessions ---------------------------------------------------------------------------------------------------------

    def admit(self, session: Session) -> str:
        """Count a new connection; the reply to refuse it with, or empty."""
        self._sessions.add(session)
        address = session.peer.address
        # Strangers may crowd out each other, not those we know.
        known = bool(session.proofs) or address is None
        if not known:
            self._strangers.add(session)
        crowd = len(self._sessions) - len(self._strangers) if known else len(self._strangers)
        if address is not None:
            self._by_address[address] += 1
        if self.draining:
            return "421 4.3.2 Going down, goodbye"
        if crowd > self.settings.connections:
            log.warning("too many connections", extra={"action": "too_many_connections", "peer": str(session.peer)})
            return "421 4.7.0 Too many connections, please try again later"
        if known or address is None or self._by_address[address] <= self.settings.connections_each:
            return ""
        log.warning("too many connections of a peer", extra={"action": "too_many_connections", "peer": str(address)})
        return "421 4.7.0 Too many connections from your address, please try again later"

    def forget(self, session: Session) -> None:
        """A connection is gone."""
        self._sessions.discard(session)
        self._strangers.discard(session)
        address = session.peer.address
        if address is not None:
            self._by_address[address] -= 1
            if self._by_address[address] <= 0:
                del self._by_address[address]
        if self.draining and not self._sessions:
            self._quiet.set()

    def house(self, settings: ListenSettings) -> House:
        """What a session needs of the house."""
        return House(
            door=self._door,
            numbers=self._numbers,
            take=self._take,
            read=self._read,
            sms_domain=settings.sms_domain,
            watch_domain=settings.watch_domain,
            region=settings.region,
            authserv_id=settings.authserv_id,
            now=self._now,
        )

    async def _take(self, request: MailRequest) -> Taken:
        """Hand a request in. A client that goes away does not stop what was begun: it will ask again, and be told."""
        task = asyncio.ensure_future(self._door.take(request))
        self._taking.add(task)
        task.add_done_callback(self._taken)
        return await asyncio.shield(task)

    def _taken(self, task: asyncio.Future[Taken]) -> None:
        self._taking.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits has it too

    async def _read(self, octets: bytes) -> letter.Letter:
        if len(octets) <= _LARGE:
            return letter.read(octets)
        async with self._readers:
            return await asyncio.to_thread(letter.read, octets)

    # Closing ----------------------------------------------------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Take no more: idle connections end at once, mails that are coming in are taken, at most this long."""
        self.draining = True
        self._sockets.close()
        for session in list(self._sessions):
            if not session.busy:
                session.goodbye("421 4.3.2 Going down, goodbye")
        if self._sessions:
            self._quiet.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._quiet.wait()
        for session in list(self._sessions):
            session.abort()
        if self._taking:
            await asyncio.wait(set(self._taking), timeout=seconds)
