"""A report is a lawful mail whatever it has to speak of: nothing that came in can add to it or break it."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import Message
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dsn import Asked, Wish
from gateway.message import Channel
from gateway.report_mail import About, Fate, Told, compose
from gateway.transports.smtp import envelope_sender

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NUMBER = "+32475000001"
FIELDS = {
    "content-type",
    "mime-version",
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "auto-submitted",
    "tocsin-origin",
}
FIRST = {"reporting-mta", "original-envelope-id", "arrival-date"}
EACH = {"original-recipient", "final-recipient", "action", "status", "diagnostic-code", "will-retry-until"}

#: Whatever anybody may have put in, with what breaks lines and headers more often than chance would.
anything = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(
            [
                "\r\n",
                "\n",
                "\r",
                "\r\n\r\n",
                "\r\n.\r\n",
                "\0",
                "\x0b",
                "\x85",
                "\u2028",
                "\ud800",
                "=?utf-8?q?=0D=0A?=",
                "Bcc: x@y.example",
                "--===============1==",
                "\t",
                " ",
                "é",
                "🚲",
                "x" * 1200,
                "Final-Recipient: z",
            ]
        ),
    ),
    max_size=6,
).map("".join)
printable = anything.map(lambda text: "".join(one for one in text if one.isprintable()))


def about(told: list[Told], **more: Any) -> About:
    values: dict[str, Any] = {
        "id": 7,
        "to": "jean@example.org",
        "created": NOW,
        "subject": "Tonight",
        "text": "Dinner at eight",
        "recipients": len(told),
        "asked": Asked(),
        **more,
    }
    return About(told=told, **values)


def told(fate: Fate = Fate.FAILED, **more: Any) -> Told:
    values: dict[str, Any] = {"name": "", "status": "5.0.0", "why": "no", **more}
    return Told(1, Channel.SMS, NUMBER, fate=fate, **values)


def read(payload: bytes) -> Message:
    sender, octets = envelope_sender(payload)
    assert sender == ""
    for line in octets.split(b"\r\n"):
        assert len(line) <= 998
        assert b"\n" not in line
        assert b"\r" not in line
        assert line.isascii()
    message = email.message_from_bytes(octets)
    assert [part.defects for part in message.walk()] == [[] for _ in message.walk()]
    return message


def names(message: Message) -> set[str]:
    found = [name.lower() for name in message]
    assert len(found) == len(set(found))
    return set(found)


@given(
    st.sampled_from(Fate),
    st.sampled_from(["", "FULL", "HDRS"]),
    st.builds(lambda *parts: parts, *[anything] * 5, *[printable] * 3),
)
@settings(max_examples=150, deadline=None)
def test_nothing_that_came_in_can_break_a_report(fate: Fate, ret: str, parts: tuple[str, ...]) -> None:
    subject, text, why, name, uncertain, envid, orcpt, message_id = parts
    asked = Asked(envid, ret, message_id, {NUMBER: Wish(orcpt=orcpt)})
    one = told(fate, why=why, name=name, code="0x0000000b", until=NOW if fate is Fate.DELAYED else None)
    clean = text.encode("utf-8", "replace").decode()
    subject = subject.encode("utf-8", "replace").decode()
    name, uncertain = (value.encode("utf-8", "replace").decode() for value in (name, uncertain))
    report = read(
        compose(
            about([one], subject=subject, text=clean, asked=asked, uncertain=[uncertain]),
            "sms.example.org",
            "tocsin@example.org",
            NOW,
        )
    )
    assert names(report) <= FIELDS
    assert report.get_content_type() == "multipart/report"
    parts_of_it = report.get_payload()
    assert isinstance(parts_of_it, list)
    _, machines, original = parts_of_it
    assert isinstance(machines, Message)
    first, each = machines.get_payload()  # type: ignore[misc]
    assert names(first) <= FIRST  # type: ignore[arg-type]
    assert names(each) <= EACH  # type: ignore[arg-type]
    assert each["Action"] == fate.value  # type: ignore[index]
    assert isinstance(original, Message)
    if original.get_content_type() == "message/rfc822":
        (inner,) = original.get_payload()  # type: ignore[misc]
    else:
        inner = email.message_from_string(original.get_payload(decode=True).decode())  # type: ignore[union-attr]
    assert names(inner) <= {"subject", "message-id", "content-type", "content-transfer-encoding", "mime-version"}


@pytest.mark.parametrize(
    ("fates", "title"),
    [
        ([Fate.FAILED, Fate.RELAYED], "Your SMS could not be sent"),
        ([Fate.RELAYED, Fate.DELAYED], "Your SMS is delayed"),
        ([Fate.RELAYED], "Your SMS was handed to the operator"),
    ],
)
def test_the_title_says_the_gravest(fates: list[Fate], title: str) -> None:
    assert about([told(fate) for fate in fates]).title == title


def test_an_address_beyond_ascii_is_written_as_rfc_6533_has_it() -> None:
    asked = Asked(recipients={NUMBER: Wish(orcpt="utf-8;zoë@example.org")})
    report = read(compose(about([told()], asked=asked), "sms.example.org", "tocsin@example.org", NOW))
    assert "Original-Recipient: utf-8;zo\\x{EB}@example.org" in report.as_string()
