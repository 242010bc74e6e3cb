"""The language of filters: a JSON document becomes a `Filter`, or an error that names the path (CONTRACT, "Filters")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from typing import ClassVar, Literal, TypeAlias

from filters.context import Source
from filters.sight import Sight
from filters.verdict import Channel, Json, Need, Verdict


class FilterError(ValueError):
    """A filter that cannot be run: `path` is where (`when.all[1].op`, or `line 3` of a script), `problem` is why."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Test:
    """One question to the mail. `value` is as written; None where the op takes none."""

    __test__: ClassVar[bool] = False  # no test of pytest's

    path: str
    field: str
    op: str
    value: Json = None
    accents: bool = False


@dataclass(frozen=True, slots=True)
class All:
    """True where every one of its nodes is."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where one of its nodes is."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where its node is not."""

    node: Node


Node: TypeAlias = Test | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Action:
    """What to send to whom: destinations by channel, in the order written. `text` None is the usual text."""

    to: tuple[tuple[Channel, tuple[str, ...]], ...]
    text: str | None = None
    max_parts: int | None = None


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
    """Criteria and actions. `source` is as written: `all`, `smtp`, `mailbox:NAME`, `folder:NAME/FOLDER`."""

    name: str
    when: Node
    actions: tuple[Action, ...]
    source: str = "all"
    stop: bool = False
    max_per: MaxPer | None = None
    quiet: Quiet | None = None

    def watches(self, source: Source | None) -> bool:
        """Whether mails that came through this door are its business."""
        raise NotImplementedError

    @property
    def needs(self) -> frozenset[Need]:
        """What of a mail it looks at, in its tests and in its texts."""
        raise NotImplementedError

    def judge(self, sight: Sight) -> Verdict:
        """How this filter judges this mail."""
        raise NotImplementedError

    def document(self) -> dict[str, Json]:
        """The JSON document it was made of: `parse(filter.document()) == filter`."""
        raise NotImplementedError


def parse(document: Json) -> Filter:
    """The filter of a JSON document; `FilterError` with the path of what is wrong."""
    raise NotImplementedError


def read(text: str | bytes) -> list[Filter]:
    """The filters of a JSON text that holds one, or a list of them; `FilterError` with the path or the line."""
    raise NotImplementedError
