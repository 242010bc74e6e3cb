"""Mails by SMTP to `accepted`: how many a second, at what processor time, how fast; beside aiosmtpd doing nothing.

    python tests/bench/mail.py [--mails 5000] [--rounds 3] [--connections 20] [--rate 300]

In each round both servers get the same load from the same client, one after the other, so that a machine whose speed
drifts treats them alike; what is quoted is the median of the rounds, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from processes import ACCOUNTS, load_client, null_server, processor_seconds, sink, submits, tocsin


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: mails a second, processor milliseconds a mail, and quantiles in milliseconds."""

    rate: float
    cpu: float
    p50: float
    p99: float


def quantiles(nanoseconds: list[int]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    ordered = sorted(nanoseconds)
    return ordered[len(ordered) // 2] / 1e6, ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] / 1e6


def one_of_tocsin(mails: int, connections: int, rate: float, store: str) -> Figures:
    """From the first final dot to the last submit_sm; latency from each final dot to its submit_sm."""
    with sink("--by", "text") as (_, smpp, lines), tocsin(smpp, store=store) as (pid, port):
        load_client(port, mails=200, connections=connections, senders=ACCOUNTS, tag="warm")
        submits(lines, 200)
        before = processor_seconds(pid)
        sent = load_client(port, mails=mails, connections=connections, rate=rate, senders=ACCOUNTS, tag="m")
        arrived = {one["text"]: one["at"] for one in submits(lines, mails + 200)}
        used = processor_seconds(pid) - before
        missing = [text for text in sent if text not in arrived]
        if missing:
            raise SystemExit(f"{len(missing)} mails that were taken never arrived, {missing[0]!r} first")
        seconds = (max(arrived[text] for text in sent) - min(written for written, _ in sent.values())) / 1e9
        return Figures(
            mails / seconds, used / mails * 1000, *quantiles([arrived[t] - written for t, (written, _) in sent.items()])
        )


def one_of_null(mails: int, connections: int, rate: float) -> Figures:
    """The same load on a server that does nothing; latency from each final dot to its 250."""
    with null_server() as (pid, port):
        load_client(port, mails=200, connections=connections, senders=ACCOUNTS, tag="warm")
        before = processor_seconds(pid)
        sent = load_client(port, mails=mails, connections=connections, rate=rate, senders=ACCOUNTS, tag="m")
        used = processor_seconds(pid) - before
        seconds = (max(done for _, done in sent.values()) - min(written for written, _ in sent.values())) / 1e9
        return Figures(
            mails / seconds, used / mails * 1000, *quantiles([done - written for written, done in sent.values()])
        )


def median(runs: list[Figures]) -> Figures:
    """Each figure's median."""
    return Figures(*(statistics.median(getattr(run, name) for run in runs) for name in ("rate", "cpu", "p50", "p99")))


def compare(title: str, mails: int, connections: int, rate: float, rounds: int, store: str) -> None:
    """Run both in turn and print a table."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(one_of_tocsin(mails, connections, rate, store))
        theirs.append(one_of_null(mails, connections, rate))
    mine, null = median(ours), median(theirs)
    print(f"\n{title} ({mails} mails, {connections} connections, median of {rounds} rounds)")
    print(f"  {'':<36}{'mails/s':>9}{'CPU ms/mail':>13}{'p50 ms':>9}{'p99 ms':>9}")
    for name, run in (("Tocsin, DATA to submit_sm", mine), ("aiosmtpd, null handler, DATA to 250", null)):
        print(f"  {name:<36}{run.rate:>9.0f}{run.cpu:>13.2f}{run.p50:>9.2f}{run.p99:>9.2f}")
    print(f"  {'ratio':<36}{mine.rate / null.rate:>9.2f}{mine.cpu / null.cpu:>13.1f}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--rate", type=float, default=300.0, help="of the steady load, mails a second")
    parser.add_argument("--store", default="", help="another store than SQLite, as a database URL")
    args = parser.parse_args()
    compare("As fast as they go", args.mails, args.connections, 0.0, args.rounds, args.store)
    steady = min(args.mails, int(args.rate * 10))
    compare(f"At a steady {args.rate:.0f} a second", steady, args.connections, args.rate, args.rounds, args.store)


if __name__ == "__main__":
    main()
