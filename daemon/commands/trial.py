"""`tocsin try`: dry runs. Each prints JSON, touches no store and sends nothing."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from daemon.commands import new_app, output
from gateway.failure import RefusedError
from gateway.message import Channel

app = new_app("Dry runs: print JSON, touch no store, send nothing.")


# A text may begin with a dash.
@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
def segments(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="The text, or - to read it from stdin exactly as it comes.")
    ],
    transliterate: Annotated[
        bool,
        typer.Option(
            "--transliterate/--no-transliterate", help="Whether typographic characters may be written plainly."
        ),
    ] = True,
    concat: Annotated[
        Literal["udh8", "udh16", "sar", "payload"], typer.Option(help="How parts are tied together.")
    ] = "udh8",
) -> None:
    """Show what SMS a text becomes."""
    from gateway import text as texts

    given = read_text() if text == "-" else text
    output.write_json(texts.describe(texts.cut(given, concat=concat, transliterate=transliterate)))


@app.command()
def number(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A telephone number as somebody writes it.")],
    region: Annotated[
        str | None, typer.Option(metavar="R", help="Where it is dialled, for numbers without a country code: BE.")
    ] = None,
) -> None:
    """Show how a telephone number is read, with advice where something is wrong."""
    from gateway import numbers

    if region is not None and not numbers.known_region(region.upper()):
        raise typer.BadParameter(f"{region!r} is no region: write two letters, such as BE", param_hint="--region")
    output.write_json(numbers.describe(numbers.read(text, region)))


@app.command()
def receipt(
    hexadecimal: Annotated[
        bool, typer.Option("--hex", help="The octets are written in hexadecimal, as logs and captures show them.")
    ] = False,
) -> None:
    """Show how a delivery receipt is read: its short_message stands on stdin."""
    from gateway.transports.smpp.receipt import describe

    octets = typer.get_binary_stream("stdin").read()
    if hexadecimal:
        try:
            octets = bytes.fromhex(re.sub(r"0x|\\x|[:,;-]", " ", octets.decode("ascii"), flags=re.IGNORECASE))
        except ValueError:
            raise RefusedError("what stands on stdin is not hexadecimal: write two digits for each octet") from None
    else:
        octets = octets.removesuffix(b"\n").removesuffix(b"\r")
    said = describe(octets)
    if said is None:
        raise RefusedError("this is no delivery receipt: it says no state such as stat:DELIVRD")
    output.write_json(said)


@app.command()
def excerpt(
    mail: Annotated[
        Path, typer.Argument(metavar="MAIL.eml", help="A mail as it comes in, or - to read it from stdin.")
    ],
) -> None:
    """Show what an SMS made of a mail would say."""
    from filters import excerpt as excerpts
    from filters.mail import Mail

    said = excerpts.excerpt(Mail.read(read_octets(mail)))
    named = said.sender != said.address and said.address
    output.write_json(
        {
            "from": f"{said.sender} <{said.address}>" if named else said.sender,
            "subject": said.subject,
            "text": said.said,
            "automatic": said.automatic,
            "bounce": said.bounce,
        }
    )


@app.command(name="filter")
def filter_(
    mail: Annotated[
        Path, typer.Argument(metavar="MAIL.eml", help="A mail as it comes in, or - to read it from stdin.")
    ],
    file: Annotated[Path | None, typer.Option(metavar="F.json", help="A filter, or a list of them.")] = None,
    sieve: Annotated[Path | None, typer.Option(metavar="F.sieve", help="A Sieve script instead.")] = None,
    contacts: Annotated[Path | None, typer.Option(metavar="F.vcf", help="The address book, as vCards.")] = None,
    me: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="The owner's addresses; may repeat.")] = None,
    mobile: Annotated[str | None, typer.Option(metavar="N", help="The owner's mobile number.")] = None,
    zone: Annotated[str, typer.Option(metavar="Z", help="The owner's time zone: Europe/Brussels.")] = "UTC",
    now: Annotated[str | None, typer.Option(metavar="T", help="When the mail comes in; else now.")] = None,
    authserv_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Whose topmost Authentication-Results is believed; else nobody's.")
    ] = None,
) -> None:
    """Show what filters find out about a mail, test by test, and whom they would tell what."""
    from daemon.trying import filters, options

    several = False
    if file is not None and sieve is None:
        rules, several = options.rules(str(file), read_octets(file))
    elif sieve is not None and file is None:
        rules = [options.script(str(sieve), read_octets(sieve))]
    else:
        raise typer.BadParameter("name one file: --file F.json or --sieve F.sieve", param_hint="--file")
    cards = partial(read_octets, contacts) if contacts is not None else None
    owner = options.given(
        me=me or (), mobile=mobile, zone=zone, now=now, authserv_id=authserv_id, contacts=cards, several=several
    )
    output.write_json(filters.tried(rules, read_octets(mail), owner))


@app.command()
def route(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="NUMBER")],
    channel: Annotated[Channel, typer.Option(help="How it is to be reached.")] = Channel.SMS,
) -> None:
    """Show which route of the configuration a number takes, and why the others not."""
    from daemon import config
    from daemon.commands.route import explanation

    output.write_json(explanation(config.load(config.find(context.obj)), number, channel))


def read_octets(file: Path) -> bytes:
    """What a file holds, or stdin for `-`."""
    if str(file) == "-":
        return typer.get_binary_stream("stdin").read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from None


def read_text() -> str:
    """What stands on stdin, as UTF-8 text."""
    try:
        return typer.get_binary_stream("stdin").read().decode()
    except UnicodeDecodeError as error:
        raise RefusedError(f"the text on stdin is not UTF-8: octet {error.start} is wrong") from None
