"""Rubbish on every socket of the whole daemon: it neither falls nor leaks, and still serves.

Clients of SMTP and LMTP say what no client should, the SMS centre sends what no SMS centre should, somebody shouts into
the wake-up socket; bounded, and from a seed that is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from gateway.message import State
from gateway.transports.smpp.centre import Centre
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Connection, Mail, Senders, mails

pytestmark = [pytest.mark.timeout(120), pytest.mark.parametrize("database", ["sqlite"], indirect=True)]

#: How much larger the daemon may be after all that, in octets.
GROWTH = 24 * 1024 * 1024

_WORDS = (
    b"HELO x\r\n",
    b"EHLO x\r\n",
    b"LHLO x\r\n",
    b"MAIL FROM:<jean@example.org>\r\n",
    b"MAIL FROM:<>\r\n",
    b"MAIL FROM:<jean@example.org> SIZE=99999999999999999999 BODY=8BITMIME ENVID=+00\r\n",
    b"RCPT TO:<32475000000@sms.example.org>\r\n",
    b"RCPT TO:<32475000000@sms.example.org> NOTIFY=NEVER,SUCCESS ORCPT=rfc822;+zz\r\n",
    b'RCPT TO:<"\\" @x"@sms.example.org>\r\n',
    b"RCPT TO:<@a,@b:" + b"9" * 300 + b"@sms.example.org>\r\n",
    b"DATA\r\n",
    b"RSET\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN AGplYW4AcGFzcw==\r\n",
    b"BDAT 10 LAST\r\n",
    b"VRFY \xff\xfe\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"QUIT\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
)
_MAIL_PARTS = (
    b"From: a@[\r\n",
    b"From: <jean@example.org>\r\n",
    b"Message-ID: <\r\n",
    b"Subject: =?utf-8?B?//79?= =?x?Q?=0D=0A?=\r\n",
    b"Content-Type: multipart/mixed; boundary=a\r\n",
    b"Content-Type: text/plain; charset=no-such\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"\r\n",
    b"--a\r\n",
    b"--a--\r\n",
    b"<html><" + b"b><" * 500 + b"\r\n",
    b"text \x00\x1b\xff\xf0\x9f\x98\r\n",
    b"x" * 5000 + b"\r\n",
)


def damaged(chance: random.Random, octets: bytes) -> bytes:
    """These octets, not quite."""
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(octets) + 1)
        match chance.randrange(4):
            case 0:
                octets = octets[:at] + chance.randbytes(chance.randrange(1, 20)) + octets[at:]
            case 1:
                octets = octets[:at] + octets[at + chance.randrange(1, 20) :]
            case 2:
                octets = octets[:at] + octets[max(0, at - 30) : at] * chance.randrange(2, 5) + octets[at:]
            case 3:
                octets = octets[:at]
    return octets


def dialogue(chance: random.Random) -> bytes:
    """What a client might say in one breath."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(1, 20_000))
    if chance.random() < 0.05:
        return b"NOOP " + b"y" * 300_000
    words = list(chance.choices(_WORDS, k=chance.randrange(1, 12)))
    if chance.random() < 0.6:
        words += [b"RSET\r\n", _WORDS[3], _WORDS[6], b"DATA\r\n", *chance.choices(_MAIL_PARTS, k=8), b"\r\n.\r\n"]
    return damaged(chance, b"".join(words))


async def shout(chance: random.Random, opened: Callable[[], object]) -> None:
    """One client's visit: it talks, hears some of the answers, and goes away one way or the other."""
    reader, writer = await opened()  # type: ignore[misc]
    with contextlib.suppress(OSError, TimeoutError):
        if chance.random() < 0.5:
            writer.write(chance.choice((b"EHLO x\r\n", b"LHLO x\r\n")))
        writer.write(dialogue(chance))
        if chance.random() < 0.7:
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 1)
        elif chance.random() < 0.5:
            await asyncio.wait_for(reader.readline(), 1)
    if chance.random() < 0.3:
        writer.transport.abort()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def deliver_sm(chance: random.Random) -> bytes:
    """The body of a deliver_sm that can be read, with anything for a text."""
    text = chance.choice(
        (chance.randbytes(60), b"id:\xff stat:DELIVRD", b"id:1 stat:" + b"Z" * 90, b"\x05\x00\x03", b"")
    )
    esm_class, data_coding = chance.choice((0, 4, 0x40, 0x44)), chance.choice((0, 3, 8, 245))
    fields = b"\0\1\1" + b"32475000001\0" + b"\1\1" + b"32475000000\0" + bytes((esm_class, 0, 0)) + b"\0\0\0\0"
    tail = chance.choice((b"", b"\x04\x24\xff\xff", b"\x00\x1e\x00\x02x\x00", chance.randbytes(9)))
    return fields + bytes((data_coding, 0, len(text))) + text + tail


