"""AUTH over real sockets: after STARTTLS only, and then for the addresses of the account alone."""

from __future__ import annotations

import asyncio
import base64
import smtplib
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from daemon.peers import Networks
from tests.daemon.listener.conftest import HERE, MAIL, House, Wire

if TYPE_CHECKING:
    from tests.daemon.listener.conftest import Connect, Start

NOBODY = Networks()
TO = "+32475123456@sms.example.org"


def encoded(*parts: str) -> str:
    return base64.b64encode("\0".join(parts).encode()).decode()


RIGHT, WRONG = encoded("", "jean", "right"), encoded("", "jean", "wrong")


def trust_the_certificate() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(HERE / "localhost.pem"))


@pytest.fixture
async def wire(start: Start, connect: Connect) -> Wire:
    """A client that nobody trusts, after STARTTLS and EHLO."""
    wire = await connect(await start(tls=True, trusted_networks=NOBODY))
    await wire.reply()
    await wire.say("EHLO c")
    await wire.say("STARTTLS")
    await wire.writer.start_tls(trust_the_certificate(), server_hostname="localhost")
    assert "AUTH PLAIN LOGIN" in await wire.say("EHLO c")
    return wire


async def submit(wire: Wire, sender: str) -> str:
    """The last reply to a mail of this sender."""
    replies = [await wire.say(f"MAIL FROM:<{sender}>"), await wire.say(f"RCPT TO:<{TO}>")]
    if not replies[-1].startswith("250"):
        return replies[-1]
    await wire.say("DATA")
    return await wire.say(MAIL + ".")


# Who may -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["jean", "jean@example.org"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_who_has_logged_in_pays(start: Start, house: House, user: str, mechanism: str) -> None:
    bound = await start(tls=True, trusted_networks=NOBODY)

    def session() -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", int(bound.rpartition(":")[2]), timeout=10) as client:
            client._host = "localhost"  # type: ignore[attr-defined]
            client.starttls(context=trust_the_certificate())
            client.ehlo()
            client.user, client.password = user, "right"  # type: ignore[attr-defined]
            how: Callable[..., str] = getattr(client, f"auth_{mechanism.lower()}")
            client.auth(mechanism, how)
            client.mail("jean@example.org")
            client.rcpt(TO)
            return client.data(MAIL)

    code, words = await asyncio.to_thread(session)
    assert (code, words[:16]) == (250, b"2.0.0 queued as ")
    assert house.taken[0].sender.name == "jean"


@pytest.mark.parametrize("sender", ["anna@example.org", "stranger@example.net"])
async def test_only_an_address_of_the_account_may_be_the_sender(wire: Wire, house: House, sender: str) -> None:
    assert await wire.say(f"AUTH PLAIN {RIGHT}") == "235 2.7.0 Welcome"
    reply = await submit(wire, sender)
    assert reply.startswith(f"550 5.7.1 {sender} is no address of the account that has logged in")
    assert house.taken == []
    await wire.say("RSET")
    assert (await submit(wire, "jean@example.org")).startswith("250 2.0.0 queued as ")


async def test_who_has_logged_in_sends_only_as_himself_from_a_trusted_network_too(
    start: Start, connect: Connect, house: House
) -> None:
    wire = await connect(await start(tls=True))
    await wire.reply()
    await wire.say("EHLO c")
    await wire.say("STARTTLS")
    await wire.writer.start_tls(trust_the_certificate(), server_hostname="localhost")
    await wire.say("EHLO c")
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("235")
    assert "is no address of the account" in await submit(wire, "anna@example.org")
    assert house.taken == []


async def test_without_logging_in_nothing_is_taken(wire: Wire, house: House) -> None:
    assert "Nothing proves" in await submit(wire, "jean@example.org")
    assert house.taken == []


# When ----------------------------------------------------------------------------------------------------------------


async def test_a_password_is_not_taken_in_the_clear(start: Start, connect: Connect, house: House) -> None:
    wire = await connect(await start(tls=True))
    await wire.reply()
    assert "AUTH" not in await wire.say("EHLO c")
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("538 5.7.11")
    assert (await wire.say("AUTH LOGIN")).startswith("538 5.7.11")


async def test_without_a_certificate_there_is_no_auth(start: Start, connect: Connect) -> None:
    wire = await connect(await start())
    await wire.reply()
    assert "AUTH" not in await wire.say("EHLO c")
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("502 5.5.1")


async def test_auth_comes_once_and_before_mail(wire: Wire) -> None:
    await wire.say("MAIL FROM:<jean@example.org>")
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("503")
    await wire.say("RSET")
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("235")
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("503")
    assert "AUTH" not in await wire.say("EHLO c")


