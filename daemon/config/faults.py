"""What is wrong with a configuration, said for people: the key, the value that was found, what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong; `key` is as in `route[0].window`, empty where it is the file itself."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.key else self.text


class ConfigurationError(Exception):
    """A configuration that cannot be used; `str()` lists every fault on a line of its own."""

    def __init__(self, faults: Sequence[Fault], path: Path | None = None) -> None:
        self.faults = tuple(faults)
        self.path = path
        named = f"{path}: " if path is not None else ""
        if len(self.faults) == 1:
            text = f"{named}{self.faults[0]}"
        else:
            text = "\n  ".join([f"{named}{len(self.faults)} faults", *map(str, self.faults)])
        super().__init__(text)


def key(*parts: str | int) -> str:
    """A key as people write it: `route[0].prices."+33"`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False))
    return text


def unknown(name: str, table: str, known: Collection[str]) -> str:
    """What to say of a key that does not exist."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
    return f"is no key of {table}; {hint}"


def shown(value: Any) -> str:
    """A value as the file has it, cut where it is long."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, str | bool | int | float):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return str(value)


def describe(
    error: ErrorDetails, place: Sequence[str | int], known: Collection[str], secrets: Collection[str]
) -> Fault:
    """A fault from what pydantic found; `place` is the table, `known` its keys, `secrets` those that are not shown."""
    # pydantic marks a fault of a table's key, not its value, by a last step named so
    where = key(*place, *(step for step in error["loc"] if step != "[key]"))
    kind = error["type"]
    if kind == "extra_forbidden":
        table = f"[{place[0]}]" if place else "the configuration"
        return Fault(where, unknown(str(error["loc"][-1]), table, known))
    if kind == "missing":
        return Fault(where, "is missing")
    advice = _advice(error)
    if error["loc"] and error["loc"][0] in secrets:
        return Fault(where, f"cannot be used: {advice}")
    if kind == "value_error" and error["input"] and isinstance(error["input"], list | Mapping):
        return Fault(where, advice)  # which names the element
    return Fault(where, f"is {shown(error['input'])}: {advice}")


def _advice(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    found = _ADVICE.get(error["type"])
    if found is not None:
        return found if isinstance(found, str) else found(context)
    return error["msg"][:1].lower() + error["msg"][1:]


def _one_of(context: Mapping[str, Any]) -> str:
    return "choose " + str(context["expected"]).replace("'", "")


_ADVICE: Mapping[str, str | Callable[[Mapping[str, Any]], str]] = {
    "value_error": lambda context: str(context["error"]),
    "literal_error": _one_of,
    "greater_than": lambda context: f"choose more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"choose {context['ge']} or more",
    "less_than_equal": lambda context: f"choose {context['le']} at most",
    "finite_number": "write a finite number",
    "string_too_short": "write something",
    "string_too_long": lambda context: f"use {context['max_length']} characters at most",
    "int_type": "write a whole number, without quotation marks",
    "int_from_float": "write a whole number",
    "float_type": "write a number, without quotation marks",
    "bool_type": "write true or false, without quotation marks",
    "string_type": "write a text, in quotation marks",
    "tuple_type": "write a list, in brackets",
    "list_type": "write a list, in brackets",
    "dict_type": "write a table, such as { … = … }",
    "model_type": "write a table",
}
