"""Tests of what a mail holds and weighs: body, size, spamtest, string; and the text of a loop's part."""

from __future__ import annotations

from filters.sieve.machine import Machine
from filters.sieve.program import Call
from filters.sieve.strings import MODIFIERS, modified


def body(machine: Machine, call: Call) -> bool:
    """Whether the body, one of its texts, or a part of a kind fits a key; `${1}` stays (RFC 5173 section 6)."""
    message = machine.message
    if "raw" in call.tags:
        raw = (message.raw,) if message.raw else ()
        return machine.compare(call, "body:raw", raw, captures=False)
    if "content" in call.tags:
        kinds = machine.texts(call.tags["content"])
        return machine.compare(call, f"body:content:{','.join(kinds)}", message.contents(kinds), captures=False)
    return machine.compare(call, "body:text", message.text, captures=False)


def size(machine: Machine, call: Call) -> bool:
    """Whether the mail is larger, or smaller, than so many octets."""
    limit, op = call.given[0], "over" if "over" in call.tags else "under"
    weighs = machine.message.size
    hit = isinstance(limit, int) and (weighs > limit if op == "over" else weighs < limit)
    machine.note(call, hit, "size", op, limit, (weighs,))
    return hit


def string(machine: Machine, call: Call) -> bool:
    """Whether a string fits a key; :count counts those that are not empty (RFC 5229 section 5)."""
    sources = machine.texts(call.given[0])
    if call.match.type == "count":
        sources = tuple(filter(None, sources))
    return machine.compare(call, "string", sources)


def spamtest(machine: Machine, call: Call) -> bool:
    """How much the believed Authentication-Results finds the mail to be spam (RFC 5235).

    Its score, a tenth of it at a time, is 1 (clear) to 10, or with :percent 0 to 100; nothing said is 0: not tested.
    """
    believed = machine.sight.believed
    score = believed.spam_score if believed is not None else None
    value = "0" if score is None else spam_value(score, percent="percent" in call.tags)
    if score is None and call.match.type == "count":
        return machine.compare(call, "spamtest", ())
    return machine.compare(call, "spamtest", (value,))


def spam_value(score: float, *, percent: bool) -> str:
    """A spam filter's score, 0 and less to 10 and more, as Sieve has it."""
    held = min(max(score, 0.0), 10.0)
    return str(round(held * 10)) if percent else str(1 + int(held * 9 / 10))


def extracttext(machine: Machine, call: Call) -> None:
    """Keep the text of the part of the loop in a variable (RFC 5703 section 7)."""
    part = machine.part
    text = part.words if part is not None and not part.parts else ""
    first = call.tags.get("first")
    text = text[:first] if isinstance(first, int) else text
    machine.pay(len(text))
    modifiers = [name for name in MODIFIERS if name in call.tags]
    machine.variables.named[machine.text(call.given[0]).lower()] = modified(text, modifiers)
