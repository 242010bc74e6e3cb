"""One watched folder: connected, looked into, idle or waiting for its time, and mended when anything breaks.

A watch is at any time with one of three: a thread of the crew that visits the server, the idler that waits for news or
the time, or nobody, once it is closed. What it finds is written down by `World.store` before anything later is looked
at, so whatever breaks, the next visit begins where the last one was committed.
"""

from __future__ import annotations

import imaplib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from imapclient.exceptions import IMAPClientError

from daemon.watching import looking
from daemon.watching.crew import Crew
from daemon.watching.idling import Idler, meaning
from daemon.watching.looking import Read
from daemon.watching.session import AwayError, RefusedLoginError, Session, Settings, UnwatchableError, connect
from daemon.watching.wire import Wire
from filters.context import Source
from filters.verdict import Need
from gateway import mailboxes
from gateway.failure import RefusedError
from gateway.folders import Folder
from gateway.mailboxes import Mailbox
from gateway.store.errors import StoreError
from gateway.watch_leases import LostError

log = logging.getLogger(__name__)

#: IDLE is begun anew before a server may end it by its half hour, or a box between us forgets it (RFC 2177).
RENEW = 9 * 60.0
#: Waits after a failure, in seconds: the first, the longest; and the longest where only somebody's hand can help.
_FIRST, _LONGEST, _HOPELESS = 1.0, 60.0, 1800.0
#: How far apart many that lost their server at once come back, in seconds.
_SPREAD = 3.0
#: How often one mail may break a visit before it is passed over.
_PATIENCE = 4
#: A connection that ends so soon, in seconds, is no sound one.
_SHORT = 10.0
#: How often a server may tell of news that it has not, before it is believed more slowly; by how many seconds at most.
_CREDULOUS, _WOLF = 5, 5.0
#: After so many seconds at one server others have their turn, and the rest comes later.
_LONG_VISIT = 30.0
#: How often in one visit it is asked whether more has come meanwhile.
_ROUNDS = 20
#: How often it is written down that a folder had nothing new.
_CHECKED = timedelta(minutes=15)


class World(Protocol):
    """What a watch needs of the house. All of it blocks, and may raise `StoreError` or `LostError`."""

    def settings(self) -> Settings: ...
    def poll(self) -> float: ...
    def may_idle(self) -> bool: ...
    def now(self) -> datetime: ...
    def login(self, mailbox: Mailbox) -> mailboxes.Login: ...
    def renewed(self, mailbox: Mailbox, secret: bytes) -> None: ...
    def needs(self, mailbox: Mailbox, source: Source) -> frozenset[Need]: ...
    def store(self, mailbox: Mailbox, source: Source, reads: Sequence[Read], folder: Folder) -> None: ...
    def unmet(self, mailbox: Mailbox, reads: Sequence[Read]) -> list[Read]: ...
    def say(self, mailbox: Mailbox, folder: str, state: str, why: str) -> None: ...
    def barred(self, mailbox: Mailbox) -> float: ...
    def welcome(self, mailbox: Mailbox) -> None: ...
    def refused(self, mailbox: Mailbox, why: str) -> float: ...
    def lost(self, mailbox: Mailbox) -> None: ...


