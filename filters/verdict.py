"""What a filter found out about a mail, test by test, and what it decided to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

Channel: TypeAlias = Literal["sms", "email", "fax"]

#: What of a mail must be at hand: its header; which parts it has; the words of its text parts; the flags of a mailbox.
Need: TypeAlias = Literal["headers", "structure", "body", "flags"]

#: What JSON can say.
Json: TypeAlias = Any


class Finding(NamedTuple):  # a filter makes one for every test: nothing else here is made so often
    """One test: where it stands (`when.all[1]`), what it asked, and what was found; None where there was nothing.

    `found` is the value that fits; of a test that fails the one that was there, or a list of several. Texts are short.
    """

    path: str
    field: str
    op: str
    value: Json
    found: Json

    def document(self) -> dict[str, Json]:
        """As CONTRACT writes it."""
        return {"path": self.path, "field": self.field, "op": self.op, "value": self.value, "found": self.found}


@dataclass(frozen=True, slots=True)
class Decided:
    """Something to say to one destination, as the owner wrote it: `me`, `contact:NAME`, `list:NAME`, a number, an
    address. `text` is rendered and whole; `max_parts` says how many short messages it may take, None what the account
    allows. `subject` is for e-mail and fax.
    """

    channel: Channel
    to: str
    text: str
    max_parts: int | None = None
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one filter judged one mail. `stopped` says that no filter after it is asked."""

    filter: str
    matched: bool
    hits: tuple[Finding, ...] = ()
    misses: tuple[Finding, ...] = ()
    actions: tuple[Decided, ...] = ()
    notes: tuple[str, ...] = ()
    stopped: bool = False

    def document(self) -> dict[str, Json]:
        """As CONTRACT's `try filter` prints it, and as the trace of a notice keeps it."""
        return {
            "matched": self.matched,
            "hits": [one.document() for one in self.hits],
            "misses": [one.document() for one in self.misses],
            "actions": [{"channel": one.channel, "to": one.to, "text": one.text} for one in self.actions],
            "notes": list(self.notes),
            "stopped": self.stopped,
        }
