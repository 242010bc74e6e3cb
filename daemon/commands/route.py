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
    from daemon.config import Configuration

app = new_app("Routes, and which of them a number takes.")

Number = Annotated[str, typer.Argument(metavar="NUMBER")]
ChannelOption = Annotated[Channel, typer.Option(help="How it is to be reached.")]


@app.command(name="list")
def list_(context: typer.Context, as_json: output.Json = False) -> None:
    """List the configured routes."""
    routes = config.load(config.find(context.obj)).routes
    if as_json:
        output.write_json([_document(route) for route in routes])
        return
    rows = [
        (
            route.name,
            ", ".join(sorted(route.channels)),
            route.transport,
            f"{route.host}:{route.port}",
            " ".join(route.prefixes),
            " ".join(route.not_prefixes),
            route.price,
        )
        for route in routes
    ]
    heads = ("route", "channels", "transport", "peer", "prefixes", "not", "price")
    output.table(heads, rows, empty="no routes are configured: begin one with [[route]]")


@app.command()
def explain(
    context: typer.Context,
    number: Number,
    channel: ChannelOption = Channel.SMS,
    as_json: output.Json = False,
) -> None:
    """Say which route a number takes, and why the others not."""
    document = explanation(config.load(config.find(context.obj)), number, channel)
    if as_json:
        output.write_json(document)
        return
    rows = [(one["name"], "yes" if one["taken"] else "no", one["why"]) for one in document["routes"]]
    output.say(f"{document['to']} takes {document['route'] or 'no route'}.")
    output.table(("route", "taken", "why"), rows, empty="no routes are configured: begin one with [[route]]")


def explanation(settings: Configuration, number: str, channel: Channel) -> dict[str, Any]:
    """Which route is taken, as `route explain` and `try route` tell it; `RefusedError` for what is no number."""
    to = _address(settings, number, channel)
    considered = routing.consider(settings.routes, channel, to)
    taken = next((one.route for one in considered if one.taken), None)
    return {
        "to": to,
        "channel": channel.value,
        "route": taken.name if taken is not None else None,
        "price": taken.units(to) if taken is not None else None,
        "routes": [{"name": one.route.name, "taken": one.taken, "why": one.why} for one in considered],
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
