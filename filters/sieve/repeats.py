"""Whether a mail came before: the test duplicate (RFC 7352). What is to be kept is handed back, not kept here."""

from __future__ import annotations

from filters.sieve.machine import Machine, Remember
from filters.sieve.program import Call

#: How long a key is kept where the script does not say (seconds), and at most; a year is as long as a gateway keeps.
USUAL, LONGEST = 7 * 24 * 3600, 365 * 24 * 3600


def duplicate(machine: Machine, call: Call) -> bool:
    """Whether the mail's id, or what stands for it, came before under this handle. False where it has none."""
    key = _key(machine, call)
    handle = machine.text(call.tags.get("handle", ""))
    field = f"duplicate:{handle}" if handle else "duplicate"
    if not key:
        machine.note(call, False, field, "is", None, ())
        return False
    if machine.seen is None:
        machine.remark(f"line {call.line}: duplicate is false: which mails came before is not known here")
    hit = machine.seen is not None and machine.seen(handle, key)
    seconds = call.tags.get("seconds", USUAL)
    kept = min(seconds, LONGEST) if isinstance(seconds, int) else USUAL
    last = "last" in call.tags
    if not hit or last:
        machine.remember[handle, key] = Remember(handle, key, kept, last)
    machine.note(call, hit, field, "is", None, (key,))
    return hit


def _key(machine: Machine, call: Call) -> str:
    if "uniqueid" in call.tags:
        return machine.text(call.tags["uniqueid"])
    name = machine.text(call.tags.get("header", "message-id")).lower()
    return next(iter(machine.message.top.header(name)), "")
