"""Tocsin beside Kannel, in one run: speed, processor time, delay, memory, and what kill -9 loses or doubles.

    python tests/bench/beside_kannel.py [--messages 20000] [--rounds 3] [--steady 500] [--seconds 8] [--quick]
        [--only NAME …] [--no-crash] [--json]

Both have the same SMS centre (node-smpp, receipts when asked for), the same load client (single SMS by HTTP over 50
kept-alive connections) and a window of 50 on one connection. Rounds are interleaved, each from an empty store after a
warm-up, and medians are shown. Figures of two runs cannot be compared, for machines differ from hour to hour: the
ratios of one run can. The tables are Markdown; `--json` prints every figure instead.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import kannel
from contestants import Aftermath, Contestant, OnPostgresql, crash_of_kannel, crash_of_tocsin, of_kannel, of_tocsin
from measure import Run

from tests.conftest import postgresql_binaries

THEIRS, THEIRS_BARE, OURS = "Kannel, file store", "Kannel, file store, no receipts", "Tocsin, SQLite"


def field(runs: Sequence[Run], name: str) -> list[float]:
    """One figure of all runs: `flood.rate`, `steady.p99`, `memory`."""
    found: list[float] = []
    for run in runs:
        value: object = run
        for part in name.split("."):
            value = getattr(value, part)
        assert isinstance(value, float)
        found.append(value)
    return found


def median(runs: Sequence[Run], name: str) -> float:
    """The median of one figure."""
    return statistics.median(field(runs, name))


def shown(runs: Sequence[Run], name: str, form: str) -> str:
    """The median, and the range where there is more than one run."""
    values = field(runs, name)
    middle = format(statistics.median(values), form)
    return f"{middle} ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else middle


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it can be read as it is."""
    widths = [max(len(line[n]) for line in (head, *rows)) for n in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def figures(runs: dict[str, list[Run]], steady: float) -> str:
    """What each did."""
    head = ["", "messages a second", "CPU ms a message", f"at {steady:.0f} a second: CPU ms", "p50 ms", "p99 ms", "MB"]
    rows = [
        [
            name,
            shown(of, "flood.rate", ",.0f"),
            shown(of, "flood.cpu", ".2f"),
            shown(of, "steady.cpu", ".2f"),
            shown(of, "steady.p50", ".1f"),
            shown(of, "steady.p99", ".1f"),
            f"{median(of, 'memory'):.0f}",
        ]
        for name, of in runs.items()
        if of
    ]
    return table(head, rows)


def verdicts(runs: dict[str, list[Run]], steady: float) -> str:
    """Tocsin on SQLite beside Kannel's file store, as ratios, with what they must be and are meant to be."""
    ours, theirs = runs[OURS], runs[THEIRS]

    def ratio(name: str, beside: list[Run]) -> float:
        return median(ours, name) / median(beside, name)

    lines = [("messages a second", ratio("flood.rate", theirs), ">= 0.7", ">= 1.2")]
    if runs.get(THEIRS_BARE):
        bare = ratio("flood.rate", runs[THEIRS_BARE])
        lines.append(("messages a second, Kannel spared its receipts", bare, "", ">= 0.7"))
    lines += [
        (f"CPU a message at {steady:.0f} a second", ratio("steady.cpu", theirs), "<= 1.5", "<= 1.0"),
        ("CPU a message at full speed", ratio("flood.cpu", theirs), "<= 1.5", "<= 1.0"),
        (f"p99 at {steady:.0f} a second, in ms", median(ours, "steady.p99"), "< 10", ""),
    ]
    rows = [[name, f"{value:.2f}", *(_holds(value, one) for one in wanted)] for name, value, *wanted in lines]
    return table(["Tocsin / Kannel, file store, receipts on for both", "ratio", "must", "goal"], rows)


def _holds(value: float, wanted: str) -> str:
    if not wanted:
        return ""
    sign, limit = wanted.split()
    holds = value >= float(limit) if sign == ">=" else value <= float(limit) if sign == "<=" else value < float(limit)
    return f"{wanted}: {'holds' if holds else 'MISSED'}"


def aftermaths(found: dict[str, Aftermath]) -> str:
    """What kill -9 left."""
    rows = [
        [
            name,
            f"{one.crash.taken:,}",
            f"{one.crash.before:,}",
            str(one.crash.lost - one.unknown),
            str(one.crash.doubled),
            str(one.unknown),
            "" if name.startswith("Kannel") else "exact" if not one.faults else "; ".join(one.faults),
        ]
        for name, one in found.items()
    ]
    return table(["kill -9 in the middle", "taken", "sent before", "lost", "doubled", "parked", "credit"], rows)


def machine() -> str:
    """What this is measured on, and how busy it is already."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    known = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in known if line.startswith("model name")), "")
    return (
        f"{os.cpu_count()} processors ({model}), Linux {platform.release()}, Python {platform.python_version()}; "
        f"load averages at the start {load}"
    )


def field_of(options: argparse.Namespace, postgresql: OnPostgresql) -> list[Contestant]:
    """Who takes part."""
    found = [
        of_kannel(THEIRS),
        of_tocsin(OURS),
        of_kannel(THEIRS_BARE, receipts=False),
        of_kannel("Kannel, spool store", store="spool", share=0.5),
        of_tocsin("Tocsin, SQLite, no receipts", receipts=False),
        of_tocsin("Tocsin, SQLite, by SMTP", "smtp", share=0.5),
    ]
    if postgresql_binaries() is not None:
        found.append(Contestant("Tocsin, PostgreSQL", "tocsin", postgresql.open, share=0.5))
    if options.only:
        exactly = [one for one in found if one.name in options.only]
        found = exactly or [one for one in found if any(word.lower() in one.name.lower() for word in options.only)]
    return found


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000, help="of one run at full speed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steady", type=float, default=500.0, help="the steady rate, messages a second")
    parser.add_argument("--seconds", type=float, default=8.0, help="of the steady rate")
    parser.add_argument("--quick", action="store_true", help="one small round, to see whether all of it works")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="those of this name, or with this in their name")
    parser.add_argument("--no-crash", action="store_true", help="kill nobody")
    parser.add_argument("--json", action="store_true", help="print every figure, not tables")
    options = parser.parse_args()
    if not kannel.is_installed():
        sys.exit("Kannel is absent: make peers installs it")
    if options.quick:
        options.messages, options.rounds, options.seconds = 2000, 1, 2.0
    where = machine()
    if not options.json:
        print(f"{where}\n", flush=True)
    runs = measured(options)
    left = {} if options.no_crash else crashes(min(options.messages, 10_000))
    if options.json:
        everything = {"machine": where, "runs": runs, "crashes": left}
        print(json.dumps(everything, default=dataclasses.asdict))
        return
    print(f"{options.messages:,} messages, {options.rounds} rounds: medians, and from the least to the most\n")
    print(figures(runs, options.steady), end="\n\n")
    if runs.get(OURS) and runs.get(THEIRS):
        print(verdicts(runs, options.steady), end="\n\n")
    if left:
        print(aftermaths(left))


def measured(options: argparse.Namespace) -> dict[str, list[Run]]:
    """The rounds of everybody, in turn."""
    postgresql = OnPostgresql()
    with postgresql.stack:
        contestants = field_of(options, postgresql)
        runs: dict[str, list[Run]] = {one.name: [] for one in contestants}
        for n in range(options.rounds):
            for one in contestants:
                began = time.monotonic()
                runs[one.name].append(one.run(options.messages, options.steady, options.seconds))
                said = f"round {n + 1} of {options.rounds}, {one.name}: {time.monotonic() - began:.0f} s"
                print(said, file=sys.stderr, flush=True)
    return runs


def crashes(messages: int) -> dict[str, Aftermath]:
    """Kill everybody once."""
    found = {}
    for store in ("file", "spool"):
        found[f"Kannel, {store} store"] = crash_of_kannel(messages, store)
    for rule in ("park", "resend"):
        found[f"Tocsin, on_unknown = {rule}"] = crash_of_tocsin(messages, rule)
    return found


if __name__ == "__main__":
    main()
