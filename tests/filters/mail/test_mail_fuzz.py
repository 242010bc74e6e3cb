"""No octets make reading a mail fail, and no line break or control character comes through."""

from __future__ import annotations

import unicodedata
from email.message import EmailMessage

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters import charsets, markup
from filters.excerpt import excerpt
from filters.mail import Mail

FEW = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: What mails are made of, so that rubbish gets deep into the code.
HEADERS = [
    b"From: ",
    b"To: ",
    b"Subject: ",
    b"Date: ",
    b"Message-ID: ",
    b"Received: ",
    b"Auto-Submitted: ",
    b"Content-ID: ",
]
HEADERS += [b"Content-Type: ", b"Content-Disposition: ", b"Content-Transfer-Encoding: ", b"MIME-Version: 1.0"]
MARKS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"--b",
    b"--b--",
    b"--",
    b";",
    b'"',
    b"=",
    b":",
    b",",
    b"<",
    b">",
    b"@",
]
KINDS = [
    b"text/plain",
    b"text/html",
    b"multipart/mixed; boundary=b",
    b"multipart/alternative; boundary=b",
    b"text/calendar",
]
KINDS += [
    b"message/rfc822",
    b"multipart/report; boundary=b",
    b"message/delivery-status",
    b"attachment; filename=",
    b"inline",
]
ENCODINGS = [
    b"; charset=",
    b"utf-8",
    b"utf-16",
    b"iso-2022-jp",
    b"punycode",
    b"idna",
    b"base64",
    b"quoted-printable",
    b"uuencode",
]
ENCODINGS += [
    b"; format=flowed; delsp=yes",
    b"=?utf-8?q?",
    b"=?utf-16?b?",
    b"?=",
    b"=C3",
    b"=0A",
    b"filename*0*=utf-8''x",
    b"\0",
]
BODIES = [
    b"<p>",
    b"</p>",
    b"<!--",
    b"<script>",
    b"<a href='",
    b"<blockquote>",
    b"&#",
    b"&nbsp;",
    b"<img alt=",
    b"> ",
    b"-- ",
]
BODIES += [b"On 1 July 2025, x wrote:", b"-----Original Message-----", b"BEGIN:VEVENT", b"SUMMARY:", b"DTSTART:"]
PIECES = st.sampled_from(HEADERS + MARKS + KINDS + ENCODINGS + BODIES)
RUBBISH = st.lists(PIECES | st.binary(max_size=8), max_size=60).map(b"".join)


def check(octets: bytes) -> None:
    read = Mail.read(octets)
    made = excerpt(read)
    lines = [read.subject, read.message_id, made.sender, made.subject, made.stand_in, read.owner_email]
    lines += [text for pair in (*read.from_, *read.sender, *read.to, *read.cc, *read.reply_to) for text in pair]
    lines += [value for field in read.fields for value in read.header(field.name)]
    lines += [attachment.name for attachment in read.attachments]
    for line in lines:
        assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in line)
    for text in (read.text, made.text):
        assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in text if one != "\n")
    assert isinstance(read.is_automatic, bool)
    assert isinstance(read.is_bounce, bool)
    assert read.header("subject")[:1] in ([], [read.subject])


@FEW
@given(RUBBISH)
def test_rubbish_made_of_mail_is_read(octets: bytes) -> None:
    check(octets)


@FEW
@given(st.binary(max_size=300))
def test_any_octets_are_read(octets: bytes) -> None:
    check(octets)


@FEW
@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Zs", "Cf", "Cn", "M"]), min_size=1, max_size=40)
)
def test_a_plain_body_is_read_back_as_written(text: str) -> None:
    part = EmailMessage()
    part.set_content(text, cte="base64")
    assert Mail.read(part.as_bytes()).text.rstrip("\n") == text


@FEW
@given(
    st.binary(max_size=60),
    st.sampled_from(["", "utf-8", "utf-16", "utf-7", "iso-2022-jp", "hz", "cp1252", "gb18030", "x"]),
)
def test_any_octets_decode_in_any_charset(octets: bytes, label: str) -> None:
    text = charsets.decode(octets, label)
    text.encode("utf-8")
    assert len(charsets.one_line(text).splitlines()) <= 1


@FEW
@given(
    st.lists(
        st.sampled_from(
            ["<", ">", "</", "p", "div", "script", " style='display:none'", '"', "&", "a", " ", "\n", "-->"]
        )
    )
)
def test_any_markup_is_reduced(pieces: list[str]) -> None:
    markup.read("".join(pieces)).text.encode()
