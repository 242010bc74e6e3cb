"""What `notify` makes: something to say to one destination each (RFC 5435, RFC 5436)."""

from __future__ import annotations

from collections.abc import Sequence

from filters import charsets, excerpt
from filters.punctuation import plain
from filters.sieve import methods
from filters.sieve.machine import NOTICES, Machine
from filters.sieve.methods import Method, MethodError
from filters.sieve.program import Call
from filters.sieve.strings import Template
from filters.verdict import Decided

#: Characters of a text that is handed on.
LONGEST = 16 * 1024


def notify(machine: Machine, call: Call, theirs: frozenset[str]) -> bool:
    """Decide what to say and to whom; False where a destination turned out to be none, which is noted.

    `theirs` are the variables that may hold something of the mail: whom to tell is read without them.
    """
    method = call.given[0]
    try:
        said = methods.read(machine.text(method))
        owners = said
        if isinstance(method, Template):
            without = theirs | {name for name in method.names if name.isdigit()}
            owners = methods.read(method.expand(machine.variables, without=without))
    except MethodError as error:
        machine.remark(f"line {call.line}: not notified: {error}")
        return False
    for to in owners.to:
        if len(machine.actions) >= NOTICES:
            machine.remark(f"line {call.line}: not notified: {NOTICES} notifications are the most that one mail makes")
            return False
        decided = _decided(machine, call, said, to)
        if decided not in machine.actions:  # the same twice says nothing new
            machine.actions.append(decided)
    if "from" in call.tags:
        machine.remark(f"line {call.line}: :from is not used: the sender is that of the account's route")
    return True


def _decided(machine: Machine, call: Call, said: Method, to: str) -> Decided:
    """The message of the call, else the text of the URI, else who wrote and about what (RFC 5435 section 3.2)."""
    message = machine.text(call.tags["message"]) if "message" in call.tags else ""
    text = (said.body or message) if said.channel == "email" else (message or said.body)
    text = charsets.many_lines(text).strip()[:LONGEST] or usual(machine)
    if said.channel == "sms":
        return Decided(said.channel, to, text)
    subject = charsets.one_line(message or said.subject or text.partition("\n")[0])[:LONGEST]
    return Decided(said.channel, to, text, subject=subject)


def usual(machine: Machine) -> str:
    """The sender's name and the subject."""
    mail = machine.sight.mail
    said = ": ".join(filter(None, (excerpt.sender(mail), plain(mail.subject))))
    return said or "A mail without sender and subject"


def valid_notify_method(machine: Machine, call: Call) -> bool:
    """Whether every URI could be sent to (RFC 5435 section 4)."""
    uris = machine.texts(call.given[0])
    hit = all(_valid(uri) for uri in uris)
    machine.note(call, hit, "valid_notify_method", "is", uris, ())
    return hit


def notify_method_capability(machine: Machine, call: Call) -> bool:
    """Whether the way to a destination can do something (RFC 5435 section 5); who is online is not known."""
    uri, capability = machine.text(call.given[0]), machine.text(call.given[1]).lower()
    values: Sequence[str] = ("maybe",) if capability == "online" and _valid(uri) else ()
    return machine.compare(call, f"notify_method_capability:{capability}", values)


def _valid(uri: str) -> bool:
    try:
        methods.read(uri)
    except MethodError:
        return False
    return True
