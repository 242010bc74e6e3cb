"""Mail through a relay, over real sockets: RCPT is answered 250, and what the relay verified decides after DATA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.peers import Networks
from tests.daemon.listener.conftest import House

if TYPE_CHECKING:
    from tests.daemon.listener.conftest import Connect, Start

LOOPBACK, NOBODY = Networks.of(["127.0.0.1"]), Networks()
RESULTS = "Authentication-Results: mx.example.org; "
PASS = RESULTS + "dmarc=pass header.from=example.org"
NUMBER = "+32475123456"

RELAY = {"trusted_networks": NOBODY, "relays": LOOPBACK, "authserv_id": "mx.example.org"}


def mail(
    *top: str,
    author: str = "Jean <jean@example.org>",
    to: str = f"{NUMBER}@sms.example.org",
    date: str = "Mon, 02 Mar 2026 11:00:00 +0000",
    number: int = 1,
    text: str = "hello",
) -> str:
    lines = [
        *top,
        f"From: {author}",
        f"To: {to}",
        f"Date: {date}",
        f"Message-ID: <{number}@example.org>",
        "",
        text,
        ".",
    ]
    return "\r\n".join(lines)


class Through:
    """Says mails to a listener of its own, the replies to RCPT and to the mail kept."""

    def __init__(self, start: Start, connect: Connect) -> None:
        self._start, self._connect = start, connect
        self._bound: dict[str, str] = {}
        self.rcpt: list[str] = []

    async def __call__(
        self, text: str, *numbers: str, sender: str = "jean@example.org", protocol: str = "smtp", **settings: object
    ) -> list[str]:
        if protocol not in self._bound:
            self._bound[protocol] = await self._start(protocol, **{**RELAY, **settings})
        wire = await self._connect(self._bound[protocol])
        await wire.reply()
        await wire.say("LHLO c" if protocol == "lmtp" else "EHLO c")
        await wire.say(f"MAIL FROM:<{sender}>")
        self.rcpt = [await wire.say(f"RCPT TO:<{number}@sms.example.org>") for number in numbers or (NUMBER,)]
        await wire.say("DATA")
        first = await wire.say(text)
        return [first, *[await wire.reply() for _ in numbers[1:]]] if protocol == "lmtp" else [first]


@pytest.fixture
async def relay(start: Start, connect: Connect) -> Through:
    return Through(start, connect)


async def test_what_the_relay_verified_proves_the_author(relay: Through, house: House) -> None:
    [reply] = await relay(mail(PASS), sender="bounces@lists.example.net")
    assert reply.startswith("250 2.0.0 queued as ")
    assert relay.rcpt == ["250 2.1.5 Recipient noted"]
    assert house.taken[0].sender.name == "jean"
    assert len(house.taken[0].recipients[0].once) == 1


async def test_a_forged_envelope_proves_nothing(relay: Through, house: House) -> None:
    [reply] = await relay(mail(), sender="jean@example.org")
    assert reply.startswith("550 5.7.1 Nothing proves that this mail is from jean@example.org.")
    assert "has no Authentication-Results of mx.example.org" in reply
    assert relay.rcpt == ["250 2.1.5 Recipient noted"]
    assert house.taken == []


async def test_whoever_from_names_pays_and_not_the_envelope_sender(relay: Through, house: House) -> None:
    await relay(mail(PASS, author="jean@example.org"), sender="anna@example.org")
    assert house.taken[0].sender.name == "jean"
    assert house.taken[0].envelope_from == "jean@example.org", "a report must not go to whom nobody proved"


async def test_a_report_goes_to_the_reverse_path_where_it_is_the_authors_own(relay: Through, house: House) -> None:
    house.accounts["jean@mobile.example.org"] = house.accounts["jean@example.org"]
    await relay(mail(PASS), sender="jean@mobile.example.org")
    assert house.taken[0].envelope_from == "jean@mobile.example.org"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (mail(RESULTS + "dmarc=fail header.from=example.org"), "dmarc=fail for example.org"),
        (mail(RESULTS + "dmarc=fail header.from=example.org", PASS), "dmarc=fail for example.org"),
        (mail("Authentication-Results: mx.example.net; dmarc=pass header.from=example.org"), "only of mx.example.net"),
        (mail(PASS, "From: anna@example.org"), "has 2 From fields"),
        (mail(PASS, author="jean@example.org, anna@example.org"), "must name one mailbox"),
        (mail(PASS, author='"jean@example.org" <x@example.net>'), "does not speak for example.net"),
        (mail(PASS, date="Sun, 01 Mar 2026 11:00:00 +0000"), "more than 24 hours from now"),
        (mail(PASS, date="someday"), "no Date"),
        (mail(PASS, author="nobody@example.org"), "nobody@example.org belongs to no account here"),
    ],
)
async def test_everything_else_is_refused_after_data_with_its_reason(
    relay: Through, house: House, text: str, why: str
) -> None:
    [reply] = await relay(text)
    assert reply.startswith("550 5.7.1 ") or reply.startswith("550-5.7.1 ")
    assert why in " ".join(line[10:] for line in reply.split("\n"))
    assert relay.rcpt == ["250 2.1.5 Recipient noted"]
    assert house.taken == []


async def test_a_recipient_must_stand_in_to_or_cc(relay: Through, house: House) -> None:
    [reply] = await relay(mail(PASS, to="friends@example.org"))
    assert reply.startswith("550 5.7.1 +32475123456@sms.example.org stands neither in To nor in Cc")
    [reply] = await relay(mail(PASS, f"Cc: {NUMBER}@SMS.example.org", to="friends@example.org"))
    assert reply.startswith("250")


async def test_over_smtp_what_is_not_sent_to_one_is_sent_to_none(relay: Through, house: House) -> None:
    [reply] = await relay(mail(PASS), NUMBER, "+32475999999")
    assert "+32475999999@sms.example.org stands neither" in reply
    assert relay.rcpt == ["250 2.1.5 Recipient noted"] * 2
    assert house.taken == []


async def test_over_lmtp_each_recipient_has_its_reply(relay: Through, house: House) -> None:
    first, second = await relay(mail(PASS), NUMBER, "+32475999999", protocol="lmtp")
    assert first.startswith("250 2.0.0 queued as ")
    assert second.startswith("550 5.7.1 +32475999999@sms.example.org")
    assert [one.number for one in house.taken[0].recipients] == [NUMBER]


async def test_numbers_and_routes_are_judged_after_data_too(relay: Through) -> None:
    [reply] = await relay(mail(PASS, to="+32475@sms.example.org"), "+32475")
    assert reply.startswith("550 5.1.1")
    [reply] = await relay(mail(PASS, to="+12025550123@sms.example.org"), "+12025550123")
    assert reply.startswith("550 5.1.2")
    assert relay.rcpt == ["250 2.1.5 Recipient noted"]


async def test_another_domain_is_refused_at_once(relay: Through, start: Start, connect: Connect) -> None:
    wire = await connect(await start(**RELAY))
    await wire.reply()
    await wire.say("EHLO c")
    await wire.say("MAIL FROM:<x@example.net>")
    assert (await wire.say("RCPT TO:<x@example.net>")).startswith("550 5.7.1")


async def test_without_an_authserv_id_a_relay_proves_nobody(relay: Through, house: House) -> None:
    [reply] = await relay(mail(PASS), authserv_id=None)
    assert "No authserv_id is configured" in reply
    assert house.taken == []


async def test_a_peer_that_is_no_relay_may_claim_what_it_likes(relay: Through, house: House) -> None:
    reply = await relay(mail(PASS), relays=NOBODY)
    assert "Nothing proves" in relay.rcpt[0]
    assert reply[0].startswith(("503", "500"))
    assert house.taken == []


async def test_a_trusted_relay_is_believed_first_and_its_results_second(relay: Through, house: House) -> None:
    [reply] = await relay(mail(RESULTS + "none"), sender="anna@example.org", trusted_networks=LOOPBACK)
    assert reply.startswith("250")
    assert house.taken[0].sender.name == "anna"
    [reply] = await relay(mail(PASS, number=2), sender="bounces@example.net")
    assert reply.startswith("250")
    assert house.taken[1].sender.name == "jean"


@pytest.mark.parametrize(
    "header", ["Auto-Submitted: auto-replied", "Auto-Submitted: auto-notified; owner-email=jean@example.org"]
)
async def test_automatic_answers_and_notifications_of_strangers_are_ignored(
    relay: Through, house: House, header: str
) -> None:
    [reply] = await relay(mail(PASS, header))
    assert reply.startswith("250 2.0.0 Taken, and ignored")
    assert house.taken == []


async def test_a_null_reverse_path_is_ignored(relay: Through, house: House) -> None:
    [reply] = await relay(mail(PASS), sender="")
    assert reply.startswith("250 2.0.0 Taken, and ignored")
    assert house.taken == []