async def test_a_greeting_comes_first(start: Start, connect: Connect) -> None:
    wire = await connect(await start(tls=True))
    await wire.reply()
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("503")


async def test_the_parameter_auth_of_mail_is_taken_and_proves_nothing(wire: Wire) -> None:
    assert (await wire.say("MAIL FROM:<jean@example.org> AUTH=<>")).startswith("250")
    await wire.say("RSET")
    assert (await wire.say("MAIL FROM:<jean@example.org> AUTH=jean+40example.org")).startswith("250")
    assert "Nothing proves" in await wire.say(f"RCPT TO:<{TO}>")


# How -----------------------------------------------------------------------------------------------------------------


async def test_plain_may_come_in_a_line_of_its_own(wire: Wire) -> None:
    assert await wire.say("AUTH plain") == "334 "
    assert (await wire.say(RIGHT)).startswith("235")


async def test_login_asks_for_both(wire: Wire) -> None:
    assert await wire.say("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert await wire.say(encoded("jean")) == "334 UGFzc3dvcmQ6"
    assert (await wire.say(encoded("right"))).startswith("235")


async def test_login_may_begin_with_the_user(wire: Wire) -> None:
    assert await wire.say(f"AUTH LOGIN {encoded('jean')}") == "334 UGFzc3dvcmQ6"
    assert (await wire.say(encoded("right"))).startswith("235")


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        (["AUTH"], "501 5.5.4"),
        (["AUTH CRAM-MD5"], "504 5.5.4"),
        (["AUTH PLAIN !"], "501 5.5.2"),
        (["AUTH PLAIN =", ""], "501 5.5.2"),
        (["AUTH PLAIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", encoded("jean"), "*"], "501 5.7.0"),
        ([f"AUTH PLAIN {encoded('anna', 'jean', 'right')}"], "535 5.7.8"),
        ([f"AUTH PLAIN {WRONG}"], "535 5.7.8"),
        ([f"AUTH PLAIN {encoded('', 'nobody', 'right')}"], "535 5.7.8"),
        (["AUTH PLAIN", "A" * 13_000], "501 5.5.2"),
        (["AUTH PLAIN " + "A" * 13_000], "500 5.5.2"),
    ],
)
async def test_what_goes_wrong_is_said_and_another_try_is_open(wire: Wire, commands: list[str], reply: str) -> None:
    for command in commands[: 1 if commands[-1] == "" else None]:
        answer = await wire.say(command)
    assert answer.startswith(reply)
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("235")


async def test_a_line_without_end_ends_the_connection(wire: Wire) -> None:
    await wire.say("AUTH PLAIN")
    wire.write(b"A" * 200_000)
    assert (await wire.reply()).startswith("421 4.7.0 That line is too long")
    assert await wire.ended()


async def test_who_guesses_is_sent_away(wire: Wire) -> None:
    for _ in range(3):
        assert (await wire.say(f"AUTH PLAIN {WRONG}")).startswith("535 5.7.8")
    assert (await wire.say(f"AUTH PLAIN {WRONG}")).startswith("535 5.7.8")
    assert (await wire.reply()).startswith("421 4.7.0 Too many logins failed")
    assert await wire.ended()


async def test_a_store_that_is_gone_is_no_wrong_password(
    wire: Wire, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.failure = OSError("secret detail of the database")
    assert await wire.say(f"AUTH PLAIN {RIGHT}") == (
        "454 4.7.0 Nobody can log in at the moment, please try again later"
    )
    house.failure = None
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("235")
    assert "login_impossible" in [getattr(record, "action", "") for record in caplog.records]


async def test_no_password_is_logged(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await wire.say(f"AUTH PLAIN {WRONG}")
    await wire.say("AUTH LOGIN")
    await wire.say(encoded("jean"))
    await wire.say(encoded("wrong"))
    told = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "login_failed" in told
    for secret in ("wrong", WRONG, encoded("wrong")):
        assert secret not in told.replace("User name or password is wrong", "")


async def test_lmtp_has_it_too(start: Start, connect: Connect) -> None:
    wire = await connect(await start("lmtp", tls=True, trusted_networks=NOBODY))
    await wire.reply()
    await wire.say("LHLO c")
    await wire.say("STARTTLS")
    await wire.writer.start_tls(trust_the_certificate(), server_hostname="localhost")
    assert "AUTH PLAIN LOGIN" in await wire.say("LHLO c")
    assert (await wire.say(f"AUTH PLAIN {RIGHT}")).startswith("235")
    assert (await submit(wire, "jean@example.org")).startswith("250 2.0.0 queued as ")
