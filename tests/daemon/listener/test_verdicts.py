"""`verdict@`: an account is told by mail how its mail was judged, anybody else in the reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.daemon.listener.conftest import House
from tests.daemon.listener.test_relayed_mail import LOOPBACK, NOBODY, NUMBER, PASS, RESULTS, Through, mail

if TYPE_CHECKING:
    from tests.daemon.listener.conftest import Connect, Start

ASKED = "verdict@sms.example.org"


def words(reply: str) -> str:
    return " ".join(line[10:] for line in reply.split("\n"))


async def test_an_account_is_told_by_mail(start: Start, connect: Connect, house: House) -> None:
    through = Through(start, connect)
    [reply] = await through(mail(PASS, to=ASKED), "Verdict")
    assert reply == "250 2.0.0 queued as v1"
    [(account, address, told)] = house.verdicts
    assert (account, address) == (1, "jean@example.org")
    assert told.split("\n\n") == [
        "The mail came from 127.0.0.1, a relay: what it verified of From counts, its envelope sender does not.",
        "Its envelope sender (MAIL FROM) is jean@example.org.",
        "From says jean@example.org.",
        "The topmost Authentication-Results of mx.example.org says dmarc=pass, which speaks for example.org.",
        "The Date of the mail is 2026-03-02 11:00 UTC, within 24 hours of now.",
        f"It is good once for each special address that To and Cc name: {ASKED}.",
        "So it is taken as a mail of the account jean, which pays for it.",
    ]
    assert house.taken == []


async def test_an_account_is_told_too_why_its_mail_is_not_its_own(start: Start, connect: Connect, house: House) -> None:
    [reply] = await Through(start, connect)(mail(RESULTS + "dmarc=fail header.from=example.org"), "verdict")
    assert reply.startswith("250")
    assert "it says dmarc=fail for example.org" in house.verdicts[0][2]
    assert "So nobody pays for it, and it would be refused: Nothing proves" in house.verdicts[0][2]


async def test_a_stranger_is_told_in_the_reply(start: Start, connect: Connect, house: House) -> None:
    text = mail(PASS, author="x@example.net")
    [reply] = await Through(start, connect)(text, "verdict", sender="x@example.net")
    assert reply.startswith("550-5.7.1 The mail came from 127.0.0.1, a relay")
    assert "does not speak for example.net" in words(reply)
    assert house.verdicts == []


async def test_a_peer_nothing_speaks_for_is_told_so(start: Start, connect: Connect, house: House) -> None:
    through = Through(start, connect)
    [reply] = await through(mail(PASS), "verdict", sender="x@example.net", relays=NOBODY)
    assert "no trusted network and no relay, and nobody has logged in" in words(reply)
    assert "Authentication-Results" not in reply


async def test_a_trusted_peer_is_told_so(start: Start, connect: Connect, house: House) -> None:
    await Through(start, connect)(mail(), "verdict", trusted_networks=LOOPBACK, relays=NOBODY)
    assert "a trusted network: its envelope sender is believed" in house.verdicts[0][2]


async def test_who_was_told_often_enough_is_told_in_the_reply(start: Start, connect: Connect, house: House) -> None:
    through = Through(start, connect)
    replies = [(await through(mail(PASS, to=ASKED), "verdict"))[0] for _ in range(6)]
    assert [reply[:3] for reply in replies] == ["250"] * 5 + ["550"]
    assert "So it is taken as a mail of the account jean" in words(replies[-1])
    assert len(house.verdicts) == 5


async def test_automatic_mail_is_never_answered(start: Start, connect: Connect, house: House) -> None:
    through = Through(start, connect)
    [reply] = await through(mail(PASS, "Auto-Submitted: auto-generated"), "verdict")
    assert reply.startswith("550")
    for header, sender in (("X: y", ""), ("Auto-Submitted: auto-replied", "jean@example.org")):
        [reply] = await through(mail(PASS, header), "verdict", sender=sender)
        assert reply.startswith("250 2.0.0 Taken, and ignored")
    assert house.verdicts == []


async def test_a_mail_may_ask_and_send_at_once(start: Start, connect: Connect, house: House) -> None:
    text = mail(PASS, to=f"{ASKED}, {NUMBER}@sms.example.org")
    told, taken = await Through(start, connect)(text, "verdict", NUMBER, protocol="lmtp")
    assert told == "250 2.0.0 queued as v1"
    assert taken.startswith("250 2.0.0 queued as ")
    assert [one.number for one in house.taken[0].recipients] == [NUMBER]


async def test_a_store_that_is_gone_is_not_shown(start: Start, connect: Connect, house: House) -> None:
    house.failure = OSError("secret detail")
    [reply] = await Through(start, connect)(mail(PASS, to=ASKED), "verdict")
    assert reply.startswith("451 4.3.0")
    assert "secret" not in reply
