"""The one composition root: from a configuration to a house that runs.

Nothing here is global; tests build as many houses as they like, on port 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon import tls
from daemon.board import Board
from daemon.config import Configuration, ConfigurationError, Fault
from daemon.dispatcher import Dispatcher
from daemon.housekeeping import Housekeeper
from daemon.leasing import Leaseholder
from daemon.listener import Listener, ListenSettings
from daemon.login import Login
from daemon.mail_door import MailDoor
from daemon.measures import Measures
from daemon.watching.watcher import Terms, Watcher
from filters import domains
from gateway import accounts, numbers, presence, routing, verbs
from gateway.health import Health
from gateway.notifier import Notifier
from gateway.reports import Office
from gateway.routing import Route
from gateway.store import migrate
from gateway.store.engine import is_sqlite, open_engine, parse_url
from gateway.store.errors import StoreError
from gateway.store.store import Store
from gateway.store.wake import Waker, kick
from gateway.transports.base import Hub, Transport
from gateway.transports.smpp.client import SmppTransport
from gateway.transports.smtp import SmtpTransport
from gateway.vault import Vault

if TYPE_CHECKING:
    from daemon.console.server import Server

log = logging.getLogger(__name__)

LISTEN, WATCH, CALENDARS, DISPATCH, CONSOLE = "listen", "watch", "calendars", "dispatch", "console"
ROLES = (LISTEN, WATCH, CALENDARS, DISPATCH, CONSOLE)

#: How long the parts of the end may take, in seconds; together they stay under the 30 that are promised.
_FINISH_MAILS, _FINISH_ANSWERS, _FINISH_ROWS = 8.0, 12.0, 5.0


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def open_store(config: Configuration) -> Store:
    """The configured store, not yet looked into."""
    return verbs.open_store(open_engine(parse_url(config.store.url.get_secret_value())))


def transport_of(route: Route, hub: Hub) -> Transport:
    """The transport a route asks for."""
    if route.transport == "smpp":
        return SmppTransport(route, hub)
    if route.transport == "smtp":
        return SmtpTransport(route, hub)
    raise NotImplementedError(f"route {route.name}: this version has no transport {route.transport}")


def carried(routes: Sequence[Route]) -> list[Route]:
    """Those routes this version has a transport for."""
    return [route for route in routes if route.transport in ("smpp", "smtp")]


def listen_settings(config: Configuration) -> ListenSettings:
    """What sessions need of the configuration; `ConfigurationError` where its certificate cannot be used."""
    listen = config.listen
    context = None
    if listen.tls_certificate is not None and listen.tls_key is not None:
        try:
            loaded = tls.load(listen.tls_certificate, listen.tls_key)
        except tls.CertificateError as error:
            raise ConfigurationError([Fault(f"listen.{error.key}", str(error))], config.path) from error
        if warning := loaded.warning(utc_now()):
            log.warning("%s", warning, extra={"action": "certificate_expires"})
        context = loaded.context
    return ListenSettings(
        sms_domain=listen.sms_domain or "",
        watch_domain=listen.watch_domain or "",
        region=listen.region,
        trusted_networks=listen.trusted_networks,
        relays=listen.relays,
        authserv_id=listen.authserv_id,
        max_size=listen.max_size,
        max_recipients=listen.max_recipients,
        tls=context,
    )


class House:
    """One daemon: everything that runs in it, from its first row to its last."""

    def __init__(
        self,
        config: Configuration,
        store: Store,
        *,
        roles: Collection[str] = ROLES,
        sockets: Mapping[str, list[socket.socket]] | None = None,
        now: Callable[[], datetime] = utc_now,
        make: Callable[[Route, Hub], Transport] = transport_of,
    ) -> None:
        """`sockets` are those the service manager opened, by name; `make` builds a route's transport."""
        self.config = config
        self.store = store
        self.board = Board(now)
        self.measures = Measures()
        store.observe(self.measures.committed)
        self.roles = frozenset(roles)
        self._sockets = sockets or {}
        self._now = now
        self._make = make
        self._stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.listener: Listener | None = None
        self.console: Server | None = None
        self.bound: dict[str, list[str]] = {}
        self.dispatcher: Dispatcher | None = None
        self._housekeeper: Housekeeper | None = None
        self._leases: Leaseholder | None = None
        self._beat = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._group: asyncio.TaskGroup | None = None
        self._reloading = asyncio.Lock()
        self._shared = not is_sqlite(store.engine)  # other daemons may dispatch from the same store
        self._others = asyncio.Event()
        self._health = Health()
        self._routes = carried(config.routes)

    def routes(self) -> list[Route]:
        """The routes of the configuration in force, each with what is known of its health."""
        return self._routes

    def _know(self, health: Health) -> None:
        """How the routes are now: worked out once for all that is routed until it changes."""
        self._health = health
        self._routes = routing.with_health(carried(self.config.routes), health.ailing)
        if self.dispatcher is not None:
            self.dispatcher.ailing = health.ailing

    def _office(self) -> Office:
        listen = self.config.listen
        return Office(listen.sms_domain or socket.getfqdn(), self.routes(), listen.postmaster or "")

    def stop(self) -> None:
        """Begin the end: `run` finishes what is open, and returns."""
        self._stop.set()

    async def run(self) -> None:
        """Run until `stop`. Raises what cannot be survived: a defect, or a store that is not there at the start."""
        await self.store.read(migrate.require_head)
        node = await self.store.run(lambda connection: presence.arrive(connection, self.store.identifiers))
        self.board.set("store", "store", "up")
        if DISPATCH in self.roles:
            self.dispatcher = Dispatcher(
                self.store, self.board, node, self._make, now=self._now, look=self._look, lists=self._look_for_lists
            )
        self._housekeeper = Housekeeper(
            self.store,
            self.board,
            node,
            self._beaten,
            self._work,
            self._office,
            lambda: self.config.store.keep,
            self._know,
            now=self._now,
            region=lambda: self.config.listen.region,
        )
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                background = [
                    group.create_task(self._housekeeper.beat(), name="beat"),
                    group.create_task(self._housekeeper.sweep(), name="sweep"),
                    group.create_task(self._housekeeper.retire(), name="retire"),
                    group.create_task(self._measure(), name="measures"),
                ]
                if self.dispatcher is not None:
                    background += [
                        group.create_task(self.dispatcher.recorder.run(), name="record"),
                        group.create_task(self._housekeeper.run(), name="housekeeping"),
                        group.create_task(self._housekeeper.expand(), name="expansion"),
                        group.create_task(Waker(self.store.engine, self._woken, self._tell).run(), name="waker"),
                    ]
                    self.dispatcher.start(group, self.routes())
                    self._leases = Leaseholder(self.store, self.dispatcher, node)
                    background += [
                        group.create_task(self.dispatcher.ask(), name="questions"),
                        group.create_task(self._leases.run(), name="slots"),
                        group.create_task(self._leases.watch(), name="leases"),
                        group.create_task(self.dispatcher.traffic.run(), name="traffic"),
                    ]
                if self.dispatcher is None or self._shared:
                    background.append(group.create_task(self._wake_others(), name="wake others"))
                if WATCH in self.roles:
                    background.append(group.create_task(self._watcher(node).run(), name="watch"))
                if LISTEN in self.roles:
                    await self._listen()
                if CONSOLE in self.roles:
                    await self._open_console()
                self.ready.set()
                log.info("ready: %s", ", ".join(sorted(self.roles)), extra={"action": "ready"})
                await self._stop.wait()
                await self._finish()
                for task in background:
                    task.cancel()
        finally:
            for door in (self.listener, self.console):
                if door is not None:
                    await door.drain(0)
            with contextlib.suppress(Exception):
                await self.store.run(lambda connection: presence.leave(connection, node))
            await self.store.aclose()

    async def _listen(self) -> None:
        door = MailDoor(self.store, self.routes, self._work, self._office, notifier=self._notifier(), now=self._now)
        login = Login(door, accounts.PASSWORDS)
        if self.config.listen.relays:  # the list of public suffixes takes a moment to load: not in the first mail's way
            await asyncio.to_thread(domains.organisation, "example.org")
        self.listener = Listener(door, listen_settings(self.config), numbers.sms_number, login, now=self._now)
        for protocol, address in (("smtp", self.config.listen.smtp), ("lmtp", self.config.listen.lmtp)):
            if address is not None:
                self.bound[protocol] = await self.listener.open(protocol, str(address), self._sockets)
                self.board.set("listener", protocol, "up", f"at {', '.join(self.bound[protocol])}")

    def _notifier(self) -> Notifier:
        """Hands mails to filters, whatever door they come through."""
        return Notifier(self.store, self._office, self._work, now=self._now, region=lambda: self.config.listen.region)

    async def _open_console(self) -> None:
        address = self.config.console.listen
        if address is None:
            return
        from daemon.console.opening import make_server  # HTTP is loaded only where it is spoken

        self.console = make_server(
            self.store,
            lambda: self.config,
            self.routes,
            self._work,
            self._hinders,
            self.measures,
            self.board,
            lambda: self.dispatcher,
            roles=sorted(self.roles),
            now=self._now,
        )
        self.bound["http"] = await self.console.open(str(address), self._sockets)
        self.board.set("listener", "http", "up", f"at {', '.join(self.bound['http'])}")

    def _hinders(self) -> list[str]:
        """What keeps this process from its work now, in sentences; nothing where it is well."""
        if self._stop.is_set():
            return ["it is stopping"]
        if not self.ready.is_set():
            return ["it is starting"]
        silent = time.clock_gettime(time.CLOCK_BOOTTIME) - self._beat
        if silent > presence.LEASE:
            return [f"nothing could be written to the store for {silent:.0f} seconds"]
        store = self.board.get("store", "store")
        return [store.why] if store is not None and store.state == "down" else []

    async def _measure(self) -> None:
        """See how long messages waited until they were claimed, until cancelled."""
        while True:
            await asyncio.sleep(1)
            with contextlib.suppress(StoreError):
                await self.measures.look(self.store)

    def _watcher(self, node: int) -> Watcher:
        def terms() -> Terms:
            watch = self.config.watch
            return Terms(
                watch.idle_connections,
                watch.poll.total_seconds(),
                watch.allow_private_hosts,
                Vault(self.config.store.keys),
                self._office,
                self.config.listen.authserv_id,
            )

        notifier = self._notifier()
        return Watcher(self.store, notifier, self.board, node, terms, self._work, now=self._now, measures=self.measures)

    def _beaten(self, at: float) -> None:
        self._beat = at
        if self.dispatcher is not None:
            self.dispatcher.beaten(at)

    def _work(self, routes: Sequence[str] | None) -> None:
        """These routes have work (None: any of them). Whoever can send it is told, here or in another daemon."""
        if self.dispatcher is not None:
            self.dispatcher.kick(routes)
            if not self._shared or all(map(self.dispatcher.can_send, routes or self.dispatcher.routes)):
                return
        self._others.set()

    async def _wake_others(self) -> None:
        """Tell the daemons that dispatch of new work, at most every 50 ms."""
        while True:
            await self._others.wait()
            self._others.clear()
            await asyncio.to_thread(kick, self.store.engine)
            await asyncio.sleep(0.05)

    def _look_for_lists(self) -> None:
        if self._housekeeper is not None:
            self._housekeeper.look_for_lists()

    def _look(self) -> None:
        if self._housekeeper is not None:
            self._housekeeper.look()

    def _tell(self) -> bytes:
        return presence.pack(self.board.reports())

    def _woken(self) -> None:
        if self.dispatcher is not None:
            self.dispatcher.kick()
        self._look()

    async def _finish(self) -> None:
        """No more mails; then no more segments; then every answer recorded."""
        log.info("stopping", extra={"action": "stopping"})
        doors = [door for door in (self.listener, self.console) if door is not None]
        await asyncio.gather(*(door.drain(_FINISH_MAILS) for door in doors))
        if self.dispatcher is not None:
            await self.dispatcher.stop(list(self.dispatcher.routes), _FINISH_ANSWERS)
            await self.dispatcher.recorder.flush(_FINISH_ROWS)

    async def reload(self, config: Configuration) -> None:
        """Take over what a new configuration changes, but for its store and its listen addresses.

        `ConfigurationError`, and nothing taken over, where its certificate cannot be used.
        """
        async with self._reloading:
            settings = listen_settings(config)
            before = {route.name: route for route in self.routes()}
            self.config = config
            self._know(self._health)
            after = {route.name: route for route in self.routes()}
            if self.listener is not None:
                self.listener.settings = settings
            if self.dispatcher is not None and self._group is not None:
                changed = [name for name in self.dispatcher.routes if after.get(name) != before.get(name)]
                await self.dispatcher.stop(changed, _FINISH_ANSWERS)
                running = self.dispatcher.routes
                self.dispatcher.start(self._group, [route for name, route in after.items() if name not in running])
                if self._leases is not None:
                    self._leases.look()
            if self._housekeeper is not None:
                self._housekeeper.reroute()
