"""Special addresses that are contacts and lists of the sender's, on the whole daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from gateway import accounts, contacts, credit, groups, lists, optouts
from gateway.contacts import Entry, Mailbox
from gateway.store import schema
from tests.daemon.door.conftest import Client, Daemon, mail, running

AT = "@sms.example.org"
JEAN, ZOE, BOB = "+32475000001", "+32475000002", "+32475000003"


def books(connection: Connection) -> None:
    """Jean's book, groups and lists; Anna has a list that is empty."""
    now = datetime.now(UTC)
    owner = accounts.find(connection, "jean").id
    groups.add(connection, "team", ["jean"], now=now)

    def contact(name: str, *numbers: str, book: str = "private", address: str = "") -> None:
        entry = Entry(
            name,
            [contacts.telephone_of(one, "BE") for one in numbers],
            [Mailbox(address)] if address else [],
        )
        contacts.add(connection, contacts.open_book(connection, owner, book), entry, now=now)

    contact("Jean Dupont", JEAN)
    contact("Zoé Martin", "home:022123456", ZOE)
    contact("Fixed Line", "home:022123456")
    contact("Twin", "0475000011")
    contact("TWIN", "0475000012", book="team")
    contact("family", "0475000013")
    contact("Mail Only", address="mail@example.net")
    for name, members in {
        "family": ["Jean Dupont", "zoe martin", BOB, "Fixed Line", "Mail Only"],
        "Night Shift": ["list:family", JEAN, BOB],
        "fixed": ["022123456"],
        "nobody": [],
    }.items():
        lists.add(connection, owner, name, members, region="BE", now=now)


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[Client]:
    await daemon.house.store.run(books)
    one = await Client.to(daemon.lmtp)
    yield one
    await one.close()


def numbers(told: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["channel"], one["to"]) for one in told["deliveries"]}


@pytest.mark.parametrize("written", ["Jean.Dupont", "jean_dupont", "JEAN-DUPONT", '"Jean Dupont"'])
async def test_a_contact_gets_the_mail_sent_to_his_name(daemon: Daemon, client: Client, written: str) -> None:
    (reply,) = await client.send(mail(f"to {written}"), f"{written}{AT}")
    assert reply.startswith("250 2.0.0 queued as ")
    assert numbers(await daemon.settled(reply)) == {("sms", JEAN)}
    assert daemon.texts(JEAN) == [f"to {written}"]


async def test_a_list_reaches_everybody_once_and_the_report_names_who_it_did_not(
    daemon: Daemon, client: Client
) -> None:
    octets = mail("dinner", Message_ID="<1@example.org>")
    replies = await client.send(octets, f"night.shift{AT}", f"family{AT}", f"{ZOE}{AT}", f"Zoe.Martin{AT}")
    assert len(set(replies)) == 1
    told = await daemon.settled(replies[0])
    assert numbers(told) == {("sms", JEAN), ("sms", ZOE), ("sms", BOB), ("email", "mail@example.net")}
    assert [daemon.texts(number) for number in (JEAN, ZOE, BOB)] == [["dinner"]] * 3
    left_out = [one["detail"] for one in told["timeline"] if one["what"] == "failed"]
    assert len(left_out) == 1
    assert left_out[0].startswith("Fixed Line (list family) was left out: Fixed Line has no number that can get an SMS")

    await daemon.sink.wait(2)
    by_recipient = {got.recipients[0]: got for got in daemon.sink.got}
    letter = by_recipient["mail@example.net"].message
    assert (letter.get_content().strip(), letter["From"], letter["Reply-To"]) == (
        "dinner",
        "tocsin@example.org",
        "jean@example.org",
    )
    report = by_recipient["jean@example.org"]
    assert report.sender == ""
    people, machines, _ = report.message.iter_parts()
    words = " ".join(people.get_content().split())
    assert "could not be sent to: Fixed Line (list family): Fixed Line has no number" in words
    assert "The other 4 of its 5 recipients were sent it." in words
    _, block = machines.get_payload()
    assert (block["Action"], block["Final-Recipient"]) == ("failed", "rfc822; family@sms.example.org")

    # The same mail again: the same message, nobody gets it twice, nobody is told twice.
    assert await client.send(octets, f"family{AT}") == [replies[0]]
    assert [len(daemon.texts(number)) for number in (JEAN, ZOE, BOB)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("nobody.knows", ("550 5.1.1", "is not a telephone number", "No list and no contact of yours is called")),
        ("Jean.Dupond", ("550 5.1.1", "did you mean Jean Dupont?")),
        ("fixed.line", ("550 5.1.1", "has no number that can get an SMS", "+32 2 212 34 56 is a fixed line")),
        ("twin", ("550 5.1.1", "+32475000011", "+32475000012", "write the number")),
    ],
)
async def test_a_name_that_reaches_nobody_is_refused_at_once(
    daemon: Daemon, client: Client, written: str, words: tuple[str, ...]
) -> None:
    (reply,) = await client.send(mail(), f"{written}{AT}")
    plain = " ".join(line[10:] for line in reply.split("\n"))
    assert reply.startswith(words[0])
    for word in words[1:]:
        assert word in plain
    assert await daemon.messages() == []


