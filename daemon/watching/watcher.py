"""The role `watch`: this daemon's share of the mailboxes, each folder with a watch of its own.

The loop takes and gives up leases and runs the house's side; servers are visited by threads, which come back here for
what they need of the store.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from daemon.board import Board
from daemon.measures import Measures
from daemon.watching.arrivals import arrived
from daemon.watching.crew import Crew
from daemon.watching.idling import Idler
from daemon.watching.looking import Read
from daemon.watching.oauth import Tokens
from daemon.watching.session import Settings
from daemon.watching.watch import Watch
from filters.context import Source
from filters.verdict import Need
from gateway import folders, identity, lockouts, mailboxes, watch_leases
from gateway.folders import Folder
from gateway.mailboxes import Mailbox
from gateway.notices import Arrived
from gateway.reports import Office
from gateway.store.errors import StoreError
from gateway.store.store import Store
from gateway.vault import Vault

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How often leases are looked at, in seconds; how many mailboxes are taken at once; over how long their first visits
#: are spread, in seconds for each.
_LOOK, _AT_ONCE, _SPREAD = 2.0, 500, 0.004
#: How long, in seconds, others wait for the folder that tries new credentials.
_ALONE = 60.0
#: How often, in seconds, it is written down how mailboxes are.
_TELL = 0.25
#: How long a thread waits for the store, in seconds.
_STORE = 60.0
#: Waits after credentials were refused: the first, the longest.
_FIRST_REFUSED, _LONGEST_REFUSED = timedelta(minutes=15), timedelta(hours=6)
#: How long the mails that were met are remembered, and how often the older are forgotten.
_MET, _FORGET = timedelta(days=30), 3600.0


class Notifier(Protocol):
    """`gateway.notifier.Notifier`, as far as it is used here."""

    async def take(self, arrived: Sequence[Arrived], also: Callable[[Connection], None] | None = None) -> Any: ...
    async def needs(self, account: int, source: Source) -> frozenset[Need]: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """`[watch]` as it is in force, the keys of the store's secrets, and whose Authentication-Results is believed."""

    idle_connections: int
    poll: float
    allow_private: bool
    vault: Vault
    office: Callable[[], Office]
    authserv_id: str | None = None


@dataclass(eq=False)
class _Held:
    """A mailbox of this daemon's, its watches, and what they last said."""

    mailbox: Mailbox
    watches: list[Watch] = field(default_factory=list)
    states: dict[str, tuple[str, str]] = field(default_factory=dict)
    said: tuple[str, str] = ("", "")
    again: datetime | None = None
    good: bool = False  # its credentials were taken since they were last refused
    trying: float = 0.0  # until then (monotonic) one folder alone tries them
    unwelcome: bool = False  # its row says that its credentials were refused
    lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        for watch in self.watches:
            watch.close()


