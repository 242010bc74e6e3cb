"""Criteria as a tree of tests, and what may be wrong with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from filters.sight import Sight
from filters.verdict import Finding, Json


class FilterError(ValueError):
    """A filter that cannot be run: `path` is where (`when.all[1].op`, or `line 3` of a script), `problem` is why."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Test:
    """One question to the mail. `value` is as written; None where the op takes none. `ask` is it, made ready."""

    __test__: ClassVar[bool] = False  # no test of pytest's

    path: str = dataclasses.field(compare=False)
    field: str
    op: str
    value: Json = None
    accents: bool = False
    ask: Callable[[Sight], tuple[bool, Json]] = dataclasses.field(kw_only=True, compare=False, repr=False)


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


def tests(node: Node) -> list[Test]:
    """Every test of a tree, in the order written."""
    if isinstance(node, Test):
        return [node]
    if isinstance(node, Not):
        return tests(node.node)
    return [test for one in node.nodes for test in tests(one)]


def holds(node: Node, sight: Sight, hits: list[Finding], misses: list[Finding]) -> bool:
    """Whether a node is true. Nothing is left out once that is clear: the trace has every test."""
    if type(node) is Test:
        held, found = node.ask(sight)
        (hits if held else misses).append(Finding(node.path, node.field, node.op, node.value, found))
        return held
    if isinstance(node, Not):
        return not holds(node.node, sight, hits, misses)
    assert not isinstance(node, Test)
    results = [holds(one, sight, hits, misses) for one in node.nodes]
    return False not in results if isinstance(node, All) else True in results


def written(node: Node) -> dict[str, Json]:
    """A node as JSON says it."""
    if isinstance(node, Not):
        return {"not": written(node.node)}
    if not isinstance(node, Test):
        return {"all" if isinstance(node, All) else "any": [written(one) for one in node.nodes]}
    document: dict[str, Json] = {"field": node.field, "op": node.op}
    if node.value is not None:
        document["value"] = node.value
    if node.accents:
        document["accents"] = True
    return document
