"""The mail that tells a sender what became of his message (RFC 3464), in words for people and fields for machines.

Null reverse-path, `Auto-Submitted: auto-generated` and our own mark: nothing answers it. Of the message, what is kept
can be returned: subject, Message-ID, and the text that was to be sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email import charset
from email.header import Header
from email.message import Message
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime
from enum import StrEnum

from filters.mail import OUR_MARK
from gateway.dsn import Asked
from gateway.message import Channel

#: How much of the text the words for people repeat, and of any other value, in characters.
_BEGINNING, _LONGEST = 160, 500
#: Text that any server carries and a person can read in the raw (RFC 2045 section 6.7).
_READABLE = charset.Charset("utf-8")
_READABLE.body_encoding = charset.QP


class Fate(StrEnum):
    """What is told of a recipient, as RFC 3464 section 2.3.3 calls it; the gravest first."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one delivery: `status` is that of RFC 3463, `why` one sentence, `code` the operator's own.

    `name` is what the sender wrote, where that was not the address. `until` is when a delayed one is given up.
    `came_back` says that the next server had it first.
    """

    delivery: int
    channel: Channel
    address: str
    name: str
    fate: Fate
    status: str
    why: str = ""
    code: str = ""
    until: datetime | None = None
    came_back: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """The message a report speaks of. `uncertain` are recipients of whom nobody knows whether they were reached."""

    id: int
    to: str
    created: datetime
    subject: str
    text: str
    recipients: int
    asked: Asked
    told: Sequence[Told]
    uncertain: Sequence[str] = ()

    @property
    def fate(self) -> Fate:
        """The gravest of what is told."""
        fates = {one.fate for one in self.told}
        return next(fate for fate in Fate if fate in fates)

    @property
    def title(self) -> str:
        """The subject of the report."""
        what = "SMS" if all(one.channel is Channel.SMS for one in self.told) else "message"
        return {
            Fate.FAILED: f"Your {what} could not be sent",
            Fate.DELAYED: f"Your {what} is delayed",
            Fate.RELAYED: f"Your {what} was handed to the operator",
        }[self.fate]


def compose(about: About, domain: str, sender: str, now: datetime) -> bytes:
    """The report as an SMTP payload (`gateway.transports.smtp`); `domain` is that of the special addresses."""
    report = MIMEMultipart("report", report_type="delivery-status")
    report["From"] = sender or f"MAILER-DAEMON@{domain}"
    report["To"] = about.to
    report["Subject"] = about.title
    report["Date"] = format_datetime(now)
    report["Message-ID"] = f"<report.{about.id}.{now:%Y%m%d%H%M%S}.{about.fate}@{domain}>"
    if original := _message_id(about):
        report["In-Reply-To"] = report["References"] = original
    report["Auto-Submitted"] = "auto-generated"
    report[OUR_MARK] = "report"
    report.attach(_plain("\n".join([*_for_people(about), ""])))
    report.attach(_for_machines(about, domain))
    report.attach(_returned(about))
    return b"Return-Path: <>\r\n" + report.as_bytes(policy=report.policy.clone(linesep="\r\n", max_line_length=900))


def _plain(text: str) -> MIMEText:
    return MIMEText(text.encode("utf-8", "replace").decode(), "plain", _READABLE)  # type: ignore[arg-type]


def _line(value: str) -> str:
    """A value that came in, in one line of what can be read."""
    words = " ".join(value.encode("utf-8", "replace").decode().split())[:_LONGEST]
    return "".join(one if one.isprintable() else "?" for one in words)


# For people -----------------------------------------------------------------------------------------------------------


def _for_people(about: About) -> Iterator[str]:
    when = f"{about.created:%Y-%m-%d %H:%M} UTC"
    for fate, heading, ending in (
        (
            Fate.FAILED,
            f"Your message of {when} could not be sent to:",
            "What was set aside for it has gone back to your credit.",
        ),
        (
            Fate.DELAYED,
            f"Your message of {when} has not left yet for:",
            "It goes on being tried: you need not send it again.",
        ),
        (
            Fate.RELAYED,
            f"Your message of {when} was handed to the operator for:",
            "Whether the handset got it is not told by mail.",
        ),
    ):
        some = [one for one in about.told if one.fate is fate]
        if some:
            yield from (heading, "", *map(_recipient, some), "", _came_back(some) or ending, "")
    others = about.recipients - len(about.told) - len(about.uncertain)
    if about.fate is Fate.FAILED and others > 0:
        yield from (f"The other {others} of its {about.recipients} recipients were sent it.", "")
    if about.uncertain:
        names = ", ".join(map(_line, about.uncertain))
        yield from (f"Nobody knows whether it reached {names}: the operator's answer was lost.", "")
    if about.asked.ret != "HDRS":
        yield from ("It began:", "", "  " + _line(about.text)[:_BEGINNING], "")
    yield from (f"(message {about.id})", "")
    yield "Attached is what is kept of it: " + ("its subject and its text." if _full(about) else "its subject.")


def _came_back(some: Sequence[Told]) -> str:
    """What is said of what a mail server had first; empty where there is none of that."""
    if not any(one.came_back for one in some):
        return ""
    if all(one.came_back for one in some):
        return "It had been handed over to a mail server first, and came back from there."
    return "What was set aside has gone back to your credit, but for what a mail server had first and sent back."


def _recipient(one: Told) -> str:
    why = _line(one.why)
    until = f" (until {one.until:%Y-%m-%d %H:%M} UTC)" if one.until is not None else ""
    shown = _line(one.name or one.address)
    return f"  {shown}: {why}{until}" if why or until else f"  {shown}"


# For machines ---------------------------------------------------------------------------------------------------------


def _for_machines(about: About, domain: str) -> Message:
    """The message/delivery-status of RFC 3464 section 2.1."""
    first = Message()
    first["Reporting-MTA"] = f"dns; {domain}"
    if about.asked.envid:
        first["Original-Envelope-Id"] = _header(about.asked.envid)
    first["Arrival-Date"] = format_datetime(about.created)
    blocks: list[Message | str] = [first]
    for one in about.told:
        block = Message()
        if original := about.asked.wish(one.address).orcpt:
            block["Original-Recipient"] = _header(original)
        final = one.address if one.channel is Channel.EMAIL else f"{one.address.lstrip('+')}@{domain}"
        block["Final-Recipient"] = f"rfc822; {_header(final)}"
        block["Action"] = one.fate.value
        block["Status"] = one.status
        if one.why:
            block["Diagnostic-Code"] = "x-tocsin; " + _header(f"{one.code} {one.why}".strip())
        if one.until is not None:
            block["Will-Retry-Until"] = format_datetime(one.until)
        blocks.append(block)
    status = Message()
    status["Content-Type"] = "message/delivery-status"
    status.set_payload(blocks)
    return status


def _header(value: str) -> str:
    """A value for one line of ASCII; other characters as RFC 6533 section 3 writes them in an address."""
    line = _line(value)
    return line if line.isascii() else "".join(one if one.isascii() else f"\\x{{{ord(one):X}}}" for one in line)[:900]


# What is returned -----------------------------------------------------------------------------------------------------


def _full(about: About) -> bool:
    """Whether the text goes back too: only where it failed and RET=FULL asked for it (RFC 3461 section 4.3)."""
    return about.asked.ret == "FULL" and about.fate is Fate.FAILED


def _returned(about: About) -> Message:
    subject = _line(about.subject)
    plain = subject.isascii() and "=?" not in subject
    fields = {"Subject": subject if plain else Header(subject, "utf-8").encode()}
    if message_id := _message_id(about):
        fields["Message-ID"] = message_id
    if not _full(about):
        lines = [f"{name}: {value}\n" for name, value in fields.items()]
        return MIMEText("".join(lines), "rfc822-headers", "us-ascii")
    original = _plain(about.text)
    for name, value in fields.items():
        original[name] = value
    return MIMEMessage(original)


def _message_id(about: About) -> str:
    """The mail's own Message-ID, where it can stand in a header again."""
    found = about.asked.message_id
    return found if found.isascii() and found.isprintable() and len(found) < 900 and " " not in found else ""
