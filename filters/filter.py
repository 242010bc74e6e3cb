"""A filter: criteria, what to send to whom, how often and when (CONTRACT, "Filters")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from typing import Literal

from filters import fields, templates, tree
from filters.context import Source
from filters.durations import Duration
from filters.sight import Sight
from filters.tree import Node
from filters.verdict import Channel, Decided, Finding, Json, Need, Verdict


@dataclass(frozen=True, slots=True)
class Action:
    """What to send to whom: destinations by channel, in the order written. `text` None is the usual text."""

    to: tuple[tuple[Channel, tuple[str, ...]], ...]
    text: str | None = None
    max_parts: int | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class MaxPer:
    """At most `count` notices in any stretch of `window`; what is more is told in one summary, or dropped."""

    count: int
    window: timedelta
    then: Literal["digest", "drop"] = "digest"


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the account's day, `from_` included and `to` not, over midnight where `to` is the smaller."""

    from_: time
    to: time
    then: Literal["hold", "drop"] = "hold"


@dataclass(frozen=True, slots=True)
class Filter:
    """Criteria and actions. `source` is as written: `all`, `smtp`, `mailbox:NAME`, `folder:NAME/FOLDER`.

    Equal filters are those whose documents say the same. `filters.criteria.parse` makes them.
    """

    name: str
    when: Node
    actions: tuple[Action, ...]
    source: str = "all"
    stop: bool = False
    max_per: MaxPer | None = None
    quiet: Quiet | None = None

    def watches(self, source: Source | None) -> bool:
        """Whether mails that came through this door are its business; where the door is not known, they are."""
        kind, _, rest = self.source.partition(":")
        if source is None or kind == "all":
            return True
        if kind == "smtp" or source.kind == "smtp":
            return kind == source.kind
        mailbox, _, folder = rest.partition("/") if kind == "folder" else (rest, "", "")
        same = mailbox.casefold() == source.mailbox.casefold()
        return same and (kind == "mailbox" or folder.casefold() == source.folder.casefold())

    @property
    def needs(self) -> frozenset[Need]:
        """What of a mail it looks at, in its tests and in its texts."""
        found: set[Need] = set()
        for test in tree.tests(self.when):
            found |= fields.find(test.field).needs
        for action in self.actions:
            found |= templates.needs(action.text)
            if action.subject is not None:
                found |= templates.needs(action.subject)
        return frozenset(found)

    @property
    def books(self) -> frozenset[str]:
        """The books, groups and lists its tests name, as written: what must be known of whom the account knows."""
        found: set[str] = set()
        for test in tree.tests(self.when):
            if test.field == "sender_in":
                value = test.value if test.op in ("in", "is") else "any"
                found.update(value if isinstance(value, list) else [value])
        return frozenset(found)

    def judge(self, sight: Sight) -> Verdict:
        """How this filter judges this mail: every test is asked, and tells what it found."""
        if not self.watches(sight.context.source):
            return Verdict(self.name, False, notes=(f"its source is {self.source}: this mail came another way",))
        hits: list[Finding] = []
        misses: list[Finding] = []
        matched = tree.holds(self.when, sight, hits, misses)
        notes = _unknown((*hits, *misses), sight) if sight.unknown else {}
        actions: tuple[Decided, ...] = ()
        if matched:
            actions = tuple(dict.fromkeys(one for action in self.actions for one in _decided(action, sight)))
        if sight.mail.cut and "structure" in self.needs:
            notes["the mail is so large or so deep that parts of it were not looked at"] = None
        return Verdict(
            self.name, matched, tuple(hits), tuple(misses), actions, tuple(notes), stopped=matched and self.stop
        )

    def document(self) -> dict[str, Json]:
        """The JSON document it was made of: parsed again, it is an equal filter."""
        document: dict[str, Json] = {"name": self.name, "source": self.source, "when": tree.written(self.when)}
        document["actions"] = [_action(action) for action in self.actions]
        if self.stop:
            document["stop"] = True
        if self.max_per is not None:
            window = str(Duration(fixed=self.max_per.window))
            document["max_per"] = {"count": self.max_per.count, "window": window, "then": self.max_per.then}
        if self.quiet is not None:
            hours = {"from": f"{self.quiet.from_:%H:%M}", "to": f"{self.quiet.to:%H:%M}"}
            document["quiet"] = {**hours, "then": self.quiet.then}
        return document


def _unknown(findings: tuple[Finding, ...], sight: Sight) -> dict[str, None]:
    """A note for each thing that was asked for and is not known here."""
    names = (fields.find(one.field).name for one in findings)
    return {sight.unknown[name]: None for name in names if name in sight.unknown}


def _decided(action: Action, sight: Sight) -> list[Decided]:
    text = templates.render(action.text, sight)
    subject = ""
    if any(channel != "sms" for channel, _ in action.to):
        subject = templates.render("{subject}" if action.subject is None else action.subject, sight)
    return [
        Decided(channel, to, text, action.max_parts, "" if channel == "sms" else subject)
        for channel, destinations in action.to
        for to in destinations
    ]


def _action(action: Action) -> dict[str, Json]:
    document: dict[str, Json] = {channel: list(destinations) for channel, destinations in action.to}
    for name in ("text", "max_parts", "subject"):
        if getattr(action, name) is not None:
            document[name] = getattr(action, name)
    return document
