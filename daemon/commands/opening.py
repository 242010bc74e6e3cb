"""From a command's context to its configuration and its store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import typer

from daemon import config
from daemon.config import Configuration
from gateway import verbs
from gateway.failure import RefusedError
from gateway.store import migrate, wake
from gateway.store.engine import open_engine, parse_url
from gateway.store.store import Store


def configuration(context: typer.Context) -> Configuration:
    """The configuration the command line names, or the usual one."""
    return config.load(config.find(context.obj))


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@contextlib.contextmanager
def store_of(settings: Configuration) -> Iterator[Store]:
    """The configured store, with the schema this version needs. `StoreError` says what to do where it is not so."""
    store = verbs.open_store(open_engine(parse_url(settings.store.url.get_secret_value()), connections=2))
    try:
        store.read_now(migrate.require_head)
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def opened(context: typer.Context) -> Iterator[Store]:
    """The store of the command line's configuration."""
    with store_of(configuration(context)) as store:
        yield store


def read_secret(file: Path) -> str:
    """The text of a file, - for stdin, without its trailing newline: a password has no place among arguments."""
    try:
        text = typer.get_binary_stream("stdin").read() if str(file) == "-" else file.read_bytes()
        return text.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise RefusedError(f"{file} is not UTF-8 text") from None


def message_id(text: str) -> int:
    """An id as it was printed; `RefusedError` for what never was."""
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise RefusedError(f"{text!r} is no id of a message or a segment: tocsin message list shows them")
    return int(text)


def wake_daemons(store: Store) -> None:
    """Tell every daemon on this store that there is work."""
    wake.kick(store.engine)
