"""Processor time, so that the machine's other work does not count."""

from __future__ import annotations

import time
from collections.abc import Callable


def microseconds(work: Callable[[], object], rounds: int) -> float:
    """The processor time of the fastest of some rounds."""
    taken = []
    for _ in range(rounds):
        began = time.process_time_ns()
        work()
        taken.append(time.process_time_ns() - began)
    return min(taken) / 1000
