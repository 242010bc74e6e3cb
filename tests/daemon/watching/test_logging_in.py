"""What a refused login means, how OAuth logs in, and what a session refuses."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from daemon.watching.oauth import Credentials, Tokens
from daemon.watching.session import AwayError, RefusedLoginError, Settings, UnwatchableError, connect, judged
from gateway.mailboxes import Login
from tests.daemon.watching.scripted import Scripted, Talk
from tests.daemon.watching.test_oauth import TokenServer
from tests.peers.dovecot_imap import PASSWORD, DovecotImap


@pytest.fixture
def server() -> Iterator[TokenServer]:
    one = TokenServer()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()
    thread.join()


@pytest.mark.parametrize(
    "said",
    [
        "[AUTHENTICATIONFAILED] Authentication failed.",
        "[AUTHORIZATIONFAILED] no",
        "[EXPIRED] your password has expired",
        "Login incorrect",
        "[ALERT] Invalid credentials (Failure)",
    ],
)
def test_refused(said: str) -> None:
    assert isinstance(judged(said), RefusedLoginError)


@pytest.mark.parametrize(
    "said",
    [
        "[UNAVAILABLE] Temporary authentication failure.",
        "[LIMIT] too much",
        "[INUSE] locked",
        "[ALERT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        "[ALERT] Too many simultaneous connections. (Failure)",
        "Server busy, try again later",
    ],
)
def test_only_busy(said: str) -> None:
    assert isinstance(judged(said), AwayError)


def oauth_login(server: TokenServer, port: int, auth: str) -> Login:
    secret = {"token_url": server.url, "client_id": "client", "refresh_token": "refresh-1"}
    return Login("127.0.0.1", port, "none", auth, "jean@example.org", json.dumps(secret).encode())


def authenticating(good: str, seen: list[bytes]) -> Callable[[Talk, bytes, bytes], bool]:
    """A server that takes one access token."""

    def authenticate(talk: Talk, name: bytes, arguments: bytes) -> bool:
        talk.say(b"+ \r\n")
        answer = base64.b64decode(talk.file.readline())
        seen.append(answer)
        if f"Bearer {good}\1".encode() in answer:
            return talk.ok(b"in")
        talk.say(b"+ " + base64.b64encode(b'{"status":"400"}') + b"\r\n")
        talk.file.readline()
        talk.say(talk.tag + b" NO [AUTHENTICATIONFAILED] bad token\r\n")
        return True

    return authenticate


@pytest.mark.parametrize("auth", ["xoauth2", "oauthbearer"])
def test_a_refused_access_token_is_got_anew_once(server: TokenServer, settings: Settings, auth: str) -> None:
    seen: list[bytes] = []
    one = Scripted(authenticate=authenticating("good", seen))
    kept: list[bytes] = []
    try:
        login = oauth_login(server, one.port, auth)
        number = hash(auth) % 10000
        server.answer = json.dumps({"access_token": "stale", "expires_in": 3600}).encode()
        settings.tokens.get(number, Credentials.read(login.secret))
        server.answer = json.dumps({"access_token": "good", "refresh_token": "refresh-2"}).encode()
        connect(login, number, settings, kept.append).close()
    finally:
        one.close()
    assert len(seen) == 2
    assert json.loads(kept[0])["refresh_token"] == "refresh-2"


def test_credentials_that_stay_refused_are_said(server: TokenServer, settings: Settings) -> None:
    one = Scripted(authenticate=authenticating("other", []))
    server.answer = json.dumps({"access_token": "bad"}).encode()
    try:
        with pytest.raises(RefusedLoginError, match="bad token"):
            connect(oauth_login(server, one.port, "xoauth2"), 77, settings)
    finally:
        one.close()


def test_starttls_that_is_not_offered_is_never_done_without(settings: Settings) -> None:
    one = Scripted()
    try:
        with pytest.raises(UnwatchableError, match="does not offer STARTTLS"):
            connect(Login("127.0.0.1", one.port, "starttls", "login", "jean", b"secret"), 1, settings)
    finally:
        one.close()
    assert b"LOGIN" not in one.commands


def test_what_comes_in_plain_text_behind_starttls_is_refused(settings: Settings) -> None:
    def offers(talk: Talk, name: bytes, arguments: bytes) -> bool:
        talk.say(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n")
        return talk.ok()

    def starttls(talk: Talk, name: bytes, arguments: bytes) -> bool:
        talk.say(talk.tag + b" OK begin\r\n* OK injected\r\n")
        return True

    one = Scripted(capability=offers, starttls=starttls)
    try:
        with pytest.raises(AwayError, match="in plain text behind its answer"):
            connect(Login("127.0.0.1", one.port, "starttls", "login", "jean", b"secret"), 1, settings)
    finally:
        one.close()


def test_where_plain_logins_are_disabled_no_password_is_sent(settings: Settings) -> None:
    def disabled(talk: Talk, name: bytes, arguments: bytes) -> bool:
        talk.say(b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n")
        return talk.ok()

    one = Scripted(capability=disabled)
    try:
        with pytest.raises(UnwatchableError, match="takes no password on a connection without TLS"):
            connect(Login("127.0.0.1", one.port, "none", "login", "jean", b"secret"), 1, settings)
    finally:
        one.close()
    assert b"LOGIN" not in one.commands


@pytest.mark.parametrize("user", ['a"b', "a b", "a\\b", "a(b", "{3}"])
def test_a_user_of_odd_characters_is_quoted(settings: Settings, user: str) -> None:
    told: list[bytes] = []

    def login(talk: Talk, name: bytes, arguments: bytes) -> bool:
        told.append(arguments)
        return talk.ok()

    one = Scripted(login=login)
    try:
        connect(Login("127.0.0.1", one.port, "none", "login", user, b'pass"word'), 1, settings).close()
    finally:
        one.close()
    quoted = user.replace("\\", "\\\\").replace('"', '\\"')
    assert told == [f'"{quoted}" "pass\\"word"'.encode()]


@pytest.fixture
def expired(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that was good until yesterday, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now - timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    cert, secret = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return cert, secret


@pytest.mark.peer("dovecot-imap")
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_a_certificate_that_has_expired_is_refused_and_said(expired: tuple[Path, Path], tls: str) -> None:
    one = DovecotImap(*expired)
    try:
        one.start()
        trusting = ssl.create_default_context(cafile=str(expired[0]))
        settings = Settings(allow_private=True, tokens=Tokens(allow_private=True), context=trusting)
        port = one.imaps if tls == "implicit" else one.imap
        with pytest.raises(UnwatchableError, match="its certificate is not good: certificate has expired"):
            connect(Login("localhost", port, tls, "login", "jean", PASSWORD.encode()), 1, settings)
        assert "Login" not in one.log.replace("imap-login", "")
    finally:
        one.remove()
