"""Each trap of imapclient and imaplib, by its name: what they hide, and that we see it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.watching import looking
from daemon.watching.idling import Idler
from daemon.watching.session import Settings, connect
from daemon.watching.watch import Watch
from daemon.watching.wire import EndedError, GarbageError, Wire
from gateway.mailboxes import Login
from tests.daemon.watching.conftest import World, mailbox
from tests.daemon.watching.test_dovecot import is_up, mail
from tests.peers.dovecot_imap import PASSWORD, DovecotImap

Make = Callable[..., Watch]
Pair = tuple[Wire, ssl.SSLSocket]


@pytest.fixture
def pair(certificate: tuple[Path, Path]) -> Iterator[Pair]:
    """Our end of a connection under TLS, and the server's."""
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
    made: list[ssl.SSLSocket] = []

    def greet() -> None:
        made.append(served.wrap_socket(there, server_side=True))
        made[0].sendall(b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n")

    thread = threading.Thread(target=greet)
    thread.start()
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    wire = _Known(lambda timeout: here, "localhost", 5.0, trust)
    thread.join()
    yield wire, made[0]
    wire.shutdown()
    made[0].close()


class _Known(Wire):
    """Asks for no capabilities when it begins: nobody would answer."""

    def _get_capabilities(self) -> None:
        self.capabilities = ("IMAP4REV1", "IDLE")


def readable(wire: Wire) -> bool:
    return bool(select.select([wire.sock], [], [], 0)[0])


def test_what_tls_has_decrypted_already_is_read_though_the_socket_is_silent(pair: Pair) -> None:
    wire, server = pair
    server.sendall(b"* 1 EXISTS\r\n" + b"* OK Still here\r\n" * 900)  # one TLS record
    select.select([wire.sock], [], [], 5)
    wire.sock.setblocking(False)
    assert wire.sock.recv(1)
    assert wire.sock.pending()  # type: ignore[attr-defined]
    assert not readable(wire)  # who waits for the socket alone would wait for ever
    assert len(wire.drain()) == 901
    assert wire.drain() == []


def test_the_end_of_a_connection_is_an_end_and_not_silence(pair: Pair) -> None:
    """imapclient's `idle_check` answers an empty list there, at once, again and again."""
    wire, server = pair
    server.close()
    select.select([wire.sock], [], [], 5)
    with pytest.raises(EndedError):
        wire.drain()


def test_half_a_line_waits_for_its_other_half(pair: Pair) -> None:
    wire, server = pair
    server.sendall(b"* 1 EXI")
    select.select([wire.sock], [], [], 5)
    assert wire.drain() == []
    server.sendall(b"STS\r\n")
    select.select([wire.sock], [], [], 5)
    assert wire.drain() == [b"* 1 EXISTS\r\n"]


def test_a_line_without_end_is_not_kept_for_ever(pair: Pair) -> None:
    wire, server = pair

    def send() -> None:
        with contextlib.suppress(OSError):  # the rest is not wanted any more
            server.sendall(b"x" * 200_000)

    sender = threading.Thread(target=send)
    sender.start()

    def listen() -> None:
        while True:
            select.select([wire.sock], [], [], 5)
            wire.drain()

    with pytest.raises(GarbageError):
        listen()
    wire.shutdown()
    sender.join()


def test_an_answer_that_drips_is_not_waited_for(pair: Pair) -> None:
    """A timeout of each octet is none of the whole."""
    wire, server = pair
    wire.patience(0.5)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.02):
            server.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        wire.readline()
    took = time.monotonic() - began
    stop.set()
    thread.join()
    assert 0.5 < took < 10


def test_an_end_in_idle_wakes_once_and_does_not_spin(pair: Pair) -> None:
    wire, server = pair
    woken: list[str] = []
    called = threading.Event()

    class Who:
        def wake(self, why: str) -> None:
            woken.append(why)
            called.set()

    idler = Idler()
    idler.start()
    idler.watch(wire, Who())
    server.close()
    assert called.wait(5)
    before = time.thread_time_ns(), time.process_time()
    select.select([], [], [], 0.3)
    idler.close()
    assert woken == ["ended"]
    assert time.process_time() - before[1] < 0.15


@pytest.mark.peer("dovecot-imap")
def test_the_last_mail_is_no_new_one_though_a_range_to_the_end_has_it(dovecot: DovecotImap, settings: Settings) -> None:
    """`n:*` has the last mail in it where all are older, and imapclient cannot fetch such a range."""
    dovecot.deliver("range", mail("one"), mail("two"))
    session = connect(Login("localhost", dovecot.imaps, "implicit", "login", "range", PASSWORD.encode()), 1, settings)
    session.open_folder("INBOX")
    assert session.client.search([b"UID", b"7:*"]) == [2]
    assert looking.new_uids(session.client, 7) == []
    assert looking.new_uids(session.client, 2) == [2]
    session.close()


_WITHOUT = "protocol imap {\n  imap_capability = IMAP4rev1 SASL-IR LITERAL+ IDLE\n}"


@pytest.mark.peer("dovecot-imap")
@pytest.mark.parametrize("more", ["", _WITHOUT], ids=["with CONDSTORE and UIDPLUS", "without"])
def test_neither_condstore_nor_uidplus_is_needed(certificate: tuple, world: World, watch: Make, more: str) -> None:
    one = DovecotImap(*certificate, more=more)
    try:
        one.start()
        made = watch(mailbox(one.imaps, "jean"))
        world.wait(lambda: is_up(world))
        assert made._session is not None
        assert bool(made._session.client.has_capability("CONDSTORE")) == (not more)
        one.deliver("jean", mail("one"), mail("two"))
        world.wait(lambda: world.subjects() == ["one", "two"])
    finally:
        one.remove()


@pytest.mark.peer("dovecot-imap")
def test_a_mail_between_the_search_and_idle_is_not_lost(dovecot: DovecotImap, world: World, watch: Make) -> None:
    """It is told of before or behind the answer to IDLE, where imaplib's buffer would hide it until the next one."""
    made = watch(mailbox(dovecot.imaps, "between"))
    world.wait(lambda: is_up(world))
    real, left = made._look, [5]

    def look() -> bool:
        done = real()
        if left[0]:
            left[0] -= 1
            dovecot.deliver("between", mail(f"between {left[0]}"))
        return done

    made._look = look  # type: ignore[method-assign]
    dovecot.deliver("between", mail("first"))
    world.wait(lambda: world.subjects() == ["first", *(f"between {n}" for n in (4, 3, 2, 1, 0))])
