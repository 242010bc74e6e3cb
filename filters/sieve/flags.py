"""Flags that a script sets on the mail (RFC 5232): ours only as far as the script asks for them itself."""

from __future__ import annotations

from filters.sieve.machine import Machine
from filters.sieve.program import Call

#: Flags kept under one name.
MOST = 100


def setflag(machine: Machine, call: Call) -> None:
    """Replace the flags."""
    _store(machine, call, _words(machine.texts(call.given[-1])))


def addflag(machine: Machine, call: Call) -> None:
    """Add flags."""
    _store(machine, call, [*_kept(machine, call), *_words(machine.texts(call.given[-1]))])


def removeflag(machine: Machine, call: Call) -> None:
    """Take flags away."""
    gone = {flag.lower() for flag in _words(machine.texts(call.given[-1]))}
    _store(machine, call, [flag for flag in _kept(machine, call) if flag.lower() not in gone])


def hasflag(machine: Machine, call: Call) -> bool:
    """Whether a flag is among them: of the mail, or of the variables named."""
    if len(call.given) > 1:
        named = machine.texts(call.given[0])
        held = [flag for name in named for flag in machine.variables.value(name.lower()).split()]
    else:
        held = machine.flags
    keys = _words(machine.texts(call.given[-1]))
    return machine.compare_with(call, "flags", held, tuple(keys))


def _name(machine: Machine, call: Call) -> str:
    return machine.text(call.given[0]).lower() if len(call.given) > 1 else ""


def _kept(machine: Machine, call: Call) -> list[str]:
    name = _name(machine, call)
    return machine.variables.value(name).split() if name else machine.flags


def _store(machine: Machine, call: Call, flags: list[str]) -> None:
    once = list({flag.lower(): flag for flag in reversed(flags)}.values())[::-1][:MOST]
    name = _name(machine, call)
    if name:
        machine.variables.named[name] = " ".join(once)
    else:
        machine.flags = once


def _words(texts: tuple[str, ...]) -> list[str]:
    return [word for text in texts for word in text.split()]
