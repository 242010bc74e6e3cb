"""Every reply of the table "Special addresses", as a client hears it."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from daemon.peers import Networks
from gateway.failure import RefusedError

if TYPE_CHECKING:
    from daemon.listener import Listener
    from tests.daemon.listener.conftest import House, Send

MAIL = "From: Jean <jean@example.org>\r\nSubject: s\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"


async def test_a_mail_is_taken(send: Send, house: House) -> None:
    code, words = await send(MAIL, "+32475123456@sms.example.org", "0475.65.43.21@SMS.example.ORG")
    (request,) = house.taken
    assert code == 250
    assert words == f"2.0.0 queued as {next(iter(house.ids.values()))}"
    assert request.sender.name == "jean"
    assert [(one.number, one.written) for one in request.recipients] == [
        ("+32475123456", "+32475123456@sms.example.org"),
        ("+32475654321", "0475.65.43.21@SMS.example.ORG"),
    ]
    assert (request.text, request.subject, request.message_id) == ("hello", "s", "<1@example.org>")
    assert request.digest == hashlib.sha256(b"hello").digest()
    assert (request.envelope_from, request.automatic) == ("jean@example.org", False)


async def test_a_mail_seen_before_has_the_same_id(send: Send, house: House) -> None:
    assert await send() == await send()
    assert len(house.taken) == 1


async def test_without_message_id_the_octets_are_the_identity(send: Send, house: House) -> None:
    text = "Subject: s\r\n\r\nhello\r\n"
    await send(text)
    await send(text)
    await send("Subject: s\r\nX: y\r\n\r\nhello\r\n")
    assert [(request.message_id, request.text) for request in house.taken] == [("", "hello")] * 2
    assert house.taken[0].digest == hashlib.sha256(text.encode()).digest()


async def test_a_sender_without_account_is_refused(send: Send, house: House) -> None:
    code, words = await send(sender="stranger@example.org")
    assert (code, words.split()[0]) == (550, "5.7.1")
    assert "stranger@example.org belongs to no account" in words
    assert not house.taken


async def test_a_sender_who_proves_nothing_is_refused(send: Send, house: House, listener: Listener) -> None:
    listener.settings = replace(listener.settings, trusted_networks=Networks.of(["unix", "192.0.2.0/24", "::1"]))
    code, words = await send()
    assert (code, words.split()[0]) == (550, "5.7.1")
    assert "Nothing proves" in words
    assert not house.asked
    assert not house.taken


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        ("family@sms.example.org", "5.1.1"),
        ("+32475@sms.example.org", "5.1.1"),
        ("+12025550123@sms.example.org", "5.1.2"),
        ("+32475123456@example.org", "5.7.1"),
        ("+32475123456@sms.example.org.evil.example", "5.7.1"),
        ("+32475123456%x@sms.example.org", "5.1.1"),
    ],
)
async def test_a_recipient_that_cannot_be_reached_is_refused(
    send: Send, house: House, recipient: str, status: str
) -> None:
    code, words = await send(MAIL, recipient)
    assert (code, words.split()[0]) == (550, status)
    assert len(words) > 30
    assert not house.taken


async def test_the_good_recipients_of_several_are_served(send: Send, house: House) -> None:
    code, _ = await send(MAIL, "rubbish@sms.example.org", "+32475123456@sms.example.org")
    assert code == 250
    assert [recipient.number for recipient in house.taken[0].recipients] == ["+32475123456"]


@pytest.mark.parametrize(
    "written", ["0032475123456", "32475123456", "+32-475-12.34.56", '"0475 12 34 56"', "32475123456+mine"]
)
async def test_a_number_is_read_as_people_write_it(send: Send, house: House, written: str) -> None:
    assert (await send(MAIL, f"{written}@sms.example.org"))[0] == 250
    assert house.taken[0].recipients[0].number == "+32475123456"


async def test_the_region_of_the_account_comes_first(send: Send, house: House) -> None:
    house.accounts["anna@example.org"] = replace(house.accounts["anna@example.org"], region="FR")
    assert (await send(MAIL, "0612345678@sms.example.org", sender="anna@example.org"))[0] == 250
    assert house.taken[0].recipients[0].number == "+33612345678"


async def test_a_postmaster_who_cannot_be_reached_is_no_bounce(send: Send) -> None:
    for address in ("postmaster@sms.example.org", "Postmaster"):
        code, words = await send(MAIL, address)
        assert (code, words.split()[0]) == (451, "4.3.5")


@pytest.mark.parametrize("sender", ["", "stranger@example.org", "jean@example.org"])
async def test_anybody_may_write_to_the_postmaster(send: Send, house: House, sender: str) -> None:
    house.postmaster = []
    assert await send(MAIL, "PostMaster@sms.example.org", sender=sender) == (250, "2.0.0 queued as p1")
    ((octets, arrival, stranger),) = house.postmaster
    assert octets == MAIL.encode()
    assert arrival.endswith("([127.0.0.1]) by mx.example.org with ESMTP")
    assert not stranger
    assert not house.taken


async def test_mail_to_the_postmaster_and_others_goes_in_two(send: Send, house: House) -> None:
    house.postmaster = []
    code, _ = await send(MAIL, "postmaster@sms.example.org", "+32475123456@sms.example.org")
    assert (code, len(house.postmaster), len(house.taken)) == (250, 1, 0)
    code, _ = await send(MAIL, "+32475123456@sms.example.org", "postmaster@sms.example.org")
    assert (code, len(house.postmaster), len(house.taken)) == (250, 1, 1)


@pytest.mark.parametrize("status", ["552 5.2.2", "552 5.3.4", "550 5.7.1"])
async def test_what_the_house_refuses_is_said_in_its_words(send: Send, house: House, status: str) -> None:
    house.failure = RefusedError("4 units are needed, 1 is left: déjà\r\n250 forged", smtp=status)
    code, words = await send()
    assert f"{code} {words}" == f"{status} 4 units are needed, 1 is left: deja 250 forged"


async def test_a_mail_that_says_nothing_is_refused(send: Send, house: House) -> None:
    code, words = await send("Content-Type: image/png\r\n\r\nAAAA\r\n")
    assert (code, words.split()[0]) == (550, "5.6.0")
    assert "(image)" in words
    assert not house.taken


@pytest.mark.parametrize("failure", [OSError("disk full: /secret"), RuntimeError("secret"), TimeoutError()])
async def test_a_failure_of_ours_is_temporary_and_tells_nothing(
    send: Send, house: House, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    house.failure = failure
    code, words = await send()
    assert (code, words.split()[0]) == (451, "4.3.0")
    assert "secret" not in words
    assert any(record.exc_info for record in caplog.records)
    house.failure = None
    assert (await send())[0] == 250


async def test_a_failure_while_the_mail_is_stored_is_temporary(send: Send, house: House) -> None:
    async def fail(request: object) -> None:
        raise OSError("full")

    house.take = fail  # type: ignore[assignment, method-assign]
    code, words = await send()
    assert (code, words.split()[0]) == (451, "4.3.0")


@pytest.mark.parametrize(
    ("sender", "header"),
    [
        ("", "Subject: Undelivered"),
        ("jean@example.org", "Auto-Submitted: auto-replied"),
        ("jean@example.org", "Tocsin-Origin: report"),
        ("", "Auto-Submitted: auto-notified"),
    ],
)
async def test_automatic_answers_are_taken_and_thrown_away(
    send: Send, house: House, sender: str, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "daemon")
    code, _ = await send(f"{header}\r\n\r\nOut of office\r\n", sender=sender)
    assert code == 250
    assert not house.taken
    assert "mail_ignored" in [getattr(record, "action", "") for record in caplog.records]


async def test_other_automatic_mail_is_sent_and_marked(send: Send, house: House) -> None:
    code, _ = await send("Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\n\r\ndisk full\r\n")
    assert code == 250
    assert house.taken[0].automatic


async def test_a_notification_is_paid_by_its_owner(send: Send, house: House) -> None:
    text = "Auto-Submitted: auto-notified; owner-email=anna@example.org\r\nPrecedence: bulk\r\n\r\nYou have mail\r\n"
    for sender in ("", "jean@example.org"):
        assert (await send(text, sender=sender))[0] == 250
        assert house.taken.pop().sender.name == "anna"
        house.ids.clear()
    code, words = await send(text.replace("anna@", "nobody@"), sender="")
    assert (code, words.split()[0]) == (550, "5.7.1")
    code, words = await send(text, "+3247@sms.example.org", sender="")
    assert (code, words.split()[0]) == (550, "5.1.1")


async def test_the_log_at_info_names_no_number_and_no_text(
    send: Send, caplog: pytest.LogCaptureFixture, house: House
) -> None:
    caplog.set_level(logging.INFO)
    await send(MAIL, "+32475123456@sms.example.org", "+3247512@sms.example.org")
    await send("Content-Type: image/png\r\n\r\nAAAA\r\n")
    written = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "mail_taken" in written
    assert "32475" not in written
    assert "hello" not in written
