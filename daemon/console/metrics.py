"""`/metrics`: what the house counted, in Prometheus' text format, for the networks that may read it.

Nothing is registered anywhere but in the registry of one console. Names carry their units; labels are routes, states,
origins, verbs and templates of paths, so that the number of series is bounded by the configuration.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import daemon
from daemon.board import Board
from daemon.console.problems import ProblemError
from daemon.dispatcher import Dispatcher
from daemon.measures import Histogram, Measures
from daemon.peers import Networks, Peer
from gateway import backlog, mailboxes
from gateway.message import OPEN
from gateway.store.errors import StoreError
from gateway.store.store import Store
from gateway.transports.base import Shared

#: For how long a count of the queue is good, in seconds, and at least how many times what it took.
_GOOD, _TIMES = 5.0, 50.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
#: What `tocsin_component_up` tells of; mailboxes and calendars would be too many.
_COMPONENTS = ("route", "listener", "store")
_WELL = ("up", "throttled")


class House(Collector):
    """Reads the house's numbers when it is asked to."""

    def __init__(
        self,
        measures: Measures,
        board: Board,
        dispatcher: Callable[[], Dispatcher | None],
        connections: Callable[[], int],
    ) -> None:
        self.queue: Mapping[tuple[str, str], int] = Counter()
        self._measures = measures
        self._board = board
        self._dispatcher = dispatcher
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        """Every family, in the order of the page that documents them (docs/metrics.md)."""
        yield _gauge("tocsin_info", "The version that runs.", {(daemon.__version__,): 1}, "version")
        yield from self._messages()
        yield from self._routes()
        yield from self._store()
        yield from self._mailboxes()
        yield from self._http()

    def _messages(self) -> Iterator[Metric]:
        told = self._measures
        by_origin = {(origin,): count for origin, count in told.messages.items()}
        yield _counter("tocsin_messages_accepted", "Messages taken in, after their commit.", by_origin, "origin")
        yield _counter("tocsin_segments", "Tries to hand a segment over.", told.outcomes, "route", "outcome")
        yield _counter("tocsin_receipts", "Receipts the operator sent.", told.receipts, "route", "state")
        yield _gauge("tocsin_queue_segments", "Open segments in the store.", self._queue(), "route", "state")
        yield _histogram(
            "tocsin_message_wait_seconds",
            "From a message's taking in to the first claim of it, of at most 100 messages a second.",
            {(): told.waited},
        )
        yield _histogram(
            "tocsin_submit_seconds",
            "From a segment's writing to the peer's answer.",
            {(route,): one for route, one in told.answered.items()},
            "route",
        )

    def _queue(self) -> Mapping[tuple[str, str], int]:
        """The last count, with the zeros of the routes of this process."""
        dispatcher = self._dispatcher()
        names = dispatcher.routes if dispatcher is not None else ()
        return {**{(name, state.value): 0 for name in names for state in sorted(OPEN)}, **self.queue}

    def _routes(self) -> Iterator[Metric]:
        flying = {(route,): count for route, count in self._measures.in_flight().items()}
        windows: dict[tuple[str, ...], float] = {}
        rates: dict[tuple[str, ...], float] = {}
        dispatcher = self._dispatcher()
        for name, transport in dispatcher.transports.items() if dispatcher is not None else ():
            flying.setdefault((name,), 0)
            if isinstance(transport, Shared) and dispatcher is not None:
                windows[(name,)] = transport.connections * dispatcher.routes[name].window
                if transport.rate is not None:
                    rates[(name,)] = transport.rate
        yield _gauge("tocsin_route_in_flight_segments", "Segments handed over and not settled yet.", flying, "route")
        yield _gauge("tocsin_route_window_segments", "How many may be in flight: the window.", windows, "route")
        yield _gauge("tocsin_route_rate_segments_per_second", "The rate it goes at now.", rates, "route")
        up = {
            (one.kind, one.name): float(one.state in _WELL) for one in self._board.reports() if one.kind in _COMPONENTS
        }
        yield _gauge("tocsin_component_up", "Whether it works: 1, or 0.", up, "kind", "name")

    def _store(self) -> Iterator[Metric]:
        told = self._measures
        yield _histogram("tocsin_store_commit_seconds", "From a set's begin to its commit.", {(): told.commits})
        members = {(verb,): one for verb, one in told.sets.items()}
        yield _histogram("tocsin_store_set_members", "Members of a verb in one commit.", members, "verb")
        yield _counter("tocsin_store_failures", "Members that could not be committed.", {(): told.failed})

    def _mailboxes(self) -> Iterator[Metric]:
        counted = {(state,): self._measures.mailboxes[state] for state in mailboxes.STATES}
        yield _gauge("tocsin_mailboxes", "Mailboxes this process watches, by how they are.", counted, "state")

    def _http(self) -> Iterator[Metric]:
        told = self._measures
        answers = {(path, str(status)): count for (path, status), count in told.requests.items()}
        yield _counter("tocsin_http_requests", "Requests answered.", answers, "path", "status")
        yield _histogram(
            "tocsin_http_request_seconds",
            "From a request's head to the end of its answer.",
            {(path,): one for path, one in told.request_seconds.items()},
            "path",
        )
        yield _gauge("tocsin_http_connections", "Open connections.", {(): self._connections()})


