"""Files that go along: named, typed, kept once, sent with every e-mail, and gone with their message."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from gateway import accounts, attachments, draft, erasure, mime, verbs
from gateway.attachments import of, of_files
from gateway.claims import Claim
from gateway.failure import RefusedError
from gateway.message import Channel, Origin
from gateway.routing import Route
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.smtp import envelope_sender

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POST = Route("post", frozenset({Channel.EMAIL}), "smtp", sender="tocsin@example.org", price=0)
OPERATOR = Route("operator", frozenset({Channel.SMS, Channel.EMAIL}), "smpp", price=0, protocol_id=0x32)
MOST = 10_485_760


def mail(*parts: bytes, text: str = "hello") -> EmailMessage:
    octets = b"Subject: s\r\nMIME-Version: 1.0\r\n" + mime.body(mime.text(text), parts)
    read = email.message_from_bytes(octets, policy=email.policy.default.clone(raise_on_defect=True))
    assert isinstance(read, EmailMessage)
    return read


@given(st.binary(max_size=2000), st.text(max_size=120))
def test_a_file_comes_out_as_it_went_in_whatever_it_is_called(octets: bytes, name: str) -> None:
    one = of(name, octets)
    assert all(len(line) <= 998 for line in one.part.split(b"\r\n"))
    assert one.part.isascii()
    _, part = mail(one.part).iter_parts()
    assert part.get_payload(decode=True) == octets
    assert part.get_filename() == one.name
    assert part.get_content_disposition() == "attachment"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("résumé №1 🗺.pdf", "résumé №1 🗺.pdf"),
        ('a"b\\c;d.txt', 'a"b\\c;d.txt'),
        ("two\r\nBcc: x@y.txt", "two Bcc: x@y.txt"),
        ("\u202egpj.exe", "?gpj.exe"),
        ("", "file"),
        ("x" * 200 + ".docx", "x" * 65 + "xxxxx.docx"),
    ],
)
def test_a_name_is_shown_as_it_is_but_for_what_deceives(name: str, shown: str) -> None:
    _, part = mail(of(name, b"x").part).iter_parts()
    assert part.get_filename() == shown


@pytest.mark.parametrize(
    ("name", "octets", "kind"),
    [
        ("a.pdf", b"%PDF", "application/pdf"),
        ("a.PNG", b"\x89PNG", "image/png"),
        ("a.txt", "é".encode(), "text/plain"),
        ("a.tar.gz", b"\x1f\x8b", "application/gzip"),
        ("a.eml", b"From: x", "application/octet-stream"),
        ("a", b"x", "application/octet-stream"),
    ],
)
def test_the_type_is_that_of_the_name(name: str, octets: bytes, kind: str) -> None:
    assert of(name, octets).type == kind
    assert ("charset" in of(name, octets).part.decode()) == kind.startswith("text/")


def test_a_text_that_is_not_utf_8_claims_no_charset() -> None:
    assert b"charset" not in of("a.txt", b"\xe9").part


def test_files_that_are_missing_or_too_large_are_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(8_000_000))
    (tmp_path / "small.bin").write_bytes(bytes(100))
    cases = {
        tmp_path / "none": "there is none",
        tmp_path: "it is no file",
        tmp_path / "large.bin": "its 8000000 octets need 10947670 in a mail, and a mail here may have 10485760 in all",
    }
    for path, said in cases.items():
        with pytest.raises(RefusedError, match="cannot go along") as refused:
            of_files([path], "hello", MOST)
        assert said in str(refused.value)
    assert [one.size for one in of_files([tmp_path / "small.bin"] * 2, "hello", MOST)] == [100, 100]
    with pytest.raises(RefusedError):
        of_files([tmp_path / "small.bin"] * 40, "hello", 10_000)


async def test_they_are_kept_once_and_go_with_every_mail_and_vanish_with_the_message(store: Store) -> None:
    account = await store.run(lambda c: accounts.add(c, "jean", now=NOW, addresses=["jean@example.org"]))
    files = (of("été.pdf", b"%PDF" * 1000), of("notes.txt", "два\n".encode()))
    to = tuple(draft.Recipient(Channel.EMAIL, f"r{n}@example.net") for n in range(20))
    sms = draft.Recipient(Channel.SMS, "+32475123456")
    request = draft.Request(account, Origin.CLI, (*to, sms), "hello", attachments=files)
    prepared = draft.prepare(request, routes=[POST, OPERATOR_SMS], now=NOW, max_parts=6, transliterate=True)
    taken = await store.do(verbs.SUBMIT, prepared)
    rows = select(func.count()).select_from(schema.attachment)
    assert await store.read(lambda c: c.execute(rows).scalar()) == 2
    claimed = await store.do(verbs.CLAIM, Claim("post", 30, 1, NOW, POST))
    assert len(claimed) == 20
    for one in claimed:
        read = email.message_from_bytes(envelope_sender(one.payload)[1], policy=email.policy.default)
        _, plan, notes = read.iter_parts()
        assert (plan.get_filename(), plan.get_content()) == ("été.pdf", b"%PDF" * 1000)
        assert (notes.get_filename(), notes.get_content()) == ("notes.txt", "два\n")
    (text,) = await store.do(verbs.CLAIM, Claim("operator", 30, 1, NOW))
    assert text.payload == b"hello"
    assert await store.read(lambda c: attachments.documents(c, taken.id)) == [
        {"name": "été.pdf", "type": "application/pdf", "size": 4000},
        {"name": "notes.txt", "type": "text/plain", "size": 7},
    ]
    closed = schema.segment.update().values(state="accepted", finished=NOW)
    await store.run(lambda c: c.execute(closed))
    await store.run(lambda c: erasure.erase(c, NOW + timedelta(days=400)))
    assert await store.read(lambda c: c.execute(rows).scalar()) == 0


OPERATOR_SMS = Route("operator", frozenset({Channel.SMS}), "smpp", price=0)


def test_without_a_mail_they_could_go_with_they_are_refused() -> None:
    files = (of("plan.pdf", b"x"),)
    for recipient in (
        draft.Recipient(Channel.SMS, "+32475123456"),
        draft.Recipient(Channel.EMAIL, "zoe@example.net"),  # through the SMS centre, which carries text
    ):
        request = draft.Request(1, Origin.CLI, (recipient,), "hello", attachments=files)
        with pytest.raises(RefusedError, match=r"plan\.pdf cannot go along"):
            draft.prepare(request, routes=[OPERATOR], now=NOW, max_parts=6, transliterate=True)


async def test_they_go_with_the_account(store: Store) -> None:
    account = await store.run(lambda c: accounts.add(c, "jean", now=NOW, addresses=["jean@example.org"]))
    to = (draft.Recipient(Channel.EMAIL, "zoe@example.net"),)
    request = draft.Request(account, Origin.CLI, to, "hello", attachments=(of("a.txt", b"x"),))
    await store.do(verbs.SUBMIT, draft.prepare(request, routes=[POST], now=NOW, max_parts=6, transliterate=True))
    await store.run(lambda c: c.execute(schema.segment.update().values(state="accepted", finished=NOW)))
    await store.run(lambda c: accounts.remove(c, "jean"))
    rows = select(func.count()).select_from(schema.attachment)
    assert await store.read(lambda c: c.execute(rows).scalar()) == 0