@pytest.mark.parametrize("written", ["nobody", "fixed"])
async def test_a_list_that_reaches_nobody_is_refused_and_stops_no_other(
    daemon: Daemon, client: Client, written: str
) -> None:
    reply, taken = await client.send(mail(), f"{written}{AT}", f"{BOB}{AT}")
    assert reply.startswith("550 5.1.1")
    assert numbers(await daemon.settled(taken)) == {("sms", BOB)}


async def test_the_names_of_one_account_are_not_those_of_another(daemon: Daemon, client: Client) -> None:
    (reply,) = await client.send(mail(From="anna@example.org"), f"family{AT}", sender="anna@example.org")
    assert reply.startswith("550 5.1.1")


async def test_who_opted_out_is_refused_at_the_door_and_left_out_of_a_list(daemon: Daemon, client: Client) -> None:
    now = datetime.now(UTC)
    await daemon.house.store.run(lambda c: optouts.add(c, optouts.EVERYBODY, [ZOE], now=now))
    refused, named, taken = await client.send(mail("no"), f"{ZOE}{AT}", f"zoe.martin{AT}", f"{BOB}{AT}")
    assert refused.startswith("550 5.7.1")
    assert "has opted out of all messages" in " ".join(refused.split())
    assert named.startswith("550 5.7.1")
    assert numbers(await daemon.settled(taken)) == {("sms", BOB)}
    (reply,) = await client.send(mail("yes"), f"family{AT}")
    told = await daemon.settled(reply)
    assert ("sms", ZOE) not in numbers(told)
    assert any("Zoé Martin (list family) was left out" in one["detail"] for one in told["timeline"])


async def test_a_list_its_owner_cannot_pay_for_goes_to_nobody(daemon: Daemon, client: Client) -> None:
    def work(connection: Connection) -> None:
        owner = accounts.find(connection, "poor").id
        lists.add(connection, owner, "family", [JEAN, ZOE], region="BE", now=datetime.now(UTC))

    await daemon.house.store.run(work)
    replies = await client.send(mail(From="poor@example.org"), f"family{AT}", f"{BOB}{AT}", sender="poor@example.org")
    assert all(reply.startswith("552 5.2.2") for reply in replies)
    assert "3 units needed, 1 left" in replies[0]
    assert daemon.centre.total == 0


async def test_a_signed_mail_reaches_a_list_once_whoever_plays_it_again(tmp_path: Path, template: Path) -> None:
    settings: dict[str, Any] = {"trusted_networks": [], "relays": ["unix"], "authserv_id": "mx.example.org"}
    async with running(tmp_path, template, **settings) as daemon:
        await daemon.house.store.run(books)
        client = await Client.to(daemon.lmtp)
        proof = {
            "Authentication_Results": "mx.example.org; dmarc=pass header.from=example.org",
            "Date": format_datetime(datetime.now(UTC)),
            "Message_ID": "<1@example.org>",
        }
        signed = mail("dinner", to=f"Night.Shift{AT}", **proof)
        (reply,) = await client.send(signed, f"night.shift{AT}")
        assert (await daemon.settled(reply))["state"] == "accepted"
        (elsewhere,) = await client.send(signed, f"family{AT}")
        assert elsewhere.startswith("550 5.7.1")
        assert "stands neither in To nor in Cc" in " ".join(elsewhere.split())
        assert await client.send(signed, f"night.shift{AT}") == [reply]

        def grow(connection: Connection) -> None:
            owner = accounts.find(connection, "jean").id
            lists.add(connection, owner, "family", ["0475000099"], region="BE", now=datetime.now(UTC))

        await daemon.house.store.run(grow)
        (grown,) = await client.send(signed, f"night.shift{AT}")
        (other,) = await client.send(mail("supper", to=f"night.shift{AT}", **proof), f"night.shift{AT}")
        await client.close()
        assert grown.startswith("550 5.7.1")
        assert other.startswith("550 5.7.1")
        assert daemon.texts("+32475000099") == []
        assert daemon.texts(BOB) == ["dinner"]


async def test_a_list_may_have_more_members_than_a_mail_may_have_recipients(tmp_path: Path, template: Path) -> None:
    many = 1200

    def work(connection: Connection) -> None:
        owner = accounts.find(connection, "jean").id
        credit.buy(connection, owner, many, reason="bought", now=datetime.now(UTC))
        number = lists.add(connection, owner, "everybody", [], region="BE", now=datetime.now(UTC))
        rows = [f"+32475{n:06}" for n in range(many)]
        connection.execute(
            insert(schema.list_member),
            [
                {"list_id": number, "identity": one, "place": n, "kind": "number", "address": one, "sms": True}
                for n, one in enumerate(rows)
            ],
        )

    async with running(tmp_path, template, max_recipients=3) as daemon:
        await daemon.house.store.run(work)
        client = await Client.to(daemon.smtp)
        (reply,) = await client.send(mail("all of you"), f"everybody{AT}")
        await client.close()
        assert reply.startswith("250 2.0.0 queued as ")
        for _ in range(1500):
            if daemon.centre.total >= many:
                break
            await asyncio.sleep(0.02)
        assert len({taken.to for taken in daemon.centre.received}) == many
