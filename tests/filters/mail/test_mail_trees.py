"""Trees of parts, as programs make them and as none ever would: all are read, and what is read is harmless."""

from __future__ import annotations

import base64
import quopri
from email import message_from_bytes
from email.message import EmailMessage

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.excerpt import excerpt
from filters.mail import Mail

FEWER = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Mn", "Me", "Mc", "Co", "Cn"]), max_size=60
)
NASTY = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["=?utf-8?Q?a=0D=0ABcc:_x@y?=", "=?utf-8?B?w6k", "a@[", "<", '"', "x" * 3000, "\u2028b", "=?x?q?=0A?="]
    ),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """The octets of a part that is no container, header and all; often damaged."""
    kind = draw(
        st.sampled_from(
            [
                "text/plain",
                "text/html",
                "text/calendar",
                "image/png",
                "message/rfc822",
                "text/enriched",
                "message/delivery-status",
                "application/pgp-encrypted",
                "",
                "x",
                "text/plain; format=flowed",
            ]
        )
    )
    charset = draw(
        st.sampled_from(["utf-8", "iso-8859-1", "us-ascii", "utf-7", "iso-2022-jp", "x-none", "zlib_codec", "", "\0"])
    )
    encoding = draw(st.sampled_from(["", "base64", "quoted-printable", "8bit", "x-uuencode", "none"]))
    octets = draw(st.one_of(WORDS.map(str.encode), st.binary(max_size=200)))
    if encoding == "base64":
        octets = base64.encodebytes(octets)
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(octets)
    name = draw(
        st.sampled_from(["", '; filename="a\r\n b.txt"', "; filename*=utf-8''%0d%0ab", "; filename=" + "y" * 500])
    )
    disposition = draw(st.sampled_from(["", "attachment", "inline", "\udcff"]))
    header = f"Content-Type: {kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    if disposition:
        header += f"Content-Disposition: {disposition}{name}\r\n"
    return header.encode("utf-8", "surrogateescape") + b"\r\n" + octets + b"\r\n"


@st.composite
def containers(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    """Parts in a container: their boundary may be another's, may not end, may not begin."""
    boundary = draw(st.sampled_from([b"b", b"bb", b"-", b"b ", b"=_x", b'"', b"a" * 80]))
    kind = draw(
        st.sampled_from([b"mixed", b"alternative", b"related", b"signed", b"encrypted", b"report", b"digest", b"x"])
    )
    parts = draw(st.lists(children, max_size=4))
    opened = b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return opened + body + draw(st.sampled_from([b"--" + boundary + b"--\r\n", b"", b"--" + boundary]))


TREES = st.recursive(bodies(), containers, max_leaves=12)


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    """A mail with a header of any kind above a tree."""
    names = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Sender", "Auto-Submitted", "X-Any"]
    fields = draw(st.lists(st.tuples(st.sampled_from(names), st.one_of(WORDS, NASTY)), max_size=8))
    header = "".join(f"{name}: {value}\r\n" for name, value in fields)
    octets = header.encode("utf-8", "surrogatepass") + draw(TREES)
    return octets[: draw(st.integers(0, len(octets)))] if draw(st.booleans()) else octets


def assert_harmless(mail: Mail) -> None:
    """No line break where there is one line, nothing that is no character, nowhere a control character."""
    said = excerpt(mail)
    lines = [mail.subject, mail.message_id, mail.stand_in, mail.invitation, said.sender, said.subject, mail.type]
    lines += [
        word for pairs in (mail.from_, mail.to, mail.cc, mail.reply_to, mail.sender) for pair in pairs for word in pair
    ]
    lines += [word for one in mail.attachments for word in (one.name, one.type)]
    lines += [value for field in mail.fields for value in mail.header(field.name)]
    for line in lines:
        assert len(line.splitlines()) <= 1
        assert line.isprintable() or all(mark.isprintable() or mark in "\u3000" or ord(mark) > 127 for mark in line)
        line.encode()
    for text in (mail.text, mail.written, mail.note, mail.report, said.text):
        assert not any(ord(mark) < 32 and mark != "\n" for mark in text)
        assert text.split("\n") == text.splitlines() or text.endswith("\n") or not text
        text.encode()


@FEWER
@given(mails())
def test_any_tree_is_read(octets: bytes) -> None:
    mail = Mail.read(octets)
    assert mail.size == len(octets)
    assert_harmless(mail)


@FEWER
@given(mails())
def test_the_same_octets_give_the_same_view(octets: bytes) -> None:
    assert Mail.read(octets) == Mail.read(bytes(octets))


@FEWER
@given(WORDS.filter(str.strip), WORDS.filter(str.strip), st.sampled_from(["utf-8", "utf-7"]), st.booleans())
def test_what_the_standard_library_writes_is_read_as_meant(subject: str, text: str, charset: str, twice: bool) -> None:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "Ann <ann@x.y>"
    message.set_content(text, charset=charset, cte="base64")
    if twice:
        message.add_alternative(f"<p>{text}</p>", subtype="html")
    mail = Mail.read(message.as_bytes())
    assert mail.subject == " ".join(subject.split())
    assert " ".join(mail.text.split()) == " ".join(text.split())
    assert mail.from_ == (("Ann", "ann@x.y"),)


@FEWER
@given(st.lists(st.tuples(st.booleans(), WORDS), min_size=1, max_size=5))
def test_the_parts_of_the_thin_copy_are_those_of_the_mail(leaves: list[tuple[bool, str]]) -> None:
    """The guard and the standard library agree on where parts of a sound mail begin and end."""
    message = EmailMessage()
    message.set_content(leaves[0][1])
    for attached, text in leaves[1:]:
        if attached:
            message.add_attachment(text, filename="a.txt")
        else:
            message.add_attachment(text, disposition="inline")
    octets = message.as_bytes()
    expected = [part.get_payload(decode=True) for part in message_from_bytes(octets).walk() if not part.is_multipart()]
    texts = [text for (attached, text) in leaves if not attached or (attached, text) == leaves[0]]
    mail = Mail.read(octets)
    assert len(mail.attachments) == sum(attached for attached, _ in leaves[1:])
    assert len(expected) == len(leaves)
    for text in texts:
        assert " ".join(text.split()) in " ".join(mail.text.split())
