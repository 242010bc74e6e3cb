"""Keeps secrets out of the log, whatever the format: texts, facts and tracebacks are rendered once, clean."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Collection, Iterator
from urllib.parse import quote

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

#: Facts with such names are hidden whatever they hold.
_SECRET_NAME = re.compile(r"passw|passphrase|secret|token|api_?key|authorization|credential|cookie", re.IGNORECASE)
#: What a secret looks like in a text: the password of an address, of an Authorization header or AUTH command, of an
#: assignment. Every repetition that could be tried from many places is bounded, as the text may be a peer's.
_SECRET_SHAPES = (
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,200}:)[^\s/@]{1,500}(?=@)", re.IGNORECASE),
    re.compile(r"(?P<keep>\b(?:Bearer|Basic)\s)[\w.~+/=-]{16,}", re.IGNORECASE),
    re.compile(r"(?P<keep>\bAUTH\s(?:PLAIN|LOGIN|XOAUTH2|OAUTHBEARER)\s)[\w+/=]{4,}"),
    re.compile(
        r"(?P<keep>(?:passw(?:or)?d|passphrase|secret|token|api_?key)[\"']?\s?[=:]\s?)"
        r"(?:b?\"[^\"]*\"|b?'[^']*'|[^\s,;)\]}&\"']+)",
        re.IGNORECASE,
    ),
)
#: Shorter ones than this are no secrets, and hiding them would hide everything else.
_SHORTEST = 4


class Redaction(logging.Filter):
    """Hides the secrets it knows, and what is written like one, in everything a record says."""

    def __init__(self, known: Collection[str] = ()) -> None:
        super().__init__()
        spellings = {spelling for secret in known if len(secret) >= _SHORTEST for spelling in _spellings(secret)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hide(self, text: str) -> str:
        """`text` with every secret in it written `***`."""
        if self._known is not None:
            text = self._known.sub("***", text)
        for shape in _SECRET_SHAPES:
            text = shape.sub(r"\g<keep>***", text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Renders the record once, clean, so that no formatter after this one sees a secret."""
        record.msg, record.args = self.hide(_said(record)), ()
        if record.exc_info or record.exc_text:
            record.exc_text = self.hide(record.exc_text or _traceback(record))
        if record.stack_info:
            record.stack_info = self.hide(text_of(record.stack_info))
        for name, value in list(facts(record)):
            setattr(record, name, self._fact(name, value))
        return True

    def _fact(self, name: str, value: object) -> object:
        if _SECRET_NAME.search(name):
            return "***"
        try:
            return self._clean(value)
        except Exception:  # a list that holds itself
            return f"({type(value).__name__} that cannot be written)"

    def _clean(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item) for item in value]
        if isinstance(value, dict):
            return {(key := text_of(given)): self._fact(key, item) for given, item in value.items()}
        return self.hide(text_of(value))


def _spellings(secret: str) -> set[str]:
    """The secret as Python, JSON and addresses write it."""
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")}


def facts(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    """What `extra` gave, the action first."""
    given = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    if "action" in given:
        yield "action", given.pop("action")
    yield from given.items()


def _said(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # a wrong number of arguments must not lose the event
        return f"{text_of(record.msg)} {text_of(record.args)}"


def _traceback(record: logging.LogRecord) -> str:
    try:
        return "".join(traceback.format_exception(*record.exc_info)).rstrip() if record.exc_info else ""
    except Exception:  # an exception whose own str() raises
        return "(the traceback cannot be written)"


def text_of(value: object) -> str:
    """`str(value)`, or a remark where that raises."""
    try:
        return str(value)
    except Exception:  # somebody's str() is no reason to lose the event
        return f"({type(value).__name__} that cannot be written)"
