"""Access tokens for XOAUTH2 and OAUTHBEARER, got with a refresh token (RFC 6749 section 6)."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from daemon import outside
from gateway.failure import RefusedError

#: Seconds before its end at which a token is not used any more, how long one without an end is good, and how long the
#: token server may take.
_MARGIN, _UNTOLD, _TIMEOUT = 60.0, 300.0, 20.0
_LONGEST_ANSWER = 256 * 1024


class TokenRefusedError(Exception):
    """The token server says that the refresh token, or the client, is not good (any more)."""


class TokenServerError(Exception):
    """The token server cannot be reached, or answers nonsense: another try may do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a refresh needs; as JSON in the file of `mailbox add --oauth-file`."""

    token_url: str
    client_id: str
    refresh_token: str = field(repr=False)
    client_secret: str = field(default="", repr=False)
    scope: str = ""

    @classmethod
    def read(cls, octets: bytes) -> Credentials:
        """From that JSON; `RefusedError` says what is missing."""
        try:
            document = json.loads(octets)
        except ValueError as error:
            raise RefusedError(f"the OAuth file is no JSON: {error}") from None
        if not isinstance(document, dict):
            raise RefusedError("the OAuth file has to hold one JSON object")
        fields = {name: document.get(name, "") for name in cls.__slots__}
        missing = [name for name in ("token_url", "client_id", "refresh_token") if not fields[name]]
        if missing:
            raise RefusedError(f"the OAuth file lacks {', '.join(missing)}")
        if wrong := [name for name, value in fields.items() if not isinstance(value, str)]:
            raise RefusedError(f"in the OAuth file {', '.join(wrong)} is no text")
        url = urllib.parse.urlsplit(fields["token_url"])
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in ("127.0.0.1", "localhost", "::1")):
            raise RefusedError(f"token_url is {fields['token_url']}: it has to begin with https://")
        return cls(**fields)

    def octets(self) -> bytes:
        """As it is sealed."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}).encode()


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, until when it is good (monotonic seconds), and the refresh token to use from now on."""

    access: str = field(repr=False)
    until: float
    refresh: str = field(repr=False)


class Tokens:
    """The access tokens of this process, by mailbox; each is asked for once, by whichever thread needs it first."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._kept: dict[int, Token] = {}
        self._locks: dict[int, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(
        self,
        mailbox: int,
        credentials: Credentials,
        *,
        fresh: bool = False,
        renewed: Callable[[bytes], None] = lambda _: None,
    ) -> Token:
        """A good access token; with `fresh` another than the one that was just refused.

        `renewed` is given what is to be kept instead of these credentials, before the token is used, where the server
        gave another refresh token than is in them. The one it gave last is used until they are kept.
        """
        with self._guard:
            lock = self._locks.setdefault(mailbox, threading.Lock())
        with lock:
            token = self._kept.get(mailbox)
            if token is None or fresh or token.until <= time.monotonic():
                latest = credentials if token is None else replace(credentials, refresh_token=token.refresh)
                token = self._kept[mailbox] = refresh(latest, allow_private=self._allow_private)
            if token.refresh != credentials.refresh_token:
                renewed(replace(credentials, refresh_token=token.refresh).octets())
            return token

    def drop(self, mailbox: int) -> None:
        """The mailbox is no longer watched here."""
        with self._guard:
            self._kept.pop(mailbox, None)
            self._locks.pop(mailbox, None)


def refresh(credentials: Credentials, *, allow_private: bool) -> Token:
    """Ask the token server. Redirects are not followed: a refresh token is shown to one server only."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": credentials.refresh_token,
        "client_id": credentials.client_id,
    }
    if credentials.client_secret:
        form["client_secret"] = credentials.client_secret
    if credentials.scope:
        form["scope"] = credentials.scope
    answer, status = _post(credentials.token_url, form, allow_private)
    if status in (400, 401, 403):
        why = str(answer.get("error_description") or answer.get("error") or status)
        raise TokenRefusedError(f"the token server refuses: {why[:200]}")
    access = answer.get("access_token")
    if status != 200 or not isinstance(access, str) or not access:
        raise TokenServerError(f"the token server answers {status} without an access token")
    try:
        seconds = float(answer.get("expires_in") or _UNTOLD)
    except (TypeError, ValueError):
        seconds = _UNTOLD
    rotated = answer.get("refresh_token")
    renewed = rotated if isinstance(rotated, str) and rotated else credentials.refresh_token
    return Token(access, time.monotonic() + max(0.0, seconds - _MARGIN), renewed)


def _post(url: str, form: dict[str, str], allow_private: bool) -> tuple[dict[str, Any], int]:
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        _, (address, _) = outside.targets(host, port, allow_private=allow_private)[0]
        judged = parts._replace(netloc=f"[{address}]:{port}" if ":" in address else f"{address}:{port}").geturl()
        netloc = host if parts.port is None else f"{host}:{port}"
        with (
            httpx.Client(
                timeout=_TIMEOUT, follow_redirects=False, trust_env=False, verify=ssl.create_default_context()
            ) as client,
            client.stream(
                "POST",
                judged,
                data=form,
                headers={"Host": netloc, "Accept": "application/json"},
                extensions={"sni_hostname": host},
            ) as response,
        ):
            octets = b""
            for chunk in response.iter_bytes():
                octets += chunk
                if len(octets) > _LONGEST_ANSWER:
                    raise TokenServerError("the token server answers without end")
            status = response.status_code
    except (httpx.HTTPError, socket.gaierror, OSError, ValueError) as error:
        raise TokenServerError(f"the token server cannot be reached: {error}") from None
    try:
        answer = json.loads(octets)
    except ValueError:
        answer = {}
    return (answer if isinstance(answer, dict) else {}), status
