"""The console of one house: its application on its server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from daemon.board import Board
from daemon.config import Configuration
from daemon.console.api import Api
from daemon.console.application import OTHER, Application
from daemon.console.health import Health
from daemon.console.metrics import House, MetricsPage
from daemon.console.server import Limits, Server
from daemon.console.taking import Taker
from daemon.dispatcher import Dispatcher
from daemon.measures import Measures
from gateway.routing import Route
from gateway.store.store import Store


def make_server(
    store: Store,
    config: Callable[[], Configuration],
    routes: Callable[[], Sequence[Route]],
    taken: Callable[[Sequence[str]], None],
    hinders: Callable[[], Sequence[str]],
    measures: Measures,
    board: Board,
    dispatcher: Callable[[], Dispatcher | None],
    *,
    roles: Sequence[str],
    now: Callable[[], datetime],
    limits: Limits | None = None,
) -> Server:
    """A server that is not open yet.

    `config` and `routes` are those in force; `taken` is told which routes have work; `hinders` says what keeps this
    process from its work; `measures`, `board` and `dispatcher` (None without that role) are what `/metrics` reads.
    """
    api = Api(store, config, now=now)
    taker = Taker(api, routes, taken)
    health = Health(store, roles, hinders)
    house = House(measures, board, dispatcher, lambda: server.connections)
    metrics = MetricsPage(store, house, lambda: config().console.metrics_networks)
    application = Application(api, taker, measures, [*health.routes(), *metrics.routes()])
    server = Server(application, limits, lambda status: measures.request(OTHER, status, 0.0))
    return server
