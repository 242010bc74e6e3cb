"""What a report says became of a mail, in a sentence for each recipient (RFC 3464, RFC 8098)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from filters import charsets

#: How many recipients are named, and how much of what a server said is repeated (characters).
_NAMED, _SAID = 5, 200
#: How many recipients are read for machines, and how much of what a server said is kept of each.
_READ, _TOLD = 1000, 500
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
#: How many lines of a report are read.
_LINES = 5000

_FOLD = re.compile(r"\n[ \t]+")
_ACTIONS = {
    "failed": "Not delivered to",
    "delayed": "Delayed, not yet delivered to",
    "delivered": "Delivered to",
    "relayed": "Passed on to the next server for",
    "expanded": "Delivered to the list",
}
_DISPOSITIONS = {
    "displayed": "Read by",
    "deleted": "Deleted by",
    "dispatched": "Passed on by",
    "processed": "Processed by",
    "denied": "Read or not, not told by",
    "failed": "Failed for",
}


def summary(report: str, subject: str = "") -> str:
    """What became of a mail, a line a recipient; `subject` is the mail's. Empty where the report says nothing."""
    said: list[str] = []
    others = 0
    for block in _blocks(report):
        line = _delivery(block) or _disposition(block)
        if line and line not in said:
            if len(said) < _NAMED:
                said.append(line)
            else:
                others += 1
    if not said:
        return ""
    if others:
        said.append(f"and {others} more recipients")
    if subject:
        said[0] += f" (mail: {subject})"
    return "\n".join(said)


@dataclass(frozen=True, slots=True)
class Recipient:
    """What is said of one recipient (RFC 3464 section 2.3): `action` in lower case, `status` as in RFC 3463.

    `original` is the address as the sender wrote it, empty where that is not told; `why` what a server said.
    """

    action: str
    status: str
    original: str
    why: str


def recipients(report: str) -> tuple[str, tuple[Recipient, ...]]:
    """The Original-Envelope-Id of a delivery notification, or empty, and what it says of each recipient."""
    envelope = ""
    found: list[Recipient] = []
    for block in _blocks(report):
        envelope = envelope or block.get("original-envelope-id", "")
        action = block.get("action", "").lower().partition("(")[0].strip()
        if action not in _ACTIONS or len(found) >= _READ:
            continue
        status = _STATUS.search(block.get("status", ""))
        original = _typed(block.get("original-recipient", "")).strip("<>")
        why = _typed(block.get("diagnostic-code", ""))
        why = charsets.one_line(charsets.decode_words(why))[:_TOLD]
        found.append(Recipient(action, status[0] if status else "", original, why))
    return envelope, tuple(found)


def _blocks(report: str) -> list[dict[str, str]]:
    """The fields of each block of lines, names in lower case."""
    blocks: list[dict[str, str]] = [{}]
    for line in _FOLD.sub(" ", report).split("\n", _LINES)[:_LINES]:
        if not line.strip():
            blocks.append({})
            continue
        name, colon, value = line.partition(":")
        if colon:
            blocks[-1].setdefault(name.strip().lower(), value.strip())
    return blocks


def _delivery(block: dict[str, str]) -> str:
    """The sentence for one recipient's delivery (RFC 3464 section 2.3)."""
    action = block.get("action", "").lower().partition("(")[0].strip()
    whom = _address(block)
    if action not in _ACTIONS or not whom:
        return ""
    if action not in ("failed", "delayed"):
        return f"{_ACTIONS[action]} {whom}"
    why = _typed(block.get("diagnostic-code", "")) or block.get("status", "")
    why = charsets.one_line(charsets.decode_words(why.replace(f"<{whom}>: ", "").replace(f"<{whom}> ", "")))
    if len(why) > _SAID:
        why = why[:_SAID].rpartition(" ")[0] + " ..."
    return f"{_ACTIONS[action]} {whom}: {why}" if why else f"{_ACTIONS[action]} {whom}"


def _disposition(block: dict[str, str]) -> str:
    """The sentence for what a reader did with a mail (RFC 8098 section 3.2.6)."""
    done = block.get("disposition", "").lower().rpartition(";")[2].partition("/")[0].strip()
    whom = _address(block)
    return f"{_DISPOSITIONS[done]} {whom}" if done in _DISPOSITIONS and whom else ""


def _address(block: dict[str, str]) -> str:
    """The recipient as the sender wrote it, else as the server knows it."""
    written = block.get("original-recipient") or block.get("final-recipient") or ""
    return charsets.one_line(charsets.decode_words(_typed(written).strip("<>")))[:_SAID]


def _typed(value: str) -> str:
    """The value after its type: "rfc822; ann@example.org", "smtp; 550 5.1.1 …"."""
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and " " not in kind.strip() else value.strip()
