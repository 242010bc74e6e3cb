"""One mail over an open SMTP connection (RFC 5321): what is said, and what the answers mean.

A segment's payload is a whole message (RFC 5322) whose first line is `Return-Path:` with the envelope sender in angle
brackets, empty for reports; that line is taken off before it is sent (RFC 5321 section 4.4 reserves it to the end of
the way). A 4yz reply is transient, a 5yz permanent (section 4.2.1). Once the final dot is written and no answer comes,
the outcome is unknown.

Where the server offers DSN (RFC 3461), it is asked to report failures and delays under the mail's mark as ENVID; where
what it reports comes back to us, also success.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiosmtplib
from aiosmtplib.errors import SMTPException, SMTPResponseException
from aiosmtplib.response import SMTPResponse

from gateway.message import Claimed
from gateway.transports.base import Outcome, Result

#: Seconds that the final dot may take to be answered (RFC 5321 section 4.5.3.2.6).
_DIGEST = 600.0
#: Mails up to this many octets go in one write; of larger ones the final dot waits until all else has left.
_ONE_WRITE = 32 * 1024
_RETURN_PATH = b"Return-Path: <"
#: What aiosmtplib would read an address out of, rather than refuse it.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f<>]")
_MESSAGE_ID = re.compile(rb"(?im)^Message-ID:[ ]*<([!-;=?-~]{1,90}?)(@[^>\r\n]*)?>\r$")
_LINES = re.compile(rb"\r\n|\n|\r")
_QUEUED = re.compile(r"queued (?:mail for delivery )?as ([0-9A-Za-z._-]{3,64})\b", re.IGNORECASE)
#: The operator's business with his server, not the mail's: it wants a login, or TLS (RFC 4954 section 6).
_OPERATORS = frozenset({530, 534, 535, 538})
#: The server closes this connection (RFC 5321 section 3.8).
_CLOSING = 421


class BrokenPayloadError(ValueError):
    """A defect of ours: a segment of this route does not begin with its Return-Path line."""


class NotTakenError(Exception):
    """The connection is of no more use, and the mail was certainly not taken: its final dot was never written."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.code = code


def envelope_sender(payload: bytes) -> tuple[str, bytes]:
    """The envelope sender and the message proper of a payload."""
    line, _, message = payload.partition(b"\r\n")
    if not line.startswith(_RETURN_PATH) or not line.endswith(b">"):
        raise BrokenPayloadError("the payload does not begin with its Return-Path line")
    return line[len(_RETURN_PATH) : -1].decode("utf-8"), message


def envelope_id(message: bytes) -> str:
    """What the mail is known by: the left side of its Message-ID; empty where that cannot be an ENVID."""
    found = _MESSAGE_ID.search(message[: message.find(b"\r\n\r\n") + 2])
    return found[1].decode("ascii") if found is not None else ""