def pdu(chance: random.Random) -> bytes:
    """Something like a PDU: mostly a sound header with a body that is not."""
    known = (0x05, 0x05, 0x05, 0x80000004, 0x80000009, 0x15, 0x06, 0x80000000, 0x103)
    command = chance.choice((*known, chance.getrandbits(32)))
    body = chance.randbytes(chance.choice((0, 1, 17, 40, 200)))
    if command == 0x05 and chance.random() < 0.7:
        body = deliver_sm(chance)
    status, sequence = chance.choice((0, 0, 0x58, chance.getrandbits(32))), chance.getrandbits(31)
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def broken(chance: random.Random) -> bytes:
    """What no link survives, or what only looks so."""
    return chance.choice(
        (
            chance.randbytes(64),
            struct.pack(">IIII", 0, 0x05, 0, 1),
            struct.pack(">IIII", 15, 0x05, 0, 1),
            struct.pack(">IIII", 0x7FFFFFFF, 0x05, 0, 1) + b"x" * 1000,
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            struct.pack(">IIII", 16, 0x06, 0, 1) * 3,
        )
    )


def size(pid: int) -> int:
    """Resident octets of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    """Open descriptors of a process, but for its database: SQLite keeps some of those back to use them again."""
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += "tocsin.db" not in os.readlink(link)
    return count


async def through(daemon: DaemonProcess, books: Books, some: list[Mail], sent: Callable[[], int]) -> None:
    """These mails are taken and accepted."""
    before = sent()
    senders = Senders(daemon.smtp)
    senders.left += some
    assert await senders.pour(connections=1)
    await until(lambda: books.is_quiet() and sent() > before, why=books.states)


async def test_clients_say_what_no_client_should(serve: Callable[..., DaemonProcess], books: Books) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    async with Centre() as centre:
        daemon = serve([operator(centre.port)])
        await daemon.start()
        stream = mails(random.Random(1), PAYERS)
        ways = (
            lambda: asyncio.open_connection("127.0.0.1", daemon.smtp),
            lambda: asyncio.open_unix_connection(str(daemon.lmtp)),
        )
        for _ in range(60):  # whatever it loads and keeps at first use
            await shout(chance, chance.choice(ways))
        await through(daemon, books, list(islice(stream, 5)), lambda: centre.total)
        large, many = size(daemon.pid), descriptors(daemon.pid)

        async def client() -> None:
            for _ in range(60):
                await shout(chance, chance.choice(ways))

        await asyncio.gather(*(client() for _ in range(10)))
        wake = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for _ in range(50):
            with contextlib.suppress(BlockingIOError):
                wake.sendto(chance.randbytes(chance.randrange(2000)), f"{books.url.database}.wake")
        wake.close()

        await through(daemon, books, list(islice(stream, 5)), lambda: centre.total)
        await until(lambda: descriptors(daemon.pid) <= many, why=lambda: (many, descriptors(daemon.pid)))
        assert size(daemon.pid) < large + GROWTH
        lmtp = await Connection.open_lmtp(str(daemon.lmtp))
        assert (await lmtp.send(next(stream))).startswith("250 ")
        await lmtp.close()
        assert await daemon.stop() == 0, daemon.said()
    assert "Traceback" not in daemon.said()
    assert "defect" not in daemon.said()
    assert books.faults_of_credit() == []


async def test_the_sms_centre_sends_what_no_centre_should(serve: Callable[..., DaemonProcess], books: Books) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    stream = mails(random.Random(2), PAYERS)
    async with Centre() as centre:
        daemon = serve([operator(centre.port, on_unknown="park")])
        await daemon.start()
        await centre.bound()
        await through(daemon, books, list(islice(stream, 5)), lambda: centre.total)
        large, many = size(daemon.pid), descriptors(daemon.pid)
        for _ in range(8):
            # What can be framed is answered, or ignored, and the link goes on; what cannot ends it.
            centre.send(b"".join(pdu(chance) for _ in range(150)))
            await asyncio.sleep(0.05)
            centre.send(broken(chance))
            await asyncio.sleep(0.05)
            centre.drop()
            await centre.unbound()
            await centre.bound()
            await through(daemon, books, list(islice(stream, 2)), lambda: centre.total)
        assert size(daemon.pid) < large + GROWTH
        assert descriptors(daemon.pid) <= many + 1
        assert await daemon.stop() == 0, daemon.said()
    assert "Traceback" not in daemon.said()
    assert "defect" not in daemon.said()
    states = books.states()
    assert states[State.ACCEPTED] + states[State.DELIVERED] + states[State.UNDELIVERED] > 0
    assert books.faults_of_credit() == []
