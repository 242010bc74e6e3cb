"""Delivery status notifications (RFC 3461) on the whole daemon: asked for in the envelope, told by mail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway import story
from tests.daemon.door.conftest import Client, Daemon, mail

A, B = "+32475000001", "+32475000002"
NO_SUCH_NUMBER = 0x0B


@pytest.fixture(params=["smtp", "lmtp"])
async def client(daemon: Daemon, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    one = await Client.to(getattr(daemon, request.param))
    yield one
    await one.close()


def blocks(report: Any) -> list[dict[str, str]]:
    _, machines, _ = report.iter_parts()
    return [dict(block.items()) for block in machines.get_payload()]


async def test_notifications_are_offered(client: Client) -> None:
    hello = "LHLO" if client.lmtp else "EHLO"
    offers = (await client.wire.say(f"{hello} client.example.org")).split("\n")
    assert {"250-DSN", "250 DSN"} & set(offers)


async def test_success_is_told_as_relayed_with_all_that_was_asked_along(daemon: Daemon, client: Client) -> None:
    replies = await client.send(
        mail(Message_ID="<asked@example.org>"),
        f"<{A}@sms.example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Jean+2B1@example.org",
        parameters="RET=HDRS ENVID=QQ+2B314159",
    )
    assert replies[0].startswith("250 2.0.0 queued as ")
    (got,) = await daemon.sink.wait(1)
    assert (got.sender, got.recipients) == ("", ("jean@example.org",))
    report = got.message
    assert (report["Auto-Submitted"], report["Tocsin-Origin"]) == ("auto-generated", "report")
    assert report["In-Reply-To"] == "<asked@example.org>"
    about, one = blocks(report)
    assert about["Reporting-MTA"] == "dns; sms.example.org"
    assert about["Original-Envelope-Id"] == "QQ+314159"
    assert one == {
        "Original-Recipient": "rfc822;Jean+1@example.org",
        "Final-Recipient": f"rfc822; {A[1:]}@sms.example.org",
        "Action": "relayed",
        "Status": "2.1.9",
    }
    told = await daemon.show(replies[0])
    assert [moment["what"] for moment in told["timeline"]].count("reported") == 1


async def test_a_failure_is_told_without_being_asked_for(daemon: Daemon, client: Client) -> None:
    daemon.centre.answer_with(NO_SUCH_NUMBER)
    (reply,) = await client.send(mail("Dinner"), f"0475000001{'@sms.example.org'}")
    (got,) = await daemon.sink.wait(1)
    _, one = blocks(got.message)
    assert (one["Action"], one["Status"]) == ("failed", "5.1.1")
    people, _, _ = got.message.iter_parts()  # type: ignore[attr-defined]
    assert "0475000001@sms.example.org: " in people.get_content()
    left = (await daemon.show(reply))["timeline"]
    assert "returned" in [moment["what"] for moment in left]


async def test_never_means_never(daemon: Daemon, client: Client) -> None:
    daemon.centre.answer_with(NO_SUCH_NUMBER, 2)
    replies = await client.send(
        mail(Message_ID="<never@example.org>"),
        f"<{A}@sms.example.org> NOTIFY=NEVER",
        f"<{B}@sms.example.org> NOTIFY=FAILURE",
    )
    (got,) = await daemon.sink.wait(1)
    assert [one["Final-Recipient"] for one in blocks(got.message)[1:]] == [f"rfc822; {B[1:]}@sms.example.org"]
    told = await daemon.house.store.read(lambda c: story.show(c, int(replies[0].split()[-1])))
    assert {one["state"] for one in told["deliveries"]} == {"failed"}


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("MAIL FROM:<jean@example.org> RET=ALL", "501 5.5.4"),
        ("MAIL FROM:<jean@example.org> ENVID=", "501 5.5.4"),
        (f"RCPT TO:<{A}@sms.example.org> NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        (f"RCPT TO:<{A}@sms.example.org> NOTIFY=SOMETIMES", "501 5.5.4"),
        (f"RCPT TO:<{A}@sms.example.org> ORCPT=jean", "501 5.5.4"),
        (f"RCPT TO:<{A}@sms.example.org> NOTIFY=SUCCESS NOTIFY=FAILURE", "501 5.5.4"),
    ],
)
async def test_what_cannot_be_asked_is_refused(client: Client, command: str, reply: str) -> None:
    if command.startswith("RCPT"):
        await client.wire.say("MAIL FROM:<jean@example.org>")
    assert (await client.wire.say(command)).startswith(reply)


async def test_automatic_mail_is_not_answered_and_its_failure_is_in_its_story(daemon: Daemon, client: Client) -> None:
    daemon.centre.answer_with(NO_SUCH_NUMBER, 2)
    octets = mail(Auto_Submitted="auto-generated", Message_ID="<cron@example.org>")
    (reply,) = await client.send(octets, f"<{A}@sms.example.org> NOTIFY=SUCCESS,FAILURE,DELAY")
    told = await daemon.settled(reply)
    assert told["state"] == "failed"
    await client.send(mail("by hand", Message_ID="<hand@example.org>"), f"{B}@sms.example.org")
    (got,) = await daemon.sink.wait(1)  # reports are made in the order of the messages they speak of
    assert [one["Final-Recipient"] for one in blocks(got.message)[1:]] == [f"rfc822; {B[1:]}@sms.example.org"]
    words = [moment["what"] for moment in (await daemon.show(reply))["timeline"]]
    assert {"failed", "returned"} <= set(words)
    assert "reported" not in words
