"""The log: every format shows the facts, none shows a secret, and nothing it is given makes it raise."""

import io
import json
import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import journal, journald
from daemon.redaction import Redaction

log = logging.getLogger("daemon.tests")


@pytest.fixture(autouse=True)
def the_log_is_put_back() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", "daemon", "filters", "gateway")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        for handler in [handler for handler in logger.handlers if handler not in handlers]:
            handler.close()
        logger.handlers[:] = handlers


def written(form: str, level: str = "info", secrets: tuple[str, ...] = ()) -> io.StringIO:
    """The log set up to write here, and nowhere else: pytest's own handlers raise on what cannot be rendered."""
    logging.getLogger().handlers.clear()
    stream = io.StringIO()
    journal.set_up(form, level, secrets, stream)
    return stream


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


def test_text_is_one_line_with_time_level_message_and_facts() -> None:
    stream = written("text")
    log.warning("the link to %s is down", "operator", extra={"action": "link_down", "route": "operator", "tries": 3})
    line = stream.getvalue()
    assert line.endswith("WARNING the link to operator is down  action=link_down route=operator tries=3\n")
    assert line[4] == "-"
    assert line.count("\n") == 1


def test_a_fact_with_blanks_is_quoted_in_text() -> None:
    stream = written("text")
    log.info("refused", extra={"action": "refused", "why": 'it said "no" twice', "empty": ""})
    assert r'action=refused why="it said \"no\" twice" empty=""' in stream.getvalue()


def test_json_is_one_object_a_line_with_every_fact_in_its_own_type() -> None:
    stream = written("json")
    log.error("two\nlines é \ud800", extra={"action": "failed", "segments": [1, 2], "left": None, "path": Path("/x")})
    log.info("next")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["message"] == "two\nlines é \ud800"
    assert (first["level"], first["logger"], first["action"]) == ("error", "daemon.tests", "failed")
    assert (first["segments"], first["left"], first["path"]) == ([1, 2], None, "/x")
    assert first["time"].endswith("Z")
    assert second["message"] == "next"


def test_a_fact_named_like_a_field_of_ours_is_kept_beside_it() -> None:
    stream = written("json")
    log.info("hello", extra={"level": "high", "time": "noon"})
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["level_"], entry["time_"]) == ("info", "high", "noon")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_is_shown_whole(form: str) -> None:
    stream = written(form)
    try:
        raise LookupError("nobody here")
    except LookupError:
        log.exception("it broke")
    text = stream.getvalue() if form == "text" else json.loads(stream.getvalue())["exception"]
    assert "Traceback (most recent call last)" in text
    assert "LookupError: nobody here" in text


def test_a_peers_text_cannot_forge_a_line_nor_drive_a_terminal() -> None:
    stream = written("text")
    log.info("it said %s", "fine\r\n2026-01-01 INFO all is well \x1b[2J", extra={"reply": "a\nb\x07"})
    assert stream.getvalue().count("\n") == 1
    assert not {"\x1b", "\r", "\x07"} & set(stream.getvalue())


@pytest.mark.parametrize("form", ["text", "json"])
def test_levels_hold_for_us_and_libraries_are_heard_when_they_warn(form: str) -> None:
    stream = written(form, "info")
    log.debug("ours, debug")
    log.info("ours, info")
    logging.getLogger("some.library").info("RCPT TO:<+32475000000@sms.example.org>")
    logging.getLogger("some.library").warning("theirs, warning")
    assert "ours, debug" not in stream.getvalue()
    assert "ours, info" in stream.getvalue()
    assert "RCPT" not in stream.getvalue()
    assert "theirs, warning" in stream.getvalue()


def test_at_debug_libraries_still_do_not_show_their_debug_lines() -> None:
    stream = written("text", "debug")
    log.debug("ours, debug")
    logging.getLogger("some.library").info("theirs, info")
    logging.getLogger("some.library").debug("AUTH line of a user")
    assert "ours, debug" in stream.getvalue()
    assert "theirs, info" in stream.getvalue()
    assert "AUTH line" not in stream.getvalue()


