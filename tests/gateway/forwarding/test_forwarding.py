"""Mail to the postmaster in the store: whose it is, where it goes, how long its octets are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from filters.mail import Mail
from gateway import forwarding, verbs
from gateway.claims import Claim
from gateway.forwarding import Arrival
from gateway.message import Channel
from gateway.reports import Office
from gateway.routing import Route
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result
from gateway.transports.smtp import envelope_sender

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SMS = Route("operator", frozenset({Channel.SMS}), "smpp")
BY_SMS = Route("email by sms", frozenset({Channel.EMAIL}), "smpp", protocol_id=0x32, weight=9)
MAIL = Route("mail", frozenset({Channel.EMAIL}), "smtp", sender="tocsin@example.org")
OFFICE = Office("sms.example.org", [SMS, BY_SMS, MAIL], "root@example.org")
ARRIVAL = Arrival("client.example", "192.0.2.1", "mx.example.org", "ESMTP")


async def queue(store: Store, octets: bytes = b"Subject: s\r\n\r\nhello\r\n", office: Office = OFFICE) -> Any:
    def work(connection: Any) -> forwarding.Forwarded:
        return forwarding.queue(connection, store.identifiers, office, octets, subject="s", arrival=ARRIVAL, now=NOW)

    return await store.run(work)


async def payloads(store: Store) -> list[bytes | None]:
    wanted = select(schema.segment.c.payload).order_by(schema.segment.c.id)
    return list(await store.read(lambda connection: connection.execute(wanted).scalars().all()))


async def test_it_leaves_over_the_route_to_a_mail_server(store: Store) -> None:
    queued = await queue(store)
    assert (queued.route, queued.seen) == ("mail", False)
    (segment,) = await store.do(verbs.CLAIM, Claim("mail", 10, 1, NOW))
    assert segment.to == "root@example.org"
    sender, octets = envelope_sender(segment.payload)
    assert sender == ""
    assert octets == (
        b"Delivered-To: postmaster@sms.example.org\r\n"
        b"Tocsin-Origin: postmaster\r\n"
        b"Received: from client.example ([192.0.2.1]) by mx.example.org with ESMTP; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        b"Subject: s\r\n\r\nhello\r\n"
    )


async def test_the_same_octets_are_queued_once(store: Store) -> None:
    first = await queue(store)
    again = await queue(store)
    assert (again.message, again.seen) == (first.message, True)
    assert (await queue(store, b"other")).message != first.message


async def test_what_is_settled_keeps_no_octets(store: Store) -> None:
    await queue(store)
    await queue(store, b"other")
    one, _ = await store.do(verbs.CLAIM, Claim("mail", 10, 1, NOW))
    await store.do(verbs.SETTLE, Settle((Outcome(one.id, Result.ACCEPTED),), NOW, {}, 0.0, 1))
    assert await store.run(forwarding.forget) == 1
    first, second = await payloads(store)
    assert first is None
    assert second is not None
    assert second.endswith(b"other")
    assert await store.run(forwarding.forget) == 0


@pytest.mark.parametrize("octets", [b" folded\r\n\r\nx", b"\tfolded\r\n\r\nx"])
def test_no_mail_goes_on_with_our_own_header(octets: bytes) -> None:
    _, message = envelope_sender(forwarding.compose(octets, "sms.example.org", ARRIVAL, NOW))
    head, _, body = message.partition(b"\r\n\r\n")
    assert head.endswith(b"+0000")
    assert body == octets


@pytest.mark.parametrize(
    ("client", "peer", "told"),
    [
        ("a.example", "192.0.2.1", "from a.example ([192.0.2.1]) by mx"),
        ("[192.0.2.1]", "2001:db8::1", "from [192.0.2.1] ([IPv6:2001:db8::1]) by mx"),
        ("x)\r\nBcc: y@z.example", "unix", "from unknown ([unix]) by mx"),
        ("\udcff" * 300, "unix", "from unknown ([unix]) by mx"),
    ],
)
def test_what_a_client_calls_itself_cannot_break_the_header(client: str, peer: str, told: str) -> None:
    assert str(Arrival(client, peer, "mx", "LMTP")) == f"{told} with LMTP"


def test_where_none_is_named_it_is_the_postmaster_our_mail_is_from() -> None:
    found = forwarding.destination(Office("sms.example.org", [SMS, MAIL]))
    assert found is not None
    assert found[0] == "postmaster@example.org"
    assert forwarding.destination(Office("sms.example.org", [SMS, BY_SMS], "root@example.org")) is None


def test_only_our_own_address_is_a_circle() -> None:
    forwarding.check_for_loop(Mail.read(b"Delivered-To: postmaster@b.example\r\n\r\nx"), "sms.example.org")
