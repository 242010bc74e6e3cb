"""The waiting room: who waits is called once, who has left is not, and nothing is left behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from daemon.watching.idling import Idler, meaning
from daemon.watching.watch import Watch
from tests.daemon.watching.conftest import World, mailbox
from tests.daemon.watching.scripted import Scripted, Talk
from tests.daemon.watching.test_bad_servers import SEEN


class Line:
    """A wire of plain octets, as far as the idler looks at it."""

    def __init__(self) -> None:
        self.sock, self.peer = socket.socketpair()

    def drain(self) -> list[bytes]:
        self.sock.setblocking(False)
        return self.sock.recv(65536).splitlines(keepends=True)


class Who:
    def __init__(self, wire: Line | None = None) -> None:
        self.wire = wire
        self.woken: list[str] = []
        self.called = threading.Semaphore(0)

    def wake(self, why: str) -> None:
        self.woken.append(why)
        self.called.release()


@pytest.fixture
def idler() -> Iterator[Idler]:
    one = Idler()
    one.start()
    yield one
    one.close()


@pytest.fixture
def line() -> Iterator[Line]:
    one = Line()
    yield one
    one.sock.close()
    one.peer.close()


@pytest.mark.parametrize(
    ("lines", "means"),
    [
        ([b"* 3 EXISTS\r\n"], "news"),
        ([b"* 3 exists\r\n"], "news"),
        ([b"* OK Still here\r\n", b"* 3 FETCH (FLAGS (\\Seen))\r\n", b"* 2 EXPUNGE\r\n"], ""),
        ([b"* 3 EXISTS\r\n", b"* BYE shutting down\r\n"], "ended"),
        ([b'* 1 FETCH (BODY[HEADER.FIELDS ("X")] "* 3 EXISTS")\r\n'], ""),
        ([], ""),
    ],
)
def test_what_lines_in_idle_mean(lines: list[bytes], means: str) -> None:
    assert meaning(lines) == means


def test_news_and_the_time_together_wake_once(idler: Idler, line: Line) -> None:
    who, after = Who(line), Who()
    line.peer.sendall(b"* 1 EXISTS\r\n")
    idler.at(time.monotonic() + 0.05, who)
    idler.watch(line, who)  # type: ignore[arg-type]
    assert who.called.acquire(timeout=5)
    idler.at(time.monotonic() + 0.1, after)
    assert after.called.acquire(timeout=5)
    assert len(who.woken) == 1


def test_who_has_left_is_not_woken(idler: Idler, line: Line) -> None:
    who, after = Who(), Who()
    idler.at(time.monotonic() + 0.05, who)
    idler.watch(line, who)  # type: ignore[arg-type]
    assert idler.idle == 1
    assert idler.leave(line, who)  # type: ignore[arg-type]
    line.peer.sendall(b"* 1 EXISTS\r\n")
    idler.at(time.monotonic() + 0.2, after)
    assert after.called.acquire(timeout=5)
    assert (who.woken, idler.idle) == ([], 0)


def test_another_time_takes_the_place_of_the_first(idler: Idler) -> None:
    who, after = Who(), Who()
    idler.at(time.monotonic() + 0.05, who)
    idler.at(time.monotonic() + 60, who)
    idler.at(time.monotonic() + 0.2, after)
    assert after.called.acquire(timeout=5)
    assert who.woken == []


def test_a_watch_that_is_closed_in_the_middle_of_a_visit_leaves_nothing_behind(
    world: World, watch: Callable[..., Watch]
) -> None:
    """Else its socket's number, given to another, would be one that the idler thinks it knows."""
    asked, go = threading.Event(), threading.Event()

    def idle(talk: Talk, name: bytes, arguments: bytes) -> bool:
        asked.set()
        go.wait(10)
        talk.say(b"+ idling\r\n")
        return True

    server = Scripted(idle=idle)
    try:
        one = watch(mailbox(server.port, "jean", tls="none"), SEEN)
        assert asked.wait(10)
        one.close()
        go.set()
        with one._lock:
            assert one._session is None or one._closed
        deadline = time.monotonic() + 5
        while (one._session is not None or one.idler.idle) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (one._session, one.idler.idle, len(one.idler._current)) == (None, 0, 0)
        assert len(one.idler._selector.get_map()) == 1  # its own pipe
    finally:
        server.close()


def test_a_server_that_cries_wolf_is_gone_to_ever_more_seldom(world: World, watch: Callable[..., Watch]) -> None:
    def wolf(talk: Talk, name: bytes, arguments: bytes) -> bool:
        talk.say(b"+ idling\r\n* 1 EXISTS\r\n")
        return True

    server = Scripted(idle=wolf)
    try:
        watch(mailbox(server.port, "jean", tls="none"), SEEN)
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            time.sleep(0.1)
        assert 5 < server.commands.count(b"IDLE") < 20
        assert server.connections == 1
    finally:
        server.close()
