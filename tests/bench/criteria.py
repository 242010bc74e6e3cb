"""What filters cost: microseconds to parse one, and to ask 1, 50 and 1,000 of them about a mail.

    python tests/bench/criteria.py [--mails 40] [--rounds 5]

Times are processor time, the fastest of the rounds for each mail, without reading the mail, which is shown beside.
Where Pigeonhole's sieve-test is installed, scripts that ask the same are timed in it; what it takes with a script that
asks nothing is subtracted, so that the start of its process does not count. Where imapfilter and Dovecot are installed,
the same is asked by imapfilter, of mails on a Dovecot of its own on loopback.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "filters" / "excerpt"), str(ROOT / "tests" / "bench")]

import other_filters  # noqa: E402
from corpus_mails.cases import cases  # noqa: E402
from stopwatch import microseconds  # noqa: E402

from filters import criteria, sieve  # noqa: E402
from filters.context import Context  # noqa: E402
from filters.evaluation import Rule, evaluate  # noqa: E402
from filters.mail import Mail  # noqa: E402

COUNTS = (1, 50, 1000)
CONTEXT = Context(now=datetime(2026, 7, 14, 10, 30, tzinfo=UTC))


def headers(number: int) -> dict[str, Any]:
    """Criteria on the header alone: two addresses, a word of the subject."""
    return {
        "any": [
            {"field": "from", "op": "is", "value": [f"user{number}@corp.example", f"other{number}@corp.example"]},
            {"field": "subject", "op": "contains", "value": f"ticket {number}"},
            {"field": "to", "op": "under", "value": f"branch{number}.example"},
        ]
    }


def words(number: int) -> dict[str, Any]:
    """The same, and a word and a pattern in the body."""
    return {
        "any": [
            headers(number),
            {"field": "body", "op": "word", "value": f"alarm{number}"},
            {"field": "body_full", "op": "regex", "value": rf"disk{number}\\b.*full"},
        ]
    }


def script(number: int, kind: Callable[[int], dict[str, Any]]) -> str:
    """What Sieve says for the same criteria."""
    tests = [
        f'address "from" ["user{number}@corp.example", "other{number}@corp.example"]',
        f'header :contains "subject" "ticket {number}"',
        f'address :domain :matches "to" ["branch{number}.example", "*.branch{number}.example"]',
    ]
    if kind is words:
        tests += [
            f'body :text :matches "*alarm{number}*"',
            f'body :text :regex "disk{number}\\\\b.*full"',
        ]
    return f'if anyof ({", ".join(tests)}) {{ fileinto "found"; }}\n'


def scripts(kind: Callable[[int], dict[str, Any]]) -> dict[int, str]:
    """Scripts that ask so many times."""
    require = 'require ["fileinto", "body", "regex"];\n'
    return {count: require + "".join(script(n, kind) for n in range(count)) for count in COUNTS}


def searches(count: int) -> str:
    """What imapfilter asks for the criteria on the header: its tests are searches of the server."""
    asked = [
        f"found{n % 100} = inbox:contain_from('user{n}@corp.example') + inbox:contain_from('other{n}@corp.example')"
        f" + inbox:contain_subject('ticket {n}') + inbox:contain_to('branch{n}.example')"
        for n in range(count)
    ]
    return "\n".join(asked)


def filters(count: int, kind: Callable[[int], dict[str, Any]]) -> list[str]:
    """The texts of so many filters."""
    action = [{"sms": ["me"], "text": "{from_name}: {subject}", "max_parts": 1}]
    return [json.dumps({"name": f"filter {n}", "when": kind(n), "actions": action}) for n in range(count)]


def parsing(rounds: int) -> None:
    """Print what parsing costs."""
    for kind in (headers, words):
        texts = filters(1000, kind)
        took = microseconds(lambda texts=texts: [criteria.read(text) for text in texts], rounds)
        print(f"parse one JSON filter ({kind.__name__}): {took / 1000:.0f} microseconds")


def asking(octets: Sequence[bytes], rounds: int) -> None:
    """Print what asking costs: each mail is seen anew in each round, as the first filter to ask pays for looking."""
    mails = [Mail.read(one) for one in octets]
    read = [microseconds(lambda one=one: Mail.read(one), rounds) for one in octets]
    print(f"\n{len(mails)} mails; reading one takes {statistics.mean(read):.0f} microseconds\n")
    print(f"{'microseconds a mail':34} " + " ".join(f"{count:>12,}" for count in COUNTS) + "   filters")
    for kind in (headers, words):
        row(f"JSON, {kind.__name__}", [criteria.read(text)[0] for text in filters(1000, kind)], mails, octets, rounds)
    require = 'require ["fileinto", "body", "regex"];\n'
    for kind in (headers, words):
        parsed: list[Rule] = [sieve.parse(require + script(n, kind)) for n in range(1000)]
        row(f"Sieve, {kind.__name__}", parsed, mails, octets, max(rounds // 2, 1))


def row(name: str, rules: Sequence[Rule], mails: Sequence[Mail], octets: Sequence[bytes], rounds: int) -> None:
    """One line of the table."""
    figures = []
    for count in COUNTS:
        some = rules[:count]
        took = [
            microseconds(lambda mail=mail, one=one, some=some: evaluate(some, mail, CONTEXT, one), rounds)
            for mail, one in zip(mails, octets, strict=True)
        ]
        figures.append(statistics.mean(took))
    print(f"{name:34} " + " ".join(f"{figure:12,.0f}" for figure in figures), flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mails", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    every = [case.octets for case in cases()]
    octets = every[:: max(len(every) // options.mails, 1)][: options.mails]
    parsing(options.rounds)
    asking(octets, options.rounds)
    other_filters.sieve_test(octets[:10], {kind.__name__: scripts(kind) for kind in (headers, words)}, options.rounds)
    other_filters.imapfilter(octets, {headers.__name__: searches})


if __name__ == "__main__":
    main()
