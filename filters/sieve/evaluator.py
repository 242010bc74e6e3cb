"""Runs a script's steps on one mail: Sieve's own semantics (RFC 5228 sections 3 to 5), by two tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from filters.sieve import contents, dates, fields, flags, lists, notifications, repeats
from filters.sieve.machine import Done, Machine
from filters.sieve.program import Act, Block, Call, If, Loop
from filters.sieve.strings import MODIFIERS, Template, modified

#: How a block ended: at its end, by stop, or by a break that leaves the loop of this name.
Ended: TypeAlias = tuple[Literal["end", "stop", "break"], str]
_END: Ended = ("end", "")

TestFunction: TypeAlias = Callable[[Machine, Call], bool]

_MAILBOX = "line {line}: {name} is not known here, where no mailbox is looked into: taken as {truth}"


def _not(machine: Machine, call: Call) -> bool:
    return not test(machine, call.tests[0])


def _allof(machine: Machine, call: Call) -> bool:
    return all(test(machine, one) for one in call.tests)


def _anyof(machine: Machine, call: Call) -> bool:
    return any(test(machine, one) for one in call.tests)


def _mailbox(machine: Machine, call: Call) -> bool:
    machine.remark(_MAILBOX.format(line=call.line, name=call.name, truth="true"))
    return True


TESTS: Mapping[str, TestFunction] = {
    "true": lambda machine, call: True,
    "false": lambda machine, call: False,
    "not": _not,
    "allof": _allof,
    "anyof": _anyof,
    "header": fields.header,
    "address": fields.address,
    "envelope": fields.envelope,
    "exists": fields.exists,
    "size": contents.size,
    "body": contents.body,
    "string": contents.string,
    "spamtest": contents.spamtest,
    "date": dates.date,
    "currentdate": dates.currentdate,
    "duplicate": repeats.duplicate,
    "valid_notify_method": notifications.valid_notify_method,
    "notify_method_capability": notifications.notify_method_capability,
    "valid_ext_list": lists.valid,
    "hasflag": flags.hasflag,
    "mailboxexists": _mailbox,
    "specialuse_exists": _mailbox,
}


def test(machine: Machine, call: Call) -> bool:
    """Whether a test is true; allof and anyof ask no further than they need to (RFC 5228 section 5)."""
    machine.pay_test()
    return TESTS[call.name](machine, call)


def _set(machine: Machine, call: Call) -> None:
    modifiers = [name for name in MODIFIERS if name in call.tags]
    value = machine.text(call.given[1])
    machine.pay(len(value))
    machine.variables.named[machine.text(call.given[0]).lower()] = modified(value, modifiers)


#: What runs here beside notify; any other action is the mail server's.
ACTIONS: Mapping[str, Callable[[Machine, Call], None]] = {
    "set": _set,
    "extracttext": contents.extracttext,
    "setflag": flags.setflag,
    "addflag": flags.addflag,
    "removeflag": flags.removeflag,
}
_QUIET = frozenset({"set", "extracttext"})

#: What a mail action would have done, as notes say it.
_WHAT = {
    "keep": "no mail is filed here",
    "fileinto": "no mail is filed here",
    "discard": "no mail is thrown away here",
    "redirect": "no mail is passed on here",
    "reject": "no mail is refused here",
    "ereject": "no mail is refused here",
    "vacation": "no mail is answered here",
    "addheader": "no mail is changed here, and later tests see it as it came",
    "deleteheader": "no mail is changed here, and later tests see it as it came",
}


class Run:
    """One run of a script; `theirs` are the variables that may hold something of the mail."""

    def __init__(self, machine: Machine, theirs: frozenset[str]) -> None:
        self._machine = machine
        self._theirs = theirs

    def block(self, steps: Block, *, asked: bool) -> Ended:
        """Run a block; `asked` says that a test was true on the way to it."""
        for step in steps:
            if isinstance(step, Act):
                ended = self._act(step.call, asked=asked)
            elif isinstance(step, If):
                ended = self._if(step, asked=asked)
            else:
                ended = self._loop(step, asked=asked)
            if ended is not _END:
                return ended
        return _END

    def _if(self, step: If, *, asked: bool) -> Ended:
        for condition, block in step.branches:
            if condition is None or test(self._machine, condition):
                return self.block(block, asked=asked or condition is not None)
        return _END

    def _loop(self, step: Loop, *, asked: bool) -> Ended:
        """Each part of the mail, or in a loop within a loop each below its part (RFC 5703 section 3)."""
        machine = self._machine
        around = machine.part
        parts = list((around or machine.message.root).walk())
        try:
            for part in parts[1:] if around is not None else parts:
                machine.part = part
                machine.pay_test()
                kind, name = self.block(step.block, asked=asked)
                if kind == "stop" or (kind == "break" and name and name != step.name):
                    return kind, name
                if kind == "break":
                    break
        finally:
            machine.part = around
        return _END

    def _act(self, call: Call, *, asked: bool) -> Ended:
        machine = self._machine
        machine.pay_test()
        if call.name == "stop":
            machine.stopped = True
            machine.matched |= asked
            return "stop", ""
        if call.name == "break":
            return "break", machine.text(call.tags.get("name", ""))
        action = ACTIONS.get(call.name)
        if action is not None:
            action(machine, call)
        if call.name in _QUIET:
            return _END
        machine.done.append(Done(call, tuple(_shown(machine, call))))
        machine.matched |= asked
        if call.name == "notify":
            machine.matched |= notifications.notify(machine, call, self._theirs)
        else:
            self._remark(call)
        return _END

    def _remark(self, call: Call) -> None:
        shown = [one for one in _shown(self._machine, call) if isinstance(one, str)]
        what = f' "{shown[0][:80]}"' if shown and call.name in ("fileinto", "redirect") else ""
        why = _WHAT.get(call.name, "no mail is changed here")
        self._machine.remark(f"line {call.line}: {call.name}{what} is not ours: {why}")


def _shown(machine: Machine, call: Call) -> list[str | tuple[str, ...] | int]:
    """The arguments of an action with variables put in."""
    return [
        value
        if isinstance(value, int)
        else machine.text(value)
        if isinstance(value, str | Template)
        else machine.texts(value)
        for value in call.given
    ]
