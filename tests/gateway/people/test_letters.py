"""Letters: the mails messages become when they leave."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.mail import Mail
from gateway import credit, letters, verbs
from gateway.addressing import Wanted
from gateway.claims import Claim, reread
from gateway.letters import Delivery, Message, letter
from gateway.message import Claimed, Origin
from gateway.routing import Route
from gateway.transports.smtp import envelope_sender
from tests.gateway.people.conftest import NOW, ROUTES

POST = Route("post", frozenset(), "smtp", sender="tocsin@example.org")


def message(text: str = "hello", subject: str = "", **more: Any) -> Message:
    sent = datetime(2026, 3, 10, 12, tzinfo=UTC)
    given: dict[str, Any] = {"origin": Origin.CLI, "automatic": False, "reply_to": "ann@example.org", **more}
    return Message(7, sent=sent, subject=subject, text=text, **given)


def read(payload: bytes) -> Any:
    sender, octets = envelope_sender(payload)
    assert sender == "tocsin@example.org"
    return email.message_from_bytes(octets, policy=email.policy.default)


def test_a_letter_has_what_a_mail_needs() -> None:
    mail = read(letter(message("Grüße\n.\nvon mir", "Été à Liège"), Delivery(8, "zoe@example.org", "Zoé"), POST))
    assert mail["From"] == "tocsin@example.org"
    assert str(mail["To"]) == "Zoé <zoe@example.org>"
    assert mail["Reply-To"] == "ann@example.org"
    assert mail["Subject"] == "Été à Liège"
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == "<7.8@example.org>"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n") == "Grüße\n.\nvon mir\n"
    assert mail["Auto-Submitted"] is None


def test_what_a_machine_says_is_marked_as_such_and_never_answered() -> None:
    for made in (message(origin=Origin.FILTER), message(automatic=True)):
        payload = letter(made, Delivery(8, "zoe@example.org", ""), POST)
        assert read(payload)["Auto-Submitted"] == "auto-generated"
        assert Mail.read(envelope_sender(payload)[1]).our_mark


def test_the_same_rows_make_the_same_octets() -> None:
    made = [letter(message("x" * 5000), Delivery(8, "zoe@example.org", "Zoé"), POST) for _ in range(2)]
    assert made[0] == made[1]


def test_a_long_subject_is_folded_and_read_as_it_was_written() -> None:
    for subject in ("Réunion à Liège 👨‍👩‍👧 " * 12, "plain words " * 30, "می‌خواهم بروم", "=?utf-8?q?not_a_word?="):
        payload = letter(message("x", subject), Delivery(8, "zoe@example.org", ""), POST)
        assert all(len(line) <= 78 for line in payload.split(b"\r\n"))
        assert payload.isascii()
        assert str(read(payload)["Subject"]) == subject.strip()


def test_what_turns_the_direction_of_writing_is_not_shown() -> None:
    assert read(letter(message("x", "bill \u202efdp.exe"), Delivery(8, "zoe@example.org", ""), POST))["Subject"] == (
        "bill ?fdp.exe"
    )


def test_the_mark_of_a_delivery_is_its_message_id() -> None:
    mail = read(letter(message(), Delivery(8, "zoe@example.org", "", "7.8.abcdefghijklmnop"), POST))
    assert mail["Message-ID"] == "<7.8.abcdefghijklmnop@example.org>"


def test_an_address_beyond_ascii_is_written_where_the_recipients_is_one_too() -> None:
    told = message(reply_to="jürgen@example.org")
    plain = letter(told, Delivery(8, "zoe@example.org", ""), POST)
    assert plain.isascii()
    assert read(plain)["Reply-To"] is None
    beyond = letter(told, Delivery(8, "zoë@example.org", ""), POST).decode()
    assert "\r\nTo: zoë@example.org\r\nReply-To: jürgen@example.org\r\n" in beyond


HOSTILE = st.text(st.characters(exclude_categories=()), max_size=300) | st.sampled_from(
    [
        "a\r\nBcc: x@y",
        "a\n\nbody",
        "=?utf-8?Q?a=0D=0ABcc:_x@y?=",
        '"x" <evil@x.y>',
        "\u2028Bcc: x@y",
        "\ud800",
        "a,b <c@d>",
    ]
)


@given(text=HOSTILE, subject=HOSTILE, name=HOSTILE)
def test_nothing_that_is_said_becomes_a_header(text: str, subject: str, name: str) -> None:
    clean = text.encode("utf-8", "replace").decode().replace("\0", "?")
    payload = letter(message(clean, subject), Delivery(8, "zoe@example.org", name), POST)
    assert all(len(line) <= 998 for line in payload.split(b"\r\n"))
    assert b"\n" not in payload.replace(b"\r\n", b"")
    head = envelope_sender(payload)[1].partition(b"\r\n\r\n")[0]
    fields = {line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")}
    assert fields <= {
        *(b"Content-Type", b"MIME-Version", b"Content-Transfer-Encoding", b"From", b"To", b"Reply-To"),
        *(b"Subject", b"Date", b"Message-ID"),
    }
    mail = email.message_from_bytes(envelope_sender(payload)[1])
    (to,) = email.utils.getaddresses([str(mail["To"])])
    assert to[1] == "zoe@example.org"
    read_text = mail.get_payload(decode=True).decode("utf-8")
    lines = clean.replace("\r\n", "\n").replace("\r", "\n")
    # It comes out as it went in; only a break at its end may be more, for a mail must end with one.
    assert read_text.replace("\r\n", "\n") in (lines, f"{lines}\n")


# On its way -----------------------------------------------------------------------------------------------------------


async def claimed(office: Any, *to: str, **said: Any) -> list[Claimed]:
    ann = office.account()
    office.store.run_now(lambda connection: credit.buy(connection, ann, 10, reason="bought", now=NOW))
    found = office.quote(ann, Wanted(email=to), **said)
    await office.store.do(verbs.SUBMIT, found.draft)
    some: list[Claimed] = await office.store.do(verbs.CLAIM, Claim("post", 10, 1, NOW, ROUTES[1]))
    return some


async def test_a_segment_gets_its_letter_when_it_is_claimed(office: Any) -> None:
    some = await claimed(office, "zoe@example.org", "bob@example.org", text="hello\nyou", subject="Hi")
    mails = {one.to: read(one.payload) for one in some}
    assert {
        to: (str(mail["To"]), mail["Subject"], mail.get_content().replace("\r\n", "\n")) for to, mail in mails.items()
    } == {
        "zoe@example.org": ("zoe@example.org", "Hi", "hello\nyou\n"),
        "bob@example.org": ("bob@example.org", "Hi", "hello\nyou\n"),
    }
    assert len({mail["Message-ID"] for mail in mails.values()}) == 2
    kept = office.store.read_now(lambda connection: reread(connection, Claim("post", 10, 1, NOW, ROUTES[1])))
    assert [one.payload for one in kept] == [one.payload for one in some]


async def test_a_letter_that_cannot_be_made_stops_no_other(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = letters.letter

    def sometimes(message: Message, delivery: Delivery, route: Route) -> bytes:
        if delivery.address == "zoe@example.org":
            raise LookupError("a defect")
        return right(message, delivery, route)

    monkeypatch.setattr(letters, "letter", sometimes)
    some = await claimed(office, "zoe@example.org", "bob@example.org")
    assert {one.to: bool(one.payload) for one in some} == {"zoe@example.org": False, "bob@example.org": True}
