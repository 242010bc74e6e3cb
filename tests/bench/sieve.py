"""How long Sieve scripts take: parsed once, then run, against `sieve-test` on the same script and mail.

`sieve-test` is a process a run, which is also how a mail server's pipe would call it; what it takes beside starting is
shown by a script that does nothing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from filters.context import Context
from filters.mail import Mail
from filters.sieve import Outcome, Script, parse
from filters.sieve.message import Message
from filters.sight import Sight
from tests.filters.sieve.mails import MIXED, SIMPLE
from tests.peers.pigeonhole import Pigeonhole

REQUIRE = (
    'require ["enotify", "variables", "regex", "body", "relational", "comparator-i;ascii-numeric", "subaddress",'
    ' "mime", "foreverypart", "date"];\n'
)
SCRIPTS = {
    "nothing": "",
    "small": 'if allof(address :domain "from" "example.org", header :contains "subject" "urgent")'
    ' { notify :message "urgent" "mailto:a@example.org"; }',
    "captures": 'if header :matches "subject" "Urgent: *" { notify :message "! ${1}" "mailto:a@example.org"; }',
    "fifty tests": "".join(
        f'if allof(header :contains "subject" "word {n}", not address "from" "a{n}@example.org") {{ stop; }}\n'
        for n in range(25)
    ),
    "regex": 'if header :regex "subject" "report of [a-z]+ [0-9]{4}$" { notify "mailto:a@example.org"; }',
    "body": 'if body :contains "ready" { notify "mailto:a@example.org"; }',
    "parts": 'foreverypart { if header :mime :param "filename" :contains "content-disposition" "invoice"'
    ' { notify "mailto:a@example.org"; break; } }',
}


def timed(work: Callable[[], object], seconds: float) -> float:
    """The best time of one call, in seconds, of as many as fit into this time."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        before = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - before)
    return best


def fresh(script: Script, mail: Mail, context: Context, octets: bytes) -> Outcome:
    """A run on a mail that no script has looked at yet."""
    return script.run(Sight(mail, context, octets))


def main() -> None:
    """Print one line a script."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=0.5, help="for each number")
    seconds = options.parse_args().seconds
    peer = Pigeonhole() if shutil.which("sieve-test") else None
    print(f"{'script':12} {'parse µs':>9} {'run µs':>8} {'new mail µs':>12} {'sieve-test µs':>14}")
    for name, text in SCRIPTS.items():
        octets = MIXED if name == "parts" else SIMPLE
        whole = REQUIRE + text
        script = parse(whole)
        mail, context = Mail.read(octets), Context(now=datetime.now(UTC), envelope_from="a@example.org")
        sight = Sight(mail, context, octets)
        numbers = [
            timed(partial(parse, whole), seconds),
            timed(partial(script.run, sight), seconds),
            timed(partial(fresh, script, mail, context, octets), seconds),
        ]
        theirs = timed(partial(peer.run, whole, octets), seconds) if peer else None
        shown = [f"{number * 1e6:.1f}" for number in numbers]
        there = f"{theirs * 1e6:.0f}" if theirs else "absent"
        print(f"{name:12} {shown[0]:>9} {shown[1]:>8} {shown[2]:>12} {there:>14}")
    print(f"a view of a mail: {timed(lambda: Message(MIXED).root, seconds) * 1e6:.1f} µs")
    if peer:
        peer.close()


if __name__ == "__main__":
    main()
