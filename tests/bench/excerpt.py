"""What reading a mail and taking its words out of it costs: microseconds a mail over the corpus, memory at 50 MB.

    python tests/bench/excerpt.py [--rounds 5] [--megabytes 50] [--connections 20]

Times are processor time, the fastest of the rounds for each mail; the machine's other work does not count. Memory is
the most that Python holds at any moment beside the octets of the mail; and what the process grows by where as many
large mails as there are connections are held and read.
"""

from __future__ import annotations

import argparse
import base64
import gc
import resource
import statistics
import sys
import tracemalloc
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "filters" / "excerpt"), str(ROOT / "tests" / "bench")]

from corpus_mails.cases import cases  # noqa: E402
from stopwatch import microseconds  # noqa: E402

from filters import guard  # noqa: E402
from filters.excerpt import excerpt  # noqa: E402
from filters.mail import Mail  # noqa: E402

MEGABYTE = 2**20


def speed(rounds: int) -> None:
    """Time each step over the corpus and print a table."""
    mails = [case.octets for case in cases()]
    views = [Mail.read(octets) for octets in mails]
    steps = {
        "guard": [microseconds(lambda octets=octets: guard.thin(octets), rounds) for octets in mails],
        "the view, with the guard": [microseconds(lambda octets=octets: Mail.read(octets), rounds) for octets in mails],
        "excerpt of the view": [microseconds(lambda view=view: excerpt(view), rounds) for view in views],
    }
    print(f"{len(mails)} mails, {sum(map(len, mails)) // len(mails)} octets each\n")
    print(f"{'microseconds a mail':26} {'mean':>8} {'median':>8} {'95 %':>8} {'worst':>8}")
    for step, times in steps.items():
        figures = (statistics.mean(times), statistics.median(times), statistics.quantiles(times, n=20)[18], max(times))
        print(f"{step:26}", *(f"{figure:8.0f}" for figure in figures))


def large_mails(megabytes: int) -> dict[str, bytes]:
    """Mails of that size, their weight in an attachment, in a text, or in text of base64."""
    room = megabytes * MEGABYTE
    head = b"From: Ann <ann@example.org>\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
    line = base64.encodebytes(bytes(57)).replace(b"\n", b"\r\n")
    return {
        "an attachment": head
        + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: image/jpeg\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + line * (room // len(line)) + b"--b--\r\n",
        "plain text": head + b"\r\n" + b"hello, how are you?\r\n" * (room // 21),
        "text in base64": head + b"Content-Transfer-Encoding: base64\r\n\r\n" + line * (room // len(line)),
    }


def resident() -> float:
    """The memory the process has at present (megabytes), where the kernel tells; else the most it ever had."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / MEGABYTE
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(megabytes: int, connections: int) -> None:
    """Read large mails, alone and with others held, and print what it takes."""
    print(f"\n{f'{megabytes} MB in …':26} {'ms':>8} {'most MB beside the mail':>24}")
    for name, octets in large_mails(megabytes).items():
        took = microseconds(lambda octets=octets: excerpt(Mail.read(octets)), 3) / 1000
        gc.collect()
        tracemalloc.start()
        excerpt(Mail.read(octets))
        peak = tracemalloc.get_traced_memory()[1] / MEGABYTE
        tracemalloc.stop()
        print(f"{name:26} {took:8.0f} {peak:24.1f}")
    octets = large_mails(megabytes)["an attachment"]
    before = resident()
    held = [bytes(bytearray(octets)) for _ in range(connections)]
    with_mails = resident()
    views = [Mail.read(one) for one in held]
    print(
        f"\n{connections} connections with such a mail each: {with_mails - before:.0f} MB for the octets, "
        f"{resident() - with_mails:.1f} MB for {len(views)} views"
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--connections", type=int, default=20)
    options = parser.parse_args()
    speed(options.rounds)
    memory(options.megabytes, options.connections)


if __name__ == "__main__":
    main()
