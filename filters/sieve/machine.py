"""What a script has while it runs: the mail, its variables, what it decided, and how much more it may do. No clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from filters.context import Context
from filters.sieve.message import Part
from filters.sieve.program import Call, Value
from filters.sieve.strings import Template, Templates, Variables
from filters.sight import MANY, Sight, show
from filters.verdict import Decided, Finding, Json

#: Characters looked at, weighed by what a look costs; one test costs `_TEST`.
WORK = 60_000_000
_TEST = 500
#: Findings kept of one run, and notifications made.
FINDINGS, NOTICES = 500, 32

#: Whether another mail had this key under this handle (RFC 7352).
Seen = Callable[[str, str], bool]


class EnoughError(Exception):
    """The script does more work on this mail than is allowed."""


@dataclass(frozen=True, slots=True)
class Remember:
    """What `duplicate` wants kept: that the key came under the handle, for so many seconds from now.

    `last` says that every time it comes again counts anew (RFC 7352 section 3.3).
    """

    handle: str
    key: str
    seconds: int
    last: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """An action that was run, ours or the mail server's: its name, its place, its strings with variables put in."""

    call: Call
    given: tuple[Json, ...]


class Machine:
    """The state of one run."""

    def __init__(self, sight: Sight, seen: Seen | None, *, captures: bool) -> None:
        self.sight = sight
        self.message = sight.message
        self.variables = Variables()
        self.captures = captures
        self.part: Part | None = None
        self.done: list[Done] = []
        self.actions: list[Decided] = []
        self.notes: dict[str, None] = {}
        self.hits: list[Finding] = []
        self.misses: list[Finding] = []
        self.flags: list[str] = []
        self.remember: dict[tuple[str, str], Remember] = {}
        self.seen = seen
        self.stopped = False
        self.matched = False
        self._work = WORK

    @property
    def context(self) -> Context:
        """The circumstances of the mail."""
        return self.sight.context

    def pay(self, work: int) -> None:
        """Pay for work before it is done; `EnoughError` where too much has been done."""
        self._work -= work
        if self._work < 0:
            raise EnoughError

    def pay_test(self) -> None:
        """Pay for one test."""
        self.pay(_TEST)

    def text(self, value: Value) -> str:
        """A string argument with its variables put in; of a list the first."""
        if isinstance(value, str):
            return value
        if isinstance(value, Template):
            return value.expand(self.variables)
        return next(iter(self.texts(value)), "") if isinstance(value, tuple | Templates) else ""

    def texts(self, value: Value) -> tuple[str, ...]:
        """Strings with their variables put in."""
        if type(value) is tuple:
            return value
        if isinstance(value, Templates):
            return value.expand(self.variables)
        return (self.text(value),)

    def compare(self, call: Call, field: str, values: Iterable[str], *, captures: bool = True) -> bool:
        """Whether a value fits one of the keys, the last argument of a call; what was found is written down."""
        return self.compare_with(call, field, values, self.texts(call.given[-1]), captures=captures)

    def compare_with(
        self, call: Call, field: str, values: Iterable[str], keys: tuple[str, ...], *, captures: bool = True
    ) -> bool:
        """The same with keys that were worked out already."""
        match = call.match
        looked = tuple(values)
        found = match.find(looked, keys, self.pay, captures=captures and self.captures)
        if found is not None and found.captures:
            self.variables.captures = found.captures
        op = f"{match.type} {match.relation}" if match.type in ("value", "count") else match.type
        if found is None and match.type == "count":
            looked = (str(len(looked)),)
        self.note(call, found is not None, field, op, keys, (found.value,) if found is not None else looked)
        return found is not None

    def note(self, call: Call, hit: bool, field: str, op: str, keys: Json, values: Sequence[Json]) -> None:
        """Write down what a test asked and found."""
        kept = self.hits if hit else self.misses
        if len(self.hits) + len(self.misses) >= FINDINGS:
            self.remark(f"more than {FINDINGS} tests were made: those after them are not listed")
            return
        wanted = [show(key) for key in keys] if isinstance(keys, tuple) else keys
        if isinstance(wanted, list) and len(wanted) == 1:
            wanted = wanted[0]
        shown = [show(value) for value in values[:MANY]]
        kept.append(Finding(call.place, field, op, wanted, shown[0] if len(shown) == 1 else shown or None))

    def remark(self, sentence: str) -> None:
        """A sentence for whoever reads the trace; said once."""
        if len(self.notes) < FINDINGS:
            self.notes[sentence] = None
