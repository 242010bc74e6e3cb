"""The command line: `tocsin [--config PATH] VERB …`, one module a noun, loaded when it is called for.

Exit 0: done. 1: refused or failed, with one plain sentence on stderr. 2: wrong use, or a configuration that is wrong.
130: interrupted.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import daemon

if TYPE_CHECKING:
    from types import TracebackType

#: Each verb with the module that has it and what `tocsin --help` says of it.
VERBS: Mapping[str, tuple[str, str]] = {
    "demo": ("demo", "The main job on throw-away data: a mail becomes an SMS."),
    "serve": ("serve", "Run the daemon."),
    "check": ("check", "Read the configuration and the store, and say what is wrong."),
    "migrate": ("migrate", "Bring the store's schema to the one this version needs."),
    "status": ("status", "How every route, watcher, calendar and listener is."),
    "plan": ("plan", "Plans: the units a subscription includes each month."),
    "account": ("account", "Accounts: who Tocsin works for."),
    "credit": ("credit", "What an account has left, and where it went."),
    "token": ("tokens", "Bearer tokens of the HTTP API."),
    "contact": ("contact", "Contacts: people with their numbers and addresses."),
    "group": ("group", "Groups: accounts that share a book of contacts."),
    "list": ("lists", "Lists of contacts, numbers, addresses and lists."),
    "optout": ("optout", "Who wants nothing sent any more."),
    "send": ("send", "Send a message."),
    "message": ("message", "Messages and what became of them."),
    "queue": ("queues", "What waits, and the operator's hand on it."),
    "filter": ("filters", "Filters: which mails are told of, and how."),
    "notice": ("notices", "What filters decided of each mail, and why."),
    "route": ("route", "Routes, and which of them a number takes."),
    "mailbox": ("mailboxes", "Mailboxes that are watched for new mail."),
    "try": ("trial", "Dry runs: print JSON, touch no store, send nothing."),
}


class _Verbs(TyperGroup):
    """Loads the module of a verb when the verb is called: `tocsin try segments` needs no database."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        if cmd_name not in self.commands:
            module, said = VERBS[cmd_name]
            command: Any = typer.main.get_command(importlib.import_module(f"daemon.commands.{module}").app)
            command.short_help = said
            self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            ctx.fail(f"there is no verb {args[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, said) for verb, (_, said) in VERBS.items()])


def new_app(said: str | None = None, **settings: Any) -> typer.Typer:
    """The app of one module: plain texts, `-h` for help; `said` is the help of a noun with several verbs."""
    names = {"help_option_names": ["-h", "--help"]}
    return typer.Typer(
        help=said,
        no_args_is_help=said is not None,
        add_completion=False,
        rich_markup_mode=None,
        context_settings=names,
        **settings,
    )


app = new_app("Mail and calendars in; SMS, e-mail and fax out.", cls=_Verbs)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tocsin {daemon.__version__}")
        raise typer.Exit


@app.callback()
def tocsin(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="The configuration; else $TOCSIN_CONFIG, ./tocsin.toml, /etc/tocsin/tocsin.toml."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Mail and calendars in; SMS, e-mail and fax out."""
    context.obj = config


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; its exit code. Nothing is raised, and no traceback shown, for what is no defect."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; the flush at the interpreter's end must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _run(arguments: list[str]) -> int:
    # What libraries and transports log is for daemons, which set a log up; here the exception says it.
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        ended = typer.main.get_command(app).main(args=arguments, prog_name="tocsin", standalone_mode=False)
    except BrokenPipeError:
        raise
    except SystemExit as end:  # how typer itself ends where the pipe broke
        return end.code if isinstance(end.code, int) else 1
    except Exception as error:
        return _fail(error)
    return ended if isinstance(ended, int) else 0


def _fail(error: Exception) -> int:
    """Say what went wrong; the exit code."""
    show = getattr(error, "show", None)
    if show is not None:  # wrong use, which typer explains itself
        error.message = str(getattr(error, "message", "")).replace("Value error, ", "")  # type: ignore[attr-defined]
        show()
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, typer.Abort):
        return 1
    code = _expected(error)
    text = str(error)
    if code is None:
        where = _innermost(error.__traceback__)
        text = f"a defect of Tocsin: {type(error).__name__}: {error} ({where}); TOCSIN_TRACEBACK=1 shows more"
        if os.environ.get("TOCSIN_TRACEBACK"):
            import traceback

            traceback.print_exception(error)
    print(f"tocsin: {text}", file=sys.stderr)  # noqa: T201
    return 1 if code is None else code


def _expected(error: Exception) -> int | None:
    """The exit code of an error that people can do something about; None for a defect.

    An error whose module was never loaded was not raised, so nothing is loaded here to find out.
    """
    for module, name, code in (
        ("gateway.failure", "RefusedError", 1),
        ("daemon.config.faults", "ConfigurationError", 2),
        ("gateway.store.errors", "StoreError", 1),
        ("gateway.store.engine", "UnusableUrlError", 2),
        ("daemon.readiness", "ActivationError", 1),
    ):
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, getattr(loaded, name)):
            return code
    return None


def _innermost(traceback: TracebackType | None) -> str:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "unknown place"
    return f"{Path(traceback.tb_frame.f_code.co_filename).name}, line {traceback.tb_lineno}"
