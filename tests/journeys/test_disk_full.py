"""The disk that holds the store is full while mail arrives and answers are outstanding.

Mail is put off by 451 4.3.0, nothing that was acknowledged is lost, what the SMS centre answered is kept in memory and
recorded as soon as there is room, and everything heals by itself.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from sqlalchemy import event

from gateway.message import PAID, State
from gateway.store import migrate
from gateway.store.engine import open_engine, parse_url
from gateway.store.store import Store
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.houses import house
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Connection, Senders, mails
from tests.peers.node_smpp import NodeSmpp

SIZE = 4 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of `SIZE` octets."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tocsin-test", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the kernel does not let us mount a tmpfs here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store: on the small disk, where the test asks for one."""
    place = request.getfixturevalue("small_disk") if "small_disk" in request.fixturenames else tmp_path
    url = f"sqlite:///{place}/tocsin.db"
    engine = open_engine(parse_url(url))
    migrate.migrate(engine)
    engine.dispose()
    return url


def fill(disk: Path) -> Path:
    """Take all the room that is left, to the last octet; the file that has it."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


async def send_until(connection: Connection, senders: Senders, stream: Iterator, code: str) -> None:
    """One mail after the other, until one is answered by this code."""
    for mail in islice(stream, 500):
        reply = await connection.send(mail)
        senders.note(mail, reply)
        if reply.startswith(code):
            return
    raise AssertionError(f"no mail was answered by {code}")


@pytest.mark.peer("node-smpp")
async def test_a_full_disk_puts_mail_off_and_loses_nothing(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books, small_disk: Path
) -> None:
    stream = mails(random.Random(7), PAYERS)
    daemon = serve([operator(centre.port, on_unknown="park", window=10)])
    await daemon.start()
    senders = Senders(daemon.smtp)
    senders.left += islice(stream, 30)
    assert await senders.pour()
    await until(books.is_quiet, why=books.states)
    accepted = len(centre.got)

    await centre.order("hold")
    connection = await Connection.open(daemon.smtp)
    for mail in islice(stream, 20):
        senders.note(mail, await connection.send(mail))
    await centre.wait(accepted + 10)
    filler = await asyncio.to_thread(fill, small_disk)
    await send_until(connection, senders, stream, "451 4.3.0")
    assert (await connection.send(next(stream))).startswith("451 4.3.0"), "it is no passing trouble"

    # The answers come, and cannot be recorded: nothing more is sent, and nothing is forgotten.
    await centre.order("release")
    await until(lambda: "the disk that holds the store is full" in daemon.said(), why=daemon.said)
    assert os.statvfs(small_disk).f_bavail == 0
    status = (await daemon.status())["store"]
    assert status["state"] == "down"
    assert status["why"] == "10 answers cannot be recorded, nothing more is sent: the disk that holds the store is full"
    assert books.states()[State.SUBMITTING] == 10
    assert len(centre.got) == accepted + 10

    filler.unlink()
    await send_until(connection, senders, stream, "250")
    await until(lambda: not books.states()[State.SUBMITTING], why=books.states)
    assert (await daemon.status())["store"]["state"] == "up"
    assert await senders.pour()
    await until(books.is_quiet, why=books.states)
    await connection.close()
    assert await daemon.stop() == 0, daemon.said()
    segments = books.segments()
    assert {one.state for one in segments} <= PAID
    assert {message for _, message in senders.taken.values()} == {str(one.message) for one in segments}
    assert await centre.accepted() == {one.key: 1 for one in segments}
    assert books.faults_of_credit() == []


@pytest.mark.peer("node-smpp")
async def test_a_database_at_its_largest_size_does_likewise(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books
) -> None:
    """`PRAGMA max_page_count` makes SQLite itself say that it is full, in the middle of any statement."""
    stream = mails(random.Random(8), PAYERS)
    most = [1_000_000]

    def limited(store: Store) -> None:
        @event.listens_for(store.engine, "connect")
        def limit(dbapi: sqlite3.Connection, _record: object) -> None:
            dbapi.execute(f"PRAGMA max_page_count = {most[0]}")

    described = serve([operator(centre.port, on_unknown="park", window=100)])
    async with house(described.path, described.config, opened=limited) as running:
        senders = Senders(described.smtp)
        senders.left += islice(stream, 30)
        assert await senders.pour()
        await until(books.is_quiet, why=books.states)
        accepted = len(centre.got)

        await centre.order("hold")
        connection = await Connection.open(described.smtp)
        for mail in islice(stream, 110):
            senders.note(mail, await connection.send(mail))
        await centre.wait(accepted + 100)  # too many answers for the room that is left in pages
        most[0] = 1
        await running.store.run(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1").close())
        await send_until(connection, senders, stream, "451 4.3.0")
        await centre.order("release")
        await until(lambda: running.board.get("store", "store").state == "down")
        assert "the disk that holds the store is full" in running.board.get("store", "store").why

        most[0] = 1_000_000
        await send_until(connection, senders, stream, "250")
        assert await senders.pour()
        await until(books.is_quiet, why=books.states)
        await connection.close()
        assert running.board.get("store", "store").state == "up"
    segments = books.segments()
    assert {one.state for one in segments} <= PAID
    assert {message for _, message in senders.taken.values()} == {str(one.message) for one in segments}
    assert await centre.accepted() == {one.key: 1 for one in segments}
    assert books.faults_of_credit() == []
