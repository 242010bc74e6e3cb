"""What a reload takes at once, and what waits for a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.config.faults import key
from daemon.config.models import Section

if TYPE_CHECKING:
    from daemon.config.loading import Configuration

#: Tables and keys that are read only when the daemon starts.
RESTART = frozenset({"store", "listen.smtp", "listen.lmtp", "console.listen"})


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys that differ between two configurations: those a reload takes, and those that need a restart.

    A route that came or went is named as a whole, `route "operator"`; values are never told.
    """

    taken: tuple[str, ...]
    restart: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.taken or self.restart)


def compare(old: Configuration, new: Configuration) -> Changes:
    """What differs in `new`."""
    keys = [
        key(name, field)
        for name in ("store", "listen", "watch", "calendars", "console", "log")
        for field in _differing(getattr(old, name), getattr(new, name))
    ]
    before = {route.name: route for route in old.route}
    after = {route.name: route for route in new.route}
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after:
            keys += [f'route "{name}".{field}' for field in _differing(before[name], after[name])]
        else:
            keys.append(f'route "{name}"')
    if [name for name in before if name in after] != [name for name in after if name in before]:
        keys.append("the order of routes")
    restart = tuple(one for one in keys if needs_restart(one))
    return Changes(tuple(one for one in keys if one not in restart), restart)


def needs_restart(name: str) -> bool:
    """Whether a change of this key is taken only by a restart."""
    return name in RESTART or name.partition(".")[0] in RESTART


def _differing(old: Section, new: Section) -> Iterator[str]:
    for field in type(old).model_fields:
        if getattr(old, field) != getattr(new, field):
            yield field
