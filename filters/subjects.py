"""The subject without what programs put before it: answers and forwards in many languages, names of lists."""

from __future__ import annotations

import re

from filters.phrases import FORWARDED_SUBJECT, REPLIED_SUBJECT

_COUNT = r"(?:\s?[\[(^*]?\d{1,3}[\])]?)?"
_REPLIED = re.compile(rf"(?:{REPLIED_SUBJECT}){_COUNT}\s?[:：]\s*", re.IGNORECASE)
_FORWARDED = re.compile(rf"(?:{FORWARDED_SUBJECT}){_COUNT}\s?[:：]\s*", re.IGNORECASE)
_BLOB = re.compile(r"\[[^\[\]]{0,80}\]\s*")
_TRAILER = re.compile(r"\s*\(fwd\)\Z", re.IGNORECASE)
_WRAPPED = re.compile(r"\[(?:fwd?|wg|tr):\s?(.*)\]\Z", re.IGNORECASE | re.DOTALL)
#: More marks than this before a subject are nobody's.
_MOST = 50


def base(subject: str) -> str:
    """What the mail is about (after RFC 5256 section 2.1): marks of answers, forwards and lists are taken off.

    What is in brackets stays where nothing else is left.
    """
    text = subject.strip()
    for _ in range(_MOST):
        shorter = _TRAILER.sub("", text)
        wrapped = _WRAPPED.match(shorter)
        if wrapped:
            shorter = wrapped[1].strip()
        found = _REPLIED.match(shorter) or _FORWARDED.match(shorter) or _BLOB.match(shorter)
        if found and (found.end() < len(shorter) or found.re is not _BLOB):
            shorter = shorter[found.end() :]
        if shorter == text:
            break
        text = shorter
    return text


def mark(subject: str) -> str:
    """What the first mark of a subject, lists' names aside, says of it: `reply`, `forward`, or empty."""
    text = subject.strip()
    for _ in range(_MOST):
        if _REPLIED.match(text):
            return "reply"
        if _FORWARDED.match(text) or _WRAPPED.match(text):
            return "forward"
        found = _BLOB.match(text)
        if not found:
            return ""
        text = text[found.end() :]
    return ""
