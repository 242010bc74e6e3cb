"""What a mail says, whatever state it is in: the rows of the table of hard inputs, one by one."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest

from filters.mail import Mail


def mail(*header: str, body: bytes = b"") -> Mail:
    return Mail.read("\r\n".join(header).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body)


def test_an_ordinary_mail_is_read() -> None:
    read = mail(
        "From: Jean Dupont <jean@example.org>",
        "To: 32475123456@sms.example.org, Anna <anna@example.org>",
        "Cc: cc@example.org",
        "Subject: Lunch?",
        "Date: Tue, 1 Jul 2025 10:00:00 +0200",
        "Message-ID: <a.b@example.org>",
        body=b"At noon.\r\n",
    )
    assert read.from_ == (("Jean Dupont", "jean@example.org"),)
    assert read.to == (("", "32475123456@sms.example.org"), ("Anna", "anna@example.org"))
    assert read.cc == (("", "cc@example.org"),)
    assert read.subject == "Lunch?"
    assert read.date == datetime(2025, 7, 1, 8, tzinfo=UTC)
    assert read.message_id == "<a.b@example.org>"
    assert read.text == "At noon.\n"
    assert not read.is_automatic
    assert not read.cut


@pytest.mark.parametrize(
    "written", ["a@[", "<", '"', "a@b@c <", "=?utf-8?q?=?=", "(((", "\udce9 <x@y", ",,,;:", "<<<>>>"]
)
def test_a_from_nobody_can_read_is_kept_as_it_is(written: str) -> None:
    read = mail(f"From: {written}", "Subject: still here", body=b"words")
    assert read.subject == "still here"
    assert read.text == "words"
    assert all(not address or "@" in address for _, address in read.from_)


@pytest.mark.parametrize("written", ["<", "", "<>", "< >", "no id", "<a b>", "@"])
def test_a_message_id_that_is_none_counts_as_none(written: str) -> None:
    assert mail(f"Message-ID: {written}", body=b"x").message_id == ""


def test_a_message_id_without_brackets_gets_them() -> None:
    assert mail("Message-ID: 123@example.org").message_id == "<123@example.org>"


@pytest.mark.parametrize(
    ("label", "octets", "meant"),
    [
        ("no-such-charset", "déjà vu".encode(), "déjà vu"),
        ("no-such-charset", "déjà vu".encode("latin-1"), "déjà vu"),
        ("utf-8", "déjà vu".encode("latin-1"), "déjà vu"),
        (None, "déjà vu".encode(), "déjà vu"),
        (None, "déjà vu".encode("cp1252"), "déjà vu"),
        ("iso-8859-1", b"it\x92s 5 \x80 \x96 ok", "it’s 5 € – ok"),
        ("us-ascii", b"it\x92s", "it’s"),
        ("us-ascii", "naïve".encode(), "naïve"),
        ("ISO-8859-15", b"5 \xa4", "5 €"),
        ("iso-2022-jp", "日本語".encode("iso-2022-jp"), "日本語"),
        ("gb2312", "〇鎔".encode("gb18030"), "〇鎔"),
        ("utf-16", "héé".encode("utf-16"), "héé"),
        ("utf-7", b"caf+AOk-", "café"),
        ("koi8-u", "Привіт".encode("koi8-u"), "Привіт"),
        ("zlib", b"plain", "plain"),
        ("punycode", "déjà".encode(), "déjà"),
        ("undefined", b"plain", "plain"),
        ('"', b"plain", "plain"),
        ("utf-8", "hé".encode() * 20 + b"\xe9", "hé" * 20 + "\ufffd"),
    ],
)
def test_a_body_is_read_as_it_was_meant(label: str | None, octets: bytes, meant: str) -> None:
    charset = f"; charset={label}" if label is not None else ""
    assert mail(f"Content-Type: text/plain{charset}", body=octets).text == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("=?utf-8?Q?h=C3=A9llo?=", "héllo"),
        ("=?utf-8?Q?h=C3?= =?utf-8?Q?=A9llo?=", "héllo"),
        ("=?utf-8?B?aMM=?=\r\n =?utf-8?B?qWxsbw==?=", "héllo"),
        ("=?utf-8?q?two?= =?iso-8859-1?q?=E9s?=", "twoés"),
        ("=?utf-8?q?two?= words =?utf-8?q?three?=", "two words three"),
        ("=?iso-8859-1?q?it=92s?=", "it’s"),
        ("=?utf-8?q?caf=E9?=", "café"),
        ("=?x-nothing?q?caf=C3=A9?=", "café"),
        ("=?utf-8*en?q?caf=C3=A9?=", "café"),
        ("=?utf-8?b?%%%?=", ""),
        ("=?utf-8?q?not ended", "=?utf-8?q?not ended"),
        ("raw héllo", "raw héllo"),
        ("raw \udce9t\udce9", "raw été"),
        ("folded\r\n\tsubject", "folded subject"),
    ],
)
def test_encoded_words_are_decoded(written: str, meant: str) -> None:
    assert mail(f"Subject: {written}").subject == meant


@pytest.mark.parametrize(
    "written",
    [
        "=?utf-8?Q?a=0D=0ABcc:_x@y?=",
        "=?utf-8?B?YQ0KQmNjOiB4QHk=?=",
        "a\rBcc: x@y",
        "=?utf-8?Q?a=E2=80=A8Bcc:_x@y?=",
        "=?utf-8?Q?a=C2=85Bcc:_x@y?=",
        "=?utf-16?B?AGEACgBCAGMAYwA6ACAAeABAAHk=?=",
    ],
)
def test_no_line_break_is_smuggled_into_a_header(written: str) -> None:
    read = mail(f"Subject: {written}", f"From: {written} <a@example.org>", f"X-Other: {written}", body=b"x")
    values = [read.subject, *read.header("X-Other"), *(name for name, _ in read.from_)]
    for value in values:
        assert len(value.splitlines()) <= 1
        assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value)
    assert read.subject == "a Bcc: x@y"
    assert read.header("Bcc") == []


def test_a_name_that_looks_like_an_address_is_only_a_name() -> None:
    assert mail('From: "boss@corp.com" <evil@x.y>').from_ == (("boss@corp.com", "evil@x.y"),)


def test_every_mailbox_of_every_from_is_seen() -> None:
    assert len(mail("From: a@example.org, b@example.org").from_) == 2
    assert len(mail("From: a@example.org", "From: b@example.org").from_) == 2


def test_a_blank_plain_alternative_gives_way_to_html() -> None:
    read = mail(
        "Content-Type: multipart/alternative; boundary=b",
        body=b"--b\r\nContent-Type: text/plain\r\n\r\n \xa0\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n"
        b"<p>From the <b>HTML</b></p>\r\n--b--\r\n",
    )
    assert read.text.strip() == "From the HTML"


def test_the_plain_alternative_is_preferred() -> None:
    read = mail(
        "Content-Type: multipart/alternative; boundary=b",
        body=b"--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--b--\r\n",
    )
    assert read.text.strip() == "plain"


def test_a_mail_that_holds_only_a_mail_says_what_that_says() -> None:
    read = mail(
        "Subject: Fwd",
        "Content-Type: multipart/mixed; boundary=b",
        body=b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?Inner_=C3=A9?=\r\nFrom: x@y\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nThe inner =\r\ntext\r\n--b--\r\n",
    )
    assert read.subject == "Fwd"
    assert read.text.split() == ["Inner", "é", "The", "inner", "text"]


def test_an_invitation_is_one_line() -> None:
    read = mail(
        "Content-Type: text/calendar; method=REQUEST; charset=utf-8",
        body="BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nDTSTART:19700101T000000\r\nEND:VTIMEZONE\r\n"
        "BEGIN:VEVENT\r\nSUMMARY:Réunion\\, bud\r\n get\r\nDTSTART;TZID=Europe/Brussels:20250701T100000\r\n"
        "LOCATION:Room 3\\nupstairs\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n".encode(),
    )
    assert read.text == "Réunion, budget, Tuesday 1 July 2025 10:00 Brussels time, Room 3 upstairs"


def test_a_text_attachment_before_the_body_is_not_the_body() -> None:
    read = mail(
        "Content-Type: multipart/mixed; boundary=b",
        body=b"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=log.txt\r\n\r\nlog\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nbody\r\n--b--\r\n",
    )
    assert read.text.strip() == "body"
    assert [(attachment.name, attachment.type) for attachment in read.attachments] == [("log.txt", "text/plain")]


@pytest.mark.parametrize(
    ("kind", "stand_in"),
    [
        ("image/png", "(image)"),
        ("audio/amr", "(audio)"),
        ("video/mp4", "(video)"),
        ("application/ms-tnef", "(winmail.dat)"),
        ("application/pkcs7-mime; smime-type=enveloped-data", "(encrypted)"),
        ("application/pkcs7-mime; smime-type=signed-data", "(signed)"),
        ("application/pdf", "(attachment)"),
    ],
)
def test_what_is_no_text_is_named(kind: str, stand_in: str) -> None:
    alone = mail("Subject: s", f"Content-Type: {kind}", body=b"AAAA")
    inside = mail(
        "Content-Type: multipart/mixed; boundary=b",
        body=f"--b\r\n\r\n\r\n--b\r\nContent-Type: {kind}\r\n\r\nAAAA\r\n--b--\r\n".encode(),
    )
    assert (alone.text, alone.stand_in) == ("", stand_in)
    assert (inside.text, inside.stand_in) == ("", stand_in)


def test_encrypted_mail_says_that_it_is() -> None:
    mime = mail(
        "Content-Type: multipart/encrypted; protocol=application/pgp-encrypted; boundary=b",
        body=b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--b--\r\n",
    )
    inline = mail(body=b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n")
    assert (mime.text, mime.stand_in) == ("", "(encrypted)")
    assert (inline.text, inline.stand_in) == ("", "(encrypted)")


def test_a_signed_text_is_its_text() -> None:
    read = mail(
        body=b"-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA512\r\n\r\nthe words\r\n"
        b"-----BEGIN PGP SIGNATURE-----\r\niQ\r\n-----END PGP SIGNATURE-----\r\n"
    )
    assert read.text.strip() == "the words"


def test_flowing_lines_become_paragraphs() -> None:
    flowed = mail(
        "Content-Type: text/plain; format=flowed",
        body=b"one \r\ntwo\r\n>quoted \r\n>more\r\n From here\r\n-- \r\nsig\r\n",
    )
    assert flowed.text == "one two\n> quoted more\nFrom here\n-- \nsig\n"
    deleted = mail("Content-Type: text/plain; format=flowed; delsp=yes", body="日 \r\n本\r\n".encode())
    assert deleted.text == "日本\n"


@pytest.mark.parametrize("encoding", ["base64", "BASE64 ", '"base64"', "quoted-printable", "x-unknown", "8bit", ""])
def test_a_transfer_encoding_is_undone_or_left(encoding: str) -> None:
    kind = encoding.strip(' "').lower()
    body = {"base64": b"aGVsbG8=", "quoted-printable": b"hel=6Co"}.get(kind, b"hello")
    read = mail("Content-Type: text/plain", f"Content-Transfer-Encoding: {encoding}", body=body)
    assert read.text == "hello" or '"' in encoding


def test_a_mail_without_header_is_its_text() -> None:
    assert Mail.read(b"just words\r\nand more").text == "just words\nand more"
    assert Mail.read(b"\r\n\r\nwords").text.strip() == "words"
    assert Mail.read(b"").text == ""


def test_bare_line_feeds_and_an_mbox_line_do_no_harm() -> None:
    read = Mail.read(b"From x@y Tue Jul  1 10:00:00 2025\nSubject: s\n\nwords\n")
    assert (read.subject, read.text) == ("s", "words\n")


def test_a_multipart_that_has_no_parts_is_its_text() -> None:
    assert mail("Content-Type: multipart/mixed; boundary=b", body=b"just words").text == "just words"
    assert mail("Content-Type: multipart/mixed", body=b"just words").text == "just words"


def test_invisible_characters_are_gone() -> None:
    read = mail(
        "Subject: pay\u200bpal \u202egnp",
        body="a\u200bb\u00adc \u2066x\u2069 👩\u200d👩 می\u200cخواهم\x00\x1b[31m".encode(),
    )
    assert read.subject == "paypal gnp"
    assert read.text == "abc x 👩\u200d👩 می\u200cخواهم  [31m"


@pytest.mark.parametrize(
    ("field", "automatic", "by_machine"),
    [
        ("Auto-Submitted: auto-generated", True, False),
        ("Auto-Submitted: auto-replied (rejected)", True, True),
        ("Auto-Submitted: auto-replied; owner-email=x@y", True, True),
        ("Auto-Submitted: no", False, False),
        ("Precedence: Bulk", True, False),
        ("List-Id: <l.example.org>", True, False),
        ("X-Autoreply: yes", True, True),
        ("Return-Path: <>", True, False),
        ("X-Nothing: x", False, False),
    ],
)
def test_automatic_mail_is_known(field: str, automatic: bool, by_machine: bool) -> None:
    read = mail("From: a@b.example", field)
    assert read.is_automatic is automatic
    assert read.is_reply_by_machine is by_machine


def test_a_bounce_is_known() -> None:
    assert mail("Content-Type: multipart/report; report-type=delivery-status; boundary=b", body=b"--b--").is_bounce
    assert mail("From: MAILER-DAEMON@example.org").is_bounce
    assert not mail("From: a@example.org", "Content-Type: multipart/mixed; boundary=b").is_bounce


def test_a_notification_names_its_owner() -> None:
    read = mail('Auto-Submitted: auto-notified; owner-email="me@example.org"', "Precedence: bulk")
    assert (read.auto_submitted, read.owner_email, read.precedence) == ("auto-notified", "me@example.org", "bulk")
    assert mail("Auto-Submitted: auto-generated; owner-email=me@example.org").owner_email == ""


def test_our_own_mails_are_known() -> None:
    assert mail("Tocsin-Origin: report").our_mark == "report"
    assert mail("Tocsin-Origin: report").is_automatic