def _counter(name: str, about: str, values: Mapping[Any, float], *labels: str) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, value in list(values.items()):
        family.add_metric(key, value)
    return family


def _gauge(name: str, about: str, values: Mapping[Any, float], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for key, value in list(values.items()):
        family.add_metric(key, value)
    return family


def _histogram(name: str, about: str, values: Mapping[Any, Histogram], *labels: str) -> Metric:
    family = HistogramMetricFamily(name, about, labels=labels)
    for key, one in list(values.items()):
        below, buckets = 0, []
        for bound, count in zip((*one.bounds, float("inf")), one.counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(below)))
        family.add_metric(key, buckets, one.total)
    return family


class MetricsPage:
    """Answers `/metrics`."""

    def __init__(self, store: Store, house: House, networks: Callable[[], Networks]) -> None:
        """`networks` are those that may ask."""
        self._store = store
        self._house = house
        self._networks = networks
        self._until = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(house)
        ProcessCollector(registry=self._registry)

    def routes(self) -> list[Route]:
        """Where it is asked."""
        return [Route("/metrics", self.metrics, methods=["GET"])]

    async def metrics(self, request: Request) -> Response:
        """Everything, as it is now; the queue as it was some seconds ago at most."""
        state = request.scope["state"]
        state["template"] = "/metrics"
        networks = self._networks()
        if not all(peer in networks for peer in (state["peer"], *_behind(request))):
            raise ProblemError(403, "the metrics are for the networks of [console] metrics_networks")
        await self._count()
        return Response(generate_latest(self._registry), headers={"content-type": _TEXT})

    async def _count(self) -> None:
        """Count the queue, where the last count is too old; the last one stands where the store cannot be read."""
        began = time.monotonic()
        if began < self._until:
            return
        self._until = began + _GOOD  # nobody else counts meanwhile
        try:
            self._house.queue = await self._store.read(backlog.counts)
        except StoreError:
            return
        self._until = time.monotonic() + max(_GOOD, _TIMES * (time.monotonic() - began))


def _behind(request: Request) -> Iterator[Peer]:
    """Those for whom a proxy asks, as it says; one that cannot be read is nobody's."""
    for field in ("x-forwarded-for", "x-real-ip"):
        for value in request.headers.getlist(field):
            yield from (_peer(text) for text in value.split(","))
    if "forwarded" in request.headers:
        yield Peer()


def _peer(text: str) -> Peer:
    try:
        return Peer(ipaddress.ip_address(text.strip().strip("[]")))
    except ValueError:
        return Peer()
