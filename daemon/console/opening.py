"""The console of one house: its application on its server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from daemon.config import Configuration
from daemon.console.api import Api
from daemon.console.application import Application, Meter
from daemon.console.health import Health
from daemon.console.server import Limits, Server
from gateway.routing import Route
from gateway.store.store import Store


def make_server(
    store: Store,
    config: Callable[[], Configuration],
    routes: Callable[[], Sequence[Route]],
    taken: Callable[[Sequence[str]], None],
    hinders: Callable[[], Sequence[str]],
    meter: Meter,
    *,
    roles: Sequence[str],
    now: Callable[[], datetime],
    limits: Limits | None = None,
) -> Server:
    """A server that is not open yet.

    `config` and `routes` are those in force; `taken` is told which routes have work, `meter` what was answered;
    `hinders` says what keeps this process from its work.
    """
    api = Api(store, config, routes, taken, now=now)
    health = Health(store, roles, hinders)
    application = Application(api, meter, health.routes())
    return Server(application, limits)
