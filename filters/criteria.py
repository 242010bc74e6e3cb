"""JSON documents -> filters: every key, kind and limit is checked, and an error names the path (`when.all[1].op`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from typing import Any, NoReturn, TypeVar

from filters import destinations, durations, fields, operators, templates
from filters.comparison import ValueFaultError, check_text, said
from filters.fields import near
from filters.filter import Action, Filter, MaxPer, Quiet
from filters.questions import question
from filters.tree import All, AnyOf, FilterError, Node, Not, Test
from filters.verdict import Channel, Json

__all__ = [
    "Action",
    "All",
    "AnyOf",
    "Filter",
    "FilterError",
    "MaxPer",
    "Node",
    "Not",
    "Quiet",
    "Test",
    "parse",
    "read",
]

#: Octets of a document, filters in it, levels of a tree, tests in it.
OCTETS, FILTERS, DEPTH, TESTS = 10_000_000, 10_000, 6, 100
#: Values of all tests of a filter together, and size of all its patterns: what it may cost to ask it.
VALUES, PATTERNS = 5000, 10_000
#: Longest name (characters), actions of a filter, destinations of a channel, parts of a short message.
NAME, ACTIONS, DESTINATIONS, PARTS = 100, 20, 100, 255
#: Most notices that `max_per` counts, and the longest window.
_COUNT, _WINDOW = 10_000, timedelta(days=31)

_FILTER = ("name", "source", "when", "actions", "stop", "max_per", "quiet")
_TEST = ("field", "op", "value", "accents")
_NODES = ("all", "any", "not")
_CHANNELS: tuple[Channel, ...] = ("sms", "email", "fax")
_ACTION = (*_CHANNELS, "text", "max_parts", "subject")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")

T = TypeVar("T")


class _Object(dict[str, Json]):
    """An object of a JSON text; `twice` is a key it has twice."""

    twice: str | None = None


def read(text: str | bytes) -> list[Filter]:
    """The filters of a JSON text that holds one filter, or a list of them; `FilterError` with the path or the line."""
    document = _loaded(text)
    if not isinstance(document, list):
        return [parse(document)]
    if len(document) > FILTERS:
        raise FilterError("", f"there are {len(document)} filters: {FILTERS} are the most")
    if not document:
        raise FilterError("", "the list holds no filter")
    return [parse(one, f"[{number}]") for number, one in enumerate(document)]


def parse(document: Json, path: str = "") -> Filter:
    """The filter of a JSON document; `FilterError` with the path of what is wrong, which begins with `path`."""
    given = _object(document, path, _FILTER, "a filter")
    for name in ("name", "when", "actions"):
        if name not in given:
            raise FilterError(_at(path, name), "is missing")
    tree = _Tree()
    return Filter(
        name=_name(given["name"], _at(path, "name")),
        source=_source(given.get("source", "all"), _at(path, "source")),
        when=tree.node(given["when"], _at(path, "when"), 1),
        actions=_actions(given["actions"], _at(path, "actions")),
        stop=_flag(given.get("stop", False), _at(path, "stop")),
        max_per=_max_per(given["max_per"], _at(path, "max_per")) if "max_per" in given else None,
        quiet=_quiet(given["quiet"], _at(path, "quiet")) if "quiet" in given else None,
    )


# The text


def _loaded(text: str | bytes) -> Json:
    if len(text) > OCTETS:
        raise FilterError("", f"this is too long for filters: {OCTETS} octets are the most")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FilterError("", f"this is not UTF-8: octet {error.start} is wrong") from None
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise FilterError(f"line {error.lineno}, column {error.colno}", f"this is not JSON: {error.msg}") from None
    except RecursionError:
        raise FilterError("", f"this nests far too deep: criteria nest at most {DEPTH} deep") from None
    except ValueError as error:
        raise FilterError("", f"this is not JSON: {str(error).partition(';')[0]}") from None


def _pairs(pairs: list[tuple[str, Json]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        found.twice = next(name for name in names if names.count(name) > 1)
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


# Pieces


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _object(value: Json, path: str, keys: tuple[str, ...], what: str) -> dict[str, Json]:
    """An object with these keys and no others, none of them null."""
    if not isinstance(value, dict):
        raise FilterError(path, f"{what} must be an object, not {said(value)}")
    twice = getattr(value, "twice", None)
    if twice is not None:
        raise FilterError(_at(path, _shown(twice)), "is there twice")
    for name in value:
        if name not in keys:
            raise FilterError(_at(path, _shown(name)), f"{what} has no such key{_meant(name, keys)}")
        if value[name] is None:
            raise FilterError(_at(path, name), "is null: leave it out where it says nothing")
    return value


def _meant(name: Any, keys: tuple[str, ...]) -> str:
    return near(str(name), keys) or f": it has {', '.join(keys)}"


def _shown(name: Any) -> str:
    return re.sub(r"[^ -~]", "?", str(name)[:60])


def _list(value: Json, path: str, most: int, what: str) -> list[Json]:
    if not isinstance(value, list):
        raise FilterError(path, f"must be a list of {what}, not {said(value)}")
    if not value:
        raise FilterError(path, f"is an empty list: it needs {what}")
    if len(value) > most:
        raise FilterError(path, f"has {len(value)} {what}: {most} are the most")
    return value


def _string(value: Json, path: str, longest: int) -> str:
    if not isinstance(value, str):
        raise FilterError(path, f"must be a text, not {said(value)}")
    _checked(lambda: check_text(value, longest), path)
    return value


def _checked(work: Callable[[], T], path: str) -> T:
    """The same, with the path of a value that cannot be used."""
    try:
        return work()
    except ValueFaultError as error:
        raise FilterError(f"{path}[{error.index}]" if error.index is not None else path, str(error)) from None


def _flag(value: Json, path: str) -> bool:
    if not isinstance(value, bool):
        raise FilterError(path, f"must be true or false, not {said(value)}")
    return value


def _integer(value: Json, path: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FilterError(path, f"must be a whole number, not {said(value)}")
    if not 1 <= value <= most:
        raise FilterError(path, f"must be between 1 and {most}")
    return value


def _choice(value: Json, path: str, choices: tuple[str, ...]) -> Any:
    if value not in choices:
        given = value if isinstance(value, str) else ""
        raise FilterError(path, f"must be {' or '.join(choices)}, not {said(value)}{near(given, choices)}")
    return value


def _name(value: Json, path: str) -> str:
    name = _string(value, path, NAME)
    if not name.strip() or not name.isprintable():
        raise FilterError(path, "must be a name on one line")
    return name


def _source(value: Json, path: str) -> str:
    source = _string(value, path, 300)
    kind, colon, rest = source.partition(":")
    mailbox, slash, folder = rest.partition("/")
    good = {"all": not colon, "smtp": not colon, "mailbox": bool(rest), "folder": bool(mailbox and slash and folder)}
    if not good.get(kind, False):
        forms = "all, smtp, mailbox:NAME or folder:NAME/FOLDER"
        raise FilterError(path, f"{source!r} is no source: write {forms}{near(kind, ('all', 'smtp'))}")
    return source


def _max_per(value: Json, path: str) -> MaxPer:
    given = _object(value, path, ("count", "window", "then"), "max_per")
    for name in ("count", "window"):
        if name not in given:
            raise FilterError(_at(path, name), "is missing")
    written = _string(given["window"], _at(path, "window"), 60)
    try:
        window = durations.parse_fixed(written)
    except ValueError as error:
        raise FilterError(_at(path, "window"), f"{written!r}: {error}") from None
    if not timedelta(seconds=1) <= window <= _WINDOW:
        raise FilterError(_at(path, "window"), f"must be between a second and {_WINDOW.days} days, not {written}")
    then = _choice(given.get("then", "digest"), _at(path, "then"), ("digest", "drop"))
    return MaxPer(_integer(given["count"], _at(path, "count"), _COUNT), window, then)


def _quiet(value: Json, path: str) -> Quiet:
    given = _object(value, path, ("from", "to", "then"), "quiet")
    hours = []
    for name in ("from", "to"):
        if name not in given:
            raise FilterError(_at(path, name), "is missing")
        found = _TIME.fullmatch(given[name]) if isinstance(given[name], str) else None
        if found is None:
            raise FilterError(_at(path, name), f"must be a time of day such as 22:00, not {said(given[name])}")
        hours.append(time(int(found[1]), int(found[2])))
    if hours[0] == hours[1]:
        raise FilterError(_at(path, "to"), "is the same as from: no hour lies between them")
    return Quiet(hours[0], hours[1], _choice(given.get("then", "hold"), _at(path, "then"), ("hold", "drop")))


# Criteria


class _Tree:
    """Reads one tree of criteria and counts what it asks."""

    def __init__(self) -> None:
        self._tests = 0
        self._values = 0
        self._patterns = 0

    def node(self, value: Json, path: str, depth: int) -> Node:
        """A node of the tree; a test directly under `when` has depth 1."""
        if depth > DEPTH:
            raise FilterError(path, f"criteria nest at most {DEPTH} deep")
        if not isinstance(value, dict):
            raise FilterError(path, f"must be a test, or all, any or not of tests, not {said(value)}")
        kinds = [name for name in _NODES if name in value]
        if not kinds:
            return self._test(_object(value, path, _TEST, "a test"), path)
        kind = kinds[0]
        other = next((name for name in value if name != kind), None)
        if other is not None:
            raise FilterError(_at(path, _shown(other)), f"cannot stand beside {kind}: put both into an all or an any")
        _object(value, path, _NODES, "criteria")
        inner = _at(path, kind)
        if kind == "not":
            return Not(self.node(value["not"], inner, depth + 1))
        listed = _list(value[kind], inner, TESTS, "tests")
        nodes = tuple(self.node(one, f"{inner}[{number}]", depth + 1) for number, one in enumerate(listed))
        return All(nodes) if kind == "all" else AnyOf(nodes)

    def _test(self, given: Mapping[str, Json], path: str) -> Test:
        self._tests += 1
        if self._tests > TESTS:
            raise FilterError(path, f"there are more than {TESTS} tests")
        for name in ("field", "op"):
            if name not in given:
                raise FilterError(_at(path, name), "is missing")
        field = _field(given["field"], _at(path, "field"))
        op = _string(given["op"], _at(path, "op"), 60)
        if wrong := operators.wrong(field, op):
            raise FilterError(_at(path, "op"), wrong)
        if "value" not in given and op not in ("exists", "empty"):
            raise FilterError(_at(path, "value"), "is missing")
        accents = _flag(given.get("accents", False), _at(path, "accents"))
        value = given.get("value")
        ask, size = _checked(lambda: question(field, op, value, accents=accents), _at(path, "value"))
        self._count(value, size, _at(path, "value"))
        return Test(path, given["field"], op, value, accents, ask=ask)

    def _count(self, value: Json, size: int, path: str) -> None:
        self._values += len(value) if isinstance(value, list) else 1
        self._patterns += size
        if self._values > VALUES:
            raise FilterError(path, f"with this the filter has more than {VALUES} values: make it several filters")
        if self._patterns > PATTERNS:
            raise FilterError(path, "with this the filter's patterns are too large: make it several filters")


def _field(value: Json, path: str) -> fields.Field:
    name = _string(value, path, 100)
    try:
        return fields.find(name)
    except LookupError as error:
        raise FilterError(path, str(error.args[0])) from None


# Actions


def _actions(value: Json, path: str) -> tuple[Action, ...]:
    listed = _list(value, path, ACTIONS, "actions")
    return tuple(_action(one, f"{path}[{number}]") for number, one in enumerate(listed))


def _action(value: Json, path: str) -> Action:
    given = _object(value, path, _ACTION, "an action")
    named = [name for name in given if name in _CHANNELS]
    if not named:
        raise FilterError(path, "names nobody: it needs sms, email or fax with a list of destinations")
    to = tuple((name, _destinations(name, given[name], _at(path, name))) for name in named)
    parts = _integer(given["max_parts"], _at(path, "max_parts"), PARTS) if "max_parts" in given else None
    text, subject = (_template(given[name], _at(path, name)) if name in given else None for name in ("text", "subject"))
    return Action(to, text, parts, subject)


def _destinations(channel: str, value: Json, path: str) -> tuple[str, ...]:
    found: list[str] = []
    for number, one in enumerate(_list(value, path, DESTINATIONS, "destinations")):
        at = f"{path}[{number}]"
        written = _string(one, at, 254)
        if wrong := destinations.wrong(channel, written):
            raise FilterError(at, wrong)
        found.append(written)
    return tuple(found)


def _template(value: Json, path: str) -> str:
    text = _string(value, path, templates.LONGEST)
    if not text.strip():
        raise FilterError(path, "says nothing: leave it out for the usual text")
    try:
        templates.names(text)
    except templates.TemplateError as error:
        raise FilterError(path, str(error)) from None
    return text
