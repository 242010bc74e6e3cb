"""Delivery notifications of many servers: by which name they know the mail, and what they say; rubbish is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.delivery_status import Recipient
from filters.returned import Returned, read

HEAD = 'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n--b\n\nsorry\n--b\n'
FUZZ = Path(__file__).parent.parent / "fuzz" / "corpus"


def report(fields: str, rest: str = "", kind: str = "message/delivery-status") -> bytes:
    return f"{HEAD}Content-Type: {kind}\n\n{fields}\n--b{rest}--\n".encode()


@pytest.mark.parametrize("kind", ["message/delivery-status", "message/global-delivery-status"])
def test_a_notification_tells_its_envelope_id_and_every_recipient(kind: str) -> None:
    fields = (
        "Reporting-MTA: dns; mx\nOriginal-Envelope-Id: 7.8.abc\n\n"
        "Original-Recipient: rfc822;Zoe@example.org\nFinal-Recipient: rfc822; z@inner\nAction: Failed (really)\n"
        "Status: 5.1.1 (no such user)\nDiagnostic-Code: smtp; 550 5.1.1\n  nobody\n\n"
        "Final-Recipient: rfc822; y@inner\nAction: delivered\nStatus: 2.1.5\n"
    )
    assert read(report(fields, kind=kind)) == Returned(
        ("7.8.abc",),
        (
            Recipient("failed", "5.1.1", "Zoe@example.org", "550 5.1.1 nobody"),
            Recipient("delivered", "2.1.5", "", ""),
        ),
    )


@pytest.mark.parametrize(
    "returned",
    [
        "Content-Type: message/rfc822\n\nSubject: x\nMessage-ID: <7.8.abc@example.org>\n\nbody\n",
        "Content-Type: text/rfc822-headers\n\nSubject: x\nMessage-Id:\n <7.8.abc@example.org>\n",
    ],
)
def test_without_an_envelope_id_the_mail_that_came_back_names_itself(returned: str) -> None:
    found = read(report("Action: failed\nStatus: 5.0.0\n", rest=f"\n{returned}--b"))
    assert found is not None
    assert found.names == ("7.8.abc@example.org",) or found.names == ("<7.8.abc@example.org>",)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"Subject: x\n\nAction: failed\n",
        b"Content-Type: message/delivery-status\n\nAction: failed\n",
        report("Original-Envelope-Id: 7.8.abc\n"),
        report("Action: invented\n"),
    ],
)
def test_anything_else_is_no_notification(octets: bytes) -> None:
    assert read(octets) is None


@given(st.binary(max_size=500))
def test_rubbish_in_a_notification_is_no_reason_to_fail(octets: bytes) -> None:
    read(octets)
    read(HEAD.encode() + b"Content-Type: message/delivery-status\n\nAction: failed\n" + octets)
    read(HEAD.encode() + octets)


def test_what_was_found_by_fuzzing_is_no_reason_to_fail() -> None:
    for path in FUZZ.glob("*.eml"):
        read(path.read_bytes())


def test_a_notification_on_very_many_is_read_within_bounds() -> None:
    found = read(report("Action: failed\nStatus: 5.1.1\n\n" * 50_000))
    assert found is not None
    assert len(found.recipients) <= 1000
