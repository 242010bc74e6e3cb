"""`tocsin demo`: the main job in a throw-away store. A mail by SMTP to a special address becomes an SMS.

Everything is real but the operator: the configuration is a file, the store an SQLite database, the mail goes through
the listener, and the SMS leaves over SMPP to a stand-in SMS centre on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import smtplib
import socket
import tempfile
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import typer
from sqlalchemy import Connection

from daemon import journal
from daemon.assemble import House, open_store, utc_now
from daemon.config import load
from gateway import accounts, credit, story
from gateway.failure import RefusedError
from gateway.message import State
from gateway.store import migrate
from gateway.store.store import Store
from gateway.transports.smpp.centre import Centre

log = logging.getLogger(__name__)

SENDER = "jean@example.org"
NUMBER = "+32475123456"
TEXT = "Dinner is at eight. Bring the good wine, and Marie: ça ira ! €5 for the bus."

_CONFIG = """\
# The demo's configuration. Everything here listens on loopback only.
[store]
url = "sqlite:///{store}"

[listen]
smtp = "127.0.0.1:{smtp}"
sms_domain = "sms.example.org"
region = "BE"
trusted_networks = ["127.0.0.1"]    # whoever connects from here is believed to be who he says

[[route]]
name = "stand-in"
channels = ["sms"]
transport = "smpp"
host = "127.0.0.1"
port = {smpp}
system_id = "demo"
password = "demo"
sender = "32475000000"

[log]
level = "warning"
"""


def run(*, once: bool, directory: Path | None) -> None:
    """Show the main job and stay up until Ctrl-C; with `once`, end when the receipt is in.

    Everything is kept in `directory`, which must be empty or not exist; without it, in a temporary one that goes away.
    """
    with _room(directory) as place:
        asyncio.run(_demo(place, once=once))


@contextlib.contextmanager
def _room(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        if directory.exists() and any(directory.iterdir()):
            raise RefusedError(f"{directory} is not empty: name a new directory for the demo")
        directory.mkdir(parents=True, exist_ok=True)
        yield directory.resolve()
        return
    place = Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _demo(place: Path, *, once: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Centre(password="demo") as centre:  # noqa: S106 - the stand-in's, and no secret
        smtp = _free_port()
        path = place / "tocsin.toml"
        path.write_text(_CONFIG.format(store=place / "tocsin.db", smtp=smtp, smpp=centre.port))
        config = load(path)
        journal.set_up(config.log.format, config.log.level, config.secrets)
        store = open_store(config)
        migrate.migrate(store.engine)
        await store.run(_people)
        house = House(config, store)
        running = asyncio.create_task(house.run(), name="house")
        ready = asyncio.create_task(house.ready.wait())
        try:
            await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            await _show(store, centre, smtp)
            if not once:
                _say_how_to_go_on(path, smtp)
                await asyncio.wait({running, asyncio.create_task(stopped.wait())}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            house.stop()
            await running
            ready.cancel()


def _people(connection: Connection) -> None:
    now = utc_now()
    accounts.add_plan(connection, "basic", 20)
    settings = {"mobile": NUMBER, "zone": "Europe/Brussels", "region": "BE"}
    jean = accounts.add(connection, "jean", now=now, addresses=[SENDER], plan="basic", settings=settings)
    credit.buy(connection, jean, 100, reason="the demo's gift", now=now)


async def _show(store: Store, centre: Centre, smtp: int) -> None:
    typer.echo(f"A mail from {SENDER} to {NUMBER[1:]}@sms.example.org, by SMTP to 127.0.0.1 port {smtp}:")
    typer.echo(f"  {TEXT}\n")
    reply = await asyncio.to_thread(_mail, smtp)
    typer.echo(f"The listener answered: {reply}")
    message = int(reply.split()[-1])
    await _until_told(store, message)
    for taken in centre.received:
        typer.echo(f"The stand-in SMS centre got, for {taken.to}: {taken.text}")
    told = await store.read(lambda connection: story.show(connection, message))
    typer.echo(f"\nThe timeline of message {message} (UTC):")
    for moment in told["timeline"]:
        typer.echo(f"  {moment['at'][11:23]}  {moment['what']:<12} {moment['detail']}".rstrip())
    left = await store.run(lambda connection: credit.show(connection, _jean(connection), utc_now()))
    typer.echo(
        f"\nCredit: {left['left']} units left "
        f"({left['allotment']['left']} of this month's allotment, {left['provision']['left']} bought)."
    )


def _jean(connection: Connection) -> int:
    """The demo's only account."""
    return accounts.find(connection, "jean").id


def _mail(port: int) -> str:
    mail = EmailMessage()
    mail["From"], mail["To"] = f"Jean <{SENDER}>", f"{NUMBER[1:]}@sms.example.org"
    mail["Subject"] = "Tonight"
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="example.org")
    mail.set_content(TEXT)
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.ehlo()
        client.mail(SENDER)
        client.rcpt(mail["To"])
        code, said = client.data(mail.as_bytes())
    reply = f"{code} {said.decode()}"
    if code != 250:
        raise RefusedError(f"the demo's own mail was refused: {reply}")
    return reply


async def _until_told(store: Store, message: int) -> None:
    """Wait for the receipt; it is a matter of milliseconds."""
    for _ in range(1500):
        told = await store.read(lambda connection: story.show(connection, message))
        if all(delivery["state"] == State.DELIVERED for delivery in told["deliveries"]):
            return
        await asyncio.sleep(0.02)
    raise RefusedError("the receipt did not come within 30 seconds: run again with the log at level info")


def _say_how_to_go_on(path: Path, smtp: int) -> None:
    typer.echo(f"""
It stays up until Ctrl-C. Meanwhile, in another terminal:

  export TOCSIN_CONFIG={path}
  tocsin status
  tocsin message list
  tocsin credit show jean
  tocsin send --account jean --sms 0475123456 --text 'Hello from the shell'

or mail it yourself: SMTP on 127.0.0.1 port {smtp}, from {SENDER}.""")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