@dataclass(eq=False)
class Watch:
    """One folder of one mailbox."""

    world: World
    crew: Crew
    idler: Idler
    mailbox: Mailbox
    folder: Folder
    random: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.monotonic
    first_wait: float = _FIRST
    _session: Session | None = None
    _idling: bool = False
    _failures: int = 0
    _vain: int = 0  # how often in turn the server told of news, and had none
    _rested: float = 0.0
    _stuck: tuple[int, int] | None = None  # the UID of a mail that could not be read, and how often
    _closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def wire(self) -> Wire | None:
        return self._session.client.wire if self._session is not None else None

    @property
    def source(self) -> Source:
        return Source("mailbox", self.mailbox.name, self.folder.name)

    # With whom it is --------------------------------------------------------------------------------------------------

    def start(self, seconds: float = 0.0) -> None:
        """First visit, after so many seconds."""
        self.idler.at(self.clock() + seconds, self)

    def wake(self, why: str) -> None:
        """The idler has news, or the time has come. A server that cries wolf is gone to ever more seldom."""
        if why == "news" and self._vain > _CREDULOUS:
            self._vain += 1
            self.idler.at(self.clock() + _backoff(self._vain - _CREDULOUS - 1, 0.1, _WOLF), self)
            return
        self.crew.submit(self.mailbox.host, partial(self.visit, why))

    def close(self) -> None:
        """End it. A visit that is under way ends by itself; what it finds is not written once the lease is gone."""
        self._closed = True
        self.idler.leave(self.wire, self)
        if self._lock.acquire(blocking=False):
            try:
                self._leave()
            finally:
                self._lock.release()

    def _leave(self) -> None:
        session, self._session, self._idling = self._session, None, False
        if session is not None:
            self.idler.leave(session.client.wire, self)  # before its number is another's
            session.drop()

    # A visit ----------------------------------------------------------------------------------------------------------

    def visit(self, why: str) -> bool:
        """Go to the server, and see to when the next visit is. Whether the server was well."""
        with self._lock:
            if self._closed:
                self._leave()
                return True
            try:
                self._visit(why)
            except LostError:
                self._leave()
                self.world.lost(self.mailbox)
                return True
            except Exception as error:
                self._leave()
                return self._failed(error)
            if self._closed:
                self._leave()
            return True

    def _visit(self, why: str) -> None:
        if why == "ended" and self._session is not None:
            self._leave()
            if self.clock() - self._rested < _SHORT:
                raise AwayError("the server ended the connection as soon as it was idle")
            # Many may have lost their server just now: they come back one after the other.
            self.idler.at(self.clock() + self.random.uniform(0.1, _SPREAD), self)
            return
        if self._session is None:
            if (seconds := self.world.barred(self.mailbox)) > 0:
                self.idler.at(self.clock() + seconds + self.random.uniform(0.0, _SPREAD), self)
                return
            self._open()
        elif self._idling:
            self._idling = False
            self._session.done()
        else:
            self._session.still_there()
        before = self.folder.uidnext
        done = self._look()
        self._failures = 0
        if before != self.folder.uidnext:
            self._vain = 0
        elif why == "news":
            self._vain += 1
        if done:
            self._rest()
        else:
            self.wake("more")

    def _open(self) -> None:
        mailbox = self.mailbox
        login = self.world.login(mailbox)
        self._session = connect(login, mailbox.id, self.world.settings(), partial(self.world.renewed, mailbox))
        self.world.welcome(mailbox)
        now = self.world.now()
        opened = self._session.open_folder(self.folder.name)
        client = self._session.client
        if self.folder.uidvalidity == opened.uidvalidity:
            return
        uidnext = looking.next_uid(client, opened.uidnext, opened.exists)
        begun = Folder(self.folder.name, opened.uidvalidity, uidnext, now)
        if self.folder.uidvalidity is None:  # what is there already is old: the first look texts nobody
            self._write([], begun)
            return
        log.info(
            "folder %s of mailbox %d was made anew on its server: what is new is told by its date",
            self.folder.name,
            mailbox.id,
            extra={"action": "uidvalidity_changed", "mailbox": mailbox.id},
        )
        self._look_anew(uidnext)
        self._write([], begun)

    def _look_anew(self, before: int) -> None:
        """After UIDVALIDITY has changed: what came after the last look, and was not met, is new; all else is old."""
        assert self._session is not None
        client, checked = self._session.client, self.folder.checked
        uids = [uid for uid in looking.since(client, checked) if uid < before] if checked is not None else []
        for start in range(0, len(uids), looking.STEP):
            reads = looking.read(client, uids[start : start + looking.STEP], self._needs())
            self._write(self.world.unmet(self.mailbox, reads), self.folder)

    def _needs(self) -> frozenset[Need]:
        return self.world.needs(self.mailbox, self.source)

    def _look(self) -> bool:
        """Everything new, step by step, until the server says that there is nothing more; False where time is up."""
        assert self._session is not None
        client, began = self._session.client, self.world.now()
        needs, until = self._needs(), self.clock() + _LONG_VISIT
        for _ in range(_ROUNDS):
            self._session.news()
            uids = looking.new_uids(client, self.folder.uidnext or 1)
            for step in self._steps(uids):
                if self._closed or self.clock() > until:
                    return False
                reads = self._read(step, needs) if needs else []
                self._write(reads, replace(self.folder, uidnext=step[-1] + 1))
            if not uids and not self._session.news():
                break
        if self.folder.checked is None or began - self.folder.checked > _CHECKED:
            self._write([], replace(self.folder, checked=began))
        return True

    def _steps(self, uids: Sequence[int]) -> Iterator[Sequence[int]]:
        """Many at a time; one by one where reading has just failed, so that it is known on which mail."""
        while uids:
            many = 1 if self._stuck else looking.STEP
            yield uids[:many]
            uids = uids[many:]

    def _read(self, step: Sequence[int], needs: frozenset[Need]) -> list[Read]:
        """These mails; one that broke several visits by itself is left out, so that it does not stop all behind it."""
        assert self._session is not None
        if self._stuck and self._stuck[0] == step[0] and self._stuck[1] > _PATIENCE:
            extra = {"action": "mail_unreadable", "mailbox": self.mailbox.id, "uid": step[0]}
            log.error("mail %d of mailbox %d breaks its server: passed over", step[0], self.mailbox.id, extra=extra)
            self._stuck = None
            return []
        try:
            reads = looking.read(self._session.client, step, needs)
        except Exception:
            count = self._stuck[1] if self._stuck and self._stuck[0] == step[0] else 0
            self._stuck = (step[0], count + 1)
            raise
        if self._stuck and self._stuck[0] <= step[-1]:
            self._stuck = None
        return reads

    def _write(self, reads: Sequence[Read], folder: Folder) -> None:
        self.world.store(self.mailbox, self.source, reads, folder)
        self.folder = folder

    def _rest(self) -> None:
        """Idle where the server offers it and there is room; else wait for the time."""
        assert self._session is not None
        self._rested = self.clock()
        soon = self._rested + min(self.world.poll(), RENEW) * self.random.uniform(0.8, 1.0)
        name = self.folder.name
        if not self.world.may_idle():
            self._session.close()
            self._session = None
            self._say(
                mailboxes.UP,
                f"{name} is looked into every {_minutes(self.world.poll())}: no connection is free to stay",
            )
        elif not self._session.can_idle:
            self._say(
                mailboxes.UP, f"{name} is looked into every {_minutes(self.world.poll())}: its server offers no IDLE"
            )
        else:
            self._session.idle()
            self._idling = True
            wire = self._session.client.wire
            # Before the answer to IDLE, or just behind it, there may be news in our own buffer already.
            if self._session.news() or (said := meaning(wire.drain())) == "news":
                self._say(mailboxes.UP, f"{self.folder.name} is watched")
                self.wake("news")
                return
            if said == "ended":
                raise AwayError("the server ended the connection")
            self._say(mailboxes.UP, f"{self.folder.name} is watched")
            self.idler.at(soon, self)
            self.idler.watch(wire, self)
            return
        self.idler.at(soon, self)

    # What goes wrong --------------------------------------------------------------------------------------------------

    def _failed(self, error: Exception) -> bool:
        """See to the next try; whether the server is not to blame."""
        if self._closed:
            return True
        self._failures += 1
        wait = _backoff(self._failures, self.first_wait, _LONGEST) * self.random.uniform(0.5, 1.0)
        well = False
        try:
            if isinstance(error, RefusedLoginError):
                wait = self.world.refused(self.mailbox, str(error))
            elif isinstance(error, UnwatchableError | RefusedError):
                wait = _backoff(self._failures, 60.0, _HOPELESS)
                self._say(mailboxes.DOWN, f"{self.folder.name}: {error}")
            elif isinstance(error, StoreError):
                well = True
                log.warning("a mailbox waits for the store: %s", error, extra={"action": "watch_waits"})
            else:
                if not isinstance(error, AwayError | OSError | imaplib.IMAP4.error | IMAPClientError | ValueError):
                    log.error("a defect while watching a mailbox", exc_info=error, extra={"action": "watch_defect"})
                self._say(mailboxes.DOWN, f"{self.folder.name}: {_clause(error)}")
        except StoreError as failure:
            log.warning("a mailbox waits for the store: %s", failure, extra={"action": "watch_waits"})
        except LostError:
            self.world.lost(self.mailbox)
            return True
        self.idler.at(self.clock() + wait, self)
        return well

    def _say(self, state: str, why: str) -> None:
        self.world.say(self.mailbox, self.folder.name, state, why)


def _backoff(failures: int, first: float, longest: float) -> float:
    return min(first * 2.0 ** min(failures - 1, 20), longest)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def _clause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    return " ".join(str(error).split())[:200] or type(error).__name__
