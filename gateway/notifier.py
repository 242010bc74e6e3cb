"""The door to filters and notices for whoever sees mails arrive: judge outside the transaction, store inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from filters.context import Source
from filters.verdict import Need
from gateway.notices import Arrived, Noted
from gateway.reports import Office
from gateway.store.store import Store


class Notifier:
    """Judges arrived mails by their accounts' filters, and stores what comes of them."""

    def __init__(
        self,
        store: Store,
        office: Callable[[], Office],
        taken: Callable[[Sequence[str]], None],
        *,
        now: Callable[[], datetime],
    ) -> None:
        """`taken` is told, after the commit, which routes have work."""
        raise NotImplementedError

    async def take(self, arrived: Sequence[Arrived], also: Callable[[Connection], None] | None = None) -> list[Noted]:
        """Judge these mails and store their notices; returns after the commit.

        What the caller must remember of them (that they were seen) is written by `also` in the same transaction, also
        where no filter fits. Where it raises, nothing is stored, and the error comes out of here. A work of the store
        may be run again: so may `also`. A mail that was noted before makes no notice again (invariant I3), so whoever
        is not sure hands it in once more. Raises StoreError.
        """
        raise NotImplementedError

    async def needs(self, account: int, source: Source) -> frozenset[Need]:
        """What of a mail through this door must be at hand for the account's filters and texts; empty where nothing
        would come of it, whatever it is."""
        raise NotImplementedError
