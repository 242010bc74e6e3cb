"""Access tokens: got once, got anew when refused, rotated, and the reasons where there is none."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from daemon.watching.oauth import Credentials, TokenRefusedError, Tokens, TokenServerError
from gateway.failure import RefusedError


class TokenServer(http.server.ThreadingHTTPServer):
    """Answers what `answer` says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.status, self.answer = 200, b""
        self.location = ""
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/token"


class Handler(http.server.BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(dict(urllib.parse.parse_qsl(body)))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[TokenServer]:
    one = TokenServer()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()
    thread.join()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(allow_private=True)


def credentials(server: TokenServer) -> Credentials:
    return Credentials(server.url, "client", "refresh-1", "shh")


def test_a_token_is_asked_for_once(server: TokenServer, tokens: Tokens) -> None:
    server.answer = json.dumps({"access_token": "a1", "expires_in": 3600}).encode()
    assert [tokens.get(1, credentials(server)).access for _ in range(3)] == ["a1"] * 3
    assert server.asked == [
        {
            "grant_type": "refresh_token",
            "refresh_token": "refresh-1",
            "client_id": "client",
            "client_secret": "shh",
        }
    ]


def test_one_that_was_refused_is_not_shown_again(server: TokenServer, tokens: Tokens) -> None:
    server.answer = json.dumps({"access_token": "a1", "expires_in": 3600}).encode()
    tokens.get(1, credentials(server))
    server.answer = json.dumps({"access_token": "a2", "expires_in": 3600}).encode()
    assert tokens.get(1, credentials(server), fresh=True).access == "a2"


def test_one_that_has_run_out_is_not_used(server: TokenServer, tokens: Tokens) -> None:
    server.answer = json.dumps({"access_token": "a1", "expires_in": 30}).encode()
    tokens.get(1, credentials(server))
    tokens.get(1, credentials(server))
    assert len(server.asked) == 2


def test_a_rotated_refresh_token_is_told(server: TokenServer, tokens: Tokens) -> None:
    server.answer = json.dumps({"access_token": "a1", "refresh_token": "refresh-2"}).encode()
    assert tokens.get(1, credentials(server)).refresh == "refresh-2"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_said_in_the_servers_words(server: TokenServer, tokens: Tokens, status: int) -> None:
    server.status, server.answer = status, json.dumps({"error": "invalid_grant"}).encode()
    with pytest.raises(TokenRefusedError, match="invalid_grant"):
        tokens.get(1, credentials(server))


@pytest.mark.parametrize(
    ("status", "answer"), [(500, b""), (200, b"{}"), (200, b"<html>"), (200, b"[]"), (200, b"x" * 300_000)]
)
def test_nonsense_is_no_refusal(server: TokenServer, tokens: Tokens, status: int, answer: bytes) -> None:
    server.status, server.answer = status, answer
    with pytest.raises(TokenServerError):
        tokens.get(1, credentials(server))


def test_a_redirect_is_not_followed(server: TokenServer, tokens: Tokens) -> None:
    server.status, server.location = 307, "http://127.0.0.1:1/elsewhere"
    with pytest.raises(TokenServerError, match="307"):
        tokens.get(1, credentials(server))


def test_a_token_server_inside_is_not_asked(server: TokenServer) -> None:
    with pytest.raises(TokenServerError, match="an address inside"):
        Tokens(allow_private=False).get(1, credentials(server))
    assert server.asked == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "no JSON"),
        ("[]", "one JSON object"),
        ("{}", "lacks token_url, client_id, refresh_token"),
        ('{"token_url": "http://evil.example/t", "client_id": "a", "refresh_token": "b"}', "begin with https"),
        ('{"token_url": "https://a/t", "client_id": 7, "refresh_token": "b"}', "client_id is no text"),
    ],
)
def test_a_file_that_is_no_good_is_refused(document: str, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        Credentials.read(document.encode())


def test_what_is_sealed_is_read_again() -> None:
    one = Credentials("https://a.example/t", "client", "refresh", "secret", "scope")
    assert Credentials.read(one.octets()) == one
