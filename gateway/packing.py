"""What a notice that waits keeps of its filter, as JSON: how often it may be told of, and what is to be said.

The filter may be changed or taken away meanwhile; what it decided stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import time, timedelta
from functools import lru_cache
from typing import Any

from filters.filter import MaxPer, Quiet
from filters.verdict import Decided
from gateway.pacing import Pace


def pack(pace: Pace, words: Iterable[Decided]) -> str:
    """What is kept."""
    limit, quiet = pace.max_per, pace.quiet
    return json.dumps(
        {
            "max_per": [limit.count, limit.window.total_seconds(), limit.then] if limit is not None else None,
            "quiet": [quiet.from_.isoformat(), quiet.to.isoformat(), quiet.then] if quiet is not None else None,
            "say": [[one.channel, one.to, one.text, one.max_parts, one.subject] for one in words],
        },
        separators=(",", ":"),
    )


def pace_of(number: int, packed: str) -> Pace:
    """How often the filter of this number may be told of."""
    said = json.loads(packed)
    return _pace(number, *(tuple(said[name]) if said[name] else None for name in ("max_per", "quiet")))


@lru_cache(maxsize=10_000)
def _pace(number: int, limit: tuple[Any, ...] | None, quiet: tuple[Any, ...] | None) -> Pace:
    return Pace(
        number,
        MaxPer(limit[0], timedelta(seconds=limit[1]), limit[2]) if limit is not None else None,
        Quiet(time.fromisoformat(quiet[0]), time.fromisoformat(quiet[1]), quiet[2]) if quiet is not None else None,
    )


def words_of(packed: str) -> list[Decided]:
    """What is to be said to whom."""
    return [Decided(*word) for word in json.loads(packed)["say"]]


def storable(text: str) -> str:
    """A text in characters every database keeps: no NUL, no surrogate that stands alone."""
    return text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
