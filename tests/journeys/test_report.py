"""A mail the SMS centre refuses for good: its sender is told by mail, once, whatever dies meanwhile."""

from __future__ import annotations

import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser

import pytest

from gateway.message import State
from tests.peers.daemon_process import DaemonProcess, operator, until
from tests.peers.ledgers import PAYERS, Books
from tests.peers.mail_client import Connection, Mail
from tests.peers.mail_sink import MailSink
from tests.peers.node_smpp import NodeSmpp

pytestmark = [pytest.mark.peer("node-smpp"), pytest.mark.parametrize("database", ["sqlite"], indirect=True)]

GOOD, BAD, WORSE = "+32475000001", "+32475000002", "+32475000003"
NO_SUCH_NUMBER, EXPIRED = 0x0B, 0x62


def post(sink: MailSink) -> dict[str, object]:
    """The next mail server, as a route."""
    where = {"host": "127.0.0.1", "port": sink.port, "sender": "tocsin@sms.example.org"}
    return {"name": "post", "channels": ["email"], "transport": "smtp", "unknown_wait": "PT1S", **where}


def read(octets: bytes) -> EmailMessage:
    """A mail, read by the standard library without a defect."""
    parsed = BytesParser(policy=email.policy.default.clone(raise_on_defect=True)).parsebytes(octets)
    assert isinstance(parsed, EmailMessage)
    return parsed


async def test_one_report_names_whom_it_did_not_reach(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books
) -> None:
    for number, status in ((BAD, NO_SUCH_NUMBER), (WORSE, EXPIRED)):
        await centre.order("refuse", to=number[1:], status=status)
    async with MailSink() as sink:
        daemon = serve([operator(centre.port), post(sink)])
        await daemon.start()
        connection = await Connection.open(daemon.smtp)
        long = "It is long enough for two. " + "And so on. " * 20
        reply = await connection.send(Mail(1, PAYERS[0], (GOOD, BAD, WORSE), long))
        assert reply.startswith("250 ")
        automatic = b"Precedence: bulk\r\n" + Mail(2, PAYERS[0], (BAD,), "backup failed").octets
        assert (await connection.send_octets(PAYERS[0], (BAD,), automatic)).startswith("250 ")
        await connection.close()
        (got,) = await sink.wait(1)
        await until(books.is_quiet, why=books.states)
        assert await daemon.stop() == 0, daemon.said()
        assert len(sink.got) == 1, "a mail nobody wrote, or one who wants no answer, was answered"

    assert (got.sender, got.recipients) == ("", (PAYERS[0],))
    report = read(got.octets)
    assert report.get_content_type() == "multipart/report"
    assert report["Content-Type"].params["report-type"] == "delivery-status"
    assert report["Auto-Submitted"] == "auto-generated"
    assert report["To"] == PAYERS[0]
    people, machines, original = report.iter_parts()
    words = people.get_content()
    assert [number[1:] in words for number in (BAD, WORSE, GOOD)] == [True, True, False]
    assert machines.get_content_type() == "message/delivery-status"
    blocks = [dict(block.items()) for block in machines.get_payload()]
    assert blocks[0]["Reporting-MTA"] == "dns; sms.example.org"
    assert {(block["Final-Recipient"], block["Action"], block["Status"][:2]) for block in blocks[1:]} == {
        (f"rfc822; {number[1:]}@sms.example.org", "failed", "5.") for number in (BAD, WORSE)
    }
    assert original.get_content_type() in ("text/rfc822-headers", "message/rfc822")

    # A part that failed takes its siblings with it; all their units are back, the good one's are spent.
    segments = books.segments()
    by_number = {number: {one.state for one in segments if one.address == number} for number in (GOOD, BAD, WORSE)}
    assert by_number[GOOD] == {State.ACCEPTED}
    assert by_number[BAD] <= {State.FAILED, State.CANCELLED}
    assert by_number[WORSE] <= {State.FAILED, State.CANCELLED}
    assert books.faults_of_credit() == []


async def test_the_report_waits_for_its_mail_server_and_survives_kill_9(
    serve: Callable[..., DaemonProcess], centre: NodeSmpp, books: Books
) -> None:
    await centre.order("refuse", to=BAD[1:], status=NO_SUCH_NUMBER)
    async with MailSink() as sink:
        sink.refusal = "451 4.3.0 not now"
        daemon = serve([operator(centre.port), post(sink)])
        await daemon.start()
        connection = await Connection.open(daemon.smtp)
        assert (await connection.send(Mail(1, PAYERS[0], (BAD,), "hello"))).startswith("250 ")
        await connection.close()
        await until(lambda: sink.refused >= 1)
        await daemon.kill()
        sink.refusal = ""
        await daemon.start()
        (got,) = await sink.wait(1, 30)
        await until(books.is_quiet, why=books.states)
        assert await daemon.stop() == 0, daemon.said()
        assert len(sink.got) == 1
    assert got.recipients == (PAYERS[0],)
    assert books.faults_of_credit() == []
