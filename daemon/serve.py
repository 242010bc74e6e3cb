"""`tocsin serve`: one process around one house: signals, the service manager, the lock on an SQLite file."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from sqlalchemy import Engine

from daemon import journal
from daemon.assemble import House, open_store
from daemon.config import Configuration, ConfigurationError, compare
from daemon.readiness import ServiceManager
from gateway.failure import RefusedError
from gateway.store.engine import is_sqlite

log = logging.getLogger(__name__)


@contextlib.contextmanager
def only_one(engine: Engine) -> Iterator[None]:
    """Hold the lock of an SQLite store for one `serve`; `RefusedError` where another has it."""
    if not is_sqlite(engine):
        yield
        return
    assert engine.url.database is not None
    path = Path(engine.url.database).resolve()
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RefusedError(f"the store's lock {path}.lock cannot be opened: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f"another tocsin serve works on {path}: one at a time, or let several share a PostgreSQL store"
            ) from None
        yield
    finally:
        os.close(descriptor)


def serve(load: Callable[[], Configuration], roles: Collection[str]) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP calls `load` again. Raises `RefusedError` or `StoreError` with a sentence."""
    config = load()
    manager = ServiceManager()
    journal.set_up(config.log.format, config.log.level, config.secrets)
    store = open_store(config)
    with only_one(store.engine), asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(_serve(House(config, store, roles=roles, sockets=manager.sockets()), load, manager))


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


async def _serve(house: House, load: Callable[[], Configuration], manager: ServiceManager) -> None:
    loop = asyncio.get_running_loop()
    hangups = asyncio.Event()

    def stop() -> None:
        manager.stopping("finishing what is open")
        house.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hangups.set)
    running = asyncio.ensure_future(house.run())
    beside = [
        asyncio.create_task(manager.keep_alive(), name="watchdog"),
        asyncio.create_task(_reloads(house, load, manager, hangups), name="reloads"),
        asyncio.create_task(_tell_ready(house, manager), name="ready"),
    ]
    try:
        await running
    except ExceptionGroup as group:  # `except*` would put what is raised here into a group again, in Python 3.11.2
        raise _first(group) from group
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _spare_the_collector() -> None:
    """Let the collector of cycles look at less, and seldom: it was a twelfth of what a message costs.

    What was made at the start stays until the end, and messages leave no cycles behind: counting references frees what
    they used. What does make cycles (exceptions that hold their own frames) is found a little later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


async def _tell_ready(house: House, manager: ServiceManager) -> None:
    await house.ready.wait()
    _spare_the_collector()
    # The store's thread asks for the interpreter at every statement: it should not wait 5 ms for it each time.
    sys.setswitchinterval(0.001)
    manager.ready("serving: " + ", ".join(sorted(house.roles)))


async def _reloads(
    house: House, load: Callable[[], Configuration], manager: ServiceManager, hangups: asyncio.Event
) -> None:
    while True:
        await hangups.wait()
        hangups.clear()
        if not house.ready.is_set():
            continue
        manager.reloading()
        try:
            await _reload(house, await asyncio.to_thread(load))
        except ConfigurationError as error:
            log.error("the configuration was not taken over: %s", error, extra={"action": "reload_refused"})
        except Exception:
            log.exception("the configuration was not taken over", extra={"action": "reload_failed"})
        manager.ready("serving: " + ", ".join(sorted(house.roles)))


async def _reload(house: House, config: Configuration) -> None:
    before = house.config
    await house.reload(config)
    for key in compare(before, config).restart:
        log.warning("%s has changed: it takes a restart", key, extra={"action": "restart_needed", "key": key})
    journal.set_up(config.log.format, config.log.level, config.secrets)
    log.info("the configuration was read again", extra={"action": "reloaded"})
