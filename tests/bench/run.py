"""The benchmarks: `make bench` measures Tocsin beside Kannel; `make bench ARGS="NAME …"` others, or `all` of them.

Options behind the names go to each benchmark that is run (`make bench ARGS="--quick"`, `ARGS="store --help"`).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
#: Each prints its own tables.
BENCHMARKS = {
    "kannel": "beside_kannel.py",
    "store": "intake.py",
    "fanout": "fanout.py",
    "depth": "depth.py",
    "mail": "mail.py",
    "excerpt": "excerpt.py",
    "filters": "criteria.py",
    "sieve": "sieve.py",
    "memory": "memory.py",
    "mailboxes": "mailboxes.py",
}


def main() -> None:
    """Run those that are named; the exit code of the worst."""
    words = sys.argv[1:]
    names = []
    while words and not words[0].startswith("-"):
        names.append(words.pop(0))
    unknown = [name for name in names if name not in BENCHMARKS and name != "all"]
    if unknown:
        sys.exit(f"there is no benchmark {unknown[0]}: name some of {', '.join(BENCHMARKS)}, or all")
    worst = 0
    for name in BENCHMARKS if "all" in names else names or ["kannel"]:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, str(HERE / BENCHMARKS[name]), *words], check=False)
        worst = max(worst, done.returncode)
    sys.exit(worst)


if __name__ == "__main__":
    main()
