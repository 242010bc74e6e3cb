"""A real listener on a free port, with a house behind the door that lives in memory."""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from daemon import tls
from daemon.door import MailRequest, Sender, Taken
from daemon.listener import Listener, ListenSettings
from daemon.login import Login
from daemon.peers import Networks
from filters.mail import Mail
from gateway.failure import RefusedError
from gateway.forwarding import Arrival
from gateway.notices import Arrived
from gateway.numbers import sms_number

HERE = Path(__file__).parent
#: What time it is for the listener.
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
#: Passwords cost next to nothing here.
PASSWORDS = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class House:
    """The door in memory: accounts by address, and every request that was taken."""

    def __init__(self) -> None:
        self.accounts = {"jean@example.org": Sender(1, "jean", "BE"), "anna@example.org": Sender(2, "anna")}
        self.taken: list[MailRequest] = []
        self.postmaster: list[tuple[bytes, str, bool]] | None = None
        self.verdicts: list[tuple[int, str, str]] = []
        right = PASSWORDS.hash("right")
        self.passwords: dict[str, tuple[int, str | None]] = {"jean": (1, right), "jean@example.org": (1, right)}
        self.ids: dict[tuple[int, str, bytes], str] = {}
        self.asked: list[str] = []
        self.copies: list[Arrived] = []
        self.copies_failure: Exception | None = None
        self.names: set[str] = set()
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    async def account_for(self, address: str) -> Sender | None:
        self.asked.append(address)
        if self.failure and not isinstance(self.failure, RefusedError):
            raise self.failure
        return self.accounts.get(address.lower())

    async def check_recipient(self, sender: Sender, number: str) -> None:
        if number.startswith("+1"):
            raise RefusedError("No route here takes numbers of North America.", smtp="550 5.1.2")

    async def check_name(self, sender: Sender, name: str) -> None:
        if name not in self.names:
            raise RefusedError(f"No list and no contact of yours is called {name}.", smtp="550 5.1.1")

    def check_postmaster(self, *, stranger: bool) -> None:
        if self.postmaster is None:
            raise RefusedError("Mail to the postmaster cannot be forwarded at the moment", smtp="451 4.3.5")

    async def forward(self, octets: bytes, mail: Mail, arrival: Arrival, *, stranger: bool) -> Taken:
        if self.failure:
            raise self.failure
        assert self.postmaster is not None
        self.postmaster.append((octets, str(arrival), stranger))
        return Taken(f"p{len(self.postmaster)}")

    async def tell_verdict(self, account: int, address: str, words: str, about: str) -> str | None:
        if self.failure:
            raise self.failure
        if len(self.verdicts) >= 5:
            return None
        self.verdicts.append((account, address, words))
        return f"v{len(self.verdicts)}"

    async def watched(self, name: str) -> int:
        if name not in ("jean", "anna"):
            raise RefusedError(f"{name} is no account here", smtp="550 5.1.1")
        return 1 if name == "jean" else 2

    async def note(self, arrived: Arrived) -> tuple[int, ...]:
        if self.copies_failure:
            raise self.copies_failure
        self.copies.append(arrived)
        return (77,) if "fire" in arrived.mail.subject else ()

    async def password_of(self, user: str) -> tuple[int, str | None] | None:
        if self.failure:
            raise self.failure
        return self.passwords.get(user)

    async def replace_password(self, account: int, before: str, after: str) -> None:
        raise AssertionError("no password here is old")

    async def take(self, request: MailRequest) -> Taken:
        self.waiting.set()
        await self.gate.wait()
        if self.failure:
            raise self.failure
        key = (request.sender.account, request.message_id, request.digest)
        seen = key in self.ids
        if not seen:
            self.taken.append(request)
            self.ids[key] = hashlib.sha256(repr(key).encode()).hexdigest()[:8]
        return Taken(self.ids[key], seen)


@pytest.fixture
async def house() -> House:
    return House()


async def no_pause(seconds: float) -> None:
    """A failed login's answer is not held back here."""


