"""`tocsin route`: the ways out, and which of them a number takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon import config
from daemon.commands import new_app, output
from gateway import routing
from gateway.failure import RefusedError
from gateway.message import Channel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Configuration

app = new_app("Routes, and which of them a number takes.")

Number = Annotated[str, typer.Argument(metavar="NUMBER")]
ChannelOption = Annotated[Channel, typer.Option(help="How it is to be reached.")]


@app.command(name="list")
def list_(context: typer.Context, as_json: output.Json = False) -> None:
    """List the configured routes."""
    settings = config.load(config.find(context.obj))
    routes = settings.routes
    found, ailing = health(settings)
    if as_json:
        output.write_json(
            [{**_document(route), **found.get(route.name, UNSEEN), "ailing": route.name in ailing} for route in routes]
        )
        return
    rows = [
        (
            route.name,
            ", ".join(sorted(route.channels)),
            route.transport,
            f"{route.host}:{route.port}",
            " ".join(route.prefixes),
            " ".join(route.not_prefixes),
            route.weight,
            route.price,
            (found.get(route.name, UNSEEN)["state"] or "-") + (", long" if route.name in ailing else ""),
        )
        for route in routes
    ]
    heads = ("route", "channels", "transport", "peer", "prefixes", "not", "weight", "price", "state")
    output.table(heads, rows, empty="no routes are configured: begin one with [[route]]")


@app.command()
def explain(
    context: typer.Context,
    number: Number,
    channel: ChannelOption = Channel.SMS,
    as_json: output.Json = False,
) -> None:
    """Say which route a number takes, and why the others not."""
    settings = config.load(config.find(context.obj))
    found, ailing = health(settings)
    document = explanation(settings, number, channel, ailing)
    for one in document["routes"]:
        one["state"] = found.get(one["name"], UNSEEN)["state"]
    if as_json:
        output.write_json(document)
        return
    rows = [
        (one["name"], "yes" if one["taken"] else "no", one["state"] or "-", one["why"]) for one in document["routes"]
    ]
    output.say(f"{document['to']} takes {document['route'] or 'no route'}.")
    output.table(("route", "taken", "state", "why"), rows, empty="no routes are configured: begin one with [[route]]")


#: Of a route whose state nobody knows: no daemon has told, or there is no store.
UNSEEN: dict[str, str | None] = {"state": None, "reason": None}
#: From the state that matters most, where several daemons work on a route.
_STATES = ("up", "throttled", "connecting", "refused", "down", "standby", "stopped")


def health(settings: Configuration) -> tuple[dict[str, dict[str, str | None]], Mapping[str, str]]:
    """How each route is, by what the daemons that work on it last said, and which are rather not taken for it.

    Nothing where the store cannot be read.
    """
    from daemon.commands.opening import store_of
    from gateway import health, presence
    from gateway.store.errors import StoreError

    try:
        with store_of(settings) as store:
            lines = store.read_now(presence.status)
            ailing = store.read_now(health.look).ailing
    except StoreError:
        return {}, {}
    lines = [line for line in lines if line.kind == "route" and line.node and line.state in _STATES]
    lines.sort(key=lambda line: _STATES.index(line.state), reverse=True)
    return {line.name: {"state": line.state, "reason": line.why or None} for line in lines}, ailing


def explanation(
    settings: Configuration, number: str, channel: Channel, ailing: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Which route is taken, as `route explain` and `try route` tell it; `RefusedError` for what is no number."""
    from daemon.assemble import carried  # the whole house

    to = _address(settings, number, channel)
    able = carried(settings.routes)
    considered = routing.consider(routing.with_health(able, ailing or {}), channel, to)
    considered += [
        routing.Considered(
            route,
            False,
            f"this version has no transport {route.transport}"
            if channel in route.channels
            else f"it does not carry {channel}",
        )
        for route in settings.routes
        if route not in able
    ]
    taken = next((one.route for one in considered if one.taken), None)
    return {
        "to": to,
        "channel": channel.value,
        "route": taken.name if taken is not None else None,
        "price": taken.units(to) if taken is not None else None,
        "routes": [{"name": one.route.name, "taken": one.taken, "state": None, "why": one.why} for one in considered],
    }


def _address(settings: Configuration, written: str, channel: Channel) -> str:
    if channel is Channel.EMAIL:
        return written
    from gateway import numbers

    if channel is Channel.SMS:
        return numbers.sms_number(written, settings.listen.region)
    number = numbers.read(written, settings.listen.region)
    if number.e164 is None:
        raise RefusedError(number.advice or f"{written} is no number")
    return number.e164


def _document(route: routing.Route) -> dict[str, Any]:
    return {
        "name": route.name,
        "channels": sorted(route.channels),
        "transport": route.transport,
        "host": route.host,
        "port": route.port,
        "tls": route.tls,
        "bind": route.bind,
        "binds": route.binds,
        "window": route.window,
        "rate": route.rate,
        "sender": route.sender,
        "prefixes": list(route.prefixes),
        "not_prefixes": list(route.not_prefixes),
        "weight": route.weight,
        "price": route.price,
        "prices": dict(route.prices),
        "concat": route.concat,
        "on_unknown": route.on_unknown,
    }
