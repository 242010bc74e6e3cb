"""`tocsin serve`: run the daemon."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon import config
from daemon.commands import new_app

#: The parts of a daemon; `daemon.assemble.ROLES` has the same, and is too heavy to load for a usage message.
ROLES = ("listen", "watch", "calendars", "dispatch", "console")

app = new_app()


@app.command()
def serve(
    context: typer.Context,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="R", help=f"What this process does: {', '.join(ROLES)}; may repeat. [all]"),
    ] = None,
) -> None:
    """Run until SIGTERM, which drains; SIGHUP reads the configuration again."""
    for name in role or ():
        if name not in ROLES:
            raise typer.BadParameter(f"{name!r} is no role: choose {', '.join(ROLES)}", param_hint="--role")
    path = config.find(context.obj)
    from daemon.serve import serve as run  # the whole house

    run(lambda: config.load(path), role or ROLES)