Start = Callable[..., Awaitable[str]]


@pytest.fixture
async def listener(house: House) -> AsyncIterator[Listener]:
    """A listener that trusts 127.0.0.1, not yet open."""
    settings = ListenSettings(
        "sms.example.org", hostname="mx.example.org", region="BE", trusted_networks=Networks.of(["127.0.0.1"])
    )
    made = Listener(house, settings, sms_number, Login(house, PASSWORDS, sleep=no_pause), now=lambda: NOW)
    yield made
    await made.drain(5)


@pytest.fixture
async def start(listener: Listener) -> Start:
    """Open the listener, with other settings where they are given: `await start("lmtp", max_size=1000)` is its port."""

    async def open_it(protocol: str = "smtp", address: str = "127.0.0.1:0", **settings: Any) -> str:
        if settings.pop("tls", False):
            settings["tls"] = tls.load(HERE / "localhost.pem", HERE / "localhost.key").context
        listener.settings = replace(listener.settings, **settings)
        (bound,) = await listener.open(protocol, address)
        return bound

    return open_it


class Wire:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, address: str) -> Wire:
        if address.startswith("unix:"):
            return cls(*await asyncio.open_unix_connection(address.removeprefix("unix:")))
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host.strip("[]"), int(port)))

    async def reply(self) -> str:
        """One reply, its lines joined by newlines; empty at the end of the connection."""
        lines = []
        while line := (await asyncio.wait_for(self.reader.readline(), 10)).decode():
            assert line.endswith("\r\n")
            assert len(line) <= 512
            lines.append(line.rstrip("\r\n"))
            if line[3:4] == " ":
                break
        return "\n".join(lines)

    def write(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def say(self, command: str | bytes) -> str:
        self.write((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return await self.reply()

    async def envelope(self, *numbers: str, sender: str = "jean@example.org", hello: str = "EHLO") -> str:
        """Greeting, MAIL, RCPT for each number and DATA; the reply to DATA."""
        if hello:
            await self.reply()
            await self.say(f"{hello} client.example.org")
        await self.say(f"MAIL FROM:<{sender}>")
        for number in numbers or ("+32475123456",):
            await self.say(f"RCPT TO:<{number}@sms.example.org>")
        return await self.say("DATA")

    async def ended(self) -> bool:
        """Whether the other side closes the connection, whatever it still says."""
        while await asyncio.wait_for(self.reader.readline(), 10):
            pass
        return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


Connect = Callable[[str], Awaitable[Wire]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    opened: list[Wire] = []

    async def open_one(address: str) -> Wire:
        opened.append(await Wire.to(address))
        return opened[-1]

    yield open_one
    for wire in opened:
        await wire.close()


MAIL = "From: Jean <jean@example.org>\r\nSubject: s\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"

Send = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def send(start: Start) -> Send:
    """Send a mail with smtplib to a listener of its own: the code and the text of the last reply."""
    bound: list[str] = []

    async def send_it(
        text: str | bytes = MAIL, *recipients: str, sender: str = "jean@example.org", options: tuple[str, ...] = ()
    ) -> tuple[int, str]:
        if not bound:
            bound.append(await start())
        return await asyncio.to_thread(
            _send, bound[0], text, recipients or ("+32475123456@sms.example.org",), sender, options
        )

    return send_it


def _send(
    address: str, text: str | bytes, recipients: tuple[str, ...], sender: str, options: tuple[str, ...]
) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    with _client(host, int(port)) as client:
        client.ehlo()
        code, words = client.mail(sender, options)
        if code == 250:
            answers = [client.rcpt(recipient) for recipient in recipients]
            code, words = next((answer for answer in answers if answer[0] == 250), answers[0])
        if code == 250:
            code, words = client.data(text.encode("utf-8") if isinstance(text, str) else text)
    return code, words.decode()


@contextmanager
def _client(host: str, port: int) -> Iterator[smtplib.SMTP]:
    client = smtplib.SMTP(host, port, timeout=10)
    try:
        yield client
    finally:
        client.close()
