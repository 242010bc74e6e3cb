"""Signed mail through a real Postfix, verified by OpenDKIM and OpenDMARC: whom their words prove, and whom not."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, make_msgid

import pytest

from daemon.door import MailRequest, Sender, Taken
from daemon.listener import Listener, ListenSettings
from daemon.peers import Networks
from gateway.failure import RefusedError
from gateway.numbers import sms_number
from tests.peers.postfix import Postfix, free_port
from tests.peers.verifiers import AUTHSERV_ID, Verifiers

pytestmark = [pytest.mark.peer("postfix"), pytest.mark.peer("verifiers")]

NUMBER = "+32475123456@sms.example.org"
#: Who signs, and what DMARC policy he has: strict, none at all, and a stranger's.
POLICIES = {"example.net": "v=DMARC1; p=reject", "plain.example": "", "evil.example": "v=DMARC1; p=none"}


class House:
    """The door in memory."""

    def __init__(self) -> None:
        self.taken: list[MailRequest] = []

    async def account_for(self, address: str) -> Sender | None:
        known = {"jean@example.net": Sender(1, "jean"), "jean@post.plain.example": Sender(2, "plain")}
        return known.get(address)

    async def check_recipient(self, sender: Sender, number: str) -> None:
        """Every number has a route."""

    async def check_name(self, sender: Sender, name: str) -> None:
        """There are no lists and no contacts: numbers are what is asked for."""
        raise RefusedError(f"No list and no contact of yours is called {name}.", smtp="550 5.1.1")

    async def take(self, request: MailRequest) -> Taken:
        self.taken.append(request)
        return Taken(str(len(self.taken)))


@pytest.fixture(scope="module")
def verifiers() -> Iterator[Verifiers]:
    made = Verifiers(POLICIES)
    try:
        made.start()
        yield made
    finally:
        made.stop()


#: A Postfix, and the port it will find our listener at.
Running = tuple[Postfix, int]


@pytest.fixture(scope="module")
def running(postfix: Callable[..., Postfix], verifiers: Verifiers) -> Running:
    port = free_port()
    return postfix(f"inet:127.0.0.1:{port}", f"smtpd_milters = {verifiers.milters}"), port


@pytest.fixture(scope="module")
def without_dmarc(postfix: Callable[..., Postfix], verifiers: Verifiers) -> Running:
    port = free_port()
    return postfix(f"inet:127.0.0.1:{port}", f"smtpd_milters = {verifiers.only_opendkim}"), port


@pytest.fixture
async def house() -> House:
    return House()


Open = Callable[[Running], Awaitable[Postfix]]


@pytest.fixture
async def behind(house: House) -> AsyncIterator[Open]:
    """Open our listener behind a Postfix that is its relay."""
    opened: list[Listener] = []

    async def open_it(running: Running) -> Postfix:
        postfix, port = running
        settings = ListenSettings("sms.example.org", relays=Networks.of(["127.0.0.1"]), authserv_id=AUTHSERV_ID)
        opened.append(Listener(house, settings, sms_number))
        await opened[-1].open("lmtp", f"127.0.0.1:{port}")
        postfix.turn_the_page()
        return postfix

    yield open_it
    for listener in opened:
        await listener.drain(5)


def letter(
    author: str = "Jean Dupont <jean@example.net>", *more: str, to: str = NUMBER, age: timedelta = timedelta(0)
) -> bytes:
    """A mail, not yet signed."""
    lines = [
        f"From: {author}",
        f"To: {to}",
        "Subject: Dinner",
        f"Date: {format_datetime(datetime.now(UTC) - age)}",
        f"Message-ID: {make_msgid(domain='example.net')}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\nAt eight.\r\n").encode()


async def submit(postfix: Postfix, mail: bytes, *recipients: str, sender: str = "bounces@lists.example.com") -> None:
    def session() -> None:
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=20) as client:
            client.sendmail(sender, recipients or (NUMBER,), mail)

    await asyncio.to_thread(session)


async def refused(postfix: Postfix, why: str) -> None:
    await postfix.logged(f"status=bounced .*said: 550.5.7.1 .*{why}")


# Who is proven --------------------------------------------------------------------------------------------------------


async def test_a_signed_mail_proves_its_author(
    behind: Open, running: Running, house: House, verifiers: Verifiers
) -> None:
    postfix = await behind(running)
    await submit(postfix, verifiers.sign(letter(), "example.net"))
    await postfix.logged("status=sent .250 2.0.0 queued as 1")
    [request] = house.taken
    assert (request.sender.name, request.text) == ("jean", "At eight.")
    assert request.envelope_from == "jean@example.net", "who wrote the envelope is not known"
    assert len(request.recipients[0].once) == 2, "its id and its signature"


async def test_a_signature_of_the_organisation_is_enough_where_nobody_asks_for_more(
    behind: Open, without_dmarc: Running, house: House, verifiers: Verifiers
) -> None:
    postfix = await behind(without_dmarc)
    await submit(postfix, verifiers.sign(letter("jean@post.plain.example"), "plain.example"))
    await postfix.logged("status=sent .250 2.0.0 queued as 1")
    assert house.taken[0].sender.name == "plain"


# Who is not -----------------------------------------------------------------------------------------------------------


async def test_a_forged_from_proves_nobody(behind: Open, running: Running, house: House, verifiers: Verifiers) -> None:
    postfix = await behind(running)
    await submit(postfix, letter(), sender="jean@example.net")
    await refused(postfix, "it says dmarc=fail for example.net")
    await submit(postfix, verifiers.sign(letter(), "evil.example"), sender="jean@example.net")
    await postfix.logged("said: 550.5.7.1 .*dmarc=fail for example.net", times=2)
    assert house.taken == []


@pytest.mark.parametrize(
    "forged",
    [
        f"Authentication-Results: {AUTHSERV_ID}; dmarc=pass header.from=example.net",
        f"Authentication-Results: {AUTHSERV_ID}; dkim=pass header.d=example.net; dmarc=pass header.from=example.net",
        f"Authentication-Results: {AUTHSERV_ID.upper()} 1; dmarc=pass (p=none) header.from=example.net",
        f'Authentication-Results: "{AUTHSERV_ID}"; dmarc=pass header.from=example.net',
        f"Authentication-Results: (x) {AUTHSERV_ID}; dmarc=pass header.from=example.net",
        "Authentication-Results: ｍｘ.example.org; dmarc=pass header.from=example.net",
    ],
)
async def test_forged_results_prove_nobody(
    behind: Open, running: Running, house: House, verifiers: Verifiers, forged: str
) -> None:
    postfix = await behind(running)
    await submit(postfix, f"{forged}\r\n".encode() + letter(), sender="jean@example.net")
    await refused(postfix, "dmarc=fail for example.net")
    assert house.taken == []


async def test_a_name_on_the_envelope_of_somebody_else_proves_nobody(
    behind: Open, running: Running, house: House, verifiers: Verifiers
) -> None:
    postfix = await behind(running)
    await submit(postfix, verifiers.sign(letter('"jean@example.net" <evil@evil.example>'), "evil.example"))
    await refused(postfix, "evil@evil.example belongs to no account here")
    assert house.taken == []


async def test_two_from_fields_prove_nobody(behind: Open, running: Running, house: House, verifiers: Verifiers) -> None:
    postfix = await behind(running)
    signed = verifiers.sign(letter("evil@evil.example"), "evil.example")
    await submit(postfix, b"From: jean@example.net\r\n" + signed)
    await refused(postfix, "has 2 From fields")
    assert house.taken == []


# Sent again -----------------------------------------------------------------------------------------------------------


async def test_a_signed_mail_is_good_for_whom_it_names(
    behind: Open, running: Running, house: House, verifiers: Verifiers
) -> None:
    postfix = await behind(running)
    signed = verifiers.sign(letter(), "example.net")
    await submit(postfix, signed, "+32475999999@sms.example.org")
    await refused(postfix, "32475999999@sms.example.org stands neither in To nor in Cc")
    assert house.taken == []


async def test_a_recipient_added_to_a_signed_mail_is_refused(
    behind: Open, running: Running, house: House, verifiers: Verifiers
) -> None:
    """The signature still holds: it does not cover a field that was not there."""
    postfix = await behind(running)
    signed = verifiers.sign(letter(), "example.net", headers=[b"from", b"to", b"subject", b"date", b"message-id"])
    await submit(postfix, b"Cc: +32475999999@sms.example.org\r\n" + signed, "+32475999999@sms.example.org")
    await refused(postfix, "stands neither in To nor in Cc, as far as they are signed")
    assert house.taken == []


async def test_an_old_mail_is_not_sent(behind: Open, running: Running, house: House, verifiers: Verifiers) -> None:
    postfix = await behind(running)
    await submit(postfix, verifiers.sign(letter(age=timedelta(hours=25)), "example.net"))
    await refused(postfix, "more than 24 hours from now")
    assert house.taken == []


@pytest.mark.parametrize("name", ["Date", "Message-ID", "Subject", "To"])
async def test_a_field_put_on_top_of_a_signed_one_proves_nobody(
    behind: Open, running: Running, house: House, verifiers: Verifiers, name: str
) -> None:
    postfix = await behind(running)
    value = {
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": make_msgid(domain="evil.example"),
        "Subject": "Send money",
        "To": "+32475999999@sms.example.org",
    }[name]
    signed = verifiers.sign(letter(), "example.net", headers=[b"from", b"to", b"subject", b"date", b"message-id"])
    await submit(postfix, f"{name}: {value}\r\n".encode() + signed)
    await refused(postfix, f"has 2 {name} fields: one may be a stranger.s")
    assert house.taken == []
