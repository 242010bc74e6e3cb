"""Rubbish on the socket: no defect, nothing left behind, and the next client is served."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
from typing import TYPE_CHECKING

import pytest

from daemon.session import Session
from tests.daemon.listener.conftest import House, Wire

if TYPE_CHECKING:
    from daemon.listener import Listener
    from tests.daemon.listener.conftest import Start

WORDS = [
    b"EHLO c",
    b"LHLO c",
    b"HELO c",
    b"MAIL FROM:",
    b"RCPT TO:",
    b"DATA",
    b"RSET",
    b"STARTTLS",
    b"AUTH LOGIN",
    b"NOOP",
]
WORDS += [
    b"<jean@example.org>",
    b"<+32475123456@sms.example.org>",
    b"<>",
    b"<",
    b">",
    b"@",
    b" SIZE=",
    b" NOTIFY=",
    b'"',
    b"\\",
]
WORDS += [
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n.\r\n",
    b".",
    b"..",
    b"\0",
    b"\xff\xfe",
    b"Subject: x\r\n\r\n",
    b"\x16\x03\x01",
]


def rubbish(source: random.Random) -> bytes:
    """A conversation that is partly lawful, so that it gets far."""
    lawful = b"EHLO c\r\nLHLO c\r\nMAIL FROM:<jean@example.org>\r\nRCPT TO:<+32475123456@sms.example.org>\r\nDATA\r\n"
    noise = [
        source.choice(WORDS) if source.random() < 0.9 else source.randbytes(6) for _ in range(source.randrange(80))
    ]
    return (lawful if source.random() < 0.4 else b"") + b"".join(noise)


async def throw(bound: str, source: random.Random) -> None:
    wire = await Wire.to(bound)
    with contextlib.suppress(OSError):
        wire.write(rubbish(source))
        await wire.writer.drain()
        ending = source.randrange(3)
        if ending == 0:
            wire.writer.transport.abort()
        elif ending == 1:
            wire.writer.write_eof()
            await asyncio.wait_for(wire.reader.read(), 20)
    await wire.close()


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_rubbish_does_no_harm(
    start: Start, house: House, listener: Listener, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    bound = await start(protocol, tls=True)
    source = random.Random(protocol)
    for _ in range(30):
        await asyncio.gather(*(throw(bound, source) for _ in range(10)))
    wire = await Wire.to(bound)
    await wire.envelope(hello="EHLO" if protocol == "smtp" else "LHLO")
    assert (await wire.say("Message-ID: <last@x>\r\n\r\nstill here\r\n.")).startswith("250")
    await wire.close()
    await listener.drain(5)
    assert house.taken[-1].text == "still here"
    assert [record.getMessage() for record in caplog.records] == []
    gc.collect()
    assert [one for one in gc.get_objects() if isinstance(one, Session) and one._listener is listener] == []
    assert {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()
