"""Every event the code logs stands in docs/events.md, and every one that stands there is logged."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from gateway.transports.base import LinkState, Result

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "events.md").read_text()
_NAME = re.compile(r"[a-z]+(_[a-z0-9]+)*")


def told() -> set[str]:
    """The names in the first column of the page's tables."""
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}


def actions(tree: ast.AST) -> Iterator[ast.expr]:
    """Every value that is given as `action`, in a dictionary or as what stands for one of a function or a loop."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "action")
        elif isinstance(node, ast.FunctionDef) and "action" in [one.arg for one in node.args.args] and _logs(node):
            place = [one.arg for one in node.args.args if one.arg != "self"].index("action")
            for call in ast.walk(tree):
                if isinstance(call, ast.Call) and ast.unparse(call.func).rsplit(".", 1)[-1] == node.name:
                    yield call.args[place]
        elif isinstance(node, ast.For) and isinstance(node.target, ast.Tuple) and isinstance(node.iter, ast.Tuple):
            names = [ast.unparse(one) for one in node.target.elts]
            if "action" in names:
                for row in node.iter.elts:
                    assert isinstance(row, ast.Tuple)
                    yield row.elts[names.index("action")]


def _logs(function: ast.FunctionDef) -> bool:
    """Whether it gives what it was given on, as the `action` of a line of the log."""
    return any(
        isinstance(node, ast.Dict) and any(isinstance(key, ast.Constant) and key.value == "action" for key in node.keys)
        for node in ast.walk(function)
    )


def patterns(value: ast.expr) -> Iterator[str]:
    """The names a value may have; what is only known when it runs is `*`."""
    if isinstance(value, ast.Constant):
        yield str(value.value)
    elif isinstance(value, ast.IfExp):
        yield from patterns(value.body)
        yield from patterns(value.orelse)
    elif isinstance(value, ast.JoinedStr):
        yield "".join(str(one.value) if isinstance(one, ast.Constant) else "*" for one in value.values)
    else:
        assert ast.unparse(value) == "action"  # its values were found where they are written


def logged() -> dict[str, str]:
    """Every name or pattern that is logged, and where."""
    found = {}
    for path in sorted(path for top in ("daemon", "gateway", "filters") for path in (ROOT / top).rglob("*.py")):
        for value in actions(ast.parse(path.read_text())):
            for pattern in patterns(value):
                found[pattern] = f"{path.relative_to(ROOT)}:{value.lineno}"
    return found


def test_every_event_that_is_logged_is_told() -> None:
    there = told()
    missing = {name: where for name, where in logged().items() if not any(fnmatch(one, name) for one in there)}
    assert missing == {}


def test_every_event_that_is_told_is_logged() -> None:
    names = [name for name in logged() if name != "*_*"]
    assert {one for one in told() if not any(fnmatch(one, name) for name in names)} - states() == set()


def states() -> set[str]:
    """`KIND_STATE` of what stands on the board."""
    return {f"route_{state.value}" for state in LinkState} | {"listener_up", "store_up", "store_down"}


def test_states_and_outcomes_are_all_told() -> None:
    assert states() | {f"segment_{result.value}" for result in Result} <= told()


def test_names_are_words() -> None:
    assert [one for one in told() if not _NAME.fullmatch(one)] == []
