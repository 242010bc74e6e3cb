"""From a command's context to its configuration and its store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import typer
from sqlalchemy.engine import URL

from daemon import config
from daemon.config import Configuration
from gateway import verbs
from gateway.failure import RefusedError
from gateway.store import migrate, wake
from gateway.store.engine import StoreError, open_engine, parse_url
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
    url = parse_url(settings.store.url.get_secret_value())
    require_file(url)
    store = verbs.open_store(open_engine(url, connections=2))
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


def message_id(text: str) -> int:
    """An id as it was printed; `RefusedError` for what never was."""
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise RefusedError(f"{text!r} is no id of a message or a segment: tocsin message list shows them")
    return int(text)


def require_file(url: URL) -> None:
    """An SQLite file that is not there must not come to be by looking at it."""
    if url.get_backend_name() != "sqlite":
        return
    path = Path(url.database or "")
    try:
        found = path.stat()
    except FileNotFoundError:
        raise StoreError(f"there is no store at {path} yet: run tocsin migrate") from None
    except OSError as error:
        raise StoreError(f"the store at {path} cannot be reached: {(error.strerror or str(error)).lower()}") from None
    if not path.is_file():
        raise StoreError(f"{path} is no file: the store's URL must name one")
    if not found.st_size:
        raise StoreError(f"the store at {path} is empty: run tocsin migrate")


def wake_daemons(store: Store) -> None:
    """Tell every daemon on this store that there is work."""
    wake.kick(store.engine)