def test_setting_up_again_replaces_and_does_not_write_twice() -> None:
    first = written("text")
    second = written("json")
    log.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_what_is_not_allowed_is_refused_with_what_is() -> None:
    with pytest.raises(ValueError, match="'xml' is no log format: write one of text, json, journald"):
        journal.set_up("xml", "info")
    with pytest.raises(ValueError, match="'loud' is no log level: write one of debug, info, warning, error"):
        journal.set_up("text", "loud")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_known_secret_shows_nowhere(form: str) -> None:
    secret = "pa'ss/wörd"
    stream = written(form, secrets=(secret, "x"))
    try:
        raise ConnectionError(f"cannot log in with {secret!r}")
    except ConnectionError:
        log.exception(
            "tried %s and %s as x",
            secret,
            {"pw": secret},
            extra={"action": "login", "url": "smpp://u:pa%27ss%2Fw%C3%B6rd@host", "tried": [{"n": secret}]},
        )
    said = stream.getvalue()
    assert "ss/w" not in said
    assert "ss%2F" not in said
    assert "***" in said
    assert "as x" in said


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("postgresql+psycopg://tocsin:hunter2@db/tocsin", "postgresql+psycopg://tocsin:***@db/tocsin", "hunter2"),
        ("Authorization: Bearer abcdefghijklmnop.qrst", "Authorization: Bearer ***", "abcdefgh"),
        ("AUTH PLAIN AGpvaG4AcGFzcw==", "AUTH PLAIN ***", "AGpv"),
        ("Route(name='a', password='hunter2', port=1)", "Route(name='a', password=***, port=1)", "hunter2"),
        ('{"api_key": "hunter2", "n": 1}', '{"api_key": ***, "n": 1}', "hunter2"),
        ("bind(system_id=b'x', password=b'hunter2')", "bind(system_id=b'x', password=***)", "hunter2"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_stays(text: str, kept: str, gone: str) -> None:
    stream = written("text")
    log.info("%s", text)
    assert kept in stream.getvalue()
    assert gone not in stream.getvalue()


def test_a_fact_with_a_secrets_name_is_hidden_whatever_it_is() -> None:
    stream = written("json")
    log.info("hello", extra={"password": "hunter2", "made": {"token": b"hunter2", "n": 1}})
    entry = json.loads(stream.getvalue())
    assert (entry["password"], entry["made"]) == ("***", {"token": "***", "n": 1})


def test_a_plain_sentence_is_left_as_it_is() -> None:
    sentence = "Basic authentication is off; see https://example.org/docs: the bearer tokens, 3 of them, were refused"
    assert Redaction().hide(sentence) == sentence


@pytest.mark.parametrize(
    "text", ["a." * 50_000, "a://" * 30_000, "password" * 20_000, "AUTH PLAIN " * 10_000, "://:" * 30_000]
)
def test_hiding_takes_bounded_time_on_a_hostile_text(text: str) -> None:
    before = os.times()
    Redaction(("hunter2",)).hide(text)
    after = os.times()
    assert after.user - before.user < 1.0


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_cannot_be_written_is_written_as_well_as_it_can_be(form: str) -> None:
    stream = written(form)
    loop: list[object] = []
    loop.append(loop)
    log.info("%d of %d", *["three"])
    log.info(Unprintable())
    log.info("facts", extra={"action": "odd", "thing": Unprintable(), "loop": loop, "set": {1}})
    try:
        raise ValueError(Unprintable())
    except ValueError:
        log.exception("broke")
    said = stream.getvalue()
    assert "%d of %d" in said
    assert "three" in said
    assert "Unprintable that cannot be written" in said
    assert "odd" in said
    assert "list that cannot be written" in said
    assert "broke" in said


def test_a_stream_that_is_closed_or_full_raises_nothing() -> None:
    stream = written("text")
    stream.close()
    log.error("nobody reads this")


def test_a_stream_of_few_characters_still_shows_the_line() -> None:
    raw = io.BytesIO()
    journal.set_up("text", "info", (), io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    # To our handler alone: pytest would keep the record, and cannot hand a lone surrogate on between its processes.
    record = log.makeRecord(log.name, logging.INFO, __file__, 1, "Zoë \ud800", (), None)
    for handler in logging.getLogger().handlers:
        if type(handler).__module__ == journal.__name__:
            handler.handle(record)
    assert rb"Zo\xeb \ud800" in raw.getvalue()


def entries(data: bytes) -> dict[str, str]:
    """What journald would read of one entry (the native protocol, read independently of how we write it)."""
    found = {}
    while data:
        head, _, data = data.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[8 + length + 1 :]
        found[name.decode()] = value.decode()
    return found


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(5)
        real = journald.connect
        monkeypatch.setattr(journald, "connect", lambda: real(path))
        yield sock


def test_journald_gets_one_entry_with_fields_that_can_be_asked_for(listening: socket.socket) -> None:
    journal.set_up("journald", "info", ("hunter2",))
    try:
        raise OSError("no route to hunter2")
    except OSError:
        log.exception("it\nbroke", extra={"action": "link_down", "peer id": "a=b", "tries": 3})
    entry = entries(listening.recv(65536))
    assert entry["MESSAGE"].startswith("it\nbroke\nTraceback")
    assert entry["MESSAGE"].endswith("no route to ***")
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"], entry["LOGGER"]) == ("3", "tocsin", "daemon.tests")
    assert (entry["TOCSIN_ACTION"], entry["TOCSIN_PEER_ID"], entry["TOCSIN_TRIES"]) == ("link_down", "a=b", "3")
    assert entry["CODE_FILE"].endswith("test_journal.py")


def test_journald_gets_what_is_too_long_for_a_datagram_as_a_sealed_file(listening: socket.socket) -> None:
    journal.set_up("journald", "info")
    long = "é" * 1_000_000
    log.info(long)
    data, descriptors, _, _ = socket.recv_fds(listening, 65536, 1)
    assert data == b""
    with open(descriptors[0], "rb") as file:
        file.seek(0)
        assert entries(file.read())["MESSAGE"] == long


def test_without_a_journal_stderr_gets_the_prefixes_the_service_manager_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = journald.connect
    monkeypatch.setattr(journald, "connect", lambda: real(str(tmp_path / "absent")))
    journal.set_up("journald", "debug")
    log.error("broken", extra={"action": "failed"})
    log.debug("detail")
    assert capsys.readouterr().err == "<3>broken  action=failed\n<7>detail\n"


def test_a_journal_that_goes_away_raises_nothing(listening: socket.socket) -> None:
    journal.set_up("journald", "info")
    listening.close()
    log.error("nobody reads this")
