"""A password is shown to its server, and to nobody else: not in a log at any level, not in what is said."""

from __future__ import annotations

import base64
import logging
import traceback

import pytest

from daemon.watching.session import FAILURES, Settings, connect
from gateway.mailboxes import Login
from tests.daemon.watching.scripted import Answer, Scripted, Talk

SECRET = "pass+word-of-jean"
FORMS = (SECRET, base64.b64encode(f"\0jean\0{SECRET}".encode()).decode(), base64.b64encode(SECRET.encode()).decode())


def echoes(talk: Talk, name: bytes, arguments: bytes) -> bool:
    """A server that sends back what it does not understand."""
    talk.say(talk.tag + b" BAD I do not know " + name + b" " + arguments + b"\r\n")
    return True


def breaks(talk: Talk, name: bytes, arguments: bytes) -> bool:
    talk.sock.close()
    return True


def asks(then: Answer) -> Answer:
    """Takes the answer to a challenge, and sends it back."""

    def authenticate(talk: Talk, name: bytes, arguments: bytes) -> bool:
        talk.say(b"+ \r\n")
        return then(talk, name, talk.file.readline().strip())

    return authenticate


@pytest.mark.parametrize("auth", ["login", "plain"])
@pytest.mark.parametrize("answer", [None, echoes, breaks])
def test_a_password_is_in_no_log_and_no_sentence(
    settings: Settings, caplog: pytest.LogCaptureFixture, auth: str, answer: Answer | None
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = {} if answer is None else {"login": answer, "authenticate": asks(answer)}
    if answer is None:
        answers = {"authenticate": asks(lambda talk, name, arguments: talk.ok())}
    one = Scripted(**answers)
    said = ""
    try:
        connect(Login("127.0.0.1", one.port, "none", auth, "jean", SECRET.encode()), 1, settings).close()
    except FAILURES as error:
        said = str(error) + "".join(traceback.format_exception(error))
    finally:
        one.close()
    assert bool(said) == (answer is not None)
    for form in FORMS:
        assert form not in said
        assert form not in caplog.text


def test_a_password_is_not_in_what_stands_for_a_login_or_a_mailbox() -> None:
    assert SECRET not in repr(Login("127.0.0.1", 1, "none", "login", "jean", SECRET.encode()))
