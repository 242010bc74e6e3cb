"""A real Dovecot, a world that records what watches tell it, and certificates to trust."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.watching.crew import Crew
from daemon.watching.idling import Idler
from daemon.watching.looking import Read
from daemon.watching.oauth import Tokens
from daemon.watching.session import Settings
from daemon.watching.watch import Watch
from filters.context import Source
from filters.verdict import Need
from gateway.folders import Folder
from gateway.mailboxes import Login, Mailbox
from tests.peers.dovecot_imap import PASSWORD, DovecotImap, certify
from tests.peers.presence import require


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        require(mark.args[0])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, good for two days, and its key."""
    return certify(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def settings(certificate: tuple[Path, Path]) -> Settings:
    """Sessions that trust the certificate and may go to loopback."""
    context = ssl.create_default_context(cafile=str(certificate[0]))
    return Settings(allow_private=True, tokens=Tokens(allow_private=True), context=context, timeout=10.0)


@pytest.fixture(scope="module")
def dovecot(certificate: tuple[Path, Path]) -> Iterator[DovecotImap]:
    """A Dovecot that runs."""
    one = DovecotImap(*certificate)
    one.start()
    yield one
    one.remove()


class World:
    """Records what watches find and say; each change can be waited for."""

    def __init__(self, settings: Settings) -> None:
        self.reads: list[Read] = []
        self.folders: dict[str, Folder] = {}
        self.said: list[tuple[str, str]] = []
        self.refusals: list[str] = []
        self.password = PASSWORD
        self.wanted: frozenset[Need] = frozenset({"headers", "structure", "body"})
        self.poll_seconds = 300.0
        self.idle_allowed = True
        self.fail: Exception | None = None
        self.met: set[int] = set()
        self._settings = settings
        self._changed = threading.Condition()

    def settings(self) -> Settings:
        return self._settings

    def poll(self) -> float:
        return self.poll_seconds

    def may_idle(self) -> bool:
        return self.idle_allowed

    def now(self) -> datetime:
        return datetime.now(UTC)

    def login(self, mailbox: Mailbox) -> Login:
        return Login(mailbox.host, mailbox.port, mailbox.tls, mailbox.auth, mailbox.user, self.password.encode())

    def renewed(self, mailbox: Mailbox, secret: bytes) -> None:
        raise AssertionError("no password is ever renewed")

    def needs(self, mailbox: Mailbox, source: Source) -> frozenset[Need]:
        return self.wanted

    def store(self, mailbox: Mailbox, source: Source, reads: Sequence[Read], folder: Folder) -> None:
        with self._changed:
            if self.fail is not None:
                error, self.fail = self.fail, None
                self._changed.notify_all()
                raise error
            self.reads += reads
            self.folders[folder.name] = folder
            self._changed.notify_all()

    def unmet(self, mailbox: Mailbox, reads: Sequence[Read]) -> list[Read]:
        known = {read.mail.message_id for read in self.reads}
        return [read for read in reads if read.mail.message_id not in known]

    def say(self, mailbox: Mailbox, folder: str, state: str, why: str) -> None:
        with self._changed:
            self.said.append((state, why))
            self._changed.notify_all()

    def barred(self, mailbox: Mailbox) -> float:
        return 0.0

    def welcome(self, mailbox: Mailbox) -> None:
        pass

    def refused(self, mailbox: Mailbox, why: str) -> float:
        with self._changed:
            self.refusals.append(why)
            self._changed.notify_all()
        return 900.0

    def lost(self, mailbox: Mailbox) -> None:
        raise AssertionError("nobody takes it away")

    def wait(self, what: Callable[[], bool], seconds: float = 30.0) -> None:
        """Until something recorded makes this true."""
        with self._changed:
            assert self._changed.wait_for(what, seconds), (self.said[-3:], self.refusals[-3:], len(self.reads))

    def subjects(self) -> list[str]:
        return [read.mail.subject for read in self.reads]


@pytest.fixture
def world(settings: Settings) -> World:
    return World(settings)


@pytest.fixture
def watch(world: World) -> Iterator[Callable[..., Watch]]:
    """Makes watches on folders of a server, started; all are closed at the end."""
    crew, idler = Crew(), Idler()
    idler.start()
    made: list[Watch] = []

    def make(mailbox: Mailbox, folder: Folder | None = None) -> Watch:
        made.append(Watch(world, crew, idler, mailbox, folder or Folder("INBOX")))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()
    idler.close()
    crew.close(2.0)


def mailbox(port: int, user: str, *, tls: str = "implicit", auth: str = "login", host: str = "localhost") -> Mailbox:
    """A mailbox as its row would be."""
    return Mailbox(
        id=abs(hash(user)) % 100000,
        account=1,
        owner="jean",
        name=user,
        host=host,
        port=port,
        tls=tls,
        auth=auth,
        user=user,
        sealed=b"",
        folders=(Folder("INBOX"),),
        node=1,
        taken=1,
        state="connecting",
        since=datetime.fromtimestamp(time.time(), UTC),
        why="",
        refusals=0,
        again=None,
        told=False,
    )
