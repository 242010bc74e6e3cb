"""The whole daemon and its proofs: passwords, relays, copies, verdicts, and a certificate that is renewed."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from gateway import accounts
from gateway.store import schema
from gateway.store.engine import open_engine, parse_url
from tests.peers.daemon_process import DaemonProcess, free_port, operator
from tests.peers.ledgers import Books
from tests.peers.mail_sink import MailSink

SERVE = Callable[..., DaemonProcess]
CERTIFICATE = Path(__file__).parents[1] / "daemon" / "listener" / "localhost.pem"
NUMBER = "+32475123456@sms.example.org"
PASS = "Authentication-Results: mx.example.org; dmarc=pass header.from=example.org"


def letter(*top: str, text: str = "hello", to: str = NUMBER, number: int = 1) -> str:
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=5))
    lines = [*top, "From: jean@example.org", f"To: {to}", f"Date: {date}", f"Message-ID: <{number}@example.org>"]
    return "\r\n".join([*lines, "", text, ""])


def send(
    port: int, text: str, to: str = NUMBER, *, sender: str = "jean@example.org", login: tuple[str, str] | None = None
) -> tuple[int, str]:
    """The last reply to a mail, sent after STARTTLS and a login where there is one."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        if login is not None:
            client._host = "localhost"  # type: ignore[attr-defined]
            client.starttls(context=ssl.create_default_context(cafile=str(CERTIFICATE)))
            client.login(*login)
        client.ehlo()
        client.mail(sender)
        code, words = client.rcpt(to)
        if code == 250:
            code, words = client.data(text)
    return code, words.decode()


def change(url: str, work: Callable[[Connection], None]) -> None:
    engine = open_engine(parse_url(url))
    with engine.begin() as connection:
        work(connection)
    engine.dispose()


def texts(url: str, origin: str = "mail") -> list[str]:
    """What was taken in, in its order."""
    engine = open_engine(parse_url(url))
    wanted = select(schema.message.c.text).where(schema.message.c.origin == origin).order_by(schema.message.c.id)
    with engine.begin() as connection:
        found = list(connection.execute(wanted).scalars())
    engine.dispose()
    return found


@pytest.fixture
def listen() -> dict[str, object]:
    """A daemon that trusts nobody."""
    key = CERTIFICATE.with_suffix(".key")
    return {"trusted_networks": [], "tls_certificate": str(CERTIFICATE), "tls_key": str(key)}


async def test_a_password_proves_who_sends(
    serve: SERVE, books: Books, database: str, listen: dict[str, object]
) -> None:
    change(
        database, lambda connection: accounts.change(connection, "jean", password="p: a=b+c/d", now=datetime.now(UTC))
    )
    daemon = serve([operator(free_port())], **listen)
    await daemon.start()
    with pytest.raises(smtplib.SMTPAuthenticationError, match="wrong"):
        await asyncio.to_thread(send, daemon.smtp, letter(), login=("jean", "guess"))
    code, words = await asyncio.to_thread(send, daemon.smtp, letter(), login=("jean", "p: a=b+c/d"))
    assert (code, words[:16]) == (250, "2.0.0 queued as ")
    code, words = await asyncio.to_thread(send, daemon.smtp, letter(number=2))
    assert (code, words[:5]) == (550, "5.7.1")
    login = ("jean@example.org", "p: a=b+c/d")
    code, words = await asyncio.to_thread(send, daemon.smtp, letter(), sender="marie@example.org", login=login)
    assert (code, words[:5]) == (550, "5.7.1")
    assert texts(database) == ["hello"]
    assert await daemon.stop() == 0
    assert "p: a" not in daemon.said()


async def test_a_copy_of_a_relayed_mail_is_refused_whatever_happens_between(
    serve: SERVE, books: Books, database: str, listen: dict[str, object]
) -> None:
    daemon = serve([operator(free_port())], **listen, relays=["127.0.0.1"], authserv_id="mx.example.org")
    await daemon.start()
    code, first = await asyncio.to_thread(send, daemon.smtp, letter(PASS))
    assert code == 250
    await daemon.kill()
    await daemon.start()
    assert await asyncio.to_thread(send, daemon.smtp, letter(PASS)) == (250, first), "the relay asks again"
    code, words = await asyncio.to_thread(send, daemon.smtp, letter(PASS, text="other words"))
    assert (code, words) == (550, "5.7.1 this mail came before, with other words: a copy of it is not sent")
    code, words = await asyncio.to_thread(send, daemon.smtp, letter(number=2))
    assert "has no Authentication-Results of mx.example.org" in words
    assert texts(database) == ["hello"]
    assert await daemon.stop() == 0


async def test_a_verdict_comes_by_mail(serve: SERVE, books: Books, database: str, listen: dict[str, object]) -> None:
    async with MailSink() as sink:
        post = {"name": "post", "channels": ["email"], "transport": "smtp", "host": "127.0.0.1", "port": sink.port}
        routes = [operator(free_port()), {**post, "sender": "tocsin@example.org"}]
        daemon = serve(routes, **listen, relays=["127.0.0.1"], authserv_id="mx.example.org")
        await daemon.start()
        asked = letter(PASS, to="verdict@sms.example.org")
        code, words = await asyncio.to_thread(send, daemon.smtp, asked, "verdict@sms.example.org")
        assert (code, words[:16]) == (250, "2.0.0 queued as ")
        [mail] = await sink.wait(1)
        assert (mail.sender, mail.recipients) == ("", ("jean@example.org",))
        assert "which speaks for example.org" in mail.message.get_content()
        assert await daemon.stop() == 0
    [told] = texts(database, "verdict")
    assert "So it is taken as a mail of the account jean, which pays for it." in told


async def test_a_certificate_that_cannot_be_used_changes_nothing(
    serve: SERVE, books: Books, listen: dict[str, object], tmp_path: Path
) -> None:
    daemon = serve([operator(free_port())], **listen)
    await daemon.start()
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    daemon.config["listen"]["tls_certificate"] = str(broken)
    await daemon.reload()
    assert "holds no certificate in PEM form" in daemon.said()
    with smtplib.SMTP("127.0.0.1", daemon.smtp, timeout=30) as client:
        client._host = "localhost"  # type: ignore[attr-defined]
        client.starttls(context=ssl.create_default_context(cafile=str(CERTIFICATE)))
    assert await daemon.stop() == 0


async def test_it_does_not_begin_with_a_certificate_that_cannot_be_used(
    serve: SERVE, books: Books, listen: dict[str, object], tmp_path: Path
) -> None:
    daemon = serve([operator(free_port())], **{**listen, "tls_key": str(CERTIFICATE)})
    with pytest.raises(AssertionError, match=r"listen\.tls_key: .* holds no private key"):
        await daemon.start()
