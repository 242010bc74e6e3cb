"""The database is locked by somebody else, cuts its connections, or is gone for a while, all under load.

Mail is put off, nothing that was acknowledged is lost or comes twice, and everything heals by itself.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from gateway.message import PAID, State
from gateway.store.engine import BUSY
from tests.conftest import Cluster
from tests.peers.commit_cutter import CommitCutter
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Senders, mails
from tests.peers.node_smpp import NodeSmpp

pytestmark = pytest.mark.peer("node-smpp")

Serve = Callable[..., DaemonProcess]


class Trouble:
    """A daemon with ten answers outstanding and mail that waits; and how the end must look."""

    def __init__(self, daemon: DaemonProcess, centre: NodeSmpp, books: Books) -> None:
        self.daemon = daemon
        self.centre = centre
        self.books = books
        self.senders = Senders(daemon.smtp)
        self.stream = mails(random.Random(11), PAYERS)

    async def begin(self) -> None:
        """Start it, let mail through, then keep ten answers back."""
        await self.daemon.start()
        self.senders.left += islice(self.stream, 20)
        assert await self.senders.pour()
        await until(self.books.is_quiet, why=self.books.states)
        accepted = len(self.centre.got)
        await self.centre.order("hold")
        self.senders.left += islice(self.stream, 20)
        assert await self.senders.pour()
        await self.centre.wait(accepted + 10)

    def more(self, count: int = 8) -> asyncio.Task[bool]:
        """More mail, poured in meanwhile."""
        self.senders.left += islice(self.stream, count)
        return asyncio.create_task(self.senders.pour())

    async def end(self) -> None:
        """All is well again: everything that was acknowledged is accepted, once, and paid."""
        while not await self.senders.pour():
            pass
        await until(self.books.is_quiet, why=self.books.states)
        assert await self.daemon.stop() == 0, self.daemon.said()
        segments = self.books.segments()
        assert {one.state for one in segments} <= PAID
        assert {message for _, message in self.senders.taken.values()} == {str(one.message) for one in segments}
        assert await self.centre.accepted() == {one.key: 1 for one in segments}
        assert self.books.faults_of_credit() == []


@pytest.fixture
async def trouble(serve: Serve, centre: NodeSmpp, books: Books) -> Trouble:
    daemon = serve([operator(centre.port, on_unknown="park", window=10)])
    one = Trouble(daemon, centre, books)
    await one.begin()
    return one


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_another_process_holds_the_write_lock(trouble: Trouble, database: str) -> None:
    other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    locked = asyncio.get_running_loop().time()
    pouring = trouble.more()
    await trouble.centre.order("release")
    while not trouble.senders.refused:
        await trouble.senders.news()
    assert trouble.senders.refused[0].startswith("451 4.3.0")
    assert asyncio.get_running_loop().time() - locked >= BUSY
    assert "the store is locked by another process" in trouble.daemon.said()
    status = (await trouble.daemon.status())["store"]
    assert (status["state"], "the store is locked by another process" in status["why"]) == ("down", True)
    other.rollback()
    other.close()
    await pouring
    await trouble.end()


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_the_database_server_is_stopped_and_started_again(trouble: Trouble, cluster: Cluster) -> None:
    pouring = trouble.more(100)
    await trouble.senders.news()
    await asyncio.to_thread(cluster.stop)
    try:
        await trouble.centre.order("release")
        await pouring
        assert trouble.senders.refused, "it never missed its database"
        assert {reply[:9] for reply in trouble.senders.refused} == {"451 4.3.0"}
        await until(lambda: "cannot be recorded" in trouble.daemon.said(), why=trouble.daemon.said)
    finally:
        await asyncio.to_thread(cluster.start)
    await trouble.end()


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_the_database_server_cuts_connections_again_and_again(trouble: Trouble, cluster: Cluster) -> None:
    pouring = trouble.more(300)
    await trouble.centre.order("release")
    cuts = 0
    while not pouring.done():
        await trouble.senders.news()
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'tocsin'"
        cuts += (await asyncio.to_thread(cluster.execute, cut))[0][0]
    await pouring
    assert cuts > 10
    await trouble.end()
    assert trouble.books.states()[State.UNKNOWN] == 0


@pytest.mark.peer("postgresql")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_nobody_knows_whether_a_commit_happened(
    serve: Serve, centre: NodeSmpp, books: Books, cluster: Cluster, database: str, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    daemon = serve([operator(centre.port, on_unknown="park", window=10)])
    async with CommitCutter(tmp_path, cluster.folder, random.Random(seed)) as cutter:
        daemon.config["store"]["url"] = database.replace(str(cluster.folder), str(cutter.folder))
        trouble = Trouble(daemon, centre, books)
        await daemon.start()
        cutter.share = 0.1
        while cutter.after < 30 or cutter.before < 30:
            await trouble.more(20)
        cutter.share = 0.0
        print("cut", cutter.before, "before and", cutter.after, "after the commit")
        await trouble.end()
