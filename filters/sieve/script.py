"""A Sieve script as a filter: parsed once, run on many mails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from filters.sieve import checks, lists
from filters.sieve.compiler import compiled
from filters.sieve.evaluator import Run
from filters.sieve.expressions import ExpressionError
from filters.sieve.machine import Done, EnoughError, Machine, Remember, Seen
from filters.sieve.program import Block, Call
from filters.sieve.strings import Template, Templates
from filters.sight import Sight
from filters.verdict import Need, Verdict

#: What of a mail a command or test looks at, beside its header.
_NEEDS: Mapping[str, frozenset[Need]] = {
    "body": frozenset({"structure", "body"}),
    "extracttext": frozenset({"structure", "body"}),
    "foreverypart": frozenset({"structure"}),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to: the verdict, every action in order (the mail server's too), what `duplicate` wants kept."""

    verdict: Verdict
    done: tuple[Done, ...]
    remember: tuple[Remember, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """A script that can be run. `text` is as its owner wrote it, `name` what its owner calls it."""

    text: str
    name: str
    _steps: Block = field(repr=False)
    _needs: frozenset[Need] = field(repr=False)
    _theirs: frozenset[str] = field(repr=False)
    _books: frozenset[str] = field(repr=False)
    _captures: bool = field(repr=False)

    @property
    def needs(self) -> frozenset[Need]:
        """What of a mail it looks at."""
        return self._needs

    @property
    def books(self) -> frozenset[str]:
        """Which books, groups and lists it names, as `sender_in` calls them."""
        return self._books

    def judge(self, sight: Sight) -> Verdict:
        """How it judges this mail, as if no mail had come before; never raises, whatever the mail is."""
        return self.run(sight).verdict

    def run(self, sight: Sight, seen: Seen | None = None) -> Outcome:
        """Run it; `seen` tells whether a key came before under a handle. Never raises, whatever the mail is."""
        machine = Machine(sight, seen, captures=self._captures)
        try:
            Run(machine, self._theirs).block(self._steps, asked=False)
        except EnoughError:
            machine.remark("the script was ended: it looks at more of this mail than is allowed")
        except ExpressionError as error:  # of a key with variables in it
            machine.remark(f"the script was ended: {error}")
        except Exception as error:  # a defect of ours: what was decided so far stands
            machine.remark(f"the script was ended by a defect of ours: {type(error).__name__}")
        if sight.message.cut:
            machine.remark("the mail is larger, or has more parts, than is looked at: not all of it was seen")
        verdict = Verdict(
            self.name,
            machine.matched,
            tuple(machine.hits),
            tuple(machine.misses),
            tuple(machine.actions),
            tuple(machine.notes),
            machine.stopped,
        )
        return Outcome(verdict, tuple(machine.done), tuple(machine.remember.values()))


def parse(text: str, name: str = "") -> Script:
    """The script of a text; `SieveError` with the line of what cannot be run."""
    steps, calls = compiled(text)
    theirs = checks.tainted(list(calls))
    return Script(text, name, steps, _needed(calls), theirs, _named_lists(calls), _wants_captures(calls))


def _needed(calls: tuple[Call, ...]) -> frozenset[Need]:
    found: set[Need] = {"headers"}
    for call in calls:
        found |= _NEEDS.get(call.name, frozenset())
        if "anychild" in call.tags:
            found.add("structure")
    return frozenset(found)


def _wants_captures(calls: tuple[Call, ...]) -> bool:
    """Whether any string asks for a part of what matched."""
    return any(name.isdigit() for call in calls for name in _names(call))


def _names(call: Call) -> Iterator[str]:
    """The variables in the strings of a call."""
    for value in (*call.given, *call.tags.values()):
        for item in value.items if isinstance(value, Templates) else (value,):
            if isinstance(item, Template):
                yield from item.names


def _named_lists(calls: tuple[Call, ...]) -> frozenset[str]:
    found: set[str] = set()
    for call in calls:
        keys = call.given[-1] if call.match.type == "list" or call.name == "valid_ext_list" else ()
        for key in keys if isinstance(keys, tuple) else ():
            name = lists.named(key)
            found |= {name} if name is not None else set()
    return frozenset(found)
