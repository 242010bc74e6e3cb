"""The log: lines for people, JSON for machines, or entries of systemd's journal.

Every event carries what happened in `extra`: a stable `action` that operators search and tests assert, and the facts
beside it (`extra={"action": "link_down", "route": "operator"}`); the wording stays free. All formats show them.

`journald` speaks the journal's native protocol and not `<N>` prefixes on stderr: only so are the facts fields that can
be asked for (`journalctl TOCSIN_ACTION=link_down`), and a traceback is one entry. Where there is no journal to speak
to, the same lines go to stderr with their `<N>` prefix, which the service manager reads (sd-daemon(3)).

Secrets are kept out of whatever is written, tracebacks included: those the configuration named, and what looks like
one. Logging never raises: a record that cannot be rendered is written as well as it can be.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TextIO

from daemon import journald
from daemon.redaction import Redaction, facts, text_of

FORMATS = ("text", "json", "journald")
LEVELS = ("debug", "info", "warning", "error")

#: Our own packages; libraries are heard from `warning` on, and from `info` on where the level is `debug`. Never below:
#: what they write there holds passwords (aiosmtpd's AUTH lines) and whole texts.
_OURS = ("daemon", "filters", "gateway")

#: syslog's severities (RFC 5424 section 6.2.1).
_SEVERITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))

#: Control characters would let a peer's text forge lines or drive the reader's terminal; line breaks apart.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def set_up(format: str, level: str, secrets: Collection[str] = (), stream: TextIO | None = None) -> None:  # noqa: A002
    """Makes the log what `[log]` says; called again, it replaces what it made before.

    `secrets` are texts that must never be written (those of the configuration). `stream` stands for stderr. Raises
    ValueError, with what is allowed, on a format or level there is not.
    """
    if format not in FORMATS:
        raise ValueError(f"{format!r} is no log format: write one of {', '.join(FORMATS)}")
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no log level: write one of {', '.join(LEVELS)}")
    threshold = logging.getLevelNamesMapping()[level.upper()]
    handler = _handler(format, stream)
    handler.addFilter(Redaction(secrets))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.INFO if threshold == logging.DEBUG else max(threshold, logging.WARNING))
    for name in _OURS:
        logging.getLogger(name).setLevel(threshold)


def _handler(chosen: str, stream: TextIO | None) -> _Handler:
    if chosen == "json":
        return _Lines(_json, stream)
    if chosen == "journald":
        journal = journald.connect()
        return _Lines(_prefixed, stream) if journal is None else _Entries(journal)
    return _Lines(_line, stream)


class _Handler(logging.Handler):
    """A handler of ours, which never raises and never complains on stderr about itself."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):  # there is no log left to say it in
            self.write(record)

    def write(self, record: logging.LogRecord) -> None:
        raise NotImplementedError


class _Lines(_Handler):
    """Writes each record, rendered, to a stream; stderr is looked up each time, as it may be replaced."""

    def __init__(self, render: Callable[[logging.LogRecord], str], stream: TextIO | None) -> None:
        super().__init__()
        self._render = render
        self._stream = stream

    def write(self, record: logging.LogRecord) -> None:
        stream = self._stream or sys.stderr
        text = self._render(record) + "\n"
        # A name or a text may hold characters the stream cannot encode, lone surrogates above all.
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()


class _Entries(_Handler):
    """Writes each record as an entry of the journal."""

    def __init__(self, journal: journald.Journal) -> None:
        super().__init__()
        self._journal = journal

    def write(self, record: logging.LogRecord) -> None:
        message = "\n".join(filter(None, (_visible(record.getMessage()), record.exc_text, record.stack_info)))
        fields = {
            "MESSAGE": message,
            "PRIORITY": str(_severity(record)),
            "SYSLOG_IDENTIFIER": "tocsin",
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
        }
        for name, value in facts(record):
            fields[f"TOCSIN_{name}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self._journal.send(fields)

    def close(self) -> None:
        self._journal.close()
        super().close()


def _line(record: logging.LogRecord) -> str:
    """`2026-05-01 12:00:00.000+00:00 INFO what happened  action=… route=…`, in the machine's own zone."""
    at = datetime.fromtimestamp(record.created, UTC).astimezone()
    stamp = at.isoformat(" ", "milliseconds")
    return f"{stamp} {record.levelname:<7} {_body(record)}"


def _prefixed(record: logging.LogRecord) -> str:
    """The line without its time, each line of it with the severity the service manager reads (sd-daemon(3))."""
    prefix = f"<{_severity(record)}>"
    return "\n".join(prefix + line for line in _body(record).split("\n"))


def _body(record: logging.LogRecord) -> str:
    beside = " ".join(f"{name}={_fact(value)}" for name, value in facts(record))
    said = _visible(record.getMessage().replace("\n", "\\n"))
    detail = [
        "    " + _visible(line)
        for block in (record.exc_text, record.stack_info)
        if block
        for line in block.splitlines()
    ]
    return "\n".join([f"{said}  {beside}" if beside else said, *detail])


def _json(record: logging.LogRecord) -> str:
    """One object a line: time (RFC 3339, UTC), level, logger, message, then the facts, then a traceback."""
    at = datetime.fromtimestamp(record.created, UTC)
    entry: dict[str, object] = {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    for name, value in facts(record):
        entry[f"{name}_" if name in entry else name] = value
    if record.exc_text:
        entry["exception"] = record.exc_text
    if record.stack_info:
        entry["stack"] = record.stack_info
    return json.dumps(entry, default=text_of)


def _fact(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=text_of, ensure_ascii=False)
    plain = text and not any(character.isspace() or character in '"=' for character in text)
    return _visible(text if plain else json.dumps(text, ensure_ascii=False))


def _visible(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def _severity(record: logging.LogRecord) -> int:
    return next((number for level, number in _SEVERITIES if record.levelno >= level), 7)