def xtext(value: str) -> str:
    """ASCII for a parameter of DSN (RFC 3461 section 4)."""
    return "".join(one if "!" <= one <= "~" and one not in "+=" else f"+{ord(one):02X}" for one in value)


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What MAIL and RCPT say."""

    sender: str
    to: str
    encoding: str
    mail: tuple[str, ...]
    rcpt: tuple[str, ...]


def _envelope(connection: aiosmtplib.SMTP, sender: str, to: str, message: bytes, *, success: bool) -> _Envelope:
    """`ValueError` where the addresses cannot be written."""
    if _UNWRITABLE.search(sender + to):
        raise ValueError("a control character or an angle bracket in an address")
    mail, rcpt = [], []
    encoding = "ascii"
    utf8 = not (sender + to).isascii()
    if utf8 and not connection.supports_extension("smtputf8"):
        sender, to = _in_ascii(sender), _in_ascii(to)
    elif utf8:
        mail.append("SMTPUTF8")
        encoding = "utf-8"
    if connection.supports_extension("size"):
        mail.append(f"SIZE={len(message)}")
    if connection.supports_extension("8bitmime"):
        mail.append("BODY=8BITMIME")
    if sender and connection.supports_extension("dsn"):
        mark = envelope_id(message)
        mail += ["RET=HDRS", *([f"ENVID={xtext(mark)}"] if mark else [])]
        rcpt.append("NOTIFY=SUCCESS,FAILURE,DELAY" if success and mark else "NOTIFY=FAILURE,DELAY")
        if to.isascii():
            rcpt.append(f"ORCPT=rfc822;{xtext(to)}")
    return _Envelope(sender, to, encoding, tuple(mail), tuple(rcpt))


def _in_ascii(address: str) -> str:
    """The same mailbox for a server without SMTPUTF8: its domain by RFC 3490; ValueError for its local part."""
    local, at, domain = address.rpartition("@")
    if not local.isascii():
        raise ValueError(f"the mail server takes no address with characters outside ASCII before the @: {address}")
    return local + at + domain.encode("idna").decode("ascii") if not domain.isascii() else address


async def carry(connection: aiosmtplib.SMTP, segment: Claimed, *, success: bool = False) -> Outcome:
    """Hand over one mail. `success` asks for reports of success, too.

    `NotTakenError` where the connection failed before the final dot; `SMTPException` where the server will not serve
    us at all. Whatever else a peer does is an outcome; the connection is closed where it cannot be used again.
    """
    written = datetime.now(UTC)
    begun = False
    try:
        sender, message = envelope_sender(segment.payload)
        if (refusal := _too_large(connection, segment, message)) is not None:
            return refusal
        envelope = _envelope(connection, sender, segment.to, message, success=success)
        await connection.mail(envelope.sender, options=envelope.mail, encoding=envelope.encoding)
        begun = True
        await connection.rcpt(envelope.to, options=envelope.rcpt, encoding=envelope.encoding)
        answer = await _data(connection, message)
    except BrokenPayloadError as error:
        return Outcome(segment.id, Result.PERMANENT, text="a defect: the mail was not made right", detail=str(error))
    except SMTPResponseException as error:
        if not begun and error.code in _OPERATORS:
            raise
        return await _refused(connection, segment, SMTPResponse(error.code, str(error.message)), written)
    except ValueError as error:
        if begun:
            await _reset(connection)
        text = f"{segment.to!r} cannot be written in a mail: {error}"
        return Outcome(segment.id, Result.PERMANENT, code="5.6.7", text=text, detail=str(error))
    except (SMTPException, OSError) as error:
        connection.close()
        raise NotTakenError(f"the connection was lost before the mail was complete: {error}") from error
    return await _ended(connection, segment, answer, written)


def _too_large(connection: aiosmtplib.SMTP, segment: Claimed, message: bytes) -> Outcome | None:
    """The refusal of a mail that the server says it will not take (RFC 1870)."""
    limit = connection.esmtp_extensions.get("size", "").strip()
    if not limit.isdecimal() or not 0 < int(limit) < len(message):
        return None
    text = f"the mail has {len(message)} octets, and the mail server takes at most {limit}"
    return Outcome(segment.id, Result.PERMANENT, code="5.3.4", text=text, detail=text)


async def _data(connection: aiosmtplib.SMTP, message: bytes) -> SMTPResponse | Exception:
    """The answer to the final dot, or how it was lost; errors are raised only while that was not written."""
    started = await connection.execute_command(b"DATA")
    if started.code != 354:
        raise SMTPResponseException(started.code, started.message)
    protocol = connection.protocol
    if protocol is None:
        raise ConnectionResetError("the connection was lost")
    octets = _lines(message)
    # From here on the server may say something at any time.
    answer = asyncio.ensure_future(protocol.read_response(timeout=_DIGEST))
    try:
        await asyncio.sleep(0)
        if len(octets) > _ONE_WRITE:
            protocol.write(octets)
            await _written(protocol._drain_helper, answer)
            octets = b""
        if answer.done():  # it did not wait for the end: to go on would be to talk past each other
            connection.close()
            early = answer.result()
            raise SMTPResponseException(early.code, early.message)
        protocol.write(octets + b".\r\n")
        try:
            return await answer
        except (SMTPException, OSError) as error:
            return error
    finally:
        if not answer.cancel() and not answer.cancelled():
            answer.exception()  # seen, whoever waited for it


def _lines(message: bytes) -> bytes:
    """The message in lines that end with CRLF, each dot that begins one doubled (RFC 5321 section 4.5.2)."""
    ends = message.count(b"\r\n")
    if not ends == message.count(b"\n") == message.count(b"\r"):
        message = _LINES.sub(b"\r\n", message)
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


async def _written(drain: Callable[[], Coroutine[None, None, None]], answer: asyncio.Future[Any]) -> None:
    """Wait until what was written has left, or the server says something meanwhile."""
    left: asyncio.Future[Any] = asyncio.ensure_future(drain())
    try:
        async with asyncio.timeout(_DIGEST):
            await asyncio.wait([left, answer], return_when=asyncio.FIRST_COMPLETED)
        if left.done():
            left.result()
    finally:
        left.cancel()


async def _ended(
    connection: aiosmtplib.SMTP, segment: Claimed, answer: SMTPResponse | Exception, written: datetime
) -> Outcome:
    """What the answer to the final dot makes of a mail."""
    if isinstance(answer, SMTPResponse) and 200 <= answer.code < 300:
        told = _one_line(answer.message)
        queued = _QUEUED.search(told)
        return Outcome(
            segment.id,
            Result.ACCEPTED,
            code=str(answer.code),
            detail=told,
            peer_id=queued[1] if queued is not None else "",
            written=written,
            answered=datetime.now(UTC),
        )
    if isinstance(answer, SMTPResponse) and 400 <= answer.code < 600:
        return await _refused(connection, segment, answer, written, ended=True)
    connection.close()
    said = f"it answered {answer.code} {_one_line(answer.message)}" if isinstance(answer, SMTPResponse) else str(answer)
    detail = f"the connection was lost after DATA: {said}"
    return Outcome(segment.id, Result.UNKNOWN, detail=detail, written=written)


async def _refused(
    connection: aiosmtplib.SMTP, segment: Claimed, answer: SMTPResponse, written: datetime, *, ended: bool = False
) -> Outcome:
    """The outcome of a refusal, with the connection ready for the next mail or closed."""
    told = _one_line(answer.message)
    if not 400 <= answer.code < 600 or answer.code == _CLOSING:
        connection.close()
        if not ended:
            raise NotTakenError(f"the mail server said {answer.code} {told}", str(answer.code))
    elif not ended:
        await _reset(connection)
    return Outcome(
        segment.id,
        Result.PERMANENT if 500 <= answer.code < 600 else Result.TRANSIENT,
        code=str(answer.code),
        text=f"the mail server of the recipient said {answer.code} {told}",
        detail=f"{answer.code} {told}",
        written=written,
        answered=datetime.now(UTC),
    )


async def _reset(connection: aiosmtplib.SMTP) -> None:
    """End the transaction (RFC 5321 section 4.1.1.5); a connection on which that fails is of no more use."""
    try:
        await connection.rset()
    except (SMTPException, OSError):
        connection.close()


def _one_line(told: str) -> str:
    return " ".join(told.encode("utf-8", "replace").decode().split())[:1000]


async def part(connection: aiosmtplib.SMTP | None) -> None:
    """Say goodbye."""
    if connection is not None and connection.is_connected:
        try:
            with contextlib.suppress(SMTPException, OSError):
                await connection.quit()
        finally:
            connection.close()
