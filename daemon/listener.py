"""The listener: SMTP and LMTP servers in our own event loop, their limits, and how they come down."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
import ssl
import stat
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

log = logging.getLogger(__name__)

#: Mails above this size are read in a thread (below, the hop would cost more than the reading), a few at once.
_LARGE, _READERS = 32 * 1024, 2
_BACKLOG = 512
_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:]*)):(?P<port>\d{1,5})\Z")


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
        self._servers: list[asyncio.Server] = []
        self._sockets: list[str] = []
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
        if address.startswith("systemd:"):
            sockets = (inherited or {}).get(address.removeprefix("systemd:"), [])
            if not sockets:
                raise ValueError(
                    f"{address}: systemd passed no socket of this name (FileDescriptorName= of a .socket unit)"
                )
            return [bound for one in sockets for bound in await self._serve(factory, one)]
        if address.startswith("unix:"):
            return await self._open_unix(factory, address.removeprefix("unix:"))
        found = _ADDRESS.match(address)
        if found is None or int(found["port"]) > 65535:
            raise ValueError(
                f'{address!r} is no address to listen at: write "host:port", "unix:/path" or "systemd:name"'
            )
        loop = asyncio.get_running_loop()
        host = found["ipv6"] or found["host"] or None
        server = await loop.create_server(factory, host, int(found["port"]), backlog=_BACKLOG)
        return self._opened(server)

    async def _open_unix(self, factory: Callable[[], Session], path: str) -> list[str]:
        _remove_stale(path)
        loop = asyncio.get_running_loop()
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            own.bind(path)
            os.chmod(path, 0o660)
        except OSError:
            own.close()
            raise
        self._sockets.append(path)
        return self._opened(await loop.create_unix_server(factory, sock=own, backlog=_BACKLOG))

    async def _serve(self, factory: Callable[[], Session], own: socket.socket) -> list[str]:
        loop = asyncio.get_running_loop()
        own.setblocking(False)
        if own.family == socket.AF_UNIX:
            return self._opened(await loop.create_unix_server(factory, sock=own, backlog=_BACKLOG))
        return self._opened(await loop.create_server(factory, sock=own, backlog=_BACKLOG))

    def _opened(self, server: asyncio.Server) -> list[str]:
        self._servers.append(server)
        return [_written(one.family, one.getsockname()) for one in server.sockets]

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
        for server in self._servers:
            server.close()
        for path in self._sockets:
            with contextlib.suppress(OSError):
                os.unlink(path)
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


def _remove_stale(path: str) -> None:
    """Remove a socket nobody listens at any more; OSError where somebody does, or something else is there."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file, which is no socket", path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(path) == 0:
                raise OSError(errno.EADDRINUSE, "somebody listens there already", path)
        os.unlink(path)


def _written(family: int, name: object) -> str:
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if family == socket.AF_INET6 else f"{name[0]}:{name[1]}"
    return f"unix:{name.decode() if isinstance(name, bytes) else name}"
