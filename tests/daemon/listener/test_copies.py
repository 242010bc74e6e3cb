"""Copies of mails for filters: `ACCOUNT@watch_domain`, taken from relays and trusted networks, and never answered."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.peers import Networks
from gateway.failure import RefusedError
from gateway.store.errors import StoreError

HEADER = b"From: boss@corp.example\r\nTo: jean@corp.example\r\nSubject: a fire\r\nMessage-ID: <1@corp.example>\r\n"
MAIL = HEADER + b"\r\nCome quickly.\r\n"
WATCH = {"watch_domain": "watch.example.org"}
OURS = Networks.of(["127.0.0.1"])
NOBODY = Networks.of([])


@pytest.fixture
def talk(start: Any, connect: Any) -> Any:
    """Sends a mail to recipients and gives every reply to RCPT, and those after DATA."""

    async def talk(
        *recipients: str, mail: bytes = MAIL, sender: str = "boss@corp.example", protocol: str = "smtp", **settings: Any
    ) -> tuple[list[str], list[str]]:
        client = await connect(await start(protocol, **WATCH, **settings))
        await client.reply()
        await client.say(f"{'LHLO' if protocol == 'lmtp' else 'EHLO'} mail.corp.example")
        await client.say(f"MAIL FROM:<{sender}>")
        asked = [
            await client.say(f"RCPT TO:<{one.partition(' ')[0]}>{one[len(one.partition(' ')[0]) :]}")
            for one in recipients
        ]
        taken = sum(reply.startswith("2") for reply in asked)
        if not taken:
            return asked, []
        await client.say("DATA")
        client.write(mail + b".\r\n")
        return asked, [await client.reply() for _ in range(taken if protocol == "lmtp" else 1)]

    return talk


async def test_a_copy_from_a_trusted_network_goes_to_the_filters_of_its_account(house: Any, talk: Any) -> None:
    asked, replies = await talk("jean@watch.example.org")
    assert asked[0].startswith("250 2.1.5")
    assert replies == ["250 2.0.0 queued as 77"]
    (copy,) = house.copies
    assert (copy.account, copy.source.kind, copy.envelope_from) == (1, "smtp", "boss@corp.example")
    assert copy.mail.subject == "a fire"
    assert copy.octets == MAIL


async def test_a_copy_nobody_is_told_of_is_taken(house: Any, talk: Any) -> None:
    _, replies = await talk("anna@watch.example.org", mail=MAIL.replace(b"fire", b"day"))
    assert replies == ["250 2.0.0 Taken, for the filters of its account"]


async def test_a_stranger_may_not_send_copies(house: Any, talk: Any) -> None:
    asked, _ = await talk("jean@watch.example.org", trusted_networks=NOBODY)
    assert asked[0].startswith("550 5.7.1")
    assert "come from relays" in asked[0].replace("\n", " ").replace("550-5.7.1 ", "")
    assert house.copies == []


async def test_a_copy_for_nobody_we_know_is_refused(talk: Any) -> None:
    asked, _ = await talk("nobody@watch.example.org")
    assert asked[0].startswith("550 5.1.1")


async def test_authentication_results_are_believed_from_relays_only(house: Any, talk: Any) -> None:
    await talk("jean@watch.example.org", authserv_id="mx.example.org")
    await talk("jean@watch.example.org", authserv_id="mx.example.org", trusted_networks=NOBODY, relays=OURS)
    assert [copy.authserv_id for copy in house.copies] == [None, "mx.example.org"]


async def test_a_null_reverse_path_is_a_mail_like_any_other(house: Any, talk: Any) -> None:
    _, replies = await talk("jean@watch.example.org", sender="")
    assert replies[0].startswith("250")
    assert house.copies[0].envelope_from == ""


async def test_an_automatic_answer_is_a_mail_like_any_other(house: Any, talk: Any) -> None:
    await talk("jean@watch.example.org", mail=b"Auto-Submitted: auto-replied\r\n" + MAIL)
    assert len(house.copies) == 1


async def test_whom_it_was_for_is_told_by_the_envelope_and_the_last_server(house: Any, talk: Any) -> None:
    above = b"X-Original-To: info@corp.example\r\nDelivered-To: jean@corp.example\r\nDelivered-To: old@corp.example\r\n"
    await talk("jean@watch.example.org ORCPT=rfc822;sales@corp.example", mail=above + MAIL)
    assert house.copies[0].envelope_to == (
        "sales@corp.example",
        "info@corp.example",
        "jean@corp.example",
        "jean@watch.example.org",
    )


async def test_lmtp_answers_for_each_copy(house: Any, talk: Any) -> None:
    asked, replies = await talk(
        "jean@watch.example.org", "nobody@watch.example.org", "anna@watch.example.org", protocol="lmtp"
    )
    assert [reply[:3] for reply in asked] == ["250", "550", "250"]
    assert replies == ["250 2.0.0 queued as 77"] * 2
    assert sorted(copy.account for copy in house.copies) == [1, 2]


async def test_lmtp_answers_for_a_copy_and_for_an_sms_apart(house: Any, talk: Any) -> None:
    house.failure = RefusedError("not enough credit", smtp="552 5.2.2")
    _, replies = await talk(
        "+32475123456@sms.example.org", "jean@watch.example.org", sender="jean@example.org", protocol="lmtp"
    )
    assert [reply[:9] for reply in replies] == ["552 5.2.2", "250 2.0.0"]


async def test_by_smtp_the_sender_is_told_of_his_sms_not_of_the_copy(house: Any, talk: Any) -> None:
    to = ("jean@watch.example.org", "+32475123456@sms.example.org")
    _, replies = await talk(*to, sender="jean@example.org")
    assert replies == [f"250 2.0.0 queued as {next(iter(house.ids.values()))}"]
    house.failure = RefusedError("not enough credit", smtp="552 5.2.2")
    _, replies = await talk(*to, sender="jean@example.org")
    assert replies[0].startswith("552 5.2.2")
    assert len(house.copies) == 2


async def test_by_smtp_a_copy_that_is_to_come_again_brings_the_sms_again(house: Any, talk: Any) -> None:
    house.copies_failure = StoreError("the store cannot be used")
    _, replies = await talk("+32475123456@sms.example.org", "jean@watch.example.org", sender="jean@example.org")
    assert replies[0].startswith("451 4.3.0")
    house.copies_failure = None
    _, replies = await talk("+32475123456@sms.example.org", "jean@watch.example.org", sender="jean@example.org")
    assert replies[0].startswith("250 2.0.0 queued as")
    assert (len(house.taken), len(house.copies)) == (1, 1)


async def test_a_copy_that_went_round_in_circles_is_ignored_and_nobody_hears_of_it(house: Any, talk: Any) -> None:
    _, replies = await talk("jean@watch.example.org", mail=b"Received: from somewhere\r\n" * 101 + MAIL)
    assert replies[0].startswith("250 2.0.0 Taken, and ignored")
    assert house.copies == []


async def test_without_a_watch_domain_no_copy_is_taken(house: Any, start: Any, connect: Any) -> None:
    client = await connect(await start())
    await client.reply()
    await client.say("EHLO mail.corp.example")
    await client.say("MAIL FROM:<boss@corp.example>")
    assert (await client.say("RCPT TO:<jean@watch.example.org>")).startswith("550 5.7.1")
