"""Mail to the postmaster is passed on as it came, never answered, and never goes in a circle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.peers import Networks
from tests.daemon.door.conftest import Client, Daemon, mail, running

AT = "@sms.example.org"


@pytest.fixture(params=["smtp", "lmtp"])
async def client(daemon: Daemon, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    one = await Client.to(getattr(daemon, request.param))
    yield one
    await one.close()


@pytest.mark.parametrize("sender", ["", "stranger@elsewhere.example", "jean@example.org"])
async def test_it_is_passed_on_as_it_came(daemon: Daemon, client: Client, sender: str) -> None:
    octets = mail("Déjà vu\r\n.\r\n..dots", Subject="Your SMS: =?utf-8?q?trouble?=")
    (reply,) = await client.send(octets, f"Postmaster{AT}", sender=sender)
    assert reply.startswith("250 2.0.0 queued as ")
    (got,) = await daemon.sink.wait(1)
    assert (got.sender, got.recipients) == ("", ("root@example.org",))
    head, _, rest = got.octets.partition(b"From: Jean")
    assert b"From: Jean" + rest == octets
    delivered, mark, received, end = head.decode().split("\r\n")
    assert delivered == "Delivered-To: postmaster@sms.example.org"
    assert mark == "Tocsin-Origin: postmaster"
    host, kind = ("unix", "LMTP") if client.lmtp else ("127.0.0.1", "ESMTP")
    assert received.startswith(f"Received: from client.example.org ([{host}]) by ")
    assert f" with {kind}; " in received
    assert end == ""
    told = await daemon.settled(reply)
    assert (told["account"], told["origin"], told["state"]) == (None, "mail", "accepted")
    assert [one["to"] for one in told["deliveries"]] == ["root@example.org"]


async def test_the_same_mail_again_goes_once(daemon: Daemon, client: Client) -> None:
    first = await client.send(mail("once"), f"postmaster{AT}", sender="")
    assert await client.send(mail("once"), f"postmaster{AT}", sender="") == first
    await client.send(mail("twice"), f"postmaster{AT}", sender="")
    assert len(await daemon.sink.wait(2)) == 2


async def test_a_number_beside_it_is_served_too(daemon: Daemon, client: Client) -> None:
    replies = await client.send(mail("both"), f"postmaster{AT}", f"+32475000001{AT}")
    if client.lmtp:
        assert [reply[:9] for reply in replies] == ["250 2.0.0"] * 2
    else:
        assert [reply[:9] for reply in replies] == ["250 2.0.0", "452 4.5.3"]
        assert "alone" in replies[1]
    await daemon.sink.wait(1)


HOP = b"Received: from a.example by b.example; Mon, 23 Nov 2026 12:00:00 +0000\r\n"


@pytest.mark.parametrize(
    "header",
    [
        b"Delivered-To: postmaster@sms.example.org\r\n",
        b"delivered-to: <Postmaster@SMS.example.org>\r\n",
        HOP * 101,
    ],
    ids=["here before", "in other letters", "101 servers"],
)
async def test_what_goes_in_a_circle_is_stopped(daemon: Daemon, client: Client, header: bytes) -> None:
    (reply,) = await client.send(header + mail(), f"postmaster{AT}", sender="")
    assert reply.startswith("554 5.4.6 This mail goes round in a circle")
    assert await daemon.messages() == []


async def test_what_passed_many_servers_is_passed_on_still(daemon: Daemon, client: Client) -> None:
    (reply,) = await client.send(HOP * 100 + mail(), f"postmaster{AT}", sender="")
    assert reply.startswith("250")


async def test_a_number_is_reached_by_no_mail_that_goes_in_a_circle(daemon: Daemon, client: Client) -> None:
    (reply,) = await client.send(HOP * 101 + mail(), f"+32475000001{AT}")
    assert reply.startswith("554 5.4.6")
    assert await daemon.messages() == []


async def test_its_failure_is_told_to_nobody(daemon: Daemon, client: Client) -> None:
    daemon.sink.refusal = "550 5.1.1 no such user"
    (reply,) = await client.send(mail("Help"), f"postmaster{AT}")
    assert (await daemon.settled(reply))["state"] == "failed"
    daemon.sink.refusal = ""
    await client.send(mail("again"), f"postmaster{AT}")
    (got,) = await daemon.sink.wait(1)
    assert got.message.get_content().strip() == "again"
    assert len(await daemon.messages()) == 2


async def test_strangers_cannot_fill_the_store(daemon: Daemon) -> None:
    assert daemon.house.listener is not None
    daemon.house.listener.settings = replace(daemon.house.listener.settings, trusted_networks=Networks())
    client = await Client.to(daemon.smtp)
    (reply,) = await client.send(mail("x" * 1_100_000), f"postmaster{AT}", sender="")
    assert reply.startswith("552 5.3.4")
    replies = [(await client.send(mail(f"spam {n}"), f"postmaster{AT}", sender=""))[0][:9] for n in range(62)]
    assert replies == ["250 2.0.0"] * 60 + ["452 4.3.1"] * 2
    await client.close()
    trusted = await Client.to(daemon.lmtp)
    daemon.house.listener.settings = replace(daemon.house.listener.settings, trusted_networks=Networks.of(["unix"]))
    await trusted.close()
    trusted = await Client.to(daemon.lmtp)
    assert (await trusted.send(mail("ham"), f"postmaster{AT}", sender=""))[0].startswith("250")
    await trusted.close()


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_without_a_route_for_mail_the_sender_s_server_keeps_it(
    tmp_path: Path, template: Path, protocol: str
) -> None:
    async with running(tmp_path, template, mail=False, postmaster="root@example.org") as daemon:
        client = await Client.to(getattr(daemon, protocol))
        (reply,) = await client.send(mail(), f"postmaster{AT}", sender="")
        assert reply.startswith("451 4.3.5")
        await client.close()


async def test_where_none_is_named_it_is_the_postmaster_our_mail_is_from(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path, template) as daemon:
        client = await Client.to(daemon.smtp)
        await client.send(mail(), "postmaster", sender="")
        (got,) = await daemon.sink.wait(1)
        assert got.recipients == ("postmaster@example.org",)
        await client.close()
