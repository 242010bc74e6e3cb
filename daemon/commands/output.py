"""What commands print: one JSON document, or tables for people that are never cut short."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from gateway import instants

#: The option of every verb that lists or shows.
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def write_json(document: Any) -> None:
    """Print one JSON document, in UTF-8 whatever the locale; datetimes become RFC 3339."""
    _write(json.dumps(document, ensure_ascii=False, indent=2, default=_plain) + "\n")


def write_json_list(documents: Iterable[Any]) -> None:
    """Print a list whose elements come one by one, without holding them all."""
    separator = "["
    for document in documents:
        _write(separator + "\n" + json.dumps(document, ensure_ascii=False, default=_plain))
        separator = ","
    _write("[]\n" if separator == "[" else "\n]\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return instants.write(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _write(text: str) -> None:
    # A lone surrogate cannot be encoded; as an escape it is what JSON writes for it anyway.
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def say(text: str) -> None:
    """Print a line for people."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(clean(text).encode(encoding, "backslashreplace").decode(encoding) + "\n")


def clean(text: str) -> str:
    """The text with control characters shown as escapes: what others wrote must not drive the terminal."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else mark.encode("unicode_escape").decode() for mark in text
    )


def warn(text: str) -> None:
    """Say on stderr what should be known, and is no failure."""
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(f"tocsin: {clean(text)}\n".encode(encoding, "backslashreplace").decode(encoding))


def when(instant: datetime | str | None, precision: str = "seconds") -> str:
    """An instant for people: this machine's time, with its offset."""
    if instant is None:
        return ""
    found = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return found.astimezone().isoformat(" ", precision)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int], None]]:
    """Something to call with how many of `what` are done so far: shown on a terminal, and nowhere else."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what}: 0") as status:
        yield lambda done: status.update(f"{what}: {done:,}")


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str, headed: bool = True) -> None:
    """Print a table: fitted to a terminal by folding its cells, in a pipe as wide as it needs; `empty` where it is."""
    if not rows:
        say(empty)
        return
    cells = [["" if cell is None else clean(str(cell)).replace("\n", "\\n") for cell in row] for row in rows]
    if sys.stdout.isatty():
        _fold(heads, cells, headed)
        return
    widths = [max(len(line[n]) for line in [heads, *cells]) for n in range(len(heads))]
    for line in [list(heads), *cells] if headed else cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _fold(heads: Sequence[str], cells: Sequence[Sequence[str]], headed: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_header=headed)
    for head in heads:
        shown.add_column(head, overflow="fold")
    for line in cells:
        shown.add_row(*(Text(cell) for cell in line))
    Console(highlight=False, emoji=False).print(shown)


def pages(heads: Sequence[str], tables: Iterable[Sequence[Sequence[Any]]], *, empty: str) -> None:
    """Print a table that comes in pages, each as it comes."""
    some = False
    for rows in tables:
        if rows:
            table(heads, rows, empty="", headed=not some)
            some = True
    if not some:
        say(empty)
