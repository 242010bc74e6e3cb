"""What everything on this node last said of itself: the source of `tocsin status` and of the log's state lines."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from gateway.presence import Report

log = logging.getLogger(__name__)

#: States that need nobody's attention.
_WELL = frozenset({"up", "connecting", "stopped", "standby"})


class Board:
    """Keeps one report for each thing, logs when one changes."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._reports: dict[tuple[str, str], Report] = {}

    def set(self, kind: str, name: str, state: str, why: str = "", *, rate: str = "") -> None:
        """What `name` says of itself now. The time of the last change of its state is kept."""
        before = self._reports.get((kind, name))
        same = before is not None and before.state == state
        since = before.since if same and before is not None else self._now()
        self._reports[kind, name] = Report(
            kind, name, state, since, why, rate or (before.rate if before is not None else "")
        )
        if not same or (before is not None and before.why != why):
            level = logging.INFO if state in _WELL else logging.WARNING
            extra = {"action": f"{kind}_{state}", "kind": kind, "component": name, "state": state}
            log.log(level, "%s %s is %s%s", kind, name, state, f": {why}" if why else "", extra=extra)

    def set_rate(self, kind: str, name: str, rate: str) -> None:
        """How fast it goes now."""
        report = self._reports.get((kind, name))
        if report is not None and report.rate != rate:
            self._reports[kind, name] = replace(report, rate=rate)

    def drop(self, kind: str, name: str) -> None:
        """This thing is no more."""
        self._reports.pop((kind, name), None)

    def get(self, kind: str, name: str) -> Report | None:
        """What it last said."""
        return self._reports.get((kind, name))

    def reports(self) -> list[Report]:
        """Everything, as it is now."""
        return list(self._reports.values())
