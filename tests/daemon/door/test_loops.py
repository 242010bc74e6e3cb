"""Two gateways pointed at each other, by accident or by malice, come to rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import accounts
from tests.daemon.door.conftest import Client, Daemon, mail, running
from tests.peers.daemon_process import free_port

NUMBER, NO_SUCH_NUMBER = "+32475000001", 0x0B


@dataclass
class Pair:
    """Gateway A serves a.example and sends its mail to B; B serves b.example and sends its mail to A."""

    a: Daemon
    b: Daemon

    async def rest(self) -> None:
        """Returns when nothing is open in either, twice in a row, with time for reports in between."""
        quiet = 0
        while quiet < 3:
            states = {one["state"] for house in (self.a, self.b) for one in await house.messages()}
            quiet = 0 if states & {"queued", "submitting"} else quiet + 1
            await asyncio.sleep(0.6)

    async def counts(self) -> tuple[int, int]:
        return len(await self.a.messages()), len(await self.b.messages())


@pytest.fixture
async def pair(tmp_path: Path, template: Path) -> AsyncIterator[Pair]:
    ports = {"a": free_port(), "b": free_port()}
    async with AsyncExitStack() as stack:
        made = {}
        for here, there in (("a", "b"), ("b", "a")):
            (tmp_path / here).mkdir()
            one = running(
                tmp_path / here,
                template,
                mail=ports[there],
                smtp=f"127.0.0.1:{ports[here]}",
                sms_domain=f"{here}.example",
                postmaster=f"postmaster@{there}.example",
            )
            made[here] = await stack.enter_async_context(one)
        yield Pair(made["a"], made["b"])


def rename(name: str, address: str) -> Callable[[Any], None]:
    """Let an account send from this address alone."""
    return lambda connection: accounts.change(connection, name, now=datetime.now(UTC), addresses=[address])


async def send(daemon: Daemon, to: str, *, sender: str, octets: bytes | None = None) -> str:
    client = await Client.to(daemon.smtp)
    (reply,) = await client.send(octets or mail("hello"), to, sender=sender)
    await client.close()
    return reply


async def test_a_report_to_a_number_of_the_other_gateway_is_the_end(pair: Pair) -> None:
    sender = f"{NUMBER}@b.example"
    await pair.a.house.store.run(rename("jean", sender))
    await pair.b.house.store.run(rename("jean", "tocsin@example.org"))
    pair.a.centre.answer_with(NO_SUCH_NUMBER)
    assert (await send(pair.a, f"{NUMBER}@a.example", sender=sender)).startswith("250 2.0.0 queued")
    await pair.rest()
    assert await pair.counts() == (2, 0)
    report, _ = await pair.a.messages()
    assert (report["origin"], report["state"]) == ("report", "accepted")
    assert pair.b.centre.total == 0


async def test_a_verdict_asked_for_in_a_gateway_s_name_is_the_end(pair: Pair) -> None:
    sender = "verdict@b.example"
    await pair.a.house.store.run(rename("jean", sender))
    await pair.b.house.store.run(rename("jean", "tocsin@example.org"))
    await send(pair.a, "verdict@a.example", sender=sender)
    await pair.rest()
    assert await pair.counts() == (1, 0)


async def test_two_postmasters_who_are_each_other_get_a_mail_once(pair: Pair) -> None:
    assert (await send(pair.a, "postmaster@a.example", sender="")).startswith("250")
    await pair.rest()
    assert await pair.counts() == (1, 1)
    (first,), (second,) = await pair.a.messages(), await pair.b.messages()
    assert (first["state"], second["state"]) == ("accepted", "failed")
    told = await pair.b.show(second["id"])
    assert "554 5.4.6" in told["deliveries"][0]["segments"][0]["attempts"][0]["detail"]


async def test_a_mail_that_both_forward_for_ever_is_stopped(pair: Pair) -> None:
    """Somebody else's server between them takes our marks off: the count of hops remains."""
    hop = b"Received: from a.example by b.example; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    replies = [
        await send(pair.a, f"{NUMBER}@a.example", sender="jean@example.org", octets=hop * count + mail(f"{count}"))
        for count in (1, 50, 100, 101, 5000)
    ]
    assert [reply[:9] for reply in replies] == ["250 2.0.0"] * 3 + ["554 5.4.6"] * 2
