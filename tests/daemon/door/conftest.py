"""The whole daemon in this process: listener, store, dispatcher, a stand-in SMS centre, a mail server for reports."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from daemon.assemble import House
from gateway import accounts, credit, story
from gateway.transports.smpp.centre import Centre
from tests.daemon.listener.conftest import Wire
from tests.peers.houses import house
from tests.peers.mail_sink import MailSink

#: Who has an account: the addresses he sends from, his settings, his units.
PEOPLE: dict[str, tuple[tuple[str, ...], dict[str, Any], int]] = {
    "jean": (("jean@example.org", "jean@home.example"), {}, 10_000),
    "anna": (("anna@example.org",), {"region": "FR"}, 100),
    "luca": (("luca@example.org",), {"region": "IT"}, 100),
    "poor": (("poor@example.org",), {}, 1),
    "brief": (("brief@example.org",), {"max_parts": 1}, 100),
}


def people(connection: Connection) -> None:
    """The accounts of `PEOPLE`."""
    now = datetime.now(UTC)
    for name, (addresses, settings, units) in PEOPLE.items():
        number = accounts.add(connection, name, now=now, addresses=addresses, settings={"zone": "UTC", **settings})
        credit.buy(connection, number, units, reason="bought", now=now)


@dataclass
class Daemon:
    """A house that runs, and who is around it."""

    house: House
    centre: Centre
    sink: MailSink
    store_file: Path

    @property
    def smtp(self) -> str:
        """Where SMTP is spoken."""
        return self.house.bound["smtp"][0]

    @property
    def lmtp(self) -> str:
        """Where LMTP is spoken."""
        return self.house.bound["lmtp"][0]

    async def show(self, reply: str) -> dict[str, Any]:
        """The message a reply names, as `message show` has it."""
        return await self.house.store.read(lambda connection: story.show(connection, int(reply.split()[-1])))

    async def settled(self, reply: str, seconds: float = 15) -> dict[str, Any]:
        """The same, once nothing of it is open any more."""
        for _ in range(int(seconds / 0.02)):
            told = await self.show(reply)
            if told["state"] not in ("queued", "submitting", "held"):
                return told
            await asyncio.sleep(0.02)
        raise AssertionError(f"it is not settled after {seconds} seconds: {told}")

    async def messages(self) -> list[dict[str, Any]]:
        """Every message there is, newest first."""
        page = await self.house.store.read(lambda connection: story.page(connection, story.Wanted()))
        return [dict(one) for one in page.documents]

    def texts(self, number: str) -> list[str]:
        """What the SMS centre got for a number."""
        return [taken.text for taken in self.centre.received if taken.to == number]


@asynccontextmanager
async def running(
    folder: Path, template: Path, *, mail: bool = True, routes: Sequence[dict[str, Any]] = (), **listen: Any
) -> AsyncIterator[Daemon]:
    """A whole daemon below `folder`, on a copy of the store `template`; `listen` are further keys of `[listen]`."""
    store = folder / "tocsin.db"
    shutil.copy(template, store)
    async with Centre() as centre, MailSink() as sink:
        operator = {"name": "operator", "channels": ["sms"], "transport": "smpp", "host": "127.0.0.1"}
        post = {"name": "post", "channels": ["email"], "transport": "smtp", "host": "127.0.0.1", "port": sink.port}
        config: dict[str, Any] = {
            "store": {"url": f"sqlite:///{store}"},
            "listen": {
                "smtp": "127.0.0.1:0",
                "lmtp": f"unix:{folder}/lmtp.sock",
                "sms_domain": "sms.example.org",
                "region": "BE",
                "trusted_networks": ["127.0.0.1", "unix"],
                **listen,
            },
            "route": [
                {**operator, "port": centre.port, "sender": "32475000000", "not_prefixes": ["+1"]},
                *([{**post, "sender": "tocsin@example.org"}] if mail else []),
                *routes,
            ],
        }
        async with house(folder / "tocsin.toml", config, opened=lambda opened: opened.run_now(people)) as one:
            yield Daemon(one, centre, sink, store)


@pytest.fixture(scope="session")
def template(_migrated_file: Path) -> Path:
    """A store that is empty and at head, to be copied."""
    return _migrated_file


@pytest.fixture
async def daemon(tmp_path: Path, template: Path) -> AsyncIterator[Daemon]:
    """A daemon that trusts 127.0.0.1 and its unix socket."""
    async with running(tmp_path, template, postmaster="root@example.org") as one:
        yield one


def mail(words: str = "hello", *, to: str = "+32475123456@sms.example.org", **fields: str) -> bytes:
    """A mail; `fields` are further header fields, `Message_ID` and the like, empty ones left out."""
    header = {"From": "Jean <jean@example.org>", "To": to, "Subject": "Tonight", **fields}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in header.items() if value]
    return "\r\n".join([*lines, "", words, ""]).encode("utf-8", "surrogateescape")


@dataclass
class Client:
    """A client that says an envelope and a mail, and keeps every reply."""

    wire: Wire
    lmtp: bool

    @classmethod
    async def to(cls, address: str) -> Client:
        """Connect and greet; by LMTP at a unix socket."""
        client = cls(await Wire.to(address), address.startswith("unix:"))
        await client.wire.reply()
        await client.wire.say(f"{'LHLO' if client.lmtp else 'EHLO'} client.example.org")
        return client

    async def send(
        self, octets: bytes, *recipients: str, sender: str = "jean@example.org", parameters: str = ""
    ) -> list[str]:
        """The replies that decide: to MAIL where it is refused, else one for each recipient.

        `recipients` are what stands in RCPT TO, brackets left out where there are no parameters.
        """
        said = await self.wire.say(f"MAIL FROM:<{sender}> {parameters}".strip())
        if not said.startswith("250"):
            return [said]
        named = [one if one.startswith("<") else f"<{one}>" for one in recipients]
        replies = [await self.wire.say(f"RCPT TO:{one}") for one in named]
        taken = [index for index, reply in enumerate(replies) if reply.startswith("250")]
        if not taken:
            await self.wire.say("RSET")
            return replies
        assert (await self.wire.say("DATA")).startswith("354")
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        self.wire.write((b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n")
        if self.lmtp:
            for index in taken:
                replies[index] = await self.wire.reply()
        else:
            last = await self.wire.reply()
            for index in taken:
                replies[index] = last
        return replies

    async def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            await self.wire.close()
