"""Logging in: the SASL exchanges PLAIN and LOGIN read, and passwords verified without telling who exists.

RFC 4954 (AUTH), RFC 4616 (PLAIN); LOGIN is what old clients still speak.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from daemon.throttle import Throttle
from gateway.failure import RefusedError

log = logging.getLogger(__name__)

#: How many passwords are hashed at once, each in a thread, and how many more may wait for that.
_AT_ONCE, _WAITING = 2, 100
#: Longest user and password, in characters.
_LONGEST = 512

MALFORMED = "501 5.5.2"
WRONG = "535 5.7.8"
LATER = "454 4.7.0"


class Passwords(Protocol):
    """Where passwords are kept, as hashes."""

    async def password_of(self, user: str) -> tuple[int, str | None] | None:
        """The id and the password's hash of the account a user logs in as: its name or any of its addresses.

        None for a stranger; a hash of None for an account without a password.
        """

    async def replace_password(self, account: int, before: str, after: str) -> None:
        """Keep the same password under newer parameters, unless it was changed meanwhile."""


class Login:
    """Verifies who logs in, at most two at once, as slowly as `daemon.throttle` says."""

    def __init__(
        self,
        passwords: Passwords,
        hasher: PasswordHasher,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`hasher` has the parameters new hashes get."""
        self._passwords = passwords
        self._hasher = hasher
        self._clock = clock
        self._sleep = sleep
        self._throttle = Throttle()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._pending = 0
        self._dummy = ""

    async def verify(self, user: str, password: str, peer: str) -> int:
        """The id of the account whose password this is.

        `RefusedError` is 535 5.7.8 for a wrong one, or for a user there is not, after the same time; 454 4.7.0 where
        too much was tried, or where too many are logging in.
        """
        if self._pending >= _AT_ONCE + _WAITING:
            raise RefusedError("Too many are logging in at the moment: try again in a minute", smtp=LATER)
        # A client that goes away does not stop what was begun: its try counts, and its thread is one of the two.
        trial = asyncio.ensure_future(self._try(user, password, peer))
        self._pending += 1
        trial.add_done_callback(self._tried)
        account, delay = await asyncio.shield(trial)
        if account is None:
            await self._sleep(delay)
            raise RefusedError("User name or password is wrong", smtp=WRONG)
        return account

    def _tried(self, trial: asyncio.Future[tuple[int | None, float]]) -> None:
        self._pending -= 1
        if not trial.cancelled():
            trial.exception()  # whoever still waits has it too

    async def _try(self, user: str, password: str, peer: str) -> tuple[int | None, float]:
        """The account, or None and the seconds to hold the answer back."""
        found = await self._passwords.password_of(user)
        account, kept = found if found is not None else (None, None)
        key = ("user", user.lower()) if account is None else account
        async with self._slots:
            self._hold_back(peer, key)  # asked here, so that tries side by side cannot get past it
            good = await asyncio.to_thread(self._matches, kept, password)
            delay = 0.0 if good else self._throttle.failed(peer, key, self._clock())
        if not good or account is None or kept is None:
            log.warning("a login failed", extra={"action": "login_failed", "peer": peer})
            return None, delay
        self._throttle.succeeded(peer, account)
        await self._renew(account, kept, password)
        return account, 0.0

    def _hold_back(self, peer: str, key: object) -> None:
        wait = self._throttle.wait(peer, key, self._clock())
        if wait <= 0:
            return
        log.warning("a login was held back", extra={"action": "login_held_back", "peer": peer})
        minutes = math.ceil(wait / 60)
        text = f"Too many logins failed: try again in {minutes} minute{'s' if minutes != 1 else ''}"
        raise RefusedError(text, smtp=LATER)

    def _matches(self, kept: str | None, password: str) -> bool:
        """Whether the password is right; for nobody's password, the same work for nothing."""
        if not self._dummy:
            self._dummy = self._hasher.hash("nobody's")
        try:
            self._hasher.verify(kept or self._dummy, password)
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    async def _renew(self, account: int, kept: str, password: str) -> None:
        if not self._hasher.check_needs_rehash(kept):
            return
        try:
            async with self._slots:
                newer = await asyncio.to_thread(self._hasher.hash, password)
            await self._passwords.replace_password(account, kept, newer)
        except Exception:
            log.warning("a password's hash was not renewed", exc_info=True, extra={"action": "password_not_renewed"})


# The exchanges -------------------------------------------------------------------------------------------------------

#: The mechanisms, as EHLO offers them.
MECHANISMS = ("PLAIN", "LOGIN")

#: Sends a challenge (base64) and returns the client's line.
Ask = Callable[[str], Awaitable[str]]


async def exchange(mechanism: str, initial: str | None, ask: Ask) -> tuple[str, str]:
    """User and password, by a SASL mechanism (RFC 4954 section 4); `initial` is the client's initial response.

    `RefusedError` is 504 5.5.4 for a mechanism that is not offered, 501 for what cannot be read or was given up.
    """
    if mechanism == "PLAIN":
        return read_plain(await ask("") if initial is None else initial)
    if mechanism == "LOGIN":
        user = decode(await ask("VXNlcm5hbWU6") if initial is None else initial)  # Username:
        return _checked(user, decode(await ask("UGFzc3dvcmQ6")))  # Password:
    raise RefusedError(f"That mechanism is not offered here: use {' or '.join(MECHANISMS)}", smtp="504 5.5.4")


def decode(response: str) -> str:
    """A SASL response out of its base64 (RFC 4954 section 4). `RefusedError` (501 5.5.2) for what is none.

    `=` stands for an empty initial response. `*` is how a client gives up.
    """
    if response == "*":
        raise RefusedError("The login was given up", smtp="501 5.7.0")
    if response == "=":
        return ""
    try:
        return base64.b64decode(response, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise RefusedError("That is not base64 of UTF-8 text", smtp=MALFORMED) from None


def read_plain(response: str) -> tuple[str, str]:
    """User and password of a PLAIN response (RFC 4616 section 2). `RefusedError` says what is wrong with it."""
    parts = decode(response).split("\0")
    if len(parts) != 3:
        raise RefusedError("PLAIN has three parts, with a NUL before user and password", smtp=MALFORMED)
    authorised, user, password = parts
    if authorised not in ("", user):
        raise RefusedError("Nobody may act as another here: leave the authorization identity empty", smtp=WRONG)
    return _checked(user, password)


def _checked(user: str, password: str) -> tuple[str, str]:
    """The same, where they can be a user and a password at all; `RefusedError` (535 5.7.8) otherwise."""
    if not user or not password or max(len(user), len(password)) > _LONGEST or "\0" in user + password:
        raise RefusedError("User name or password is wrong", smtp=WRONG)
    return user, password
