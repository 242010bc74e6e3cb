"""A real Postfix relays mail for sms.example.org to our LMTP listener."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable

import pytest

from daemon.door import MailRequest, Sender, Taken
from daemon.listener import Listener, ListenSettings
from daemon.peers import Networks
from gateway.failure import RefusedError
from gateway.numbers import sms_number
from tests.peers.postfix import Postfix, free_port

pytestmark = pytest.mark.peer("postfix")

GOOD, OTHER, BAD = ("+32475123456@sms.example.org", "0475654321@sms.example.org", "rubbish@sms.example.org")


class House:
    """A door that keeps what it takes in memory, and fails while it is told to."""

    def __init__(self) -> None:
        self.taken: list[MailRequest] = []
        self.failing = False

    async def account_for(self, address: str) -> Sender | None:
        return Sender(1, "jean", "BE") if address == "jean@example.org" else None

    async def check_recipient(self, sender: Sender, number: str) -> None:
        """Every number has a route."""

    async def check_name(self, sender: Sender, name: str) -> None:
        """There are no lists and no contacts: numbers are what is asked for."""
        raise RefusedError(f"No list and no contact of yours is called {name}.", smtp="550 5.1.1")

    async def take(self, request: MailRequest) -> Taken:
        if self.failing:
            raise OSError("the disk is full")
        self.taken.append(request)
        return Taken(str(len(self.taken)))


@pytest.fixture
async def house() -> House:
    return House()


@pytest.fixture(scope="module")
def running(postfix: Callable[[str], Postfix]) -> tuple[Postfix, int]:
    """A Postfix, and the port it will find our listener at."""
    port = free_port()
    return postfix(f"inet:127.0.0.1:{port}"), port


@pytest.fixture
async def relay(house: House, running: tuple[Postfix, int]) -> AsyncIterator[Postfix]:
    postfix, port = running
    settings = ListenSettings("sms.example.org", trusted_networks=Networks.of(["127.0.0.1"]))
    listener = Listener(house, settings, sms_number)
    await listener.open("lmtp", f"127.0.0.1:{port}")
    postfix.turn_the_page()
    yield postfix
    await listener.drain(5)


async def send(relay: Postfix, *recipients: str, text: str = "hello", sender: str = "jean@example.org") -> None:
    def submit() -> None:
        with smtplib.SMTP("127.0.0.1", relay.port, timeout=20) as client:
            client.sendmail(sender, recipients, f"From: Jean <{sender}>\r\nSubject: s\r\n\r\n{text}\r\n".encode())

    await asyncio.to_thread(submit)


async def test_a_mail_becomes_a_request(relay: Postfix, house: House) -> None:
    await send(relay, GOOD, OTHER, text="déjà vu")
    lines = await relay.logged("status=sent .250 2.0.0 queued as 1", times=2)
    assert len({line.rpartition("(")[2] for line in lines}) == 1
    (request,) = house.taken
    assert sorted(recipient.number for recipient in request.recipients) == ["+32475123456", "+32475654321"]
    assert request.text == "déjà vu"
    assert request.envelope_from == "jean@example.org"
    assert request.message_id


async def test_one_recipient_is_refused_and_the_other_served(relay: Postfix, house: House) -> None:
    await send(relay, GOOD, BAD)
    (sent,) = await relay.logged("status=sent .250 2.0.0 queued as 1")
    (bounced,) = await relay.logged("status=bounced .*said: 550 5.1.1")
    assert GOOD in sent
    assert BAD in bounced
    await relay.logged("sender non-delivery notification")
    assert [[recipient.written for recipient in request.recipients] for request in house.taken] == [[GOOD]]


async def test_a_stranger_is_refused(relay: Postfix, house: House) -> None:
    await send(relay, GOOD, sender="stranger@example.org")
    await relay.logged("status=bounced .*said: 550 5.7.1 stranger@example.org belongs to no account")
    assert not house.taken


async def test_what_we_cannot_store_is_kept_by_postfix_and_comes_once(relay: Postfix, house: House) -> None:
    house.failing = True
    await send(relay, GOOD, OTHER)
    lines = await relay.logged("status=deferred .*said: 451 4.3.0", times=2)
    assert not any("disk" in line for line in lines)
    house.failing = False
    await relay.logged("status=sent .250 2.0.0 queued as 1", times=2)
    await relay.logged("qmgr.*: removed")
    assert len(house.taken) == 1


async def test_many_mails_come_over_few_connections(relay: Postfix, house: House) -> None:
    await asyncio.gather(*(send(relay, GOOD, text=f"number {n}") for n in range(30)))
    await relay.logged("status=sent .250 2.0.0", times=30)
    assert {request.text for request in house.taken} == {f"number {n}" for n in range(30)}
    assert len(house.taken) == 30
