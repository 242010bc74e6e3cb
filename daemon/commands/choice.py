"""What an operator's verb is about: ids, a route or an account, and the store they are in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import typer
from sqlalchemy import Connection, select

from daemon.commands import output
from daemon.commands.opening import configuration, message_id, store_of, utc_now, wake_daemons
from gateway import accounts, holds
from gateway.failure import RefusedError
from gateway.holds import Selection, Step
from gateway.store import schema
from gateway.store.store import Store


class Verb(Protocol):
    """One transaction's worth of a verb of `gateway.holds`."""

    def __call__(self, connection: Connection, selection: Selection, now: datetime, *, after: int) -> Step: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Some of the queue; `kind` and `names` are what a standing hold on it is called."""

    store: Store
    selection: Selection
    kind: str
    names: tuple[str, ...]

    def stand(self) -> bool:
        """Hold what comes, too: on the route, for the account, of messages still being expanded. Whether that is so."""
        return self.store.run_now(self._stand)

    def _stand(self, connection: Connection) -> bool:
        names = self.names if self.selection.standing else tuple(map(str, holds.unexpanded(connection, self.selection)))
        holds.stand(connection, self.kind, names, utc_now())
        return bool(names)

    def lift(self) -> bool:
        """Let pass what comes; whether it was held."""
        return bool(self.store.run_now(lambda connection: holds.lift(connection, self.kind, self.names)))

    def each(self, verb: Verb) -> int:
        """Do it, a transaction at a time; how many segments."""
        done = 0
        after: int | None = 0
        now = utc_now()
        with output.progress("segments") as told:
            while after is not None:
                step = self.store.run_now(partial(verb, selection=self.selection, now=now, after=after))
                done, after = done + step.done, step.last
                told(done)
        return done

    def cancel_unexpanded(self) -> int:
        """Cancel recipients that are not in the queue yet; how many."""
        done = 0
        after: tuple[int, int] | None = (0, -1)
        with output.progress("recipients") as told:
            while after is not None:
                work = partial(holds.cancel_unexpanded, selection=self.selection, now=utc_now(), after=after)
                count, after = self.store.run_now(work)
                done += count
                told(done)
        return done

    def report(self, done: int, what: str, *, nothing: str | None) -> None:
        """Say how many it was, and wake the daemons; `RefusedError` where it was none and should have been some."""
        if not done and nothing is not None and not self.selection.standing:
            raise RefusedError(f"nothing of this is {nothing}: tocsin message show tells how it stands")
        output.say(f"{done} segment{'s' if done != 1 else ''} {what}.")
        wake_daemons(self.store)


@contextlib.contextmanager
def chosen(
    context: typer.Context, ids: Sequence[str] | None, route: str | None, account: str | None
) -> Iterator[Choice]:
    """What the command line chose: ids, or one of a route and an account."""
    if sum(map(bool, (ids, route, account))) != 1:
        raise typer.BadParameter("name what is meant by ids, or by --route, or by --account")
    config = configuration(context)
    numbers = [message_id(one) for one in ids or ()]
    with store_of(config) as store:
        if route is not None:
            if route not in {one.name for one in config.route} and not store.read_now(partial(_carries, route)):
                raise RefusedError(f"there is no route {route}: tocsin route list shows them")
            yield Choice(store, Selection(route=route), "route", (route,))
        elif account is not None:
            owner = store.read_now(lambda connection: accounts.find(connection, account))
            yield Choice(store, Selection(account=owner.id), "account", (owner.name,))
        else:
            selection = store.read_now(lambda connection: holds.find(connection, numbers))
            yield Choice(store, selection, "message", tuple(map(str, selection.messages)))


def _carries(route: str, connection: Connection) -> bool:
    """Whether segments of a route that is not configured any more are there."""
    segment = schema.segment
    return connection.execute(select(segment.c.id).where(segment.c.route == route).limit(1)).first() is not None
