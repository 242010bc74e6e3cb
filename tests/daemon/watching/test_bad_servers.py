"""Servers that misbehave: none stops a watch for good, none makes it spin, none fills the memory."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from daemon.watching.session import Settings
from daemon.watching.watch import Watch
from gateway.folders import Folder
from tests.daemon.watching.conftest import World, mailbox
from tests.daemon.watching.scripted import Answer, Scripted, Talk, mails

Make = Callable[..., Watch]
SEEN = Folder("INBOX", 1, 1, None)


@pytest.fixture
def server() -> Iterator[Callable[..., Scripted]]:
    with contextlib.ExitStack() as stack:

        def make(**answers: object) -> Scripted:
            one = Scripted(**answers)  # type: ignore[arg-type]
            stack.callback(one.close)
            return one

        yield make


@pytest.fixture
def hasty(world: World, settings: Settings) -> World:
    """A world whose sessions wait a second at most."""
    world._settings = dataclasses.replace(settings, timeout=1.0)
    return world


def down(world: World, *words: str) -> Callable[[], bool]:
    return lambda: any(state == "down" and all(word in why for word in words) for state, why in world.said)


def go(watch: Make, server: Scripted, folder: Folder = SEEN) -> Watch:
    return watch(mailbox(server.port, "jean", tls="none"), folder)


def test_a_server_that_falls_silent_in_idle_is_asked_by_the_clock(
    hasty: World, watch: Make, server: Callable[..., Scripted]
) -> None:
    hasty.poll_seconds = 0.3
    one = server()
    go(watch, one)
    assert one.idling.acquire(timeout=10)
    one.answers |= {name.upper().encode(): answer for name, answer in mails(b"Subject: late\r\n\r\n").items()}
    hasty.wait(lambda: hasty.subjects() == ["late"])


def test_a_peer_that_is_gone_without_a_word_is_left_after_the_timeout(
    hasty: World, watch: Make, server: Callable[..., Scripted]
) -> None:
    hasty.poll_seconds = 0.3

    def silent(talk: Talk, name: bytes, arguments: bytes) -> bool:
        return True

    one = server(search=silent)
    go(watch, one)
    hasty.wait(down(hasty, "did not answer in time"))
    one.answers.clear()
    hasty.wait(lambda: hasty.said[-1][0] == "up")
    assert one.connections == 2


def test_bye_in_idle_is_a_reconnect(hasty: World, watch: Make, server: Callable[..., Scripted]) -> None:
    one = server()
    go(watch, one)
    assert one.idling.acquire(timeout=10)
    one.talks[0].say(b"* BYE we restart\r\n")
    assert one.idling.acquire(timeout=20)
    assert one.connections == 2


@pytest.mark.parametrize(
    "greeting",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"* BYE no room\r\n", b"\x16\x03\x01\r\n", b"* NO\r\n", b"\r\n"],
)
def test_what_does_not_greet_as_a_mail_server_is_said(
    hasty: World, watch: Make, server: Callable[..., Scripted], greeting: bytes
) -> None:
    go(watch, server(greeting=greeting))
    hasty.wait(down(hasty, "does not greet as a mail server does"))


def huge(talk: Talk, name: bytes, arguments: bytes) -> bool:
    talk.say(b"* 1 FETCH (UID 1 BODY[HEADER]<0> {99999999999}\r\n" + b"x" * 100000)
    return True


def garbage(talk: Talk, name: bytes, arguments: bytes) -> bool:
    talk.say(b"\x00\xff\xfe garbage (((\r\n* 1 FETCH (((\r\n" + talk.tag + b" WHAT\r\n")
    return True


def half(talk: Talk, name: bytes, arguments: bytes) -> bool:
    talk.say(b"* 1 FETCH (UID 1 BODY[HEADER]<0> {100}\r\nSubject")
    talk.sock.shutdown(socket.SHUT_RDWR)
    return True


@pytest.mark.parametrize("answer", [huge, garbage, half])
def test_garbage_instead_of_a_mail_is_a_reconnect_and_the_mail_is_not_lost(
    hasty: World, watch: Make, server: Callable[..., Scripted], answer: Answer
) -> None:
    good = mails(b"Subject: here\r\n\r\n")
    one = server(**{**good, "fetch": answer})
    go(watch, one)
    hasty.wait(down(hasty))
    one.answers[b"FETCH"] = good["fetch"]
    hasty.wait(lambda: hasty.subjects() == ["here"])


def test_a_line_without_end_is_given_up(hasty: World, watch: Make, server: Callable[..., Scripted]) -> None:
    def endless(talk: Talk, name: bytes, arguments: bytes) -> bool:
        for _ in range(200):
            talk.say(b"x" * 65536)
        return True

    go(watch, server(search=endless))
    hasty.wait(down(hasty, "line without end"))


def test_a_flood_in_idle_is_given_up(hasty: World, watch: Make, server: Callable[..., Scripted]) -> None:
    one = server()
    go(watch, one)
    assert one.idling.acquire(timeout=10)
    with contextlib.suppress(OSError):
        for _ in range(200):
            one.talks[0].say(b"x" * 65536)
    assert one.idling.acquire(timeout=20)


def test_a_header_of_ten_megabytes_is_read_as_far_as_it_matters(
    world: World, watch: Make, server: Callable[..., Scripted]
) -> None:
    header = b"Subject: large\r\nMessage-ID: <1@x>\r\nX-Filler: " + b"y" * 10_000_000 + b"\r\n\r\n"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    go(watch, server(**mails(header)))
    world.wait(lambda: world.subjects() == ["large"])
    assert world.reads[0].mail.size == len(header)
    assert len(world.reads[0].octets) < 200_000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 30_000  # KiB; the server of the test itself holds the header


def test_news_that_come_with_the_answer_to_idle_are_not_lost(
    hasty: World, watch: Make, server: Callable[..., Scripted]
) -> None:
    """imapclient takes the first line after IDLE for the agreement; imaplib keeps what comes behind it to itself."""

    def early(talk: Talk, name: bytes, arguments: bytes) -> bool:
        one.answers |= {key.upper().encode(): answer for key, answer in mails(b"Subject: early\r\n\r\n").items()}
        del one.answers[b"IDLE"]
        talk.say(b"* 1 EXISTS\r\n+ idling\r\n")
        return True

    one = server(idle=early)
    go(watch, one)
    hasty.wait(lambda: hasty.subjects() == ["early"])


def test_news_right_behind_the_answer_to_idle_are_not_lost(
    hasty: World, watch: Make, server: Callable[..., Scripted]
) -> None:
    def behind(talk: Talk, name: bytes, arguments: bytes) -> bool:
        one.answers |= {key.upper().encode(): answer for key, answer in mails(b"Subject: behind\r\n\r\n").items()}
        del one.answers[b"IDLE"]
        talk.say(b"+ idling\r\n* 1 EXISTS\r\n")
        return True

    one = server(idle=behind)
    go(watch, one)
    hasty.wait(lambda: hasty.subjects() == ["behind"])


def test_a_server_that_accepts_and_closes_is_not_knocked_at_without_pause(
    hasty: World, watch: Make, server: Callable[..., Scripted]
) -> None:
    def closes(talk: Talk, name: bytes, arguments: bytes) -> bool:
        talk.say(b"+ idling\r\n")
        talk.sock.shutdown(socket.SHUT_RDWR)
        return True

    one = server(idle=closes)
    go(watch, one)
    hasty.wait(down(hasty, "as soon as it was idle"), 20)
    hasty.wait(lambda: len([state for state, _ in hasty.said if state == "down"]) >= 3, 30)
    assert one.accepted[2] - one.accepted[0] > 0.5  # each waits longer than the last


def test_a_server_that_hangs_delays_no_other(hasty: World, watch: Make, server: Callable[..., Scripted]) -> None:
    def hangs(talk: Talk, name: bytes, arguments: bytes) -> bool:
        return True

    stuck, well = server(capability=hangs), server()
    for n in range(100):
        watch(mailbox(stuck.port, f"stuck{n}", tls="none"), SEEN)
    began = time.monotonic()
    watch(mailbox(well.port, "well", tls="none", host="127.0.0.1"), SEEN)
    assert well.idling.acquire(timeout=10)
    assert time.monotonic() - began < 2.0


def test_a_mail_that_cannot_be_read_does_not_stop_those_behind_it(
    hasty: World, watch: Make, server: Callable[..., Scripted]
) -> None:
    good = mails(b"Subject: one\r\n\r\n", b"Subject: poison\r\n\r\n", b"Subject: three\r\n\r\n")

    def poisoned(talk: Talk, name: bytes, asked: bytes) -> bool:
        return (
            huge(talk, name, asked)
            if re.match(rb"(?:1[,:])?2\b|1:3|1,2,3|2:3|2,3", asked)
            else good["fetch"](talk, name, asked)
        )

    one = server(**{**good, "fetch": poisoned})
    world_watch = go(watch, one)
    world_watch.first_wait = 0.01
    hasty.wait(lambda: hasty.subjects() == ["one", "three"])
