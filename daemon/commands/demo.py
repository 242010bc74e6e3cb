"""`tocsin demo`: the main job on throw-away data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.commands import new_app

app = new_app()


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End when the receipt is in.")] = False,
    directory: Annotated[
        Path | None,
        typer.Option(metavar="D", help="Keep everything in this new directory; else it goes away at the end."),
    ] = None,
) -> None:
    """Show a mail to a special address become an SMS at a stand-in SMS centre, and stay up until Ctrl-C."""
    from daemon.demo import run  # the whole house

    run(once=once, directory=directory)
