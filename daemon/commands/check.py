"""`tocsin check`: what is wrong with the configuration, the store and, with `--connect`, the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from daemon import tls
from daemon.commands import new_app, output
from daemon.commands.connecting import Ear, connect_to
from daemon.commands.opening import configuration, store_of
from daemon.config import Configuration
from gateway import claims
from gateway.failure import RefusedError
from gateway.message import Channel
from gateway.store import durability, schema
from gateway.store.errors import StoreError, explain
from gateway.store.store import Store

app = new_app()

WRONG, NOTE = "wrong", "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know: `level` is `wrong`, which fails the check, or `note`; `subject` is what it is about."""

    level: str
    subject: str
    text: str


@app.command()
def check(
    context: typer.Context,
    connect: Annotated[bool, typer.Option("--connect", help="Also try every route: connect, and log in.")] = False,
    as_json: output.Json = False,
) -> None:
    """Read the configuration and the store, and say what is wrong."""
    config = configuration(context)
    findings = [*judge_listening(config), *judge_routes(config), *judge_store(config)]
    if connect:
        findings += asyncio.run(try_routes(config, wrong={one.subject for one in findings if one.level == WRONG}))
    if as_json:
        output.write_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            output.say(f"{finding.level}: {finding.subject}: {finding.text}")
    wrong = sum(finding.level == WRONG for finding in findings)
    if wrong:
        raise RefusedError(f"{wrong} thing{'s are' if wrong != 1 else ' is'} wrong with {config.path} or what it names")
    if not as_json and not findings:
        output.say(f"{config.path} and the store are in order.")


def judge_listening(config: Configuration) -> Iterator[Finding]:
    """What would make a listener useless."""
    listen = config.listen
    if listen.smtp is not None or listen.lmtp is not None:
        if not any((listen.sms_domain, listen.fax_domain, listen.watch_domain)):
            yield Finding(
                WRONG, "listen", "mail is listened for, but there is no domain to take it for: set sms_domain"
            )
        yield from _judge_mail_out(config)
    if listen.tls_certificate is not None and listen.tls_key is not None:
        try:
            warning = tls.load(listen.tls_certificate, listen.tls_key).warning(datetime.now(UTC))
        except tls.CertificateError as error:
            yield Finding(WRONG, f"listen.{error.key}", str(error))
        else:
            if warning:
                yield Finding(NOTE, "listen.tls_certificate", warning)
    if listen.watch_domain is not None and not (listen.relays or listen.trusted_networks):
        text = "no copy is taken from anywhere: name your mail servers in relays"
        yield Finding(NOTE, "listen.watch_domain", text)
    if listen.relays and not listen.authserv_id:
        yield Finding(
            NOTE, "listen.relays", "without authserv_id, no mail that comes through a relay proves its sender"
        )


def _judge_mail_out(config: Configuration) -> Iterator[Finding]:
    """Whether failures can be told, and the postmaster reached."""
    listen = config.listen
    senders = [route.sender for route in config.routes if Channel.EMAIL in route.channels and route.transport == "smtp"]
    if not senders:
        text = "so that nobody could be told of a failure, and no mail reaches the postmaster: add an smtp route"
        yield Finding(WRONG, "listen", f"no route carries email, {text}")
    elif listen.sms_domain is not None:
        ours = {listen.sms_domain, listen.fax_domain, listen.watch_domain}
        address = listen.postmaster or f"postmaster@{senders[0].rpartition('@')[2]}"
        if address.rpartition("@")[2].lower() in ours:
            text = f"mail to postmaster@{listen.sms_domain} would come back here: name an address of another domain"
            yield Finding(WRONG, "listen.postmaster", f"it is {address}, and {text}")
        elif listen.postmaster is None:
            text = f"it is not set: mail to postmaster@{listen.sms_domain} goes to {address}"
            yield Finding(NOTE, "listen.postmaster", text)


def judge_routes(config: Configuration) -> Iterator[Finding]:
    """What no route can do."""
    from daemon.assemble import carried, transport_of

    if not any(Channel.SMS in route.channels for route in config.routes):
        yield Finding(NOTE, "route", "no route carries sms")
    able = carried(config.routes)
    for route in config.routes:
        if route not in able:
            yield Finding(WRONG, f"route {route.name}", f"this version has no transport {route.transport}")
            continue
        try:
            transport_of(route, Ear())
        except Exception as error:  # whatever a transport refuses of its route
            yield Finding(WRONG, f"route {route.name}", str(error))


def judge_store(config: Configuration) -> Iterator[Finding]:
    """Whether the store is there, fits this version and keeps its promises."""
    try:
        with store_of(config) as store:
            yield from _judge_open_store(config, store)
    except StoreError as error:
        yield Finding(WRONG, "store", str(error))


def _judge_open_store(config: Configuration, store: Store) -> Iterator[Finding]:
    try:
        for text in durability.faults(store.engine):
            yield Finding(WRONG, "store", text)
        for text in durability.notes(store.engine):
            yield Finding(NOTE, "store", text)
    except SQLAlchemyError as error:
        yield Finding(WRONG, "store", explain(error))
        return
    known = {route.name for route in config.routes}
    for name in sorted(store.read_now(_routes_in_use) - known):
        text = "segments wait on it, and it is not in the configuration: tocsin serve will route them anew"
        yield Finding(NOTE, f"route {name}", text)


def _routes_in_use(connection: Connection) -> set[str]:
    waiting = select(schema.segment.c.route).where(claims.EXPIRING).distinct()
    return set(connection.execute(waiting).scalars())


async def try_routes(config: Configuration, *, wrong: Collection[str]) -> list[Finding]:
    """Connect to the peer of every route but those that are wrong already, all at once."""
    routes = [route for route in config.routes if f"route {route.name}" not in wrong]
    answers = await asyncio.gather(*map(connect_to, routes))
    return [
        Finding(NOTE if up else WRONG, f"route {route.name}", why)
        for route, (up, why) in zip(routes, answers, strict=True)
    ]
