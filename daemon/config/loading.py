"""Finding and reading the configuration: one TOML file, every fault of it listed at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from pydantic import ValidationError

from daemon.config import rules
from daemon.config.credentials import Files, resolve
from daemon.config.faults import ConfigurationError, Fault, describe, key, shown, unknown
from daemon.config.models import (
    SECTIONS,
    CalendarsSection,
    ConsoleSection,
    ListenSection,
    LogSection,
    RouteSection,
    Section,
    StoreSection,
    WatchSection,
)
from gateway.routing import Route

#: Where the configuration is looked for last.
USUAL = (Path("tocsin.toml"), Path("/etc/tocsin/tocsin.toml"))

AnySection = TypeVar("AnySection", bound=Section)


@dataclass(frozen=True)
class Configuration:
    """Everything the file says, checked, with the defaults filled in. `path` is where it was read."""

    path: Path
    store: StoreSection = field(default_factory=StoreSection)
    listen: ListenSection = field(default_factory=ListenSection)
    route: tuple[RouteSection, ...] = ()
    watch: WatchSection = field(default_factory=WatchSection)
    calendars: CalendarsSection = field(default_factory=CalendarsSection)
    console: ConsoleSection = field(default_factory=ConsoleSection)
    log: LogSection = field(default_factory=LogSection)

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """The routes as the gateway works with them, in the order of the file."""
        return tuple(section.build(self.listen.returning) for section in self.route)

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that must never be shown or logged."""
        url = self.store.url.get_secret_value()
        password = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
        passwords = (section.password.get_secret_value() for section in self.route)
        return frozenset(filter(None, (password, unquote(password), *passwords, *self.store.keys)))


def find(given: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """The configuration's path: `given`, else `$TOCSIN_CONFIG`, else one of `USUAL`.

    `ConfigurationError` where there is none of the usual ones; a path that was named is not looked at here.
    """
    if given is not None:
        return given
    if named := environment.get("TOCSIN_CONFIG"):
        return Path(named)
    for path in USUAL:
        if path.exists():
            return path
    places = " nor ".join(str(path) for path in USUAL)
    raise ConfigurationError(
        [Fault("", f"no configuration found: there is neither {places}; name one with --config or $TOCSIN_CONFIG")]
    )


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Configuration:
    """The configuration in this file; `ConfigurationError` lists every fault with its key."""
    document = _read(path)
    named = environment.get("CREDENTIALS_DIRECTORY")
    files = Files(Path(named) if named else None, path.absolute().parent)
    reader = _Reader(document, files)
    configuration = reader.configuration(path)
    if reader.faults:
        raise ConfigurationError(reader.faults, path)
    return configuration


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError([Fault("", f"the configuration cannot be read: {reason}")], path) from None
    except UnicodeDecodeError as error:
        text = f"this is not UTF-8 text, as TOML must be (octet {error.start})"
        raise ConfigurationError([Fault("", text)], path) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([Fault("", f"this is not TOML: {error}")], path) from None


class _Reader:
    """Turns the document into sections, and gathers what is wrong."""

    def __init__(self, document: Mapping[str, Any], files: Files) -> None:
        self._document = document
        self._files = files
        self.faults: list[Fault] = []

    def configuration(self, path: Path) -> Configuration:
        """The configuration as far as it is right; where there are faults it is not to be used."""
        for name in self._document.keys() - SECTIONS.keys():
            self.faults.append(Fault(key(name), unknown(name, "the configuration", SECTIONS)))
        store, listen = self._section(StoreSection, "store"), self._section(ListenSection, "listen")
        routes = list(self._routes())
        configuration = Configuration(
            path,
            store=store,
            listen=listen,
            route=tuple(route for _, route in routes),
            watch=self._section(WatchSection, "watch"),
            calendars=self._section(CalendarsSection, "calendars"),
            console=self._section(ConsoleSection, "console"),
            log=self._section(LogSection, "log"),
        )
        self.faults += rules.judge_listen(configuration.listen)
        self.faults += rules.judge_addresses(configuration.listen, configuration.console)
        self.faults += rules.judge_names(routes)
        for n, route in routes:
            self.faults += rules.judge_route(route, n)
        return configuration

    def _section(self, model: type[AnySection], name: str) -> AnySection:
        found = self._table(model, self._document.get(name, {}), (name,))
        return found if found is not None else model.model_construct()

    def _routes(self) -> Iterator[tuple[int, RouteSection]]:
        tables = self._document.get("route", [])
        if not isinstance(tables, list):
            self.faults.append(Fault("route", f"is {shown(tables)}: begin each route with [[route]]"))
            return
        for n, table in enumerate(tables):
            route = self._table(RouteSection, table, ("route", n))
            if route is not None:
                yield n, route

    def _table(self, model: type[AnySection], table: Any, place: tuple[str | int, ...]) -> AnySection | None:
        if not isinstance(table, dict):
            self.faults.append(Fault(key(*place), f"is {shown(table)}: begin a table with [{place[0]}]"))
            return None
        values, faults = resolve(model, table, place, self._files)
        self.faults += faults
        secrets = model.secrets()
        known = [*model.model_fields, *(f"{name}_file" for name in secrets)]
        try:
            return model.model_validate(values)
        except ValidationError as error:
            found = [describe(one, place, known, secrets) for one in error.errors(include_url=False)]
            unread = {fault.key.removesuffix("_file") for fault in faults}  # not missing, and told already
            self.faults += (fault for fault in found if fault.key not in unread)
            return None
