"""Who logs in is verified, two at a time, and nobody learns which users there are."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from daemon import login
from daemon.login import Login
from gateway.failure import RefusedError

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
PEER = "192.0.2.1"


class Register:
    """Passwords in memory."""

    def __init__(self, hasher: PasswordHasher = CHEAP) -> None:
        self.kept: dict[str, tuple[int, str | None]] = {
            "jean": (1, hasher.hash("right")),
            "jean@example.org": (1, hasher.hash("right")),
            "marie": (2, None),
            "broken": (3, "not a hash"),
        }
        self.replaced: list[tuple[int, str, str]] = []

    async def password_of(self, user: str) -> tuple[int, str | None] | None:
        return self.kept.get(user)

    async def replace_password(self, account: int, before: str, after: str) -> None:
        self.replaced.append((account, before, after))


class Watched(PasswordHasher):
    """Counts what is hashed and verified, and how much of it at once; may wait to be let on."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.verified: list[str | bytes] = []
        self.most = 0
        self.running = 0
        self.started = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - its name in argon2-cffi
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.verified.append(hash)
        self.started.release()
        self.go.wait(10)
        try:
            return super().verify(hash, password)
        finally:
            with self._lock:
                self.running -= 1


class Clock:
    """Time that passes when somebody sleeps; where it `stands`, those who sleep do so side by side."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stands = False
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self.stands:
            self.now += seconds


def open_login(register: Register | None = None, hasher: PasswordHasher = CHEAP) -> tuple[Login, Clock]:
    clock = Clock()
    return Login(register or Register(), hasher, clock=clock, sleep=clock.sleep), clock


async def refusal(work: Callable[[], object]) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await work()  # type: ignore[misc]
    return caught.value


@pytest.mark.parametrize("user", ["jean", "jean@example.org"])
async def test_the_right_password_tells_the_account(user: str) -> None:
    door, clock = open_login()
    assert await door.verify(user, "right", PEER) == 1
    assert clock.slept == []


@pytest.mark.parametrize("user", ["jean", "nobody", "marie", "broken"])
async def test_a_wrong_password_and_a_user_there_is_not_are_answered_alike(user: str) -> None:
    hasher = Watched()
    door, clock = open_login(hasher=hasher)
    refused = await refusal(lambda: door.verify(user, "wrong", PEER))
    assert (refused.smtp, str(refused)) == ("535 5.7.8", "User name or password is wrong")
    assert clock.slept == [0.25]
    assert len(hasher.verified) == 1


async def test_nobodys_password_is_no_password() -> None:
    door, _ = open_login()
    for user in ("nobody", "marie"):
        for password in ("nobody's", "right"):
            assert (await refusal(lambda u=user, p=password: door.verify(u, p, PEER))).smtp == "535 5.7.8"


async def test_two_passwords_are_verified_at_once_and_no_more() -> None:
    hasher = Watched()
    hasher.go.clear()
    door, _ = open_login(hasher=hasher)
    tries = [asyncio.create_task(door.verify("jean", "right", f"192.0.2.{n}")) for n in range(6)]
    for _ in range(2):
        assert await asyncio.to_thread(hasher.started.acquire, timeout=10)
    hasher.go.set()
    assert await asyncio.gather(*tries) == [1] * 6
    assert hasher.most == 2


async def test_a_client_that_goes_away_has_tried_all_the_same() -> None:
    hasher = Watched()
    hasher.go.clear()
    door, clock = open_login(hasher=hasher)
    clock.stands = True
    for _ in range(2):
        gone = asyncio.create_task(door.verify("jean", "wrong", PEER))
        assert await asyncio.to_thread(hasher.started.acquire, timeout=10)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    waits = [asyncio.create_task(door.verify("jean", "wrong", PEER)) for _ in range(10)]
    await asyncio.sleep(0)
    assert hasher.running <= 2
    hasher.go.set()
    answers = [str(getattr(answer, "smtp", answer)) for answer in await asyncio.gather(*waits, return_exceptions=True)]
    assert hasher.most <= 2
    # Two went away, eight were answered, and then it was enough; two are verified at once, so one more may slip by.
    assert answers.count("454 4.7.0") in (1, 2)


async def test_after_ten_failures_a_peer_is_asked_to_come_back_later() -> None:
    hasher = Watched()
    door, clock = open_login(hasher=hasher)
    for _ in range(10):
        assert (await refusal(lambda: door.verify("jean", "wrong", PEER))).smtp == "535 5.7.8"
        clock.now -= clock.slept[-1]
    verified = len(hasher.verified)
    refused = await refusal(lambda: door.verify("jean", "right", PEER))
    assert (refused.smtp, str(refused)) == ("454 4.7.0", "Too many logins failed: try again in 2 minutes")
    assert len(hasher.verified) == verified, "nothing is hashed for it"
    clock.now += 91
    assert await door.verify("jean", "right", PEER) == 1


async def test_an_account_is_one_whatever_it_is_called() -> None:
    door, clock = open_login()
    for n in range(20):
        user = ("jean", "jean@example.org")[n % 2]
        await refusal(lambda u=user, p=f"198.51.100.{n}": door.verify(u, "wrong", p))
        clock.now = 0.0
    assert (await refusal(lambda: door.verify("jean", "right", "203.0.113.9"))).smtp == "454 4.7.0"


async def test_a_crowd_is_asked_to_come_back_later() -> None:
    hasher = Watched()
    hasher.go.clear()
    door, _ = open_login(hasher=hasher)
    crowd = [asyncio.create_task(door.verify("jean", "right", PEER)) for _ in range(102)]
    await asyncio.sleep(0)
    assert "Too many are logging in" in str(await refusal(lambda: door.verify("jean", "right", PEER)))
    hasher.go.set()
    assert set(await asyncio.gather(*crowd)) == {1}
    assert await door.verify("jean", "right", PEER) == 1


async def test_an_old_hash_is_made_anew_when_its_password_is_known() -> None:
    register = Register(PasswordHasher(time_cost=1, memory_cost=32, parallelism=1))
    door, _ = open_login(register)
    before = register.kept["jean"][1]
    assert await door.verify("jean", "right", PEER) == 1
    [(account, old, new)] = register.replaced
    assert (account, old) == (1, before)
    assert CHEAP.verify(new, "right")
    assert not CHEAP.check_needs_rehash(new)


async def test_a_hash_that_cannot_be_renewed_stops_nobody() -> None:
    class Full(Register):
        async def replace_password(self, account: int, before: str, after: str) -> None:
            raise OSError("disk full")

    door, _ = open_login(Full(PasswordHasher(time_cost=1, memory_cost=32, parallelism=1)))
    assert await door.verify("jean", "right", PEER) == 1


async def test_a_store_that_is_not_there_is_no_wrong_password() -> None:
    class Gone(Register):
        async def password_of(self, user: str) -> tuple[int, str | None] | None:
            raise OSError("gone")

    door, clock = open_login(Gone())
    with pytest.raises(OSError, match="gone"):
        await door.verify("jean", "right", PEER)
    assert clock.slept == []


# The exchanges -------------------------------------------------------------------------------------------------------


def plain(*parts: str) -> str:
    return base64.b64encode("\0".join(parts).encode()).decode()


@pytest.mark.parametrize("authorised", ["", "jean"])
def test_plain_tells_user_and_password(authorised: str) -> None:
    assert login.read_plain(plain(authorised, "jean", "p: pä§§")) == ("jean", "p: pä§§")


@pytest.mark.parametrize(
    ("response", "reply"),
    [
        ("*", "501 5.7.0"),
        ("", "501 5.5.2"),
        ("=", "501 5.5.2"),
        ("not base64!", "501 5.5.2"),
        ("AGplYW4", "501 5.5.2"),
        (base64.b64encode(b"\0jean\0\xff").decode(), "501 5.5.2"),
        (plain("jean", "right"), "501 5.5.2"),
        (plain("", "jean", "a", "b"), "501 5.5.2"),
        (plain("marie", "jean", "right"), "535 5.7.8"),
        (plain("", "", "right"), "535 5.7.8"),
        (plain("", "jean", ""), "535 5.7.8"),
        (plain("", "jean", "x" * 513), "535 5.7.8"),
    ],
)
def test_what_is_no_plain_response_is_refused(response: str, reply: str) -> None:
    with pytest.raises(RefusedError) as caught:
        login.read_plain(response)
    assert caught.value.smtp == reply


@given(st.text(max_size=100))
def test_no_response_is_a_reason_for_anything_else(response: str) -> None:
    try:
        found = login.read_plain(response)
    except RefusedError:
        return
    assert all(found)
