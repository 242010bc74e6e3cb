"""All benchmarks, one after the other: `make bench`. ARGS goes to none of them; each has its own `--help`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
#: In this order; each prints its own tables.
BENCHMARKS = ("mail.py", "intake.py", "excerpt.py", "filters.py", "sieve.py", "memory.py")


def main() -> None:
    """Run those that are here; the exit code of the worst."""
    worst = 0
    for name in BENCHMARKS:
        if (HERE / name).exists():
            print(f"== {name}", flush=True)
            worst = max(
                worst, subprocess.run([sys.executable, str(HERE / name), *sys.argv[1:]], check=False).returncode
            )
    sys.exit(worst)


if __name__ == "__main__":
    main()