class Watcher:
    """All that is watched by this daemon; what `Watch` calls its world."""

    def __init__(
        self,
        store: Store,
        notifier: Notifier,
        board: Board,
        node: int,
        terms: Callable[[], Terms],
        ready: Callable[[Sequence[str] | None], None],
        *,
        now: Callable[[], datetime],
        measures: Measures,
    ) -> None:
        """`ready` is told which routes have work."""
        self._measures = measures
        self._ready = ready
        self._store = store
        self._notifier = notifier
        self._board = board
        self._node = node
        self._terms = terms
        self._now = now
        self._held: dict[int, _Held] = {}
        self._random = random.Random()  # noqa: S311 - spreads visits, guards nothing
        self._settings: tuple[bool, Settings] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._crew = Crew()
        self._idler = Idler()
        self._closing = False
        self._unsaid: dict[int, watch_leases.Said] = {}
        self._welcome: set[int] = set()
        self._telling = threading.Lock()  # guards these two
        self._news = asyncio.Event()

    # The loop ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch this daemon's share, until cancelled."""
        self._loop = asyncio.get_running_loop()
        telling = self._loop.create_task(self._tell(), name="mailbox states")
        self._board.set(watch_leases.KIND, watch_leases.NAME, "up", "no mailbox yet")
        self._idler.start()
        forget = 0.0
        try:
            while True:
                try:
                    await self._share_out()
                    if self._loop.time() >= forget:
                        forget = self._loop.time() + _FORGET
                        await self._store.run(partial(folders.forget, before=self._now() - _MET))
                except StoreError as error:
                    log.warning("the store cannot be used now: %s", error, extra={"action": "store_down"})
                if telling.done():
                    telling.result()  # a defect
                await asyncio.sleep(_LOOK)
        finally:
            telling.cancel()
            await self._end()

    async def _end(self) -> None:
        self._closing = True
        for held in self._held.values():
            held.close()
        await asyncio.to_thread(self._idler.close)
        await asyncio.to_thread(self._crew.close, 5.0)
        try:
            await self._store.run(lambda connection: watch_leases.leave_all(connection, self._node))
        except StoreError as error:
            log.debug("leases could not be given up: %s", error)

    async def _share_out(self) -> None:
        held = list(self._held)
        if not await self._store.read(lambda connection: watch_leases.settled(connection, self._node, held)):
            shares = await self._store.run(
                lambda connection: watch_leases.share_out(connection, self._node, held, most=_AT_ONCE)
            )
            for number in shares.left:
                self._drop(number)
            for n, mailbox in enumerate(shares.took):
                self._drop(mailbox.id)
                self._begin(mailbox, n * _SPREAD)
        states = self._measures.mailboxes = Counter(held.said[0] for held in self._held.values())
        well, total = states[mailboxes.UP], len(self._held)
        self._board.set(
            watch_leases.KIND,
            watch_leases.NAME,
            "up",
            f"{well} of {total} mailboxes {'is' if well == 1 else 'are'} well" if total else "no mailbox yet",
        )

    def _begin(self, mailbox: Mailbox, seconds: float) -> None:
        unwelcome = bool(mailbox.refusals or mailbox.told or mailbox.again)
        held = self._held[mailbox.id] = _Held(
            mailbox, said=(mailbox.state, mailbox.why), again=mailbox.again, unwelcome=unwelcome
        )
        for folder in mailbox.folders:
            watch = Watch(self, self._crew, self._idler, mailbox, folder, random=self._random)
            held.watches.append(watch)
            watch.start(seconds)

    def _drop(self, number: int, taken: int | None = None) -> None:
        """Leave a mailbox; with `taken`, only if it was not taken anew since."""
        held = self._held.get(number)
        if held is None or taken not in (None, held.mailbox.taken):
            return
        del self._held[number]
        held.close()
        self.settings().tokens.drop(number)

    # What watches need, from their threads ----------------------------------------------------------------------------

    def settings(self) -> Settings:
        allow = self._terms().allow_private
        if self._settings is None or self._settings[0] != allow:
            self._settings = (allow, Settings(allow, Tokens(allow_private=allow)))
        return self._settings[1]

    def poll(self) -> float:
        return self._terms().poll

    def may_idle(self) -> bool:
        return self._idler.idle < self._terms().idle_connections

    def now(self) -> datetime:
        return self._now()

    def login(self, mailbox: Mailbox) -> mailboxes.Login:
        """As it is now: the secret may have been renewed since the mailbox was taken."""
        found = self._wait(self._store.read(lambda connection: mailboxes.load(connection, [mailbox.id])))
        if not found:
            raise watch_leases.LostError
        return found[0].login(self._terms().vault)

    def renewed(self, mailbox: Mailbox, secret: bytes) -> None:
        vault = self._terms().vault

        def work(connection: Connection) -> None:
            watch_leases.require(connection, mailbox.id, self._node, mailbox.taken)
            mailboxes.replace_secret(connection, vault, mailbox, secret)

        self._wait(self._store.run(work))

    def needs(self, mailbox: Mailbox, source: Source) -> frozenset[Need]:
        return self._wait(self._notifier.needs(mailbox.account, source))

    def unmet(self, mailbox: Mailbox, reads: Sequence[Read]) -> list[Read]:
        by_identity = {identity.of_mail(read.mail): read for read in reads}
        met = self._wait(self._store.read(lambda connection: folders.met(connection, mailbox.id, by_identity)))
        return [read for key, read in by_identity.items() if key not in met]

    def store(self, mailbox: Mailbox, source: Source, reads: Sequence[Read], folder: Folder) -> None:
        """Mails and how far the folder was read, in one transaction, if the mailbox is still ours."""
        now = self._now()
        met = [identity.of_mail(read.mail) for read in reads]

        def also(connection: Connection) -> None:
            watch_leases.require(connection, mailbox.id, self._node, mailbox.taken)
            folders.advance(connection, mailbox.id, folder)
            folders.meet(connection, mailbox.id, met, now)

        believed = self._terms().authserv_id
        if reads:
            some = [arrived(mailbox.account, source, read, authserv_id=believed) for read in reads]
            self._wait(self._notifier.take(some, also))
        else:
            self._wait(self._store.run(also))

    def _held_as(self, mailbox: Mailbox) -> _Held | None:
        """What is held of it by the lease that the asking watch has; None where that is over."""
        held = self._held.get(mailbox.id)
        return held if held is not None and held.mailbox.taken == mailbox.taken else None

    def say(self, mailbox: Mailbox, folder: str, state: str, why: str) -> None:
        held = self._held_as(mailbox)
        if held is None:
            return
        with held.lock:
            held.states[folder] = (state, why)
            held.trying = 0.0
            if state == mailboxes.UP:
                held.states.pop("", None)  # one got in: what was said of the credentials holds no more
            whole = _whole(held.states, [one.name for one in mailbox.folders])
            early = whole[0] == mailboxes.UP and not {one.name for one in mailbox.folders} <= held.states.keys()
            if whole == held.said or early:  # where all is well so far, the others are waited for
                return
            held.said = whole
            with self._telling:
                self._unsaid[mailbox.id] = watch_leases.Said(mailbox.id, mailbox.taken, *whole, self._now())
        self._log(mailbox, *whole)
        if self._loop is not None and not self._closing:
            self._loop.call_soon_threadsafe(self._news.set)

    def barred(self, mailbox: Mailbox) -> float:
        """Seconds before which its credentials are not shown again, whichever folder asks: they were refused.

        Until they are known to be good one folder alone tries them, so that a wrong password is shown once.
        """
        held = self._held_as(mailbox)
        if held is None:
            raise watch_leases.LostError
        with held.lock:
            if held.again is not None and (left := (held.again - self._now()).total_seconds()) > 0:
                return left
            if held.good:
                return 0.0
            if time.monotonic() < held.trying:
                return 1.0
            held.trying = time.monotonic() + _ALONE
            return 0.0

    def welcome(self, mailbox: Mailbox) -> None:
        """Its credentials were taken."""
        held = self._held_as(mailbox)
        if held is None:
            return
        with held.lock:
            known = not held.unwelcome
            held.good, held.again, held.unwelcome = True, None, False
        if not known:
            with self._telling:
                self._welcome.add(mailbox.id)

    def refused(self, mailbox: Mailbox, why: str) -> float:
        """Its credentials were refused: seconds until the next try. Its owner is told once."""
        held = self._held_as(mailbox)
        if held is None:
            raise watch_leases.LostError
        now = self._now()
        held.again, route = self._wait(self._store.run(partial(self._refuse, mailbox=mailbox, why=why, now=now)))
        held.unwelcome, held.good = True, False
        if route is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._ready, [route])
        self.say(mailbox, "", mailboxes.REFUSED, why)
        return (held.again - now).total_seconds()

    def _refuse(
        self, connection: Connection, *, mailbox: Mailbox, why: str, now: datetime
    ) -> tuple[datetime, str | None]:
        watch_leases.require(connection, mailbox.id, self._node, mailbox.taken)
        refusals = watch_leases.refusals(connection, mailbox.id)
        if refusals.again is not None and refusals.again > now:
            return refusals.again, None  # of another folder, a moment ago
        again = now + min(_FIRST_REFUSED * 2.0 ** min(refusals.count, 10), _LONGEST_REFUSED)
        route = None
        if not refusals.told:
            route = lockouts.tell(connection, self._store.identifiers, self._terms().office(), mailbox, why, now)
        watch_leases.refused(connection, mailbox.id, again, told=refusals.told or route is not None)
        return again, route

    def lost(self, mailbox: Mailbox) -> None:
        log.info("a mailbox is another daemon's now, or is gone", extra={"action": "watch_lost", "mailbox": mailbox.id})
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._drop, mailbox.id, mailbox.taken)

    def _log(self, mailbox: Mailbox, state: str, why: str) -> None:
        level = logging.INFO if state == mailboxes.UP else logging.WARNING
        extra = {"action": f"mailbox_{state}", "mailbox": mailbox.id, "account": mailbox.owner}
        log.log(level, "mailbox %d of %s is %s: %s", mailbox.id, mailbox.owner, state, why, extra=extra)

    async def _tell(self) -> None:
        """Write down how mailboxes are, those of a moment in one transaction, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._write_down()
            await asyncio.sleep(_TELL)

    async def _write_down(self) -> None:
        with self._telling:
            said, self._unsaid = self._unsaid, {}
            welcome, self._welcome = self._welcome, set()

        def work(connection: Connection) -> None:
            watch_leases.say(connection, self._node, list(said.values()))
            watch_leases.welcomed(connection, list(welcome))

        try:
            await self._store.run(work)
        except StoreError as error:
            log.debug("states of mailboxes wait for the store: %s", error)
            with self._telling:
                self._unsaid = said | self._unsaid
                self._welcome |= welcome
            self._news.set()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine of the loop, for a thread."""
        if self._loop is None or self._closing:
            work.close()
            raise StoreError("this daemon stops watching")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_STORE)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise StoreError("the store did not answer in time") from None
        except concurrent.futures.CancelledError:
            raise StoreError("this daemon stops watching") from None


def _whole(states: Mapping[str, tuple[str, str]], names: Sequence[str]) -> tuple[str, str]:
    """How a mailbox is, of its folders: the worst of them, in one sentence."""
    if (
        "" in states
        and states[""][0] == mailboxes.REFUSED
        and not any(state == mailboxes.UP for state, _ in states.values())
    ):
        return states[""]
    told = {name: states[name] for name in names if name in states}
    for wanted in (mailboxes.DOWN, mailboxes.NEW):
        for state, why in told.values():
            if state == wanted:
                return state, why
    if len(told) == 1:
        return mailboxes.UP, next(why for _, why in told.values())
    whys = sorted({why.partition(" is ")[2] for _, why in told.values()})
    return mailboxes.UP, f"{', '.join(told)} are {whys[0]}" if len(whys) == 1 else "; ".join(
        why for _, why in told.values()
    )
