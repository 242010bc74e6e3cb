"""Into a folder of a mailbox: connected, secured, logged in, opened for reading only.

Everything here blocks, and runs in the watcher's pool or in a command. Folders are opened with EXAMINE: nothing of a
mailbox is ever changed, no flag set.
"""

from __future__ import annotations

import base64
import contextlib
import imaplib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from imapclient.exceptions import IMAPClientError

from daemon import outside
from daemon.watching.looking import LARGEST
from daemon.watching.oauth import Credentials, TokenRefusedError, Tokens, TokenServerError
from daemon.watching.wire import Client, EndedError, Wire
from gateway.mailboxes import Login

#: Seconds a server may take for one answer.
TIMEOUT = 30.0
#: Seconds between the words of a farewell.
_FAREWELL = 1.0
#: Response codes of a refused login that the credentials are not to blame for (RFC 5530 section 3), and words of
#: servers that tell none.
_NOT_NOW = ("UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "CONTACTADMIN")
_BUSY = re.compile(r"too many|maximum|limit|temporar|try again|later|unavailable|busy|internal error|overload", re.I)
_CODE = re.compile(r"\[([A-Z-]+)[^\]]*\]")
_BLAMED = ("AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED")


class RefusedLoginError(Exception):
    """The server refuses these credentials, as far as it says."""


class UnwatchableError(Exception):
    """It cannot be watched as it is set up: a folder that is not there, TLS that is not offered."""


class AwayError(Exception):
    """The server cannot be reached, or cannot serve now; said in one clause."""


#: What a visit may end with, for the server's or the network's sake.
FAILURES = (RefusedLoginError, UnwatchableError, AwayError, OSError, imaplib.IMAP4.error, IMAPClientError, ValueError)


@dataclass(frozen=True, slots=True)
class Settings:
    """What every session of this process shares."""

    allow_private: bool
    tokens: Tokens
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    timeout: float = TIMEOUT
    resolver: outside.Resolve = outside.resolve


@dataclass(frozen=True, slots=True)
class Opened:
    """What EXAMINE said of a folder; `uidnext` None where the server does not tell."""

    uidvalidity: int
    uidnext: int | None
    exists: int


class Session:
    """One connection, with one folder open in it."""

    def __init__(self, client: Client, timeout: float) -> None:
        self.client = client
        self.timeout = timeout

    @property
    def can_idle(self) -> bool:
        return bool(self.client.has_capability("IDLE"))

    def open_folder(self, name: str) -> Opened:
        """Open a folder for reading; `UnwatchableError` where there is none."""
        try:
            told = self.client.select_folder(name, readonly=True)
        except (EndedError, imaplib.IMAP4.abort):
            raise
        except IMAPClientError as error:
            raise UnwatchableError(f"folder {name} cannot be opened: {_said(error)}") from None
        if b"UIDVALIDITY" not in told:
            raise UnwatchableError(f"folder {name} has no UIDVALIDITY: its mails cannot be told apart")
        validity, uidnext = int(told[b"UIDVALIDITY"]), told.get(b"UIDNEXT")
        if not 0 <= validity <= LARGEST or not 0 <= int(uidnext or 0) <= LARGEST + 1:
            raise UnwatchableError(f"folder {name} has numbers that no IMAP server has")
        return Opened(validity, int(uidnext) if uidnext else None, int(told.get(b"EXISTS", 0)))

    def news(self) -> bool:
        """Whether the server said, in its answers since this was last asked, that there are other mails now."""
        return self.client.wire.untagged_responses.pop("EXISTS", None) is not None

    def idle(self) -> None:
        """Begin to idle. What the server says before it agrees is no error, and is not lost: it counts as news.

        imapclient takes the first answer for the agreement.
        """
        wire = self.client.wire
        tag = wire._command("IDLE")
        while wire._get_response() is not None:
            if wire.tagged_commands[tag]:
                typ, data = wire.tagged_commands.pop(tag) or ("", [b""])
                raise IMAPClientError(f"the server does not idle: {typ!r} {data[0]!r}")
        self.client._idle_tag = tag

    def done(self) -> None:
        """Stop idling."""
        self.client.wire.patience()
        self.client.idle_done()

    def still_there(self) -> None:
        """Ask for news without idling."""
        self.client.noop()

    def close(self) -> None:
        """Leave, without a word where the connection is broken."""
        try:
            self.client.wire.patience(_FAREWELL)
            self.client.logout()
        except (IMAPClientError, imaplib.IMAP4.error, OSError, ValueError):
            self.drop()

    def drop(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self.client.wire.shutdown()


def connect(
    login: Login, mailbox: int, settings: Settings, renewed: Callable[[bytes], None] = lambda _: None
) -> Session:
    """Connected and logged in. `renewed` is given the secret to keep from now on, where the token server changed it.

    Raises `RefusedLoginError`, `UnwatchableError` or `AwayError`, each with a clause for people.
    """
    try:
        client = _client(login, settings)
    except ssl.SSLCertVerificationError as error:
        raise UnwatchableError(f"its certificate is not good: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise AwayError(f"TLS failed: {error.reason or error}") from None
    except outside.InsideError as error:
        raise UnwatchableError(str(error)) from None
    except (imaplib.IMAP4.error, IMAPClientError) as error:
        raise AwayError(f"{login.host} does not greet as a mail server does: {_said(error)}") from None
    except OSError as error:
        raise AwayError(f"{login.host} cannot be reached: {error.strerror or error}") from None
    try:
        _secure_and_log_in(client, login, mailbox, settings, renewed)
    except BaseException:
        Session(client, settings.timeout).drop()
        raise
    return Session(client, settings.timeout)


def _client(login: Login, settings: Settings) -> Client:
    def dial(timeout: float) -> Any:
        return outside.connect(
            login.host,
            login.port,
            allow_private=settings.allow_private,
            timeout=timeout,
            resolver=settings.resolver,
        )

    context = settings.context if login.tls == "implicit" else None
    return Client(login.host, lambda: Wire(dial, login.host, settings.timeout, context), settings.timeout)


def _secure_and_log_in(
    client: Client, login: Login, mailbox: int, settings: Settings, renewed: Callable[[bytes], None]
) -> None:
    try:
        if login.tls == "starttls":
            client.secure(settings.context)
        if login.auth in ("xoauth2", "oauthbearer"):
            _token_login(client, login, mailbox, settings, renewed)
        else:
            _password_login(client, login)
        client.capabilities()
    except ssl.SSLCertVerificationError as error:
        raise UnwatchableError(f"its certificate is not good: {error.verify_message}") from None
    except (EndedError, imaplib.IMAP4.abort) as error:
        raise AwayError(f"{login.host} ended the connection while logging in: {_said(error)}") from None
    except (imaplib.IMAP4.error, IMAPClientError) as error:
        raise UnwatchableError(_said(error)) from None
    except OSError as error:
        raise AwayError(f"{login.host} did not answer while logging in: {error.strerror or error}") from None


def _password_login(client: Client, login: Login) -> None:
    password = login.secret.decode("utf-8")
    if login.auth == "login" and client.has_capability("LOGINDISABLED"):
        raise UnwatchableError(f"{login.host} takes no password on a connection without TLS: use --tls starttls")
    try:
        if login.auth == "plain" or not (login.user + password).isascii():
            client.plain_login(login.user, password)
        else:
            wire = client.wire
            client._checkok("login", *wire._simple_command("LOGIN", _quoted(login.user), _quoted(password)))
            wire.state = "AUTH"
    except (EndedError, imaplib.IMAP4.abort):
        raise
    except (imaplib.IMAP4.error, IMAPClientError) as error:
        raise judged(_without(_said(error), password)) from None


def _without(said: str, *secrets: str) -> str:
    """What a server said, without the secret it was shown: some send back what they do not understand."""
    for secret in secrets:
        for form in (secret, _quoted(secret)[1:-1], base64.b64encode(secret.encode()).decode()):
            if len(form) > 3:
                said = said.replace(form, "***")
    return said


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _token_login(
    client: Client, login: Login, mailbox: int, settings: Settings, renewed: Callable[[bytes], None]
) -> None:
    credentials = Credentials.read(login.secret)
    for fresh in (False, True):
        try:
            token = settings.tokens.get(mailbox, credentials, fresh=fresh, renewed=renewed)
        except TokenRefusedError as error:
            raise RefusedLoginError(
                _without(str(error), credentials.refresh_token, credentials.client_secret)
            ) from None
        except TokenServerError as error:
            raise AwayError(str(error)) from None
        credentials = replace(credentials, refresh_token=token.refresh)
        try:
            if login.auth == "xoauth2":
                client.oauth2_login(login.user, token.access)
            else:
                client.oauthbearer_login(login.user, token.access)
        except (EndedError, imaplib.IMAP4.abort):
            raise
        except (imaplib.IMAP4.error, IMAPClientError) as error:
            failure = judged(_without(_said(error), token.access))
            if fresh or isinstance(failure, AwayError):
                raise failure from None
        else:
            return


def judged(said: str) -> RefusedLoginError | AwayError:
    """What a refused login means: the credentials are wrong, or the server is only busy."""
    code = _CODE.search(said)
    if code is not None and code[1] in _BLAMED:
        return RefusedLoginError(f"the server refuses the login: {said}")
    if (code is not None and code[1] in _NOT_NOW) or _BUSY.search(said):
        return AwayError(f"the server takes no login now: {said}")
    return RefusedLoginError(f"the server refuses the login: {said}")


def _said(error: BaseException) -> str:
    """What the server said, on one short line."""
    text = " ".join(str(error).split())
    for prefix in ("b'", 'b"'):
        if text.startswith(prefix):
            text = text[2:-1]
    return text[:200]
