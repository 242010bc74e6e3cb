"""Statements of the hot verbs: compiled once for each database, run on the driver's own cursor.

They are the same SQLAlchemy constructs as everywhere, so that schema and statements stay one thing; only the way to the
driver is shorter, for that way costs more than SQLite does. What the engine promises holds here as well: a statement
that fails ends its transaction for good, its error is one of SQLAlchemy's, and no value stands in it.

Rows come as named tuples. Instants go in as `datetime` or as what the database keeps (`schema.base.stamp`), and come
out as `datetime`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import Boolean, Connection, Executable, Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from gateway.store.errors import StoreError, forget_values
from gateway.store.schema.base import Instant, from_stamp, stamp
from gateway.store.writer import Writer

Row = Any

#: The most values of one IN list; longer ones are asked for in several statements.
MOST_IN = 512

#: How SQL is written for each driver: places instead of names.
_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
}


class Statement:
    """A statement, for all databases or one for each. At most one of its parameters is a list (`expanding`).

    It belongs to a module, is compiled when it is first run, and depends on nothing but the schema of this version.
    """

    def __init__(
        self,
        construct: Executable | Mapping[str, Executable],
        columns: Sequence[str] | None = None,
        *,
        order: Sequence[str] = (),
    ) -> None:
        """`columns` are those that an INSERT gives; `order` is that of the values of a row for `put`."""
        self._constructs: Mapping[str, Executable] = (
            construct if isinstance(construct, Mapping) else dict.fromkeys(_DIALECTS, construct)
        )
        self._columns = columns
        self._order = list(order)
        self._plain: dict[str, _Compiled] = {}  # by the database's name
        self._sized: dict[tuple[str, int], _Compiled] = {}

    def all(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """The rows it finds; a list that is long is asked for in pieces, in the order of the list."""
        compiled = self._plain.get(connection.dialect.name) or self._compile(connection)
        if compiled.expanding is None:
            return _run(connection, compiled, compiled.bind(values))
        wanted: Sequence[Any] = values[compiled.expanding]
        rows: list[Row] = []
        for start in range(0, len(wanted), MOST_IN):
            some = wanted[start : start + MOST_IN]
            sized = self._for(connection, _room(len(some)))
            rows += _run(connection, sized, sized.bind_list(values, some))
        return rows

    def one(self, connection: Connection, values: Mapping[str, Any]) -> Row | None:
        """The first row it finds, if there is one."""
        return next(iter(self.all(connection, values)), None)

    def write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of these rows."""
        if rows:
            bind = (self._plain.get(connection.dialect.name) or self._compile(connection)).bind
            self.put(connection, [bind(row) for row in rows])

    def put(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Run it for each of these rows: values in the statement's `order`, as the database keeps them (`stamp`)."""
        if not rows:
            return
        compiled = self._plain.get(connection.dialect.name) or self._compile(connection)
        cursor = connection.cursor if type(connection) is Writer else None
        if cursor is None:
            cursor = _ready(connection, compiled.text, rows[0]).cursor()
        try:
            if len(rows) == 1:
                cursor.execute(compiled.text, rows[0])
            else:
                cursor.executemany(compiled.text, rows)
        except connection.dialect.loaded_dbapi.Error as error:
            raise failed(connection, compiled.text, error) from error

    def _compile(self, connection: Connection) -> _Compiled:
        name = connection.dialect.name
        compiled = self._plain[name] = _Compiled(self._constructs[name], name, 0, self._columns)
        if self._order and self._order != compiled.names:
            raise AssertionError(f"values are put as {self._order}, {name} wants {compiled.names}")
        return compiled

    def _for(self, connection: Connection, size: int) -> _Compiled:
        key = (connection.dialect.name, size)
        compiled = self._sized.get(key)
        if compiled is None:
            compiled = self._sized[key] = _Compiled(self._constructs[key[0]], key[0], size, self._columns)
        return compiled


def _room(n: int) -> int:
    """The length of the list that so many values are asked for in: there are but a few, each of them compiled."""
    if n <= 8:
        return 1 << (n - 1).bit_length()
    return -(-n // 8) * 8 if n <= 64 else -(-n // 32) * 32


def insert_into(table: Table, *columns: str) -> Statement:
    """The INSERT of rows with values for these columns, in this order, which is the table's; the database fills others.

    Whoever puts rows says here what their values are: where the table has another order, nothing is put.
    """
    return Statement(insert(table).inline(), columns, order=columns)


class _Compiled:
    """What one database is sent, and how values go in and rows come out. `size` is the length of the list, 0: none."""

    def __init__(self, construct: Any, dialect: str, size: int, columns: Sequence[str] | None) -> None:
        plain = construct.compile(dialect=_DIALECTS[dialect], column_keys=columns)
        lists = [name for name, bind in plain.binds.items() if bind.expanding]
        self.expanding: str | None = lists[0] if lists else None
        self.size = size
        sized = plain
        if size:
            width = [None] * len(plain.binds[lists[0]].type.types) if _is_tuple(plain.binds[lists[0]]) else None
            others = {name: None for name, bind in plain.binds.items() if bind.required and name != lists[0]}
            filled = construct.params({lists[0]: [tuple(width) if width else None] * size, **others})
            sized = filled.compile(dialect=_DIALECTS[dialect], compile_kwargs={"render_postcompile": True})
        self.text = str(sized)
        self.names = names = list(sized.positiontup)
        known = [name for name in names if name in plain.binds]
        self._before = next((n for n, name in enumerate(names) if name not in plain.binds), 0)
        wanted = [name for name in known if plain.binds[name].required]
        self._constants = [(n, plain.binds[name].value) for n, name in enumerate(known) if name not in wanted]
        self._instants = [n for n, name in enumerate(known) if isinstance(plain.binds[name].type, Instant)]
        self._get = _getter(wanted)
        self.read = _reader(construct, dialect)

    def bind(self, values: Mapping[str, Any]) -> Sequence[Any]:
        """The parameters by their places."""
        found = self._get(values)
        if self._constants:
            some = list(found)
            for n, value in self._constants:
                some.insert(n, value)
            found = some
        for place in self._instants:
            if type(found[place]) is datetime:
                some = list(found)
                for n in self._instants:
                    if type(some[n]) is datetime:
                        some[n] = stamp(some[n])
                return some
        return found

    def bind_list(self, values: Mapping[str, Any], wanted: Sequence[Any]) -> Sequence[Any]:
        """The parameters with a list among them, filled up with its last value."""
        full = [*wanted, *[wanted[-1]] * (self.size - len(wanted))]
        flat = [value for one in full for value in one] if isinstance(full[0], tuple) else full
        flat = [stamp(value) if type(value) is datetime else value for value in flat]
        others = self.bind(values)
        return [*others[: self._before], *flat, *others[self._before :]]


def _getter(names: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: [values[name] for name in names]


def _is_tuple(bind: Any) -> bool:
    return hasattr(bind.type, "types")


def _reader(construct: Any, dialect: str) -> Callable[[Any], list[Row]]:
    """Makes rows of what a cursor has."""
    columns = list(getattr(construct, "exported_columns", ()))
    if not columns:
        return lambda cursor: []
    kind = namedtuple("Found", [column.key for column in columns])  # type: ignore[misc]
    make: Callable[[Iterable[Any]], Row] = partial(tuple.__new__, kind)
    instants = [n for n, column in enumerate(columns) if isinstance(column.type, Instant)]
    flags = [n for n, column in enumerate(columns) if isinstance(column.type, Boolean)] if dialect == "sqlite" else []
    if not instants and not flags:
        return lambda cursor: [make(values) for values in cursor.fetchall()]

    def convert(cursor: Any) -> list[Row]:
        rows = []
        for values in cursor.fetchall():
            some = list(values)
            for n in instants:
                kept = some[n]
                if kept is not None:
                    some[n] = from_stamp(kept)
            for n in flags:
                some[n] = bool(some[n])
            rows.append(make(some))
        return rows

    return convert


# The driver -----------------------------------------------------------------------------------------------------------


def execute(connection: Connection, text: str) -> Any:
    """Run a statement without parameters, inside of a transaction or not; the driver's cursor, to be read at once."""
    cursor: Any = connection.cursor if type(connection) is Writer else None
    try:
        return (cursor or connection.connection.dbapi_connection).execute(text)  # type: ignore[union-attr]
    except connection.dialect.loaded_dbapi.Error as error:
        raise failed(connection, text, error) from error


def _ready(connection: Connection, text: str, values: Sequence[Any]) -> Any:
    """The driver's connection, in a transaction in which nothing has failed."""
    if not connection.in_transaction():
        connection.begin()
    pooled = connection.connection
    info = pooled.info
    if "failed" in info:
        raise StoreError(f"a statement of this transaction failed before: {info['failed']}")
    if "watch" in info:  # somebody looks at plans
        info["watch"](text, values)
    return pooled.dbapi_connection


def _run(connection: Connection, compiled: _Compiled, values: Sequence[Any]) -> list[Row]:
    cursor = connection.cursor if type(connection) is Writer else None
    if cursor is None:
        cursor = _ready(connection, compiled.text, values).cursor()
    try:
        cursor.execute(compiled.text, values)
        return compiled.read(cursor)
    except connection.dialect.loaded_dbapi.Error as error:
        raise failed(connection, compiled.text, error) from error


def failed(connection: Connection, text: str, error: Exception) -> BaseException:
    """What to raise for the driver's error; the transaction is over, and the connection too where it was lost."""
    dialect = connection.dialect
    base = dialect.loaded_dbapi.Error
    lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    wrapped = DBAPIError.instance(
        text, None, error, base, hide_parameters=True, connection_invalidated=lost, dialect=dialect
    )
    forget_values(error, wrapped)
    if lost:
        connection.invalidate(error)
        connection.engine.dispose()  # the others of the pool have most likely died with it
    else:
        end(connection, error)
    return wrapped


def end(connection: Connection, error: BaseException) -> None:
    """Let nothing more be done in this transaction, in which a statement failed."""
    connection.info["failed"] = type(error).__name__
    if type(connection) is Writer:
        connection.cursor = None
