"""XOAUTH2 and OAUTHBEARER against a real Dovecot, which asks the token server whether a token is good."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.watching.session import RefusedLoginError, Settings, connect
from gateway.mailboxes import Login
from tests.peers.dovecot_imap import DovecotImap

pytestmark = pytest.mark.peer("dovecot-imap")


class Issuer(http.server.ThreadingHTTPServer):
    """Gives out access tokens for the refresh token of the day, each time with another one, and knows its own."""

    def __init__(self) -> None:
        self.refresh = "refresh-1"
        self.good: set[str] = set()
        self.issued = 0
        super().__init__(("127.0.0.1", 0), _Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Issuer

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form["refresh_token"] != [self.server.refresh]:
            self._say(400, {"error": "invalid_grant"})
            return
        self.server.issued += 1
        token = f"access-{self.server.issued}"
        self.server.good.add(token)
        self.server.refresh = f"refresh-{self.server.issued + 1}"
        self._say(200, {"access_token": token, "expires_in": 3600, "refresh_token": self.server.refresh})

    def do_GET(self) -> None:
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("token", [""])[0]
        active = asked in self.server.good
        self._say(200, {"active": active, "username": "jean"} if active else {"active": False})

    def _say(self, status: int, document: dict[str, object]) -> None:
        octets = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    one = Issuer()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()
    thread.join()


@pytest.fixture(scope="module")
def oauth_dovecot(certificate: tuple[Path, Path], issuer: Issuer) -> Iterator[DovecotImap]:
    more = (
        "auth_cache_size = 0\nauth_mechanisms = xoauth2 oauthbearer\npassdb {{\n  driver = oauth2\n"
        "  mechanisms = xoauth2 oauthbearer\n  args = {directory}/oauth2.conf\n}}\n"
    )
    one = DovecotImap(*certificate, more=more)
    one.more = one.more.format(directory=one.directory)
    (one.directory / "oauth2.conf").write_text(
        f"introspection_mode = get\nintrospection_url = {issuer.url}/introspect?token=\n"
        "username_attribute = username\nactive_attribute = active\nactive_value = true\n"
    )
    try:
        one.start()
        yield one
    finally:
        one.remove()


@pytest.mark.parametrize("auth", ["xoauth2", "oauthbearer"])
def test_tokens_let_in_are_got_anew_when_they_are_withdrawn_and_rotate(
    oauth_dovecot: DovecotImap, issuer: Issuer, settings: Settings, auth: str
) -> None:
    kept: list[bytes] = []
    secret = {"token_url": f"{issuer.url}/token", "client_id": "tocsin", "refresh_token": issuer.refresh}
    login = Login("localhost", oauth_dovecot.imaps, "implicit", auth, "jean", json.dumps(secret).encode())
    number = 5000 + len(auth)
    before = issuer.issued
    for round_ in range(3):  # the secret in the store stays the first one: it could not be written yet
        session = connect(login, number, settings, kept.append)
        assert session.open_folder("INBOX").exists == 0
        session.close()
        assert issuer.issued == before + 1 + round_
        issuer.good.clear()  # withdrawn: the next login is refused, and tried again with another
    assert json.loads(kept[-1])["refresh_token"] == issuer.refresh


def test_a_refresh_token_that_is_no_good_any_more_is_a_refused_login(
    oauth_dovecot: DovecotImap, issuer: Issuer, settings: Settings
) -> None:
    secret = {"token_url": f"{issuer.url}/token", "client_id": "tocsin", "refresh_token": "long gone"}
    login = Login("localhost", oauth_dovecot.imaps, "implicit", "xoauth2", "jean", json.dumps(secret).encode())
    with pytest.raises(RefusedLoginError, match="the token server refuses: invalid_grant"):
        connect(login, 5999, settings)
