"""What a script may require: what runs here, and what is the mail server's affair and only noted."""

from __future__ import annotations

from collections.abc import Iterable

from filters.sieve.error import SieveError
from filters.sieve.grammar import Command

#: Run by Sieve's own semantics.
OURS = frozenset(
    {
        "body",  # RFC 5173
        "comparator-i;ascii-casemap",  # RFC 5228
        "comparator-i;ascii-numeric",  # RFC 4790
        "comparator-i;octet",  # RFC 5228
        "comparator-i;unicode-casemap",  # RFC 5051
        "date",  # RFC 5260
        "duplicate",  # RFC 7352
        "encoded-character",  # RFC 5228 section 2.4.2.4
        "enotify",  # RFC 5435
        "envelope",  # RFC 5228 section 5.4
        "extlists",  # RFC 6134
        "extracttext",  # RFC 5703 section 7
        "foreverypart",  # RFC 5703 section 3
        "index",  # RFC 5260 section 6
        "mime",  # RFC 5703 section 4
        "regex",  # draft-ietf-sieve-regex
        "relational",  # RFC 5231
        "spamtest",  # RFC 5235
        "spamtestplus",  # RFC 5235
        "subaddress",  # RFC 5233
        "variables",  # RFC 5229
    }
)

#: Accepted for the mail server's sake: what it would do with the mail is noted.
NOTED = frozenset(
    {
        "copy",  # RFC 3894
        "editheader",  # RFC 5293
        "ereject",  # RFC 5429
        "fileinto",  # RFC 5228 section 4.1
        "imap4flags",  # RFC 5232
        "mailbox",  # RFC 5490
        "reject",  # RFC 5429
        "special-use",  # RFC 8579
        "vacation",  # RFC 5230
        "vacation-seconds",  # RFC 6131
    }
)

#: What a name brings with it (RFC 5235 section 2.1, RFC 6131 section 2).
_BRINGS = {"spamtestplus": "spamtest", "vacation-seconds": "vacation"}
#: What a name is nothing without (RFC 5703 section 7).
_WITH = {"extracttext": ("foreverypart", "variables")}

_WHY = {
    "include": "a script here is one file: write the included lines into it",
    "environment": "what it asks about is a mail server's affair",
    "ihave": "every script is checked as a whole: leave the question out",
    "replace": "no mail is changed here",
    "enclose": "no mail is changed here",
    "virustest": "no virus scanner's word is known here",
}


def required(commands: tuple[Command, ...]) -> frozenset[str]:
    """The capabilities that the first commands of a script require; `SieveError` for one that cannot be had."""
    names: set[str] = set()
    for command in commands:
        if command.name != "require":
            break
        for argument in _arguments(command):
            for name in (argument,) if isinstance(argument, str) else argument:
                _known(name, command.line)
                names.add(name)
                if name in _BRINGS:
                    names.add(_BRINGS[name])
    for name in names & _WITH.keys():
        if missing := [one for one in _WITH[name] if one not in names]:
            raise SieveError(commands[0].line, f'"{name}" needs "{missing[0]}" required with it')
    return frozenset(names)


def _arguments(command: Command) -> Iterable[str | tuple[str, ...]]:
    given = command.arguments
    if len(given) != 1 or given[0].kind not in ("string", "list") or command.tests or command.block is not None:
        raise SieveError(
            command.line, 'require takes one string or list of strings, as in require ["enotify", "date"];'
        )
    value = given[0].value
    return (value,) if isinstance(value, str | tuple) else ()


def _known(name: str, line: int) -> None:
    if name in OURS or name in NOTED:
        return
    why = _WHY.get(name, "it is not known here" if not name.startswith("vnd.") else "it is one server's own")
    raise SieveError(line, f'the extension "{name[:60]}" cannot be run: {why}')
